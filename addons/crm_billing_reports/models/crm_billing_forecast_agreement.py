import logging
from collections import defaultdict
from decimal import Decimal
from types import SimpleNamespace

import psycopg2
from dateutil.relativedelta import relativedelta

from odoo import fields, models
from odoo.exceptions import UserError
from odoo.fields import Domain
from odoo.tools import SQL

from ..report_rules.forecast import ZERO, Range, get_usage_range
from .crm_billing_agreement_leak import COUNTED

_logger = logging.getLogger(__name__)

USAGE_KINDS = ("usage", "minimum", "late_usage")
SOURCE_BY_KIND = {
    "usage": "usage",
    "minimum": "usage",
    "late_usage": "usage",
    "milestone": "milestone",
    "deposit": "milestone",
    "deposit_recovery": "milestone",
}
PERIODS = 3  # billed periods that tell what usage is likely to cost


class CrmBillingForecast(models.Model):
    """What agreements will bill: the engine's own plan, and what it cannot know.

    Coming usage is the average of the last three billed periods; a milestone comes on
    its expected date; a term that renews by itself goes on at its last MRR.
    """

    _inherit = "crm.billing.forecast"

    # === BUSINESS METHODS - AGREEMENTS === #

    def _forecast_agreements(self, chunk_size):
        """Forecast the next agreements; return ``(last id, count)``."""
        agreements = (
            self.env["crm.billing.agreement"]
            .with_context(active_test=False)
            .search(
                Domain("company_id", "=", self.company_id.id)
                & Domain("state", "in", ("running", "paused"))
                & Domain("id", ">", self.last_id),
                order="id",
                limit=chunk_size,
            )
        )
        sums, broken = self._plan_agreements(agreements)
        self._write_lines(sums)
        self.broken_count += broken
        return agreements[-1:].id, len(agreements)

    def _plan_agreements(self, agreements):
        """Return ``(sums of what agreements will bill, how many cannot be told)``.

        Writes nothing. Whatever one agreement breaks leaves the others forecast.
        """
        if not agreements:
            return {}, 0
        looking = agreements.with_context(
            billing_look_ahead=True, billing_counting=COUNTED
        )
        try:
            with self.env.cr.savepoint():
                return looking._read_ahead(self.date_until, self._plan_ahead)
        except psycopg2.OperationalError:
            raise
        except Exception as error:
            if len(agreements) == 1:
                # What a person has to correct is in the leak radar, in words.
                is_known = isinstance(error, UserError | ValueError)
                _logger.warning(
                    "Agreement %s cannot be forecast",
                    agreements.id,
                    exc_info=not is_known,
                )
                return {}, 1
        half = len(agreements) // 2
        sums, broken = self._plan_agreements(agreements[:half])
        others, others_broken = self._plan_agreements(agreements[half:])
        return {**sums, **others}, broken + others_broken

    def _plan_ahead(self, agreements):
        """Return ``({key: measures}, broken)`` of agreements as they will be."""
        papers, errors, _held = agreements._plan_papers(until=self.date_until)
        book = SimpleNamespace(
            sums=defaultdict(lambda: defaultdict(Decimal)),
            delays=self._read_delays(agreements.payer_id),
            billed=self._read_billed_usage(agreements.line_ids),
            cache=defaultdict(dict),
        )
        for paper in papers:
            for document in paper.documents:
                self._plan_document(book, document, paper.header)
        for milestone in self._find_milestones(agreements):
            amount = Range.likely(Decimal(str(milestone.amount)))
            day = max(milestone.expected_date, self.date)
            self._plan_extra(book, "milestone", milestone.line_id, day, amount)
        for agreement in agreements:
            self._plan_renewal(book, agreement)
        return book.sums, len(errors)

    def _plan_document(self, book, document, header):
        """Add what one agreement puts on one invoice, by source."""
        agreement, today = document.agreement, self.date
        usage = defaultdict(Decimal)
        for row in document.rows:
            taxes = row.line.tax_ids
            if row.tax_ids is not None:
                taxes = taxes.browse(row.tax_ids)
            if row.vals["kind"] in USAGE_KINDS and row.vals["date_to"] > today:
                # What is measured so far and the minimum are one price.
                usage[row.line, row.vals["date_from"], taxes] += row.amount
                continue
            source = SOURCE_BY_KIND.get(row.vals["kind"], "agreement")
            amount = Range.certain(row.amount)
            self._add_planned(book, agreement, header, source, document, taxes, amount)
        for (line, _start, taxes), planned in usage.items():
            amount = get_usage_range(planned, book.billed.get(line.id, ()))
            self._add_planned(book, agreement, header, "usage", document, taxes, amount)

    def _add_planned(self, book, agreement, header, source, document, taxes, amount):
        """Add one planned row: the invoice, and the money that it brings."""
        day = max(document.billing_date, self.date)
        if self._is_stuck(agreement):
            amount = Range.likely(amount.expected)
        net, gross = self._get_tax_factors(taxes, header.get("fiscal_position_id"))
        rate = self._get_rate(agreement.currency_id, book.cache)
        amount = amount.times(rate)
        key = self._get_key(source, agreement)
        self._add_invoice(book.sums, key, day, amount.times(net))
        terms = header.get("invoice_payment_term_id")
        for due, share in self._get_dues(terms, day, amount.times(gross), book.cache):
            delays = book.delays[agreement.payer_id.id]
            self._add_money(book.sums, key, due, delays, share)

    def _plan_extra(self, book, source, line, day, amount):
        """Add what the engine does not plan yet: on an invoice of its own."""
        agreement = line.agreement_id
        header = agreement._prepare_invoice(day, self.date, book.cache)
        document = SimpleNamespace(billing_date=day)
        self._add_planned(
            book, agreement, header, source, document, line.tax_ids, amount
        )

    def _find_milestones(self, agreements):
        """Return open milestones that are expected within the forecast."""
        return self.env["crm.billing.milestone"].search(
            [
                ("agreement_id", "in", agreements.ids),
                ("state", "=", "open"),
                ("amount", ">", 0),
                ("expected_date", "<=", self.date_until),
            ]
        )

    def _plan_renewal(self, book, agreement):
        """Add what recurs when this term ends, for the next one, month by month."""
        policy, end = agreement.renewal_policy, agreement.end_date
        if (
            policy == "none"
            or not (end and self.date <= end < self.date_until)
            or agreement.cancel_date
            or agreement._get_live_successor()
        ):
            return
        renews = policy == "auto" or agreement.missed_notice == "renew"
        lines = agreement.line_ids.filtered(lambda line: line._counts_on(end))
        total = sum(line._get_mrr() for line in lines)
        if not total:
            return
        mrr = Decimal(str(agreement.currency_id.round(float(total))))
        amount = Range.likely(mrr) if renews else Range.possible(mrr)
        first = fields.Date.add(end, days=1)
        day, month = first, 0
        while day <= self.date_until:
            if day >= self.date:
                self._plan_extra(book, "renewal", lines[:1], day, amount)
            month += 1
            day = first + relativedelta(months=month)

    # === BUSINESS METHODS - FACTS === #

    def _is_stuck(self, agreement):
        """Return whether something keeps the agreement from being billed by itself."""
        account = agreement.partner_id.with_company(self.company_id)
        return agreement._is_stuck() or account.billing_hold

    def _read_billed_usage(self, lines):
        """Return ``{line id: [Decimal]}``: the last billed periods of usage lines."""
        ids = lines.filtered(lambda line: line.billing_method == "usage").ids
        if not ids:
            return {}
        self.env["crm.billing.period"].flush_model()
        rows = self.env.execute_query(
            SQL(
                """
                SELECT line_id, array_agg(amount::text)
                  FROM (SELECT line_id, sum(amount) AS amount,
                               row_number() OVER (PARTITION BY line_id
                                                  ORDER BY date_from DESC) AS place
                          FROM crm_billing_period
                         WHERE line_id = ANY(%s) AND kind = ANY(%s)
                           AND move_line_id IS NOT NULL
                      GROUP BY line_id, date_from) billed
                 WHERE place <= %s
              GROUP BY line_id
                """,
                ids,
                list(USAGE_KINDS),
                PERIODS,
            )
        )
        return {line_id: [*map(Decimal, amounts)] for line_id, amounts in rows}

    def _get_tax_factors(self, taxes, position_id):
        """Return what a price is before and with tax; an estimate by percentages."""
        position = self.env["account.fiscal.position"].browse(position_id or ())
        single = position.map_tax(taxes._origin).flatten_taxes_hierarchy()
        percents = single.filtered(lambda tax: tax.amount_type == "percent")
        included = percents.filtered("price_include")
        inside = 1 + sum((Decimal(str(tax.amount)) for tax in included), ZERO) / 100
        every = 1 + sum((Decimal(str(tax.amount)) for tax in percents), ZERO) / 100
        return 1 / inside, every / inside

    def _get_rate(self, currency, cache):
        """Return what one unit is worth to the company on the day of the forecast."""
        rates = cache["forecast_rates"]
        if currency not in rates:
            rate = currency._get_conversion_rate(
                currency, self.currency_id, self.company_id, self.date
            )
            rates[currency] = Decimal(str(rate))
        return rates[currency]

    def _get_dues(self, terms_id, day, amount, cache):
        """Return ``[(due date, Range)]``: the instalments of an amount with tax."""
        terms = self.env["account.payment.term"].browse(terms_id or ())
        if not terms or not amount.high:
            return [(day, amount)]
        key = (terms.id, day, amount.high)
        if key not in cache["forecast_terms"]:
            total = float(amount.high)
            found = terms._compute_terms(
                date_ref=day,
                currency=self.currency_id,
                company=self.company_id,
                tax_amount=0.0,
                tax_amount_currency=0.0,
                sign=1,
                untaxed_amount=total,
                untaxed_amount_currency=total,
            )
            cache["forecast_terms"][key] = [
                (part["date"], Decimal(str(part["company_amount"])) / amount.high)
                for part in found["line_ids"]
            ]
        return [
            (due, amount.times(share)) for due, share in cache["forecast_terms"][key]
        ]
