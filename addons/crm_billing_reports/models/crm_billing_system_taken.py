from odoo import models


class CrmBillingSystem(models.Model):
    _inherit = "crm.billing.system"

    def _get_taken(self, names):
        """Override to add numbers of documents there that are not matched yet."""
        taken = super()._get_taken(names)
        unmatched = self.env["crm.billing.outside.document"].search(
            [
                ("system_id", "=", self.id),
                ("number", "in", list(names)),
                ("is_gone", "=", False),
                ("move_id", "=", False),
                ("payment_id", "=", False),
            ]
        )
        return taken | {
            (row.kind, row.number.lower()): f"{row.customer_name}, {row.date}"
            for row in unmatched
        }
