import json

from odoo import models
from odoo.http import request

# Ledger data that core's own export takes along; ours is known by its names.
LEDGER = ("account.move", "account.move.line", "account.payment", "res.partner")
OURS = ("crm.billing.", "crm.dunning.")
NAMED = 1000  # records that the log names one by one


class Base(models.AbstractModel):
    _inherit = "base"

    def export_data(self, fields_to_export):
        """Override of `base` to log what core's export takes along (K5)."""
        result = super().export_data(fields_to_export)
        if self._name in LEDGER or self._name.startswith(OURS):
            self.env["crm.billing.report.export"]._log_export(
                self._name, "list", self._get_export_filter(), len(self)
            )
        return result

    def _get_export_filter(self):
        """Return by what the records were chosen: the filter of the list, else ids."""
        if request and request.httprequest.path.startswith("/web/export/"):
            asked = json.loads(request.params.get("data") or "{}")
            if not asked.get("ids"):
                return asked.get("domain") or []
        return [("id", "in", self.ids[:NAMED])]
