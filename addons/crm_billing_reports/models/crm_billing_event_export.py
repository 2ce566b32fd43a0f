from odoo import fields, models


class CrmBillingEvent(models.Model):
    _inherit = "crm.billing.event"

    action = fields.Selection(
        selection_add=[("exported", "Data exported")],
        ondelete={"exported": "cascade"},
    )
    row_count = fields.Integer(string="Rows", aggregator="sum")
