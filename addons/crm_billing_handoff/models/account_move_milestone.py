from odoo import models


class AccountMove(models.Model):
    """Invoices of milestones: what a reversal and an undone milestone leave."""

    _inherit = "account.move"

    def _credit_billing_periods(self, reversal):
        """Override: what a milestone gave back of a deposit is open once more."""
        originals = self.invoice_line_ids
        copies = reversal.invoice_line_ids
        result = super()._credit_billing_periods(reversal)
        vals_list = []
        for row in originals.billing_period_ids:
            if row.kind != "deposit_recovery" or row.amount >= 0:
                continue
            original = row.move_line_id
            copy = copies.filtered(
                lambda line, original=original: line._is_reversal_of(original)
            )[:1]
            vals_list.append(
                {
                    "line_id": row.line_id.id,
                    "kind": "deposit_recovery",
                    "date_from": row.date_from,
                    "date_to": row.date_to,
                    "amount": -row.amount,
                    "debit_id": row.debit_id.id,
                    "move_line_id": copy.id,
                    "is_reversal": True,
                    "note": self.env._("Reversal of the invoice"),
                }
            )
        self.env["crm.billing.period"].sudo().create(vals_list)
        return result

    def _drop_empty_sections(self):
        """Remove the headings of drafts that stand over no line any more."""
        headings = self.env["account.move.line"]
        for move in self:
            heading = headings.browse()
            for line in move.invoice_line_ids.sorted("sequence"):
                if line.display_type == "line_section":
                    headings |= heading
                    heading = line
                elif line.display_type == "product":
                    heading = headings.browse()
            headings |= heading
        headings.unlink()
