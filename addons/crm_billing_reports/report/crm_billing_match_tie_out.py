from decimal import Decimal

from odoo import api, models
from odoo.fields import Domain

from .crm_billing_report_mixin import ACCOUNT, TieOut

# Filters that the ledger knows as well, by their path from an invoice.
INVOICE_PATHS = {
    "company_id": "company_id",
    "partner_id": ACCOUNT,
    "move_id": "id",
    "date": "invoice_date",
}
MOST_DOCUMENTS = 200


class CrmBillingMatchReport(models.Model):
    """The proof: the board has every invoice of the ledger once, with its amount."""

    _inherit = "crm.billing.match.report"

    @api.model
    def _get_tie_outs(self, domain):
        """Override: invoices and credit notes, for each of the books.

        Filters that the ledger does not know are left out of the proof; it says so.
        """
        domain = Domain(domain)
        is_known = all(
            one.field_expr in INVOICE_PATHS
            or (one.field_expr == "system_id" and one.operator in ("=", "in"))
            for one in domain.iter_conditions()
        )
        chosen = domain if is_known else Domain.TRUE
        proofs = [
            self._prove(system, chosen, is_known)
            for system in self._get_compared_books()
        ]
        telling = [proof for proof, is_empty in proofs if not is_empty]
        return telling or [proof for proof, _is_empty in proofs]

    def _get_compared_books(self):
        """Return the books on the board, of the companies of the user."""
        # Whoever reads the report is told what it is compared with.
        systems = self.env["crm.billing.system"].sudo()
        return systems.search(
            [("company_id", "in", self.env.companies.ids)], order="company_id, id"
        )

    def _prove(self, system, domain, is_known):
        """Return the proof of one of the books, and whether it is about nothing."""
        board, shown = self.sudo(), self._get_board_domain(system, domain)
        moves = self.env["account.move"].sudo()
        invoices = self._get_invoice_domain(system, domain)
        [(mine, count)] = board._read_group(shown, [], ["balance_here:sum", "__count"])
        [(ledger, booked)] = moves._read_group(
            invoices, [], ["amount_total_signed:sum", "__count"]
        )
        label = self.env._("Invoices compared with %(books)s", books=system.name)
        if not is_known:
            label = self.env._("%(figure)s without these filters", figure=label)
        currency = system.company_id.currency_id
        is_equal = currency.compare_amounts(mine or 0, ledger or 0) == 0
        proof = TieOut(
            label=label,
            amount=Decimal(str(mine or 0)),
            ledger_label=self.env._("the invoices of the ledger"),
            ledger_amount=Decimal(str(ledger or 0)),
            currency_id=currency.id,
            documents=()
            if is_equal
            else (
                "account.move",
                self._find_different(board.search(shown), moves.search(invoices)),
            ),
        )
        return proof, not (count or booked)

    @staticmethod
    def _get_board_domain(system, domain):
        """Return which rows are documents that are here."""
        return (
            Domain("system_id", "=", system.id)
            & Domain("kind", "in", ("invoice", "credit"))
            & Domain("move_id.state", "=", "posted")
            & domain
        )

    def _get_invoice_domain(self, system, domain):
        """Return which invoices the books are compared with: all since their first
        day, and older ones that a list has."""
        listed = (
            self.env["crm.billing.outside.document"]
            .sudo()
            ._search(
                Domain("system_id", "=", system.id) & Domain("move_id", "!=", False)
            )
        )
        return (
            Domain("move_type", "in", ("out_invoice", "out_refund"))
            & Domain("state", "=", "posted")
            & Domain("company_id", "in", system._get_companies().ids)
            & (
                Domain("invoice_date", ">=", system.start_date)
                | Domain("id", "in", listed.subselect("move_id"))
            )
            & domain.map_conditions(lambda leaf: self._to_invoice(leaf, system))
        )

    @staticmethod
    def _to_invoice(leaf, system):
        if leaf.field_expr == "system_id":
            ids = leaf.value if leaf.operator == "in" else [leaf.value]
            return Domain.TRUE if system.id in ids else Domain.FALSE
        if leaf.field_expr == "company_id":  # of the books: branches are in them
            return Domain.TRUE if system.filtered_domain(leaf) else Domain.FALSE
        return Domain(INVOICE_PATHS[leaf.field_expr], leaf.operator, leaf.value)

    @staticmethod
    def _find_different(rows, moves):
        """Return ids of the documents that one side has and the other has not, that
        stand on the board twice, or with another amount."""
        amounts = {}
        for row in rows:
            amounts.setdefault(row.move_id.id, []).append(row.balance_here)
        ledger = {move.id: [move.amount_total_signed] for move in moves}
        return [
            number
            for number in sorted({*amounts, *ledger})
            if amounts.get(number) != ledger.get(number)
        ][:MOST_DOCUMENTS]
