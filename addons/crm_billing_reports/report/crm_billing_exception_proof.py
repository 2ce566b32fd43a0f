from decimal import Decimal

from odoo import api, models
from odoo.fields import Domain
from odoo.tools import SQL

from .crm_billing_report_mixin import TieOut

MOST_DOCUMENTS = 200


class CrmBillingExceptionProof(models.AbstractModel):
    """The proof of the rate: no invoice and no touch is lost or counted twice."""

    _name = "crm.billing.exception.proof"
    _description = "Proof of Exceptions"
    _inherit = "crm.billing.report.mixin"

    # Filters that invoices and touches know as well, by their path from an invoice.
    _ledger_paths = {"company_id": "company_id"}

    @api.model
    def _get_tie_outs(self, domain):
        """Override: invoices against the list of invoices, exceptions against touches.

        Filters that the list does not know, such as the month, are left out of the
        proof; it says so.
        """
        domain = Domain(domain)
        is_known = all(
            one.field_expr.partition(".")[0] in self._ledger_paths
            for one in domain.iter_conditions()
        )
        chosen = domain if is_known else Domain.TRUE
        [(invoices, touches)] = self._read_group(
            chosen, [], ["invoice_count:sum", "exception_count:sum"]
        )
        # Whoever reads the report is told what it is compared with.
        moves = self.env["account.move"].sudo()
        listed = self._to_invoices(chosen)
        found = self.env["crm.billing.touch.report"]
        _ = self.env._
        return [
            self._count(
                _("Invoices") if is_known else _("Invoices without these filters"),
                invoices,
                _("posted invoices"),
                moves.search_count(listed),
                lambda: ("account.move", self._find_different(1, moves, listed)),
            ),
            self._count(
                _("Exceptions") if is_known else _("Exceptions without these filters"),
                touches,
                _("touches"),
                found.search_count(chosen),
                lambda: (found._name, self._find_different(0, found, chosen)),
            ),
        ]

    def _to_invoices(self, domain):
        """Return which invoices ``domain`` selects, as the ledger knows them."""

        def to_ledger(condition):
            name, dot, rest = condition.field_expr.partition(".")
            path = f"{self._ledger_paths[name]}{dot}{rest}"
            return Domain(path, condition.operator, condition.value)

        return Domain(
            [
                ("move_type", "=", "out_invoice"),
                ("state", "=", "posted"),
                ("company_id", "in", self.env.companies.ids),
            ]
        ) & domain.map_conditions(to_ledger)

    def _find_different(self, kind, records, domain):
        """Return ids that the list has and the rows of the report have not, or twice.

        :param kind: 1 for invoices, 0 for touches, as in the ids of the items
        """
        rows = self.env.execute_query(
            SQL(
                "SELECT item.id / 2, COUNT(*) FROM (%s) item"
                " WHERE item.id %% 2 = %s AND item.company_id = ANY(%s) GROUP BY 1",
                self.env["crm.billing.exception.report"]._select_items(),
                kind,
                self.env.companies.ids,
            )
        )
        counts = dict(rows)
        ids = records.search(domain).ids
        return tuple([one for one in ids if counts.get(one) != 1][:MOST_DOCUMENTS])

    @staticmethod
    def _count(label, count, ledger_label, ledger_count, find):
        return TieOut(
            label=label,
            amount=Decimal(count or 0),
            ledger_label=ledger_label,
            ledger_amount=Decimal(ledger_count),
            currency_id=False,
            documents=() if (count or 0) == ledger_count else find(),
        )
