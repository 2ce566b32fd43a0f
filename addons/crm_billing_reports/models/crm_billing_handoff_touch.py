from odoo import api, fields, models


class CrmBillingHandoff(models.Model):
    """What a deal cost after it was won: its touches, counted."""

    _inherit = "crm.billing.handoff"

    touch_count = fields.Integer(string="Touches", compute="_compute_touch_count")

    # === COMPUTE METHODS === #

    @api.depends("lead_id", "agreement_id", "move_ids")
    def _compute_touch_count(self):
        # The report reads the touches of these deals alone.
        report = self.env["crm.billing.touch.report"].with_context(
            billing_touch_handoffs=self.ids
        )
        counts = dict(
            report._read_group(
                [("handoff_id", "in", self.ids)], ["handoff_id"], ["touch_count:sum"]
            )
        )
        for handoff in self:
            handoff.touch_count = counts.get(handoff, 0)

    # === ACTION METHODS === #

    def action_view_touches(self):
        """Open what had to be done by hand for these deals."""
        action = self.env["ir.actions.act_window"]._for_xml_id(
            "crm_billing_reports.crm_billing_touch_report_action"
        )
        action["context"] = {}
        action["domain"] = [("handoff_id", "in", self.ids)]
        return action
