import uuid

from odoo import fields, models
from odoo.exceptions import UserError


class CrmBillingUsageEntry(models.TransientModel):
    """Usage that a person types: it comes in through the same door as all other."""

    _name = "crm.billing.usage.entry"
    _description = "Enter Usage"

    company_id = fields.Many2one(
        "res.company", required=True, default=lambda self: self.env.company
    )
    meter_id = fields.Many2one(
        "crm.billing.meter",
        required=True,
        domain="[('company_id', '=', company_id)]",
    )
    partner_id = fields.Many2one(
        "res.partner",
        string="Account",
        required=True,
        domain="[('is_company', '=', True)]",
    )
    agreement_id = fields.Many2one(
        "crm.billing.agreement",
        domain="[('partner_id', '=', partner_id), ('company_id', '=', company_id)]",
        help="Needed where several agreements of the account have the meter.",
    )
    day = fields.Date(
        required=True,
        default=fields.Date.context_today,
        help="Local day of the account.",
    )
    value = fields.Float(digits=(16, 6), required=True)
    note = fields.Char()
    # One entry is one event, however often the button is pressed.
    event_uid = fields.Char(
        required=True, readonly=True, default=lambda self: f"typed-{uuid.uuid4()}"
    )

    def action_record(self):
        """Record the entry; pressed twice it counts once.

        :raise UserError: it is refused; the message says why
        """
        for entry in self:
            answers = entry.meter_id.record_usage([entry._prepare_event()])
            if answers[0]["status"] == "refused":
                raise UserError(answers[0]["reason"])
        return {"type": "ir.actions.act_window_close"}

    def action_record_and_new(self):
        """Record the entry and ask for the next one."""
        self.action_record()
        action = self.env["ir.actions.act_window"]._for_xml_id(
            "crm_billing_handoff.crm_billing_usage_entry_action"
        )
        keep = self[-1:]
        return {
            **action,
            "context": {
                "default_meter_id": keep.meter_id.id,
                "default_partner_id": keep.partner_id.id,
                "default_day": str(keep.day),
            },
        }

    def _prepare_event(self):
        self.ensure_one()
        event = {
            "id": self.event_uid,
            "account": self.partner_id.id,
            "at": str(self.day),
            "value": self.value,
        }
        if self.agreement_id:
            event["agreement"] = self.agreement_id.id
        if self.note:
            event["properties"] = {"note": self.note}
        return event
