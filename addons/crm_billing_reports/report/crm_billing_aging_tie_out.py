from collections import defaultdict
from decimal import Decimal

from odoo import api, models
from odoo.fields import Domain
from odoo.tools import SQL

from .crm_billing_report_mixin import TieOut

# Filters that the ledger knows as well, by the path to them from a journal item. Others
# cut through matchings (a payment has no salesperson), so nothing ties below them.
LEDGER_PATHS = {
    "company_id": "company_id",
    "partner_id": "partner_id.commercial_partner_id",
    "account_id": "account_id",
}
MOST_DOCUMENTS = 200


class CrmBillingAgingReport(models.Model):
    """The proof of the aging: its total is the balance of the receivable accounts."""

    _inherit = "crm.billing.aging.report"

    @api.model
    def _get_tie_outs(self, domain):
        """Override: the total of each company with its branches, against the ledger.

        Filters that the ledger does not know are left out of the proof; it says so.
        """
        domain = Domain(domain)
        is_known = all(
            one.field_expr.partition(".")[0] in LEDGER_PATHS
            for one in domain.iter_conditions()
        )
        chosen = domain if is_known else Domain.TRUE
        items = self._get_ledger_items(chosen)
        totals, balances = self._get_totals(chosen), self._get_balances(items)
        for root, amount in self._get_matched_by_others(chosen, items).items():
            balances[root] += amount
        return [
            self._prove_total(root, totals[root], balances[root], items, is_known)
            for root in self._get_proved({*totals, *balances})
        ]

    def _prove_total(self, root, total, balance, items, is_known):
        """Return the proof of a company; ``items`` are journal items, a domain."""
        currency = root.currency_id
        is_equal = currency.compare_amounts(float(total), float(balance)) == 0
        label = self.env._("Total")
        if not is_known:
            label = self.env._("Total without these filters")
        if len(self.env.companies.root_id) > 1:
            label = f"{root.name}: {label}"
        return TieOut(
            label=label,
            amount=total,
            ledger_label=self.env._("receivable accounts"),
            ledger_amount=balance,
            currency_id=currency.id,
            documents=()
            if is_equal
            else ("account.move", self._find_culprits(root, items)),
        )

    # === BUSINESS METHODS - BOTH SIDES === #

    def _get_totals(self, domain):
        """Return ``{company: Decimal}`` of the report, branches with their root."""
        groups = self._read_group(domain, ["company_id"], ["total:sum"])
        return self._add_by_root(groups)

    def _get_balances(self, items):
        """Return ``{company: Decimal}`` of the ledger, branches with their root."""
        # Whoever reads the report is told what it is compared with.
        lines = self.env["account.move.line"].sudo()
        return self._add_by_root(
            lines._read_group(items, ["company_id"], ["balance:sum"])
        )

    def _get_matched_by_others(self, domain, items):
        """Return ``{company: Decimal}`` of what ``items`` were matched with outside of
        ``domain``: a parent that pays for its child has no part in either's balance."""
        if domain.is_true():
            return {}
        lines = self.env["account.move.line"].sudo()
        rows = self.env.execute_query(
            SQL(
                """
                WITH chosen AS MATERIALIZED (%(chosen)s),
                     entire AS MATERIALIZED (%(entire)s)
                SELECT own.company_id, SUM(part.amount)
                  FROM (SELECT debit_move_id AS own_id, credit_move_id AS other_id,
                               max_date, -amount AS amount
                          FROM account_partial_reconcile
                     UNION ALL
                        SELECT credit_move_id, debit_move_id, max_date, amount
                          FROM account_partial_reconcile) part
                  JOIN chosen ON chosen.id = part.own_id
                  JOIN account_move_line own ON own.id = part.own_id
                 WHERE part.max_date <= %(as_of)s
                   AND part.other_id NOT IN (SELECT id FROM chosen)
                   AND part.other_id IN (SELECT id FROM entire)
              GROUP BY own.company_id
                """,
                chosen=lines._search(items, bypass_access=True).subselect(),
                entire=lines._search(
                    self._get_ledger_items(Domain.TRUE), bypass_access=True
                ).subselect(),
                as_of=self._get_as_of(),
            )
        )
        companies = self.env["res.company"]
        return self._add_by_root(
            (companies.browse(company_id), amount) for company_id, amount in rows
        )

    @staticmethod
    def _add_by_root(groups):
        sums = defaultdict(Decimal)
        for company, amount in groups:
            sums[company.sudo().root_id] += Decimal(str(amount or 0))
        return sums

    @api.model
    def _get_ledger_items(self, domain):
        """Return the journal items that the report is about, as a domain (8.1)."""
        return Domain(
            [
                ("parent_state", "=", "posted"),
                ("date", "<=", self._get_as_of()),
                ("account_id.account_type", "=", "asset_receivable"),
                ("company_id", "in", self.env.companies.ids),
            ]
        ) & domain.map_conditions(self._to_ledger)

    @staticmethod
    def _to_ledger(condition):
        name, dot, rest = condition.field_expr.partition(".")
        path = f"{LEDGER_PATHS[name]}{dot}{rest}"
        return Domain(path, condition.operator, condition.value)

    # === BUSINESS METHODS - DIFFERENCE === #

    def _find_culprits(self, root, items):
        """Return ids of the entries that keep the report from the ledger's balance.

        Either a matching has one side only among the items (the other one is a draft,
        of another account, of a company or customer not looked at), or an item's
        residual is not its balance less its matchings.
        """
        lines = self.env["account.move.line"].sudo()
        items &= Domain("company_id", "child_of", root.id)
        chosen = lines._search(items, bypass_access=True).subselect()
        rows = self.env.execute_query(
            SQL(
                """
                WITH chosen AS (%(chosen)s)
                SELECT debit.move_id
                  FROM account_partial_reconcile part
                  JOIN account_move_line debit ON debit.id = part.debit_move_id
             LEFT JOIN chosen one ON one.id = part.debit_move_id
             LEFT JOIN chosen other ON other.id = part.credit_move_id
                 WHERE (one.id IS NULL) != (other.id IS NULL)
                   AND part.max_date <= %(as_of)s
             UNION
                SELECT credit.move_id
                  FROM account_partial_reconcile part
                  JOIN account_move_line credit ON credit.id = part.credit_move_id
             LEFT JOIN chosen one ON one.id = part.debit_move_id
             LEFT JOIN chosen other ON other.id = part.credit_move_id
                 WHERE (one.id IS NULL) != (other.id IS NULL)
                   AND part.max_date <= %(as_of)s
             UNION
                SELECT line.move_id
                  FROM account_move_line line
                 WHERE line.id IN (SELECT id FROM chosen)
                   AND line.amount_residual != line.balance
                       - (SELECT COALESCE(SUM(amount), 0)
                            FROM account_partial_reconcile
                           WHERE debit_move_id = line.id)
                       + (SELECT COALESCE(SUM(amount), 0)
                            FROM account_partial_reconcile
                           WHERE credit_move_id = line.id)
              ORDER BY move_id
                 LIMIT %(most)s
                """,
                chosen=chosen,
                as_of=self._get_as_of(),
                most=MOST_DOCUMENTS,
            )
        )
        return [move_id for (move_id,) in rows]


class CrmBillingOverdueReport(models.Model):
    _inherit = "crm.billing.overdue.report"

    @api.model
    def _get_tie_outs(self, domain):
        """Override: all accounts owe what the ledger replays as past due."""
        aging = self.env["crm.billing.aging.report"]
        own = aging._add_by_root(
            self._read_group([], ["company_id"], ["amount_company:sum"])
        )
        other = self._get_past_due()
        return [
            TieOut(
                label=self.env._("All accounts"),
                amount=own[root],
                ledger_label=self.env._("posted receivables past due"),
                ledger_amount=other[root],
                currency_id=root.currency_id.id,
                documents=()
                if root.currency_id.is_zero(float(own[root] - other[root]))
                else ("account.move", self._find_different(root)),
            )
            for root in self._get_proved({*own, *other})
        ]

    @api.model
    def _find_different(self, root):
        """Return ids of entries of which the aging and the ledger owe differently."""
        aging = self.env["crm.billing.aging.report"]
        own_company = Domain("company_id", "child_of", root.id)
        owed = defaultdict(float)
        for move, amount in aging._read_group(
            own_company & Domain("overdue", "!=", 0), ["move_id"], ["overdue:sum"]
        ):
            owed[move.id] += amount
        late = self._get_late_items(aging._get_as_of()) & own_company
        lines = self.env["account.move.line"].sudo()
        for move, amount in lines._read_group(late, ["move_id"], ["balance:sum"]):
            owed[move.id] -= amount
        parts = self.env["account.partial.reconcile"].sudo()
        matched = Domain("debit_move_id", "any", late)
        matched &= Domain("max_date", "<=", aging._get_as_of())
        for line, amount in parts._read_group(
            matched, ["debit_move_id"], ["amount:sum"]
        ):
            owed[line.move_id.id] += amount
        is_zero = root.currency_id.is_zero
        ids = [one for one, amount in sorted(owed.items()) if not is_zero(amount)]
        return ids[:MOST_DOCUMENTS]

    @api.model
    def _get_past_due(self):
        """Return ``{company: Decimal}`` of debits past due, less their matchings.

        Read from the ledger by itself, without the query of the aging.
        """
        aging = self.env["crm.billing.aging.report"]
        as_of = aging._get_as_of()
        late = self._get_late_items(as_of)
        lines = self.env["account.move.line"].sudo()
        parts = self.env["account.partial.reconcile"].sudo()
        if not parts.search([("max_date", ">", as_of)], limit=1):
            late &= Domain("reconciled", "=", False)
            sums = lines._read_group(late, ["company_id"], ["amount_residual:sum"])
            return aging._add_by_root(sums)
        sums = aging._add_by_root(
            lines._read_group(late, ["company_id"], ["balance:sum"])
        )
        matched = Domain("debit_move_id", "any", late)
        matched &= Domain("max_date", "<=", as_of)
        taken = aging._add_by_root(
            parts._read_group(matched, ["company_id"], ["amount:sum"])
        )
        for root, amount in taken.items():
            sums[root] -= amount
        return sums

    @api.model
    def _get_late_items(self, as_of):
        """Return the debits that were past due on ``as_of``, as a domain."""
        changes = self.env["crm.billing.due.change"].sudo()
        moved = {}
        for change in changes.search([("date", ">", as_of)], order="date, id"):
            moved.setdefault(change.line_id.id, change.due_before)
        late = [line_id for line_id, due in moved.items() if due < as_of]
        is_late = Domain("date_maturity", "<", as_of) | Domain(
            [("date_maturity", "=", False), ("date", "<", as_of)]
        )
        is_late = (is_late & Domain("id", "not in", list(moved))) | Domain(
            "id", "in", late
        )
        is_free = Domain("billing_release_id", "=", False) | Domain(
            "billing_release_id.date", "<=", as_of
        )
        items = self.env["crm.billing.aging.report"]._get_ledger_items(Domain.TRUE)
        own = Domain([("balance", ">", 0), ("billing_is_retention", "!=", True)])
        return items & own & is_free & is_late
