from odoo import api, models
from odoo.fields import Domain

from odoo.addons.crm_billing_handoff.models.crm_billing_watch import Finding


class CrmBillingWatch(models.Model):
    _inherit = "crm.billing.watch"

    @api.model
    def _get_watches(self):
        _ = self.env._
        return {
            **super()._get_watches(),
            "books_drift": (_("Other books agree"), 1440, self._check_books_drift),
            "books_certified": (_("Certified months"), 1440, self._check_certified),
            "books_columns": (_("Files for other books"), 0, self._check_books_columns),
        }

    @api.model
    def _check_books_drift(self, now):
        """Find what is different here and in other books, as the daily job noted it."""
        return self._find_by_company(
            self.env["crm.billing.crosswalk"],
            [("drift", "!=", False), ("system_id.active", "=", True)],
            self.env._(
                "These records differ here and there. Open each, correct one side, "
                "then accept it."
            ),
            state="failed",
        )

    @api.model
    def _check_certified(self, now):
        """Find certified months that no longer agree, as the daily job noted it."""
        return self._find_by_company(
            self.env["crm.billing.certificate"],
            [("state", "=", "certified"), ("is_drifted", "=", True)],
            self.env._(
                "These months were certified, and one side changed since. Open each, "
                "look at its match board, put it right or certify it anew."
            ),
            state="failed",
        )

    @api.model
    def _check_books_columns(self, now):
        """Find columns that read a field that is gone: nothing is handed out then."""
        found = []
        for system in self.env["crm.billing.system"].search(Domain.TRUE):
            if problems := system.field_ids._find_problems():
                found.append(
                    Finding(
                        "failed",
                        "\n".join(problems),
                        system.company_id.id,
                        backlog=len(problems),
                        link=(system._name, system.ids),
                    )
                )
        by_company = {finding.company_id: finding for finding in found}
        return list(by_company.values()) or [Finding()]
