from odoo import api, fields, models

from ..models.crm_billing_touch_cost import KINDS


class CrmBillingTouchReport(models.Model):
    """What a person had to do again, or do at all, on the way from deal to money.

    One row a touch, counted on the handoff that caused it. Nothing is written for this
    report: it reads the audit log, and what the log does not hold is derived from the
    ledgers: credit notes by reversal, matchings that a person made of entries that
    stood before, state changes in the chatter, invoices mailed more than once. The SQL
    is in `crm_billing_touch_query.py`.

    What the machine does as planned is no touch: credits of a plan change, matchings of
    a charge or of a payment being registered. A deleted draft leaves a trace only if it
    was the last one of its deal.
    """

    _name = "crm.billing.touch.report"
    _description = "Touches"
    _inherit = "crm.billing.report.mixin"
    _auto = False
    _order = "date desc, id desc"
    _rec_name = "cause"

    kind = fields.Selection(KINDS, readonly=True)
    cause = fields.Char(readonly=True, help="The reason that was given or found.")
    date = fields.Date(readonly=True, help="Local date of the account.")
    month_date = fields.Date(
        string="Invoice Date",
        readonly=True,
        help="Of the invoice that was touched; without one, the date of the touch.",
    )
    by_id = fields.Many2one("res.users", readonly=True)
    handoff_id = fields.Many2one("crm.billing.handoff", readonly=True)
    lead_id = fields.Many2one("crm.lead", string="Opportunity", readonly=True)
    agreement_id = fields.Many2one("crm.billing.agreement", readonly=True)
    move_id = fields.Many2one("account.move", string="Invoice", readonly=True)
    touch_count = fields.Integer(string="Touches", readonly=True)
    minutes = fields.Integer(
        readonly=True, help="Clean-up time of this kind, as set in Touch Costs."
    )
    hours = fields.Float(readonly=True)

    @api.depends("kind", "cause")
    @api.depends_context("lang")
    def _compute_display_name(self):
        kinds = dict(self._fields["kind"]._description_selection(self.env))
        for touch in self:
            parts = (kinds.get(touch.kind), touch.cause)
            touch.display_name = ": ".join(part for part in parts if part)

    # === ACTION METHODS === #

    def action_view_document(self):
        """Open what was touched: the invoice, else the agreement, else the handoff."""
        self.ensure_one()
        record = self.move_id or self.agreement_id or self.handoff_id or self.partner_id
        return record._get_records_action(context={})
