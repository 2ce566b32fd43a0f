from odoo import models

# Ledger data that core's own export takes along; ours is known by its names.
LEDGER = ("account.move", "account.move.line", "account.payment", "res.partner")
OURS = ("crm.billing.", "crm.dunning.")


class Base(models.AbstractModel):
    _inherit = "base"

    def export_data(self, fields_to_export):
        """Override of `base` to log what core's export takes along (K5)."""
        result = super().export_data(fields_to_export)
        if self._name in LEDGER or self._name.startswith(OURS):
            domain = [("id", "in", self.ids[:10])]
            self.env["crm.billing.report.export"]._log_export(
                self._name, "list", domain, len(self)
            )
        return result
