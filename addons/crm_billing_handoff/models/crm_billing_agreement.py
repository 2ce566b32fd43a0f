from odoo import api, fields, models
from odoo.exceptions import UserError, ValidationError

from .crm_billing_plan import UNITS

ACTIVITY_BILLING = "crm_billing_handoff.mail_activity_type_billing"


class CrmBillingAgreement(models.Model):
    """What a customer owes on a schedule: flat, usage, milestone and one-off lines.

    The main flow is the run: :meth:`_cron_invoice_due` (`crm_billing_agreement_run.py`)
    claims what is due, `crm_billing_agreement_invoice.py` turns the due rows of the
    lines into ledger rows and drafts. What is due is decided from the ledger
    (`crm.billing.period`) alone; the next date in `crm_billing_agreement_next.py` is
    computed from it and never pushed forward by hand.
    """

    _name = "crm.billing.agreement"
    _description = "Billing Agreement"
    _inherit = ["mail.thread", "mail.activity.mixin", "crm.billing.lock"]
    _order = "id desc"
    _check_company_auto = True

    name = fields.Char(
        default=lambda self: self.env._("New"),
        required=True,
        readonly=True,
        copy=False,
        index="trigram",
    )
    active = fields.Boolean(default=True)
    company_id = fields.Many2one(
        "res.company",
        required=True,
        index=True,
        default=lambda self: self.env.company,
    )
    currency_id = fields.Many2one(
        "res.currency",
        required=True,
        compute="_compute_currency_id",
        store=True,
        precompute=True,
        readonly=False,
    )
    partner_id = fields.Many2one(
        "res.partner",
        string="Account",
        required=True,
        index=True,
        ondelete="restrict",
        check_company=True,
        tracking=True,
        help="The account that buys. Who pays is its payer, unless one is chosen here.",
    )
    bill_to_id = fields.Many2one(
        "res.partner",
        string="Own Payer",
        ondelete="restrict",
        check_company=True,
        tracking=True,
        domain="[('parent_id', '=', False)]",
        help="Pays this agreement. Empty follows the account.",
    )
    payer_id = fields.Many2one(
        "res.partner",
        compute="_compute_payer_id",
        store=True,
        precompute=True,
        index=True,
        help="The account that pays: chosen here, the account's payer, or the account.",
    )
    billing_tz = fields.Char(
        string="Billing Time Zone",
        compute="_compute_billing_tz",
        store=True,
        precompute=True,
        help="Of the account, else of the company, else UTC: decides the billing day.",
    )
    lead_id = fields.Many2one(
        "crm.lead",
        string="Opportunity",
        readonly=True,
        copy=False,
        index="btree_not_null",
        ondelete="restrict",
    )
    order_id = fields.Many2one(
        "sale.order",
        string="Quotation",
        readonly=True,
        copy=False,
        index="btree_not_null",
        check_company=True,
    )
    user_id = fields.Many2one("res.users", string="Salesperson", index=True)
    team_id = fields.Many2one("crm.team", string="Sales Team")
    payment_term_id = fields.Many2one(
        "account.payment.term",
        string="Own Payment Terms",
        check_company=True,
        tracking=True,
        help="Empty follows the account.",
    )
    fiscal_position_id = fields.Many2one(
        "account.fiscal.position",
        string="Own Fiscal Position",
        check_company=True,
        tracking=True,
        help="Empty follows the account, looked up anew for each invoice.",
    )
    po_number = fields.Char(
        string="Own PO Number", tracking=True, help="Empty follows the account."
    )
    journal_id = fields.Many2one(
        "account.journal",
        check_company=True,
        domain="[('type', '=', 'sale')]",
        help="Empty takes the first sales journal.",
    )
    plan_id = fields.Many2one(
        "crm.billing.plan",
        string="Billing Cycle",
        check_company=True,
        compute="_compute_plan_id",
        store=True,
        precompute=True,
        readonly=False,
        help="Cadence of lines that have no other.",
    )
    start_date = fields.Date(
        required=True, default=fields.Date.context_today, tracking=True
    )
    end_date = fields.Date(
        string="Last Day",
        tracking=True,
        copy=False,
        help="The last day of service, included. Empty runs until it is cancelled.",
    )
    billed_until = fields.Date(
        string="Billed Elsewhere Until",
        copy=False,
        help="The last day that another system has billed. What lies before is kept as "
        "covered when the agreement starts, and makes no invoice.",
    )
    trial_days = fields.Integer(help="Free days before the first paid one.")
    trial_anchor = fields.Selection(
        [("paid", "First paid day"), ("trial", "First trial day")],
        string="Periods after a Trial Start On",
        default="paid",
        required=True,
    )
    state = fields.Selection(
        [
            ("draft", "Draft"),
            ("running", "Running"),
            ("paused", "Paused"),
            ("closed", "Closed"),
            ("cancelled", "Cancelled"),
        ],
        default="draft",
        required=True,
        readonly=True,
        copy=False,
        index=True,
        tracking=True,
    )
    line_ids = fields.One2many(
        "crm.billing.agreement.line", "agreement_id", string="Lines"
    )
    period_ids = fields.One2many(
        "crm.billing.period", "agreement_id", string="Ledger", readonly=True
    )
    move_ids = fields.Many2many(
        "account.move",
        "account_move_crm_billing_agreement_rel",
        "agreement_id",
        "move_id",
        string="Invoices",
        readonly=True,
        copy=False,
    )
    invoice_mode = fields.Selection(
        [
            ("draft", "Leave a draft to review"),
            ("post", "Post"),
            ("send", "Post and send"),
        ],
        string="When Invoiced",
        default="draft",
        required=True,
        tracking=True,
    )
    consolidate = fields.Selection(
        [("yes", "Share invoices"), ("no", "Invoices of its own")],
        help="Whether the agreement shares invoices with others of the same payer and "
        "day. Empty follows the account, else the company.",
    )
    catch_up_limit = fields.Integer(
        default=-1,
        help="If more periods are due at once, a person confirms first. -1 follows the "
        "company, 0 is no limit.",
    )
    is_catch_up_held = fields.Boolean(readonly=True, copy=False)
    catch_up_confirmed_until = fields.Date(readonly=True, copy=False)
    catch_up_count = fields.Integer(
        readonly=True, copy=False, help="Periods that were due when it was held."
    )
    billing_error = fields.Text(
        readonly=True, copy=False, help="Why the last run could not bill it."
    )
    cancel_date = fields.Date(
        readonly=True, copy=False, help="The last day of service of a cancellation."
    )
    predecessor_id = fields.Many2one(
        "crm.billing.agreement", string="Renews", readonly=True, copy=False
    )
    successor_ids = fields.One2many(
        "crm.billing.agreement", "predecessor_id", string="Renewed By"
    )
    renewal_policy = fields.Selection(
        [
            ("none", "Ends on its last day"),
            ("auto", "Renews by itself"),
            ("ask", "A person decides"),
        ],
        string="Renewal",
        default="none",
        required=True,
        tracking=True,
    )
    renewal_count = fields.Integer(string="Next Term", default=12)
    renewal_unit = fields.Selection(UNITS, default="month", required=True)
    notice_days = fields.Integer(
        string="Notice Period",
        help="Days before the last day on which notice must be given.",
    )
    signed_attachment_ids = fields.Many2many(
        "ir.attachment", string="Signed Document", copy=False
    )
    note = fields.Html()

    _live_order_uniq = models.UniqueIndex(
        "(order_id) WHERE order_id IS NOT NULL AND state != 'cancelled'",
        "This quotation already has an agreement: open it instead of making another.",
    )
    _dates_in_order = models.Constraint(
        "CHECK (end_date IS NULL OR end_date >= start_date)",
        "The last day of an agreement is not before its first. One day of service has "
        "the same first and last day.",
    )
    _days_not_negative = models.Constraint(
        "CHECK (COALESCE(trial_days, 0) >= 0 AND COALESCE(notice_days, 0) >= 0 "
        "AND renewal_count > 0)",
        "Trial days and notice period are 0 or more, the next term at least 1.",
    )

    # === COMPUTE METHODS === #

    @api.depends("company_id")
    def _compute_currency_id(self):
        for agreement in self:
            agreement.currency_id = (
                agreement.currency_id or agreement.company_id.currency_id
            )

    @api.depends(
        "bill_to_id",
        "partner_id.commercial_partner_id.bill_to_id.commercial_partner_id",
    )
    def _compute_payer_id(self):
        for agreement in self:
            agreement.payer_id = (
                agreement.bill_to_id.commercial_partner_id
                or agreement.partner_id._get_payer()
            )

    @api.depends("partner_id.commercial_partner_id.billing_tz", "company_id.billing_tz")
    def _compute_billing_tz(self):
        for agreement in self:
            agreement.billing_tz = (
                agreement.partner_id.commercial_partner_id.billing_tz
                or agreement.company_id.billing_tz
                or "UTC"
            )

    @api.depends("partner_id")
    def _compute_plan_id(self):
        for agreement in self:
            account = agreement.partner_id.commercial_partner_id
            agreement.plan_id = agreement.plan_id or account.billing_plan_id

    # === CONSTRAINT METHODS === #

    @api.constrains("partner_id")
    def _check_partner(self):
        """A1: agreements sit on the account, people are its contacts."""
        for agreement in self:
            account = agreement.partner_id.commercial_partner_id
            if account != agreement.partner_id:
                raise ValidationError(
                    self.env._(
                        "%(contact)s is a contact: the agreement belongs to the "
                        "account %(account)s.",
                        contact=agreement.partner_id.display_name,
                        account=account.display_name,
                    )
                )

    @api.constrains("currency_id", "company_id")
    def _check_not_started(self):
        for agreement in self:
            if agreement.period_ids:
                raise ValidationError(
                    self.env._(
                        "%(agreement)s has billed already: currency and company stay. "
                        "End it and make a new agreement.",
                        agreement=agreement.name,
                    )
                )

    # === CRUD METHODS === #

    @api.model_create_multi
    def create(self, vals_list):
        accounts = self.env["res.partner"].browse(
            vals["partner_id"] for vals in vals_list if vals.get("partner_id")
        )
        commercial = {
            partner.id: partner.commercial_partner_id.id for partner in accounts
        }
        for vals in vals_list:
            if vals.get("partner_id"):
                vals["partner_id"] = commercial[vals["partner_id"]]
            if not vals.get("name"):
                company = vals.get("company_id") or self.env.company.id
                sequence = self.env["ir.sequence"].with_company(company).sudo()
                vals["name"] = sequence.next_by_code("crm.billing.agreement")
        return super().create(vals_list)

    @api.ondelete(at_uninstall=False)
    def _unlink_except_draft(self):
        if any(agreement.state != "draft" for agreement in self):
            raise UserError(
                self.env._(
                    "An agreement that was started is the proof of what was billed: "
                    "cancel it instead of deleting it."
                )
            )

    # === ACTION METHODS === #

    def action_start(self):
        """Start drafts: from now on the run bills them. Safe to call again.

        :raise UserError: a line lacks what billing needs; the message names it
        """
        self._check_is_biller()
        drafts = self.filtered(lambda agreement: agreement.state == "draft")
        drafts._check_startable()
        for agreement in drafts:
            agreement.line_ids._resolve_dates()
            agreement.line_ids._cover_billed_elsewhere()
            agreement.state = "running"
        drafts._log_event("started")
        drafts._trigger_run()
        return True

    def action_draft(self):
        """Take agreements that have billed nothing back to draft."""
        self._check_is_biller()
        for agreement in self:
            if agreement.period_ids:
                raise UserError(
                    self.env._(
                        "%(agreement)s has billed already. Change or cancel it "
                        "instead: credit and charge are then worked out for you.",
                        agreement=agreement.name,
                    )
                )
        self.state = "draft"
        return True

    def action_view_moves(self):
        """Open the invoices of the agreement."""
        return self.env["account.move"]._get_billing_action(self.move_ids)

    # === BUSINESS METHODS === #

    def _check_is_biller(self):
        """Let only Billing act, in the companies it works in."""
        self.env["account.move"]._check_is_biller()
        self.check_access("read")

    def _check_startable(self):
        for agreement in self:
            problems = []
            if not agreement.line_ids:
                problems.append(self.env._("it has no lines"))
            for line in agreement.line_ids:
                problems += [f"{line.name}: {gap}" for gap in line._get_gaps()]
            if problems:
                raise UserError(
                    self.env._(
                        "%(agreement)s cannot start yet:\n%(problems)s",
                        agreement=agreement.name,
                        problems="\n".join(problems),
                    )
                )

    def _get_last_day(self):
        """Return the last day of service, ``False`` for an open end."""
        self.ensure_one()
        return self.end_date

    def _log_event(self, action, **vals):
        """Write one row a record into the audit log."""
        self.env["crm.billing.event"]._log(
            [{**agreement._prepare_event(action), **vals} for agreement in self]
        )

    def _prepare_event(self, action):
        return {
            "action": action,
            "agreement_id": self.id,
            "lead_id": self.lead_id.id,
            "partner_id": self.partner_id.id,
            "company_id": self.company_id.id,
        }

    def _ask_billing(self, summary, note):
        """Leave one task for Billing on the agreement; an open one is renewed."""
        for agreement in self:
            activity = agreement.activity_search([ACTIVITY_BILLING])[:1]
            if activity:
                activity.write({"summary": summary, "note": note})
                continue
            agreement.activity_schedule(
                ACTIVITY_BILLING,
                summary=summary,
                note=note,
                user_id=agreement.company_id._get_billing_responsible().id,
            )
