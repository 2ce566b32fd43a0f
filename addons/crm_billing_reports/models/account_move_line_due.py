from odoo import models


class AccountMoveLine(models.Model):
    _inherit = "account.move.line"

    def write(self, vals):
        """Override: what a due date was stays known once the entry was posted."""
        if "date_maturity" not in vals:
            return super().write(vals)
        before = self._get_posted_dues()
        releases = {line: line.billing_release_id for line in before}
        result = super().write(vals)
        # A release may take the line of another instalment for its own.
        moved = {
            line: due
            for line, due in before.items()
            if line.billing_release_id == releases[line]
            and not line.billing_is_retention
        }
        if moved:
            self.env["crm.billing.due.change"]._record(moved)
        return result

    def _get_posted_dues(self):
        """Return ``{line: date}`` of the receivables that have stood in a report.

        What is retained is not due on any day; its release gives it its due date.
        """
        return {
            line: line.date_maturity or line.date
            for line in self
            if line.move_id.posted_before
            and line.account_type == "asset_receivable"
            and not line.billing_is_retention
        }
