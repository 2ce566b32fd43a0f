from decimal import Decimal

from odoo import api, models
from odoo.fields import Domain
from odoo.tools import SQL

from .crm_billing_report_mixin import TieOut
from .crm_billing_status_query import BANKS

# Filters by their path from a matching; the others are asked from the report.
MATCHING_PATHS = {
    "id": "id",
    "date": "max_date",
    "company_id": "debit_move_id.company_id",
    "partner_id": "debit_move_id.partner_id.commercial_partner_id",
    "service_tier_id": (
        "debit_move_id.partner_id.commercial_partner_id.service_tier_id"
    ),
    "team_id": "debit_move_id.move_id.team_id",
    "currency_id": "debit_move_id.currency_id",
    "move_id": "debit_move_id.move_id",
    "line_id": "debit_move_id",
    "payment_move_id": "credit_move_id.move_id",
}
MOST_DOCUMENTS = 200


class CrmBillingCollectionReport(models.Model):
    """The proof: what was collected or written off with it is what was matched."""

    _inherit = "crm.billing.collection.report"

    @api.model
    def _get_tie_outs(self, domain):
        """Override: all matchings of invoices with money, branches with their root."""
        domain = Domain(domain)
        matched = self._get_matchings(domain)
        mine = self._add_up(self, domain, ["amount", "amount_written_off"])
        ledger = self._add_up(
            self.env["account.partial.reconcile"].sudo(), matched, ["amount"]
        )
        return [
            self._prove(root, mine.get(root, 0), ledger.get(root, 0), domain, matched)
            for root in self._get_proved({*mine, *ledger})
        ]

    def _prove(self, root, amount, ledger, domain, matched):
        label = self.env._("Collected, with what was written off")
        if len(self.env.companies.root_id) > 1:
            label = f"{root.name}: {label}"
        currency = root.currency_id
        is_equal = currency.compare_amounts(float(amount), float(ledger)) == 0
        return TieOut(
            label=label,
            amount=Decimal(amount),
            ledger_label=self.env._("payments matched with invoices"),
            ledger_amount=Decimal(ledger),
            currency_id=currency.id,
            documents=()
            if is_equal
            else ("account.move", self._find_culprits(domain, matched)),
        )

    @api.model
    def _add_up(self, records, domain, names):
        """Return ``{company: Decimal}``, branches with their root."""
        sums = {}
        groups = records._read_group(
            domain, ["company_id"], [f"{name}:sum" for name in names]
        )
        for company, *amounts in groups:
            root = company.sudo().root_id
            total = sum(Decimal(str(amount or 0)) for amount in amounts)
            sums[root] = sums.get(root, Decimal(0)) + total
        return sums

    @api.model
    def _get_matchings(self, domain):
        """Return which matchings ``domain`` selects, as the ledger knows them."""
        return Domain(
            [
                (
                    "debit_move_id.move_id.move_type",
                    "in",
                    ("out_invoice", "out_refund", "out_receipt"),
                ),
                ("debit_move_id.move_id.state", "=", "posted"),
                ("debit_move_id.account_id.account_type", "=", "asset_receivable"),
                ("debit_move_id.company_id", "in", self.env.companies.ids),
                ("credit_move_id.move_id.state", "=", "posted"),
                ("credit_move_id.move_id.journal_id.type", "in", BANKS),
            ]
        ) & domain.map_conditions(self._to_matching)

    def _to_matching(self, condition):
        name, dot, rest = condition.field_expr.partition(".")
        if name in MATCHING_PATHS:
            path = f"{MATCHING_PATHS[name]}{dot}{rest}"
            return Domain(path, condition.operator, condition.value)
        # A leaf such as the salesperson is the report's own: its rows have the ids.
        return Domain("id", "in", self._search(Domain(condition)).subselect())

    def _find_culprits(self, domain, matched):
        """Return ids of the invoices with matchings that one side has not."""
        ledger = self.env["account.partial.reconcile"].sudo()._search(matched)
        rows = self.env.execute_query(
            SQL(
                """
                WITH listed AS (%(ledger)s), mine AS (%(mine)s)
                SELECT DISTINCT debit.move_id
                  FROM listed
             FULL JOIN mine ON mine.id = listed.id
                  JOIN account_partial_reconcile match
                    ON match.id = COALESCE(listed.id, mine.id)
                  JOIN account_move_line debit ON debit.id = match.debit_move_id
                 WHERE listed.id IS NULL OR mine.id IS NULL
              ORDER BY debit.move_id
                 LIMIT %(most)s
                """,
                ledger=ledger.subselect(),
                mine=self._search(domain).subselect(),
                most=MOST_DOCUMENTS,
            )
        )
        return [move_id for (move_id,) in rows]
