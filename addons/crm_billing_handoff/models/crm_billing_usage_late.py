from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from odoo import api, models
from odoo.fields import Domain
from odoo.tools import SQL

from .crm_billing_agreement_due import Due
from .crm_billing_agreement_line_usage import LATE_RULE
from .crm_billing_usage_measure import Measure, Span

# What a row of usage bills together with its minimum and what came late.
RATED_KINDS = ("usage", "minimum", "late_usage")


@dataclass(frozen=True)
class Late:
    """A billed period whose events are not those that were billed any more.

    :param row_id: its ledger row of usage
    :param billed: everything billed for the period so far
    :param terms: price model and factors of that period, frozen when it was billed
    """

    row_id: int
    line_id: int
    date_from: date
    date_to: date
    billed: Decimal
    terms: dict
    measure: Measure


class CrmBillingAgreementLine(models.Model):
    """Late and corrected usage: the whole period again, the difference billed (4.8)."""

    _inherit = "crm.billing.agreement.line"

    def _read_late_usage(self):
        """Return ``{line id: [Late]}`` of all lines, in two queries."""
        if not self.ids:
            return {}
        self.env["crm.billing.usage"]._flush_for_sql()
        rows = self.env.execute_query(self._get_late_query())
        spans = [
            Span(line_id, start, end, terms["counted"], terms["distinct_property"])
            for _id, line_id, start, end, _billed, terms in rows
        ]
        measures = self._read_usage(spans)
        late = {}
        for row, span in zip(rows, spans, strict=True):
            row_id, line_id, start, end, billed, terms = row
            late.setdefault(line_id, []).append(
                Late(
                    row_id, line_id, start, end, Decimal(billed), terms, measures[span]
                )
            )
        return late

    def _get_late_query(self):
        """Return the billed periods that have events which no row has billed.

        Read from the events themselves: also what arrived while the period was being
        billed, and was seen by neither side, is found.
        """
        return SQL(
            """
            SELECT period.id, period.line_id, period.date_from, period.date_to,
                   (SELECT sum(billed.amount)::text FROM crm_billing_period AS billed
                     WHERE billed.line_id = period.line_id
                       AND billed.date_from = period.date_from
                       AND billed.date_to = period.date_to
                       AND (billed.kind IN %(kinds)s
                            OR (billed.kind = 'credit'
                                AND billed.explanation->>'rule' = %(rule)s))),
                   period.explanation->'inputs'
              FROM crm_billing_period AS period
             WHERE period.line_id IN %(lines)s AND period.kind = 'usage'
               AND period.explanation->'inputs'->'model' IS NOT NULL
               AND (period.needs_rating IS TRUE OR EXISTS (
                   SELECT FROM crm_billing_usage AS usage
                    WHERE usage.line_id = period.line_id AND usage.period_id IS NULL
                      AND usage.usage_date >= period.date_from
                      AND usage.usage_date < period.date_to
                      AND usage.is_void IS NOT TRUE AND usage.is_held IS NOT TRUE))
          ORDER BY period.date_from, period.id
            """,
            kinds=RATED_KINDS,
            rule=LATE_RULE,
            lines=tuple(self.ids),
        )

    def _to_late_dues(self, late):
        """Return the difference of a period as rows for the next invoice.

        More is one line "late usage" with the old dates. Less is a credit of what was
        billed, the latest row first, with the tax of each.
        """
        rating = self._rate(late.terms, late.measure)
        difference = rating.total - late.billed
        story = self._explain_usage(
            LATE_RULE, self._get_frozen(late.terms), late.measure, rating
        )
        story["inputs"]["billed_before"] = str(late.billed)
        vals = {
            "line_id": self.id,
            "date_from": late.date_from,
            "date_to": late.date_to,
            "explanation": {**story, "amount": str(difference)},
        }
        if difference >= 0:
            row = {**vals, "kind": "late_usage", "amount": difference}
            return [Due(self, late.date_from, row)]
        return self._to_late_credits(late, vals, -difference)

    def _to_late_credits(self, late, vals, left):
        dues = []
        for debit in self._get_debits(late):
            room = Decimal(str(debit.amount)) + sum(
                (Decimal(str(credit.amount)) for credit in debit.credit_ids), Decimal(0)
            )
            amount = min(left, max(room, Decimal(0)))
            if not amount:
                continue
            left -= amount
            credit = {
                **vals,
                "kind": "credit",
                "debit_id": debit.id,
                "amount": -amount,
                "note": self.env._("late usage"),
            }
            credit["explanation"] = {**vals["explanation"], "amount": str(-amount)}
            dues.append(
                Due(
                    self,
                    late.date_from,
                    credit,
                    tax_ids=tuple(debit.move_line_id.tax_ids.ids) or None,
                )
            )
        return dues

    def _get_debits(self, late):
        return self.period_ids.filtered(
            lambda row: (
                row.kind in RATED_KINDS
                and row.amount > 0
                and (row.date_from, row.date_to) == (late.date_from, late.date_to)
            )
        ).sorted("id", reverse=True)

    @api.model
    def _get_frozen(self, inputs):
        """Return the terms in the inputs of an explanation, without its results."""
        results = ("quantity", "events", "steps", "floored", "billed_before")
        return {name: value for name, value in inputs.items() if name not in results}

    def _settle_unchanged_usage(self):
        """Note in the ledger what came late and makes no difference (4.8).

        :return: the new rows, which need no document
        """
        vals_list = []
        for line_id, periods in self._read_late_usage().items():
            line = self.browse(line_id)
            for late in periods:
                dues = line._to_late_dues(late)
                if all(not due.amount for due in dues):
                    vals_list.append(line._prepare_unchanged(late, dues))
        return self.env["crm.billing.period"].sudo().create(vals_list)

    def _prepare_unchanged(self, late, dues):
        explanation = dues[0].vals["explanation"] if dues else False
        return {
            "line_id": self.id,
            "date_from": late.date_from,
            "date_to": late.date_to,
            "kind": "late_usage",
            "amount": 0.0,
            "is_covered": True,
            "note": self.env._("late usage, no difference"),
            "explanation": explanation,
        }


class CrmBillingAgreement(models.Model):
    _inherit = "crm.billing.agreement"

    def _get_late_dues(self, facts):
        """Return what late usage adds to the next invoice of the agreement."""
        return [
            due
            for line in self.line_ids
            for late in facts.get("late_usage", {}).get(line.id, ())
            for due in line._to_late_dues(late)
            if due.amount
        ]

    def _invoice_due(self, now=None, until=None):
        """Override to settle first what came late and changes nothing."""
        usage = self.line_ids.filtered(lambda line: line.billing_method == "usage")
        usage._settle_unchanged_usage()
        return super()._invoice_due(now=now, until=until)


class CrmBillingPeriod(models.Model):
    """A row that bills usage owns its events from then on."""

    _inherit = "crm.billing.period"

    @api.model_create_multi
    def create(self, vals_list):
        """Override to stamp the events that the new rows bill."""
        rows = super().create(vals_list)
        rows.filtered(lambda row: row._bills_usage())._stamp_usage()
        return rows

    def _bills_usage(self):
        if self.kind == "credit":
            return (self.explanation or {}).get("rule") == LATE_RULE
        return self.kind in ("usage", "late_usage")

    def _stamp_usage(self):
        """Tie the events that were measured to the rows, in one statement.

        The same snapshot of the database as the measuring: what arrives meanwhile stays
        without a row and is found as late.
        """
        if not self.ids:
            return
        self.env["crm.billing.usage"]._flush_for_sql()
        self.env.cr.execute(
            SQL(
                """
                UPDATE crm_billing_usage AS usage
                   SET period_id = COALESCE(period.debit_id, period.id)
                  FROM crm_billing_period AS period
                 WHERE period.id IN %s AND period.line_id = usage.line_id
                   AND usage.usage_date >= period.date_from
                   AND usage.usage_date < period.date_to
                   AND usage.period_id IS NULL AND usage.is_held IS NOT TRUE
                """,
                tuple(self.ids),
            )
        )
        self.env["crm.billing.usage"].invalidate_model(["period_id"], flush=False)
        spans = {(row.line_id.id, row.date_from, row.date_to) for row in self}
        flagged = self.search(
            [("line_id", "in", self.line_id.ids), ("needs_rating", "=", True)]
        )
        flagged.filtered(
            lambda row: (row.line_id.id, row.date_from, row.date_to) in spans
        ).needs_rating = False
        self._rate_again_with_late()

    def _rate_again_with_late(self):
        """Compare with what came late earlier: the row of its draft was given back.

        The new row bills all events, so what came late is billed twice until then.
        """
        usage = self.filtered(lambda row: row.kind == "usage")
        if not usage:
            return
        late = self.search(
            Domain("line_id", "in", usage.line_id.ids)
            & Domain("id", "not in", self.ids)
            & Domain("kind", "in", ("late_usage", "credit"))
            & Domain("amount", "!=", 0)
            & Domain("date_from", ">=", min(usage.mapped("date_from")))
        ).filtered(lambda row: row._bills_usage())
        spans = {(row.line_id, row.date_from, row.date_to) for row in late}
        usage.filtered(
            lambda row: (row.line_id, row.date_from, row.date_to) in spans
        ).needs_rating = True

    def _ask_rating(self):
        """Have periods rated again with the next run; what ended runs once more."""
        rows = self.exists().filtered("explanation")
        rows.needs_rating = True
        ended = rows.agreement_id.filtered(
            lambda agreement: agreement.state in ("closed", "cancelled")
        )
        ended.state = "running"
        if rows:
            rows.agreement_id._trigger_run()

    def _replay_explanation(self):
        """Override to rate the stored quantity once more with the stored terms."""
        inputs = (self.explanation or {}).get("inputs") or {}
        if "model" not in inputs:
            return super()._replay_explanation()
        line = self.line_id
        measure = Measure(quantity=Decimal(0))
        if inputs["counted"] == "events":
            span = Span(line.id, self.date_from, self.date_to, "events")
            measure = line._read_usage([span])[span]
        elif "/" not in inputs["quantity"]:
            measure = Measure(Decimal(inputs["quantity"]))
        rating = line._rate(inputs, measure)
        if self.explanation["rule"] == LATE_RULE:
            return rating.total - Decimal(inputs["billed_before"])
        return rating.true_up if self.kind == "minimum" else rating.usage
