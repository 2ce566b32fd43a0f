from decimal import Decimal

from odoo import api, models
from odoo.fields import Domain

from .crm_billing_report_mixin import ACCOUNT, TieOut

# Filters that invoices and touches know as well, by their path from an invoice.
LEDGER_PATHS = {"company_id": "company_id", "partner_id": ACCOUNT}


class CrmBillingExceptionReport(models.Model):
    """The proof of the rate: no invoice and no touch is lost or counted twice."""

    _inherit = "crm.billing.exception.report"

    @api.model
    def _get_tie_outs(self, domain):
        """Override: invoices against the list of invoices, exceptions against touches.

        Filters that the list does not know, such as the month, are left out of the
        proof; it says so.
        """
        domain = Domain(domain)
        is_known = all(
            one.field_expr.partition(".")[0] in LEDGER_PATHS
            for one in domain.iter_conditions()
        )
        chosen = domain if is_known else Domain.TRUE
        [(invoices, touches)] = self._read_group(
            chosen, [], ["invoice_count:sum", "exception_count:sum"]
        )
        return [
            self._count(
                self.env._("Invoices")
                if is_known
                else self.env._("Invoices without these filters"),
                invoices,
                self.env._("posted invoices"),
                # Whoever reads the report is told what it is compared with.
                self.env["account.move"].sudo().search_count(self._to_invoices(chosen)),
            ),
            self._count(
                self.env._("Exceptions")
                if is_known
                else self.env._("Exceptions without these filters"),
                touches,
                self.env._("touches"),
                self.env["crm.billing.touch.report"].search_count(chosen),
            ),
        ]

    def _to_invoices(self, domain):
        """Return which invoices ``domain`` selects, as the ledger knows them."""

        def to_ledger(condition):
            name, dot, rest = condition.field_expr.partition(".")
            path = f"{LEDGER_PATHS[name]}{dot}{rest}"
            return Domain(path, condition.operator, condition.value)

        return Domain(
            [
                ("move_type", "=", "out_invoice"),
                ("state", "=", "posted"),
                ("company_id", "in", self.env.companies.ids),
            ]
        ) & domain.map_conditions(to_ledger)

    @staticmethod
    def _count(label, count, ledger_label, ledger_count):
        return TieOut(
            label=label,
            amount=Decimal(count or 0),
            ledger_label=ledger_label,
            ledger_amount=Decimal(ledger_count),
            currency_id=False,
        )
