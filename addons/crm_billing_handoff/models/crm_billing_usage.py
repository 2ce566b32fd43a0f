from odoo import api, fields, models
from odoo.exceptions import AccessError, UserError

from ..billing_rules.allocation import exact
from ..billing_rules.rating import to_text

# What a person may correct on an event; all else is as it was sent.
CORRECTED = ("partner_id", "agreement_id")
# Under the context key ``usage_flow``: the flow found it, nobody corrects anything. A
# call from outside can name the key, but cannot carry this very object.
FOUND = object()


class CrmBillingUsage(models.Model):
    """One measured event, kept for ever under the id that its sender gave it.

    Rows are written by :meth:`CrmBillingMeter.record_usage` alone and are never
    deleted. An event whose meter or account nobody knows yet waits here as
    *unassigned*, one outside the service of a line as *unrated*: both are shown, and
    both find their place by themselves once it exists (`crm_billing_usage_assign.py`).
    """

    _name = "crm.billing.usage"
    _description = "Usage Event"
    _order = "occurred_at desc, id desc"
    _rec_name = "event_uid"
    _check_company_auto = True

    company_id = fields.Many2one("res.company", required=True, readonly=True)
    batch_id = fields.Many2one(
        "crm.billing.usage.batch", readonly=True, index="btree_not_null"
    )
    meter_id = fields.Many2one("crm.billing.meter", readonly=True, ondelete="restrict")
    meter_code = fields.Char(
        string="Meter as Sent", required=True, readonly=True, help="Code of the meter."
    )
    event_uid = fields.Char(
        string="Event",
        required=True,
        readonly=True,
        help="The sender's id of the event, unique per meter for ever.",
    )
    account_ref = fields.Char(
        string="Account as Sent",
        readonly=True,
        help="Id, code, VAT or external id that the sender gave.",
    )
    agreement_ref = fields.Char(string="Agreement as Sent", readonly=True)
    partner_id = fields.Many2one(
        "res.partner",
        string="Account",
        index="btree_not_null",
        ondelete="restrict",
        check_company=True,
    )
    agreement_id = fields.Many2one(
        "crm.billing.agreement", ondelete="restrict", check_company=True
    )
    line_id = fields.Many2one(
        "crm.billing.agreement.line",
        string="Agreement Line",
        readonly=True,
        ondelete="set null",
        help="The line that bills the event. Empty: unrated.",
    )
    occurred_at = fields.Datetime(string="At", required=True, readonly=True)
    usage_date = fields.Date(
        string="Day",
        required=True,
        readonly=True,
        help="Local date of the account: decides the period.",
    )
    is_whole_day = fields.Boolean(
        readonly=True, help="The sender knew the day and no time."
    )
    value = fields.Float(digits=(16, 6), readonly=True)
    properties = fields.Json(readonly=True)
    cancels_uid = fields.Char(
        string="Cancels Event", readonly=True, help="The event it takes back."
    )
    is_void = fields.Boolean(
        string="Taken Back",
        readonly=True,
        help="Counts nothing: cancelled, or cancels.",
    )
    is_held = fields.Boolean(
        string="Too Late",
        readonly=True,
        help="Came later than the meter accepts: a clerk decides whether it is billed.",
    )
    is_late = fields.Boolean(
        string="Late", readonly=True, help="Its period was billed when it came."
    )
    received_at = fields.Datetime(string="Received", required=True, readonly=True)
    period_id = fields.Many2one(
        "crm.billing.period",
        string="Billed In",
        readonly=True,
        index="btree_not_null",
        ondelete="set null",
    )
    currency_id = fields.Many2one(related="line_id.currency_id")
    state = fields.Selection(
        [
            ("unassigned", "Unassigned"),
            ("unrated", "Unrated"),
            ("held", "Too late"),
            ("open", "To bill"),
            ("billed", "Billed"),
            ("void", "Taken back"),
        ],
        compute="_compute_state",
        search="_search_state",
    )

    # The company's code of the meter, not the meter: also who is not known yet is kept
    # once, and no partner is in the key.
    _event_uniq = models.UniqueIndex("(company_id, meter_code, event_uid)")
    _line_idx = models.Index("(line_id, usage_date) WHERE line_id IS NOT NULL")
    _unbilled_idx = models.Index(
        "(line_id, usage_date) WHERE period_id IS NULL AND line_id IS NOT NULL"
    )
    _unrated_idx = models.Index(
        "(company_id, meter_id, partner_id) WHERE line_id IS NULL"
    )
    _cancels_idx = models.Index(
        "(company_id, meter_code, cancels_uid) WHERE cancels_uid IS NOT NULL"
    )

    # === COMPUTE METHODS === #

    @api.depends("meter_id", "partner_id", "line_id", "period_id", "is_void", "is_held")
    def _compute_state(self):
        for usage in self:
            if usage.is_void:
                usage.state = "void"
            elif not usage.meter_id or not usage.partner_id:
                usage.state = "unassigned"
            elif not usage.line_id:
                usage.state = "unrated"
            elif usage.is_held:
                usage.state = "held"
            else:
                usage.state = "billed" if usage.period_id else "open"

    @api.model
    def _search_state(self, operator, values):
        if operator != "in":
            return NotImplemented
        Domain = fields.Domain
        counts = Domain("is_void", "=", False)
        known = Domain("meter_id", "!=", False) & Domain("partner_id", "!=", False)
        rated = counts & Domain("line_id", "!=", False)
        due = rated & Domain("is_held", "=", False)
        domains = {
            "void": Domain("is_void", "=", True),
            "unassigned": counts & ~known,
            "unrated": counts & known & Domain("line_id", "=", False),
            "held": rated & Domain("is_held", "=", True),
            "open": due & Domain("period_id", "=", False),
            "billed": due & Domain("period_id", "!=", False),
        }
        return Domain.OR(domains[value] for value in values if value in domains)

    # === CRUD METHODS === #

    @api.model_create_multi
    def create(self, vals_list):
        """Refuse: events come in through one door that looks at their id."""
        if vals_list:
            raise UserError(
                self.env._(
                    "Record usage with the meter, or import it: not as a bare row."
                )
            )
        return super().create(vals_list)

    def write(self, vals):
        """Override to let people say whose an event is, and nothing else."""
        if not self.env.su and (fixed := vals.keys() - set(CORRECTED)):
            raise AccessError(
                self.env._(
                    "%(fields)s of an event stay as they were sent. To correct usage, "
                    "record an event that cancels it, or one with the difference.",
                    fields=", ".join(sorted(fixed)),
                )
            )
        if vals.get("agreement_id"):
            # The flow goes on as superuser and tells name and account of what is named.
            agreements = self.env["crm.billing.agreement"]
            agreements.browse(vals["agreement_id"]).check_access("read")
        if "partner_id" in vals and vals["partner_id"]:
            partner = self.env["res.partner"].browse(vals["partner_id"])
            vals = {**vals, "partner_id": partner.commercial_partner_id.id}
        result = super().write(vals)
        by_hand = self.env.context.get("usage_flow") is not FOUND
        if by_hand and vals.keys() & set(CORRECTED):
            self._correct_assignment(vals)
        return result

    @api.ondelete(at_uninstall=False)
    def _unlink_never(self):
        raise UserError(
            self.env._(
                "Events are kept for ever, so that one that is sent again is known. "
                "Record an event that cancels it."
            )
        )

    # === ACTION METHODS === #

    def action_accept_late(self):
        """Bill events that came later than their meter accepts."""
        self._check_can_record()
        held = self.filtered("is_held")
        held.sudo().is_held = False  # flow field; the right was checked above
        held._mark_late()
        return True

    def action_dismiss_late(self):
        """Do not bill events that came later than their meter accepts."""
        self._check_can_record()
        held = self.filtered("is_held").sudo()  # as above
        held.is_void = True
        self.env["crm.billing.event"]._log(
            [
                {
                    "action": "waived",
                    "agreement_id": event.agreement_id.id,
                    "partner_id": event.partner_id.id,
                    "company_id": event.company_id.id,
                    "note": self.env._(
                        "Late usage %(event)s of %(meter)s, not billed",
                        event=event.event_uid,
                        meter=event.meter_id.name,
                    ),
                }
                for event in held
            ]
        )
        return True

    def action_assign(self):
        """Look again for meter, account and line of what has none."""
        self._check_can_record()
        self._assign()
        return True

    # === BUSINESS METHODS === #

    @api.model
    def _check_can_record(self):
        """Let Billing record and correct usage, nobody else."""
        if not self.env.su and not self.env.user.has_group(
            "crm_billing_handoff.group_billing_user"
        ):
            raise AccessError(
                self.env._("Only Billing records usage: ask a billing clerk.")
            )
        self.check_access("read")

    def _describe(self):
        """Return the content of an event in words, to compare two with one id."""
        self.ensure_one()
        parts = [
            str(self.occurred_at),
            to_text(exact(self.value)),
            self.agreement_ref or self.account_ref or "",
        ]
        if self.properties:
            parts.append(str(self.properties))
        if self.cancels_uid:
            parts.append(f"cancels {self.cancels_uid}")
        return ", ".join(parts)


class CrmBillingUsageBatch(models.Model):
    """One delivery of events: where it came from, and what became of its rows."""

    _name = "crm.billing.usage.batch"
    _description = "Usage Delivery"
    _order = "id desc"
    _rec_name = "source_name"

    company_id = fields.Many2one("res.company", required=True, readonly=True)
    source = fields.Selection(
        [
            ("api", "API"),
            ("webhook", "Webhook"),
            ("import", "File"),
            ("pull", "Pulled"),
            ("typed", "Typed"),
        ],
        required=True,
        readonly=True,
    )
    source_name = fields.Char(readonly=True)
    user_id = fields.Many2one("res.users", string="By", required=True, readonly=True)
    accepted = fields.Integer(readonly=True)
    already_known = fields.Integer(readonly=True)
    refused = fields.Integer(readonly=True)
    refusals = fields.Json(
        readonly=True, help="The first refused rows: number, id and reason."
    )
    refusal_text = fields.Text(string="Refused Rows", compute="_compute_refusal_text")
    usage_ids = fields.One2many("crm.billing.usage", "batch_id", readonly=True)

    @api.depends("refusals")
    def _compute_refusal_text(self):
        for batch in self:
            batch.refusal_text = "\n".join(
                f"{row['row']}: {row['id'] or '–'}: {row['reason']}"
                for row in batch.refusals or ()
            )

    def action_view_usage(self):
        """Open the events of the delivery."""
        action = self.env["ir.actions.act_window"]._for_xml_id(
            "crm_billing_handoff.crm_billing_usage_action"
        )
        return {**action, "domain": [("batch_id", "in", self.ids)], "context": {}}
