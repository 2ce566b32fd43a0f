from odoo import api, fields, models
from odoo.exceptions import AccessError, UserError, ValidationError

# What decides the amount: fixed once the milestone is invoiced.
TERMS = (
    "active",
    "kind",
    "weight",
    "fixed_amount",
    "line_id",
    "sale_line_id",
    "lead_id",
)
# Whose it is, who says that it is done, and its place in the split: Billing's, once it
# is handed over.
HANDED_OVER = (*TERMS, "sequence", "agreement_id", "order_id", "user_id")


class CrmBillingMilestone(models.Model):
    """A phase of a contract: its share of the money, and whether it is done (C8).

    Typed on the deal, on a line of the quotation or on a line of an agreement; the
    handoff hands it over with :meth:`_attach`. The split is in
    `crm_billing_milestone_amount.py`, *done* in `crm_billing_milestone_done.py`; what
    that bills is decided by the agreement line
    (`crm_billing_agreement_line_milestone.py`).
    """

    _name = "crm.billing.milestone"
    _description = "Billing Milestone"
    _inherit = ["mail.thread", "mail.activity.mixin"]
    _order = "line_id, sale_line_id, lead_id, sequence, id"

    name = fields.Char(required=True)
    sequence = fields.Integer(default=10)
    active = fields.Boolean(default=True)
    line_id = fields.Many2one(
        "crm.billing.agreement.line",
        string="Agreement Line",
        index="btree_not_null",
        ondelete="restrict",
        domain="[('billing_method', '=', 'milestone')]",
        copy=False,
    )
    agreement_id = fields.Many2one(
        "crm.billing.agreement",
        compute="_compute_agreement_id",
        store=True,
        readonly=False,
        index="btree_not_null",
        copy=False,
    )
    sale_line_id = fields.Many2one(
        "sale.order.line",
        string="Quotation Line",
        index="btree_not_null",
        ondelete="cascade",
        domain="[('billing_method', '=', 'milestone')]",
    )
    order_id = fields.Many2one(
        "sale.order",
        string="Quotation",
        compute="_compute_order_id",
        store=True,
        readonly=False,
        index="btree_not_null",
        copy=False,
    )
    lead_id = fields.Many2one(
        "crm.lead",
        string="Opportunity",
        index="btree_not_null",
        ondelete="restrict",
    )
    company_id = fields.Many2one(
        "res.company", compute="_compute_owner", store=True, precompute=True, index=True
    )
    currency_id = fields.Many2one(
        "res.currency", compute="_compute_owner", store=True, precompute=True
    )
    partner_id = fields.Many2one(
        "res.partner",
        string="Account",
        compute="_compute_owner",
        store=True,
        precompute=True,
        index=True,
    )
    seller_id = fields.Many2one(
        "res.users",
        string="Salesperson",
        compute="_compute_owner",
        store=True,
        precompute=True,
        index=True,
    )
    kind = fields.Selection(
        [("percent", "Percent"), ("share", "Share"), ("fixed", "Fixed amount")],
        default="percent",
        required=True,
        help="Fixed amounts come first; percentages and shares divide the rest.",
    )
    weight = fields.Float(
        string="Percent or Share",
        digits=(16, 6),
        help="Of what the fixed amounts leave of the contract.",
    )
    fixed_amount = fields.Monetary(help="Before tax.")
    amount = fields.Monetary(
        compute="_compute_amount",
        store=True,
        help="What the milestone bills before tax.",
    )
    is_settled = fields.Boolean(
        compute="_compute_amount",
        store=True,
        help="Invoiced before the last change of the contract: its amount stays.",
    )
    expected_date = fields.Date(tracking=True)
    user_id = fields.Many2one(
        "res.users",
        string="Responsible",
        default=lambda self: self.env.user,
        domain="[('share', '=', False)]",
        tracking=True,
        index="btree_not_null",
        help="May say that the milestone is done.",
    )
    done_date = fields.Date(readonly=True, copy=False, tracking=True)
    done_uid = fields.Many2one("res.users", string="Done By", readonly=True, copy=False)
    state = fields.Selection(
        [("open", "Open"), ("done", "Done"), ("invoiced", "Invoiced")],
        compute="_compute_state",
        store=True,
        index=True,
        tracking=True,
    )
    period_ids = fields.One2many(
        "crm.billing.period", "milestone_id", string="Ledger", readonly=True
    )
    move_id = fields.Many2one(
        "account.move", string="Invoice", compute="_compute_move_id"
    )

    _weight_not_negative = models.Constraint(
        "CHECK (weight IS NULL OR weight >= 0)",
        "The percentage or share of a milestone is positive.",
    )
    _amount_not_negative = models.Constraint(
        "CHECK (fixed_amount IS NULL OR fixed_amount >= 0)",
        "The amount of a milestone is not negative.",
    )
    _has_contract = models.Constraint(
        "CHECK (COALESCE(line_id, sale_line_id, lead_id) IS NOT NULL)",
        "A milestone belongs to a deal, a line of a quotation or a line of an "
        "agreement: choose one.",
    )

    # === COMPUTE METHODS === #

    @api.depends("line_id")
    def _compute_agreement_id(self):
        for milestone in self:
            milestone.agreement_id = (
                milestone.line_id.agreement_id or milestone.agreement_id
            )

    @api.depends("sale_line_id")
    def _compute_order_id(self):
        for milestone in self:
            milestone.order_id = milestone.sale_line_id.order_id or milestone.order_id

    @api.depends(
        "line_id.agreement_id.partner_id",
        "line_id.agreement_id.user_id",
        "line_id.currency_id",
        "sale_line_id.order_id.partner_id.commercial_partner_id",
        "sale_line_id.order_id.user_id",
        "sale_line_id.order_id.currency_id",
        "lead_id.partner_id.commercial_partner_id",
        "lead_id.user_id",
        "lead_id.company_id",
    )
    def _compute_owner(self):
        for milestone in self:
            agreement = milestone.line_id.agreement_id
            order = milestone.sale_line_id.order_id
            lead = milestone.lead_id
            company = agreement.company_id or order.company_id or lead.company_id
            company = company or lead.team_id.company_id or self.env.company
            partner = agreement.partner_id or order.partner_id or lead.partner_id
            milestone.company_id = company
            milestone.currency_id = (
                agreement.currency_id or order.currency_id or company.currency_id
            )
            milestone.partner_id = partner.commercial_partner_id
            milestone.seller_id = agreement.user_id or order.user_id or lead.user_id

    @api.depends("done_date", "period_ids.kind")
    def _compute_state(self):
        for milestone in self:
            milestone.state = "done" if milestone.done_date else "open"
            if milestone._get_bill():
                milestone.state = "invoiced"

    @api.depends("period_ids.move_line_id")
    def _compute_move_id(self):
        for milestone in self:
            milestone.move_id = milestone._get_bill().sudo().move_id

    # === CONSTRAINT METHODS === #

    @api.constrains("agreement_id", "line_id")
    def _check_agreement(self):
        """What is done bills its agreement: it is the one of its line."""
        for milestone in self:
            if milestone.agreement_id != milestone.line_id.agreement_id:
                raise ValidationError(
                    self.env._(
                        "%(milestone)s belongs to no line of that agreement: choose "
                        "the line.",
                        milestone=milestone.name,
                    )
                )

    # === CRUD METHODS === #

    @api.model_create_multi
    def create(self, vals_list):
        for vals in vals_list:
            self._complete_contract(vals)
        milestones = super().create(vals_list)
        milestones._check_may_type()
        milestones._plan_task()
        return milestones

    def write(self, vals):
        if set(HANDED_OVER) & set(vals):
            self._check_may_type()
        if set(TERMS) & set(vals):
            self._check_not_invoiced()
        result = super().write(vals)
        if set(TERMS) & set(vals):
            self._check_may_type()
        if {"expected_date", "user_id", "active"} & set(vals):
            self._plan_task()
        return result

    @api.ondelete(at_uninstall=False)
    def _unlink_except_invoiced(self):
        self._check_may_type()
        self._check_not_invoiced()

    def _complete_contract(self, vals):
        """Name the line, where quotation or agreement have only one with milestones."""
        wanted = {
            "line_id": ("agreement_id", "crm.billing.agreement", "line_ids"),
            "sale_line_id": ("order_id", "sale.order", "order_line"),
        }
        for name, (parent, model, lines) in wanted.items():
            if vals.get(name) or not vals.get(parent):
                continue
            found = (
                self.env[model]
                .browse(vals[parent])[lines]
                .filtered(lambda line: line.billing_method == "milestone")
            )
            if len(found) != 1:
                raise ValidationError(
                    self.env._(
                        "Say which line “%(milestone)s” belongs to: exactly one line "
                        "billed by milestones would be found by itself.",
                        milestone=vals.get("name") or "",
                    )
                )
            vals[name] = found.id

    def _check_may_type(self):
        """Leave to Billing what was handed over; before that Sales types it."""
        if self.env.su or self.env.user.has_group(
            "crm_billing_handoff.group_billing_user"
        ):
            return
        if handed_over := self.filtered("line_id"):
            raise AccessError(
                self.env._(
                    "%(milestones)s is handed over to Billing: ask a billing clerk to "
                    "change it.",
                    milestones=", ".join(handed_over.mapped("name")),
                )
            )

    def _check_not_invoiced(self):
        if invoiced := self.filtered(lambda entry: entry.state == "invoiced"):
            raise UserError(
                self.env._(
                    "%(milestones)s is invoiced and stays as it is. Undo it, or credit "
                    "its invoice.",
                    milestones=", ".join(invoiced.mapped("name")),
                )
            )

    # === BUSINESS METHODS - HANDOVER === #

    def _attach(self, line):
        """Hand the milestones over to an agreement line, which bills them from now on.

        :param line: one `crm.billing.agreement.line` that is billed by milestones
        """
        line.ensure_one()
        self.write({"line_id": line.id, "agreement_id": line.agreement_id.id})
        source = self.sale_line_id
        if len(source) == 1:
            line.write(source._prepare_milestone_terms())
        self._plan_task()


class CrmBillingPeriod(models.Model):
    _inherit = "crm.billing.period"

    milestone_id = fields.Many2one(
        "crm.billing.milestone", index="btree_not_null", ondelete="restrict"
    )

    _milestone_uniq = models.UniqueIndex(
        "(milestone_id) WHERE kind = 'milestone'",
        "This milestone is billed already.",
    )
    _deposit_uniq = models.UniqueIndex(
        "(line_id) WHERE kind = 'deposit'", "This deposit is billed already."
    )
