from odoo import fields, models
from odoo.fields import Domain


class ResCompany(models.Model):
    _inherit = "res.company"

    dunning_apply_credits = fields.Boolean(
        string="Use account credit on new invoices",
        default=True,
        help="When an invoice is posted, payments and credit notes of the account that "
        "are not matched yet pay it first, oldest first.",
    )


class AccountMove(models.Model):
    """Account credit is used on the next posted invoice, oldest first (F9)."""

    _inherit = "account.move"

    def _post(self, soft=True):
        """Override of `account` to let open credit pay what was just posted."""
        posted = super()._post(soft=soft)
        posted.filtered(
            lambda move: (
                move.move_type == "out_invoice"
                and move.company_id.dunning_apply_credits
                and not move.currency_id.is_zero(move.amount_residual)
            )
        )._use_account_credit()
        return posted

    def _use_account_credit(self):
        """Match open credits of the accounts with these invoices, in one search.

        Only in the same currency, account and company: anything else would need a rate
        that a person chooses. A retention is not due, so nothing pays it; a credit note
        whose money is to be returned is no credit.
        """
        if not self:
            return
        debits = self.line_ids.filtered(
            lambda line: (
                line.account_type == "asset_receivable"
                and not line.reconciled
                and not line.billing_is_retention
            )
        )
        # A salesperson's own process may post; the match is the ledger's business.
        credits = (
            self.env["account.move.line"]
            .sudo()
            .search(
                Domain("account_id", "in", debits.account_id.ids)
                & Domain("partner_id", "in", self.commercial_partner_id.ids)
                & Domain("company_id", "in", self.company_id.ids)
                & Domain("parent_state", "=", "posted")
                & Domain("reconciled", "=", False)
                & Domain("amount_residual", "<", 0)
                & Domain("move_id.is_billing_refund", "=", False),
                order="date, id",
            )
        )
        if not credits:
            return
        by_key = credits.grouped(_get_key)
        for key, lines in debits.sudo().grouped(_get_key).items():
            if key in by_key:
                (by_key[key] + lines).reconcile()


def _get_key(line):
    return line.company_id, line.partner_id, line.account_id, line.currency_id
