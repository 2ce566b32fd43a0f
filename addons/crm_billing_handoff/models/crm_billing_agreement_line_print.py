from datetime import date

from odoo import models
from odoo.exceptions import UserError
from odoo.fields import Command
from odoo.tools import format_date

from ..billing_rules.allocation import exact


class CrmBillingAgreementLine(models.Model):
    """How a ledger row is printed on an invoice."""

    _inherit = "crm.billing.agreement.line"

    def _prepare_move_line(self, row, paper, cache, lang):
        """Return the invoice line that prints a row (2.13).

        A whole period shows quantity, price and discount; a part is one line of 1 × the
        rounded amount, with how it came about in the description.
        """
        amount = row.amount
        sign = -1 if paper.is_refund else 1
        vals = {
            "product_id": self.product_id.id,
            "name": self._get_move_line_name(row, lang, cache),
            "product_uom_id": self.product_uom_id.id,
            "account_id": self._get_account(cache).id,
            "tax_ids": [Command.set(self._get_tax_ids(row, cache))],
            "quantity": 1.0,
            "price_unit": float(sign * amount),
            "discount": 0.0,
            "billing_line_id": self.id,
            "billing_date_from": row.vals["date_from"],
            "billing_date_to": row.vals["date_to"],
            "billing_kind": row.vals["kind"],
        }
        if row.whole and self._prints_exactly(cache):
            vals |= {
                "quantity": self.quantity,
                "price_unit": float(self._get_price()),
                "discount": self.discount,
            }
        if self.analytic_distribution:
            vals["analytic_distribution"] = self.analytic_distribution
        elif not self._has_analytic_models(cache):
            vals["analytic_distribution"] = False
        if self.sale_line_id and self.billing_method in ("one_off", "milestone"):
            vals["sale_line_ids"] = [Command.link(self.sale_line_id.id)]
        return vals | self._prepare_balance(vals, sign, cache)

    def _prepare_balance(self, vals, sign, cache):
        """Return the balance and the tax tags that core will work out, or nothing.

        Core computes them in any case and writes what differs, one line by one, which
        is half of what a draft costs. What is foreseen here need not be written. Left
        out where core would not compute: lines without tax, foreign currencies.

        :param sign: -1 on a credit note
        """
        [[_command, _id, tax_ids]] = vals["tax_ids"]
        key = (tuple(tax_ids), sign)
        if key not in cache["tags"]:
            taxes = self.env["account.tax"].browse(tax_ids).flatten_taxes_hierarchy()
            cache["tags"][key] = (
                taxes and not any(tax.price_include for tax in taxes),
                taxes.get_tax_tags(sign < 0, "base").ids,
            )
        is_foreseen, tag_ids = cache["tags"][key]
        if not is_foreseen or self.currency_id != self.company_id.currency_id:
            return {}
        price = vals["price_unit"] * (1 - vals["discount"] / 100)
        balance = -sign * self.currency_id.round(vals["quantity"] * price)
        return {
            "balance": balance,
            "amount_currency": balance,
            "tax_tag_ids": [Command.set(tag_ids)],
        }

    def _prints_exactly(self, cache):
        """Return whether the fields of an invoice hold the numbers without rounding."""
        digits = cache["digits"]
        if not digits:
            precision = self.env["decimal.precision"].precision_get
            digits |= {
                "price": precision("Product Price"),
                "quantity": precision("Product Unit"),
                "discount": precision("Discount"),
            }
        price = self._get_price()
        scale = 10 ** digits["price"]
        return (
            (price * scale).denominator == 1
            and exact(self.quantity) == exact(self.quantity, digits["quantity"])
            and exact(self.discount) == exact(self.discount, digits["discount"])
        )

    def _has_analytic_models(self, cache):
        if "any" not in cache["analytic"]:
            models_ = self.env["account.analytic.distribution.model"].sudo()
            cache["analytic"]["any"] = bool(models_.search_count([], limit=1))
        return cache["analytic"]["any"]

    def _get_account(self, cache):
        position = cache["position"]["id"]
        key = (self.product_id.id, self.company_id.id, position.id)
        if key not in cache["accounts"]:
            accounts = self.product_id.product_tmpl_id.with_company(
                self.company_id
            ).get_product_accounts(fiscal_pos=position)
            account = accounts["income"]
            if not account:
                raise UserError(
                    self.env._(
                        "%(product)s has no income account. Set one on the product or "
                        "its category.",
                        product=self.product_id.display_name,
                    )
                )
            cache["accounts"][key] = account
        return cache["accounts"][key]

    def _get_tax_ids(self, row, cache):
        """Return today's taxes, or for a credit those of what it credits (10.4)."""
        if row.tax_ids is not None and row.amount < 0:
            return list(row.tax_ids)
        position = cache["position"]["id"]
        key = (tuple(self.tax_ids.ids), position.id)
        if key not in cache["taxes"]:
            cache["taxes"][key] = position.map_tax(self.tax_ids).ids
        return cache["taxes"][key]

    def _get_move_line_name(self, row, lang, cache):
        """Return what the customer reads: the service, its days, how it came about."""
        vals = row.vals
        key = (vals["date_from"], vals["date_to"], lang)
        if key not in cache["dates"]:
            cache["dates"][key] = " – ".join(
                format_date(self.env, day, lang_code=lang)
                for day in (
                    vals["date_from"],
                    date.fromordinal(vals["date_to"].toordinal() - 1),
                )
            )
        text = [self.name]
        if vals["kind"] not in ("one_off", "milestone", "deposit", "deposit_recovery"):
            text.append(cache["dates"][key])
        if detail := self.with_context(lang=lang)._describe_row(row):
            text.append(detail)
        return "\n".join(text)

    def _describe_row(self, row):
        """Return how an amount that is no whole period came about."""
        _ = self.env._
        explanation = row.vals.get("explanation") or {}
        inputs = explanation.get("inputs", {})
        parts = []
        label = {
            "credit": _("Credit"),
            "charge": _("Charge"),
            "late_usage": _("Late usage"),
            "minimum": _("Minimum, true-up"),
        }.get(row.vals["kind"])
        if label:
            parts.append(label)
        if inputs.get("days") and inputs["days"] != inputs.get("of_days"):
            parts.append(
                _(
                    "%(days)s of %(all)s days",
                    days=inputs["days"],
                    all=inputs["of_days"],
                )
            )
        if not row.whole and inputs.get("price") and row.vals["kind"] != "credit":
            parts.append(
                _(
                    "%(quantity)s × %(price)s",
                    quantity=inputs["quantity"],
                    price=inputs["price"],
                )
            )
        if row.vals.get("note"):
            parts.append(row.vals["note"])
        return ", ".join(parts)
