from collections import defaultdict
from decimal import Decimal

from odoo import api, models
from odoo.fields import Domain
from odoo.tools import SQL

from .crm_billing_report_mixin import ACCOUNT, TieOut

# Filters that the aging and the invoices know as well, by their path from an invoice.
INVOICE_PATHS = {
    "company_id": "company_id",
    "partner_id": ACCOUNT,
    "currency_id": "currency_id",
    "service_tier_id": f"{ACCOUNT}.service_tier_id",
}
MOST_DOCUMENTS = 200


class CrmBillingReceivableReport(models.Model):
    """The proof: closing is the aging of that day, sales are the list of invoices."""

    _inherit = "crm.billing.receivable.report"

    @api.model
    def _get_tie_outs(self, domain):
        """Override: closing, not due and sales of each company with its branches.

        The aging has the salesperson of the invoice, this report that of the account:
        filters that are not the same on both sides are left out, and it says so.
        """
        domain = Domain(domain)
        is_known = all(
            one.field_expr.partition(".")[0] in INVOICE_PATHS
            for one in domain.iter_conditions()
        )
        chosen = domain if is_known else Domain.TRUE
        first, last = self._get_period()
        aging = self.env["crm.billing.aging.report"].with_context(
            billing_as_of=last, billing_date_from=False, billing_date_to=False
        )
        invoices = self._get_invoice_domain(chosen, first, last)
        mine = self._sum_by_root(self, chosen, ["closing", "not_due", "sales"])
        aged = self._sum_by_root(aging, chosen, ["total", "not_due", "retention"])
        sold = self._sum_by_root(
            self.env["account.move"].sudo(), invoices, ["amount_total_signed"]
        )
        proofs = []
        for root in self._get_proved({*mine, *aged, *sold}):
            closing, not_due, sales = mine.get(root, (Decimal(0),) * 3)
            total, due_later, retained = aged.get(root, (Decimal(0),) * 3)
            (billed,) = sold.get(root, (Decimal(0),))
            proofs += [
                self._prove_owed(root, aging, closing, total, is_known),
                self._prove_owed(
                    root, aging, not_due, due_later + retained, is_known, is_part=True
                ),
                self._prove_sales(root, invoices, sales, billed, is_known),
            ]
        return proofs

    @api.model
    def _sum_by_root(self, records, domain, names):
        """Return ``{company: Decimals}`` of what ``names`` add up to."""
        sums = defaultdict(lambda: (Decimal(0),) * len(names))
        groups = records._read_group(
            domain, ["company_id"], [f"{name}:sum" for name in names]
        )
        for company, *amounts in groups:
            root = company.sudo().root_id
            pairs = zip(sums[root], amounts, strict=True)
            sums[root] = tuple(one + Decimal(str(other or 0)) for one, other in pairs)
        return dict(sums)

    # === BUSINESS METHODS - PROOFS === #

    def _prove_owed(self, root, aging, amount, ledger, is_known, is_part=False):
        label = self.env._("Not due") if is_part else self.env._("Closing")
        ledger_label = self.env._("total of the aging")
        if is_part:
            ledger_label = self.env._("not due and retained in the aging")

        def find_culprits():
            items = aging._get_ledger_items(Domain.TRUE)
            return aging._find_culprits(root, items)

        return self._prove(
            root, label, amount, ledger_label, ledger, is_known, find_culprits
        )

    def _prove_sales(self, root, invoices, amount, ledger, is_known):
        return self._prove(
            root,
            self.env._("Sales"),
            amount,
            self.env._("invoices less credit notes"),
            ledger,
            is_known,
            lambda: self._find_unbooked(root, invoices),
        )

    def _prove(
        self, root, label, amount, ledger_label, ledger, is_known, find_culprits
    ):
        """Return one proof; what causes a difference is looked for only if there is."""
        if not is_known:
            label = self.env._("%(figure)s without these filters", figure=label)
        if len(self.env.companies.root_id) > 1:
            label = f"{root.name}: {label}"
        currency = root.currency_id
        is_equal = currency.compare_amounts(float(amount), float(ledger)) == 0
        return TieOut(
            label=label,
            amount=amount,
            ledger_label=ledger_label,
            ledger_amount=ledger,
            currency_id=currency.id,
            documents=() if is_equal else ("account.move", find_culprits()),
        )

    @api.model
    def _get_invoice_domain(self, domain, first, last):
        """Return which invoices, sales receipts and credit notes the sales are."""
        own = Domain(
            [
                ("move_type", "in", ("out_invoice", "out_refund", "out_receipt")),
                ("state", "=", "posted"),
                ("date", ">=", first),
                ("date", "<=", last),
                ("company_id", "in", self.env.companies.ids),
            ]
        )
        return own & domain.map_conditions(self._to_invoice)

    @staticmethod
    def _to_invoice(condition):
        name, dot, rest = condition.field_expr.partition(".")
        path = f"{INVOICE_PATHS[name]}{dot}{rest}"
        return Domain(path, condition.operator, condition.value)

    def _find_unbooked(self, root, invoices):
        """Return ids of invoices whose total is not what they put on receivables, or
        whose items have a date or customer of their own."""
        moves = self.env["account.move"].sudo()
        chosen = moves._search(invoices & Domain("company_id", "child_of", root.id))
        rows = self.env.execute_query(
            SQL(
                """
                SELECT move.id
                  FROM account_move move
             LEFT JOIN account_move_line line ON line.move_id = move.id
                   AND line.display_type = 'payment_term'
                   AND line.parent_state = 'posted' AND line.date = move.date
                   AND line.partner_id = move.commercial_partner_id
                   AND line.account_id IN (
                       SELECT id FROM account_account
                        WHERE account_type = 'asset_receivable')
                 WHERE move.id IN %(chosen)s
              GROUP BY move.id
                HAVING move.amount_total_signed != COALESCE(SUM(line.balance), 0)
              ORDER BY move.id
                 LIMIT %(most)s
                """,
                chosen=chosen.subselect(),
                most=MOST_DOCUMENTS,
            )
        )
        return [move_id for (move_id,) in rows]
