from collections import defaultdict
from datetime import timedelta
from decimal import Decimal

from odoo import api, fields, models
from odoo.fields import Domain

from .crm_billing_forecast_report import SALES
from .crm_billing_report_mixin import ACCOUNT, TieOut
from .crm_billing_status_query import BANKS

# Filters that the ledger knows as well, by their name on an invoice.
MOVE_FIELDS = {
    "company_id": "company_id",
    "partner_id": ACCOUNT,
    "move_id": "id",
}
MOST_DOCUMENTS = 200
NOTHING = (0, 0, 0)  # open, invoiced, collected
HALF_CENT = Decimal("0.005")  # less is the noise of floats


class CrmBillingForecastReport(models.Model):
    """The proof: what happened is in the ledger, what was open in the aging."""

    _inherit = "crm.billing.forecast.report"

    @api.model
    def _get_tie_outs(self, domain):
        """Override: each company's forecast against the ledger.

        Filters that the ledger does not know are left out of the proof; it says so.
        Nothing is proved as well, and what the ledger alone has.
        """
        domain = Domain(domain)
        is_known = all(
            leaf.field_expr in MOVE_FIELDS for leaf in domain.iter_conditions()
        )
        chosen = domain if is_known else Domain.TRUE
        totals = self._get_totals(chosen)
        proofs = {
            forecast: list(
                self._prove(forecast, totals.get(forecast, NOTHING), chosen, is_known)
            )
            for forecast in self._get_forecasts()
        }
        telling = [
            forecast
            for forecast, of_company in proofs.items()
            if forecast in totals or any(one.ledger_amount for one in of_company)
        ]
        return [proof for forecast in telling or proofs for proof in proofs[forecast]]

    def _get_forecasts(self):
        """Return the forecasts that are shown, of the companies of the user."""
        ids = self.env.execute_query(self._select_chosen(self._get_as_of()))
        return self.env["crm.billing.forecast"].search(
            Domain("id", "in", [row[0] for row in ids])
            & Domain("company_id", "in", self.env.companies.ids)
        )

    def _get_totals(self, domain):
        """Return ``{forecast: (open, invoiced, collected)}`` of the report."""
        measures = ("amount_open:sum", "invoiced_actual:sum", "cash_actual:sum")
        groups = self._read_group(domain, ["forecast_id"], measures)
        return {forecast: totals for forecast, *totals in groups}

    def _prove(self, forecast, totals, domain, is_known):
        _ = self.env._
        opened, invoiced, collected = (Decimal(str(total or 0)) for total in totals)
        aged, late = self._get_aged(forecast, domain)
        own = domain & Domain("forecast_id", "=", forecast.id)
        names = (
            (
                _("Open then"),
                opened,
                _("aging of that evening"),
                self._get_total(aged),
                lambda: late or self._find_different(own, "amount_open", aged),
            ),
            (
                _("Invoiced"),
                invoiced,
                _("customer invoices"),
                self._get_total(self._get_invoiced(forecast, domain)),
                lambda: self._find_different(
                    own, "invoiced_actual", self._get_invoiced(forecast, domain)
                ),
            ),
            (
                _("Collected"),
                collected,
                _("matched payments, less what they write off"),
                self._get_total(self._get_collected(forecast, domain)),
                lambda: self._find_different(
                    own, "cash_actual", self._get_collected(forecast, domain)
                ),
            ),
        )
        if forecast.is_money_only:
            names = (names[0], names[2])
        for label, amount, ledger_label, ledger, find in names:
            if len(self.env.companies) > 1:
                label = f"{forecast.company_id.name}: {label}"
            yield TieOut(
                label=label if is_known else _("%s without these filters", label),
                amount=amount,
                ledger_label=ledger_label,
                ledger_amount=ledger,
                currency_id=forecast.currency_id.id,
                documents=()
                if forecast.currency_id.is_zero(float(amount - ledger))
                else find(),
            )

    def _find_different(self, domain, measure, ledger):
        """Return the invoices whose amounts differ between report and ledger.

        :param ledger: ``{invoice id: Decimal}``
        """
        rows = self._read_group(domain, ["move_id"], [f"{measure}:sum"])
        own = {move.id: Decimal(str(total or 0)) for move, total in rows}
        ids = [
            number
            for number in sorted({*own, *ledger} - {False})
            if abs(own.get(number, 0) - ledger.get(number, 0)) >= HALF_CENT
        ]
        return ("account.move", tuple(ids[:MOST_DOCUMENTS]))

    @api.model
    def _get_total(self, amounts):
        return sum(amounts.values(), Decimal(0))

    # === BUSINESS METHODS - THE OTHER SIDE === #

    def _get_aged(self, forecast, domain):
        """Return ``{invoice id: Decimal}`` of the evening before, and late entries."""
        evening = forecast.date - timedelta(days=1)
        aging = self.env["crm.billing.aging.report"]
        scope = Domain("company_id", "=", forecast.company_id.id)
        rows = aging._read_group(
            Domain("as_of", "=", evening) & scope & domain, ["move_id"], ["total:sum"]
        )
        late = self.env["account.move"].search(
            scope
            & Domain("date", "<=", evening)
            & Domain("state", "=", "posted")
            & Domain("create_date", ">", forecast.create_date),
            limit=MOST_DOCUMENTS,
        )
        amounts = {move.id: Decimal(str(total or 0)) for move, total in rows}
        return amounts, late and ("account.move", tuple(late.ids))

    def _get_invoiced(self, forecast, domain):
        """Return ``{invoice id: what was invoiced}`` of the ledger, with drafts of
        earlier days that were posted since."""
        drafts = self.env["crm.billing.forecast.line"].search(
            [("forecast_id", "=", forecast.id), ("source", "=", "document")]
        )
        last = min(forecast.date_until, fields.Date.context_today(self))
        rows = self.env["account.move"]._read_group(
            self._get_move_domain(forecast, domain)
            & Domain("move_type", "in", (*SALES, "out_refund"))
            & Domain("invoice_date", "<=", last)
            & (
                Domain("invoice_date", ">=", forecast.date)
                | Domain("id", "in", drafts.move_id.ids)
            ),
            ["id"],
            ["amount_untaxed_signed:sum"],
        )
        return {move.id: Decimal(str(total or 0)) for move, total in rows}

    def _get_collected(self, forecast, domain):
        """Return ``{invoice id: what was collected of it}`` of the ledger."""
        invoices = self._get_move_domain(forecast, domain) & Domain(
            "move_type", "in", SALES
        )
        lines = self.env["account.move.line"].sudo()
        instalments = lines._search(
            Domain("move_id", "in", self.env["account.move"]._search(invoices))
            & Domain("display_type", "=", "payment_term")
        )
        payments = lines._search(Domain("journal_id.type", "in", BANKS))
        # Whoever reads the report is told what it is compared with.
        matched = (
            self.env["account.partial.reconcile"]
            .sudo()
            ._read_group(
                Domain("debit_move_id", "in", instalments)
                & Domain("credit_move_id", "in", payments)
                & self._get_days("max_date", forecast),
                ["debit_move_id"],
                ["amount:sum"],
            )
        )
        written_off = self.env["crm.billing.collection.report"]._read_group(
            Domain("company_id", "=", forecast.company_id.id)
            & Domain("move_id", "any", invoices)
            & self._get_days("date", forecast),
            ["move_id"],
            ["amount_written_off:sum"],
        )
        amounts = defaultdict(Decimal)
        for line, amount in matched:
            amounts[line.move_id.id] += Decimal(str(amount or 0))
        for move, amount in written_off:
            amounts[move.id] -= Decimal(str(amount or 0))
        return amounts

    def _get_move_domain(self, forecast, domain):
        """Return the posted invoices that the filters of the report leave."""
        return (
            Domain("company_id", "=", forecast.company_id.id)
            & Domain("state", "=", "posted")
            & domain.map_conditions(
                lambda leaf: Domain(
                    MOVE_FIELDS[leaf.field_expr], leaf.operator, leaf.value
                )
            )
        )

    def _get_days(self, name, forecast):
        last = min(forecast.date_until, fields.Date.context_today(self))
        return Domain(name, ">=", forecast.date) & Domain(name, "<=", last)
