from collections import defaultdict
from datetime import timedelta
from decimal import Decimal
from fractions import Fraction

from odoo import api, fields, models
from odoo.exceptions import UserError
from odoo.tools import format_amount, format_date

from ..billing_rules.allocation import exact, round_money
from ..billing_rules.amendment import settle
from ..billing_rules.period import Period
from ..billing_rules.schedule import uncovered_parts

PREVIEW_TEMPLATE = "crm_billing_handoff.crm_billing_change_preview"
AMOUNTS = ("untaxed", "tax", "total", "credit", "charge")


# What a person types into a change: what it does follows from these.
TERMS = (
    "agreement_id",
    "change_type",
    "line_ids",
    "date",
    "effective_at",
    "proration_timing",
    "product_id",
    "quantity",
    "price_unit",
    "discount_mode",
    "discount",
    "discount_amount",
    "discount_until",
    "discount_periods",
    "discount_last_day",
    "plan_id",
    "has_own_anchor",
    "usage_on_date",
    "resume_date",
    "pause_credit",
    "shift_end",
    "policy",
    "renewal_count",
    "renewal_unit",
    "uplift",
)


class CrmBillingChange(models.Model):
    """What a person sees before *Apply*: lines, tax, total, next date, MRR.

    Made from the plan that is applied and with core's tax computation. Amounts are
    texts of exact decimals in the agreement's currency, days are ISO dates.
    """

    _inherit = "crm.billing.change"

    preview = fields.Json(compute="_compute_preview")
    preview_html = fields.Html(
        string="What Happens", compute="_compute_preview", sanitize=False
    )
    preview_problem = fields.Text(compute="_compute_preview")
    amount_credit = fields.Monetary(string="Credit", compute="_compute_preview")
    amount_charge = fields.Monetary(string="Charge", compute="_compute_preview")
    amount_untaxed = fields.Monetary(string="Untaxed", compute="_compute_preview")
    amount_tax = fields.Monetary(string="Tax", compute="_compute_preview")
    amount_total = fields.Monetary(string="Total", compute="_compute_preview")
    mrr_effect = fields.Monetary(string="MRR Effect", compute="_compute_preview")
    next_date = fields.Date(string="Next Invoice", compute="_compute_preview")

    has_usage = fields.Boolean(compute="_compute_has_usage")

    # === COMPUTE METHODS === #

    @api.depends("agreement_id", "line_ids")
    def _compute_has_usage(self):
        for change in self:
            lines = change.line_ids or change._get_default_lines()
            change.has_usage = "usage" in lines.mapped("billing_method")

    @api.depends(*TERMS, "state")
    @api.depends_context("lang", "uid")
    def _compute_preview(self):
        for change in self:
            preview = change._get_preview()
            change.preview = preview
            change.preview_problem = preview.get("problem")
            change.preview_html = change._render_preview(preview)
            change.amount_credit = float(preview.get("credit", 0))
            change.amount_charge = float(preview.get("charge", 0))
            change.amount_untaxed = float(preview.get("untaxed", 0))
            change.amount_tax = float(preview.get("tax", 0))
            change.amount_total = float(preview.get("total", 0))
            change.mrr_effect = float(preview.get("mrr_effect", 0))
            change.next_date = preview.get("next_date")

    @api.onchange(*TERMS)
    def _onchange_seen(self):
        """Remember what the form shows, so that Apply does just that or refuses."""
        self.seen_digest = self._get_digest(self._get_preview())

    # === BUSINESS METHODS === #

    def _get_preview(self):
        """Return what the change would do now, or what it did when it was applied."""
        self.ensure_one()
        if self.state not in ("draft", "scheduled", False):
            return self.applied_preview or {"problem": self.problem or ""}
        # Reading ledger and invoices needs no right of its own: whoever sees the
        # agreement sees what a change of it costs.
        change = self.sudo()
        try:
            return change._describe(change._plan())
        except UserError as error:
            return {"problem": str(error.args[0])}
        except ValueError as error:
            return {"problem": str(error)}

    def _describe(self, plan):
        """Return a plan in texts and amounts; writes nothing."""
        rows, totals = self._describe_rows(plan.rows)
        preview = {
            "rows": rows,
            **{name: str(value) for name, value in totals.items()},
            "notes": list(dict.fromkeys(plan.notes)),
            "last_days": self._describe_ends(plan),
            "scheduled": self._is_future(),
            **self._describe_mrr(plan),
            **self._describe_next(plan),
        }
        if self.change_type == "cancel":
            preview |= self._describe_settlement(plan)
        return preview

    # === BUSINESS METHODS - ROWS AND TAXES === #

    def _describe_rows(self, rows):
        """Return ``(rows, totals)``, taxes as core computes them; totals: Decimals."""
        agreement = self.agreement_id._origin
        details = self._get_tax_details(rows)
        totals = dict.fromkeys(AMOUNTS, Decimal(0))
        described = []
        digits = agreement.currency_id.decimal_places
        for row, (untaxed, tax) in zip(rows, details, strict=True):
            untaxed, tax = exact(untaxed, digits), exact(tax, digits)
            if not row.vals.get("is_covered"):
                totals["untaxed"] += untaxed
                totals["tax"] += tax
                totals["total"] += untaxed + tax
            kind = "credit" if row.vals["kind"] == "credit" else "charge"
            totals[kind] += row.amount
            inputs = row.vals.get("explanation", {}).get("inputs", {})
            described.append(
                {
                    "days": inputs.get("days"),
                    "of_days": inputs.get("of_days"),
                    "kind": row.vals["kind"],
                    "name": row.line.product_id.display_name,
                    "from": str(row.vals["date_from"]),
                    "last_day": str(row.vals["date_to"] - timedelta(days=1)),
                    "factor": row.vals["factor"],
                    "amount": str(row.amount),
                    "tax": str(tax),
                    "total": str(untaxed + tax),
                    "note": row.vals.get("note") or "",
                }
            )
        return described, totals

    def _get_tax_details(self, rows):
        """Return ``[(untaxed, tax)]`` as core computes them on one document (10.3)."""
        agreement = self.agreement_id._origin
        company, taxes = agreement.company_id, self.env["account.tax"]
        position = agreement._get_position_today()
        base_lines = []
        for row in rows:
            if row.tax_ids is not None:
                row_taxes = taxes.browse(row.tax_ids)
            else:
                row_taxes = position.map_tax(row.line.tax_ids._origin)
            base_lines.append(
                taxes._prepare_base_line_for_taxes_computation(
                    None,
                    product_id=row.line.product_id,
                    tax_ids=row_taxes,
                    price_unit=float(row.amount),
                    quantity=1.0,
                    currency_id=agreement.currency_id,
                    partner_id=agreement.payer_id,
                )
            )
        taxes._add_tax_details_in_base_lines(base_lines, company)
        taxes._round_base_lines_tax_details(base_lines, company)
        found = []
        for base_line in base_lines:
            details = base_line["tax_details"]
            untaxed = (
                details["total_excluded_currency"]
                + details["delta_total_excluded_currency"]
            )
            tax = sum(data["tax_amount_currency"] for data in details["taxes_data"])
            found.append((untaxed, tax))
        return found

    # === BUSINESS METHODS - WHAT COMES NEXT === #

    def _describe_ends(self, plan):
        return [
            {
                "name": cut.line.product_id.display_name,
                "day": str(cut.day - timedelta(days=1)),
            }
            for cut in plan.cuts
            if cut.reason in ("cancel", "pause", "end")
        ]

    def _describe_mrr(self, plan):
        """Return MRR before and after, on the first day of the last new terms."""
        agreement = self.agreement_id._origin
        day = max((cut.day for cut in plan.cuts), default=self.date)
        step = exact(agreement.currency_id.rounding)
        lines = agreement.line_ids
        if self.change_type == "renew":
            before_day = agreement.end_date
            after_lines = [line for line, _vals in plan.created]
            day = before_day + timedelta(days=1)
        else:
            before_day = day
            cut_lines = {cut.line for cut in plan.cuts}
            after_lines = [line for line in lines if line not in cut_lines]
            after_lines += [cut.successor for cut in plan.cuts if cut.successor]
            after_lines += [line for line, _vals in plan.created]
        before = self._sum_mrr(lines, before_day, step)
        if self.change_type == "renew":
            # The next term is an agreement of its own, without the old end.
            exact_after = sum((line._get_mrr() for line in after_lines), Fraction(0))
            after = round_money(exact_after, step)
        else:
            after = self._sum_mrr(after_lines, day, step)
        return {
            "mrr_on": str(day),
            "mrr_before": str(before),
            "mrr_after": str(after),
            "mrr_effect": str(after - before),
        }

    def _sum_mrr(self, lines, day, step):
        counted = (line._get_mrr() for line in lines if line._counts_on(day))
        return round_money(sum(counted, Fraction(0)), step)

    def _describe_next(self, plan):
        """Return the next billing date after the change, from ledger and plan."""
        lines, facts = self._get_lines_after(plan)
        dates = [day for line in lines if (day := line._get_next_date(facts))]
        return {"next_date": str(min(dates)) if dates else None}

    def _get_lines_after(self, plan):
        """Return ``(lines, facts)`` as they will be; virtual where the plan writes."""
        agreement = self.agreement_id._origin
        facts = agreement.line_ids._read_coverage()
        covered = facts["covered"] = defaultdict(list, facts["covered"])
        for row in [*plan.rows, *plan.standins]:
            if row.vals["kind"] != "credit":
                days = Period(row.vals["date_from"], row.vals["date_to"])
                covered[row.line.id].append(days)
        cuts = {cut.line: cut for cut in plan.cuts}
        lines = []
        for line in agreement.line_ids:
            cut = cuts.get(line)
            if cut:
                lines.append(self._to_cut_line(cut, covered))
                if cut.successor:
                    lines.append(cut.successor)
            elif line not in lines:
                lines.append(line)
        if self.change_type != "renew":
            lines += [line for line, _vals in plan.created]
        return lines, facts

    def _to_cut_line(self, cut, covered):
        values = {
            "end_date": cut.day - timedelta(days=1),
            "end_reason": cut.reason,
            "successor_id": cut.successor.id if cut.successor else False,
        }
        virtual = cut.line.new(values, origin=cut.line)
        covered[virtual.id] = covered.get(cut.line.id, [])
        return virtual

    # === BUSINESS METHODS - CANCELLATION === #

    def _describe_settlement(self, plan):
        """Return where the credit goes and what the final invoice bills (3.1, 3.3)."""
        by_origin = defaultdict(list)
        for row in plan.rows:
            origin = self.env["crm.billing.period"].browse(row.vals["debit_id"]).move_id
            by_origin[origin].append(row)
        sums = dict.fromkeys(("closes", "refund", "left_over"), Decimal(0))
        notes = []
        for origin, rows in by_origin.items():
            total = -self._describe_rows(rows)[1]["total"]
            digits = self.agreement_id.currency_id.decimal_places
            found = settle(
                total,
                exact(origin.amount_residual, digits) if origin else Decimal(0),
                self.policy,
                exact(origin._get_billing_refundable(), digits),
            )
            for name in sums:
                sums[name] += getattr(found, name)
            if self.policy == "refund" and origin._has_payment_in_flight():
                notes.append(
                    self.env._(
                        "A payment of %(invoice)s is on its way: the refund waits "
                        "until it has arrived.",
                        invoice=origin.name,
                    )
                )
        final, total = self._describe_final(plan)
        return {
            "settlement": {name: str(value) for name, value in sums.items()},
            "final": final,
            "final_total": str(total),
            "notes": [*dict.fromkeys(plan.notes), *notes],
        }

    def _describe_final(self, plan):
        """Return ``(rows, total with tax)`` of what is still to be billed."""
        lines, facts = self._get_lines_after(plan)
        rows, usage = [], []
        for line in lines:
            end = line._get_end()
            if not line._is_recurring() or not end or end <= line.start_date:
                continue
            if line.billing_method == "usage":
                usage.append(line.product_id.display_name)
                continue
            covered = facts["covered"].get(line.id, ())
            found = uncovered_parts(line._to_cadence(), line.start_date, end, covered)
            rows += [line._to_due_part(part, "recurring") for part in found]
        described, totals = self._describe_rows(rows)
        if usage:
            plan.notes.append(
                self.env._(
                    "Usage until the last day follows on the final invoice: %(lines)s.",
                    lines=", ".join(usage),
                )
            )
        return described, totals["total"]

    # === BUSINESS METHODS - SHOW === #

    def _render_preview(self, preview):
        """Return the preview as the form shows it."""
        if not self.agreement_id or "rows" not in preview:
            return False
        currency = self.agreement_id.currency_id
        values = {
            "change": self,
            "preview": preview,
            "money": lambda text: format_amount(self.env, float(text), currency),
            "day": lambda text: format_date(self.env, text) if text else "–",
            "kinds": {
                "credit": self.env._("Credit"),
                "charge": self.env._("Charge"),
                "recurring": self.env._("Recurring"),
            },
        }
        return self.env["ir.qweb"].sudo()._render(PREVIEW_TEMPLATE, values)
