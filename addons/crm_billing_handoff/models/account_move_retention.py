from datetime import date
from decimal import Decimal

from odoo import api, fields, models
from odoo.tools import frozendict

from ..billing_rules.allocation import split
from ..billing_rules.retention import get_retention, split_due

# Until its release a retained part is due on no day that anybody looks at.
NEVER_DUE = date(2999, 12, 31)


class AccountMove(models.Model):
    """What the customer retains is an instalment of its own (billing rules, 5.5).

    The invoice shows full value and full tax. The retained instalment has the flag
    ``billing_is_retention`` and a due date out of sight until it is released, in
    `crm_billing_retention_release.py`.
    """

    _inherit = "account.move"

    billing_retention_amount = fields.Monetary(
        string="Retention",
        compute="_compute_billing_retention_amount",
        store=True,
        copy=False,
        help="What the customer pays only after the release, tax included.",
    )
    billing_retention_open = fields.Monetary(
        string="Retention Not Released",
        compute="_compute_billing_retention_open",
        compute_sudo=True,
        help="The part of the retention that is not released yet.",
    )
    billing_release_ids = fields.One2many(
        "crm.billing.retention.release", "move_id", string="Releases", readonly=True
    )

    # === COMPUTE METHODS === #

    @api.depends(
        "move_type",
        "amount_total",
        "invoice_line_ids.price_subtotal",
        "invoice_line_ids.price_total",
        "invoice_line_ids.billing_kind",
        "invoice_line_ids.billing_line_id",
    )
    def _compute_billing_retention_amount(self):
        for move in self:
            amount = move.billing_retention_amount
            # What was posted does not follow a later change of the agreement.
            if move.state == "draft":
                amount = move._get_retention_amount()
            move.billing_retention_amount = amount

    @api.depends("billing_retention_amount", "billing_release_ids.amount")
    def _compute_billing_retention_open(self):
        for move in self:
            released = sum(move.billing_release_ids.mapped("amount"))
            move.billing_retention_open = max(
                move.billing_retention_amount - released, 0.0
            )

    @api.depends(
        "billing_retention_amount",
        "billing_release_ids.amount",
        "billing_release_ids.date_due",
    )
    def _compute_needed_terms(self):
        """Override of `account` to set the retained part aside."""
        result = super()._compute_needed_terms()
        for move in self.with_context(bin_size=False):
            if not move.needed_terms:
                continue
            terms = [
                (dict(key), dict(values)) for key, values in move.needed_terms.items()
            ]
            if move.billing_retention_amount:
                terms = move._set_retention_aside(terms)
            move.needed_terms = {
                frozendict(
                    {"billing_is_retention": False, "billing_release_id": False, **key}
                ): values
                for key, values in terms
            }
        return result

    @api.depends("needed_terms")
    def _compute_invoice_date_due(self):
        """Override of `account`: what is retained is not due."""
        retaining = self.filtered("billing_retention_amount")
        result = super(AccountMove, self - retaining)._compute_invoice_date_due()
        for move in retaining:
            days = [
                key["date_maturity"]
                for key in move.needed_terms or ()
                if not key["billing_is_retention"]
                # Without terms the due date itself decides the other instalments.
                and (move.invoice_payment_term_id or not key["billing_release_id"])
            ]
            move.invoice_date_due = (
                max(days, default=False)
                or move.invoice_date_due
                or fields.Date.context_today(move)
            )
        return result

    def _compute_payment_term_details(self):
        """Override of `account` to print no date for what waits for its release."""
        result = super()._compute_payment_term_details()
        for move in self:
            details = move.payment_term_details
            retained = move._get_retained_lines()
            if not details or not retained:
                continue
            sign = 1 if move.is_inbound(include_receipts=True) else -1
            amount = sign * sum(retained.mapped("amount_currency"))
            move.payment_term_details = [
                *details[: -len(retained)],
                {"date": self.env._("its release (retention)"), "amount": amount},
            ]
        return result

    # === BUSINESS METHODS === #

    def _get_retained_lines(self):
        """Return the receivable lines that wait for their release."""
        return self.line_ids.filtered("billing_is_retention")

    def _get_retention_amount(self):
        """Return what is retained of a draft, in its currency.

        Per agreement, on the milestones before any deposit comes off.
        """
        self.ensure_one()
        if self.move_type != "out_invoice":
            return 0.0
        # An agreement may be read by fewer people than its invoice.
        lines = self.sudo().invoice_line_ids.filtered(
            lambda line: line.billing_kind == "milestone"
        )
        step = Decimal(str(self.currency_id.rounding))
        left, retained = Decimal(str(self.amount_total)), Decimal(0)
        agreements = lines.grouped(lambda line: line.billing_line_id.agreement_id)
        for agreement, own in agreements.items():
            part = get_retention(
                net=_sum(own, "price_subtotal"),
                gross=_sum(own, "price_total"),
                percent=Decimal(str(agreement.retention_percent)),
                base=agreement.retention_base or "net",
                total=left,
                step=step,
            )
            left -= part
            retained += part
        return float(retained)

    def _set_retention_aside(self, terms):
        """Return ``terms`` without the retained part, and its own instalments.

        In company currency each instalment has its share; the last takes the rest.

        :param terms: list of ``(key, values)`` as core needs them
        """
        sign = 1 if self.is_inbound(include_receipts=True) else -1
        parts = self._get_retention_parts()
        step = Decimal(str(self.currency_id.rounding))
        retained = sum((amount for _key, amount in parts), Decimal(0))
        amounts = [
            Decimal(str(sign * values["amount_currency"])) for _key, values in terms
        ]
        balance = sum(Decimal(str(values["balance"])) for _key, values in terms)
        due = split_due(amounts, retained, step)
        terms = [
            (key, self._scale_instalment(values, part, amount))
            for (key, values), part, amount in zip(terms, due, amounts, strict=True)
        ]
        base = {"move_id": self.id, "discount_date": False}
        terms += [
            (
                {**base, **key},
                {
                    "amount_currency": float(sign * amount),
                    "discount_date": False,
                    "discount_balance": 0.0,
                    "discount_amount_currency": 0.0,
                },
            )
            for key, amount in parts
        ]
        company_step = Decimal(str(self.company_currency_id.rounding))
        weights = [*due, *(amount for _key, amount in parts)]
        for (_key, values), part in zip(
            terms, split(balance, weights, company_step), strict=True
        ):
            values["balance"] = float(part)
        return [(key, values) for key, values in terms if values["amount_currency"]]

    def _scale_instalment(self, values, part, amount):
        """Return the values of an instalment of ``amount`` that asks for ``part``."""
        sign = 1 if self.is_inbound(include_receipts=True) else -1
        share = float(part / amount) if amount else 0.0
        return {
            **values,
            "amount_currency": float(sign * part),
            "discount_balance": self.company_currency_id.round(
                values.get("discount_balance", 0.0) * share
            ),
            "discount_amount_currency": self.currency_id.round(
                values.get("discount_amount_currency", 0.0) * share
            ),
        }

    def _get_retention_parts(self):
        """Return ``[(key, amount)]``: what was released, and what still waits."""
        left, parts = Decimal(str(self.billing_retention_amount)), []
        for release in self.billing_release_ids.sorted("id"):
            amount = min(Decimal(str(release.amount)), left)
            left -= amount
            key = {
                "date_maturity": release.date_due,
                "billing_is_retention": False,
                "billing_release_id": release.id,
            }
            parts.append((key, amount))
        key = {
            "date_maturity": NEVER_DUE,
            "billing_is_retention": True,
            "billing_release_id": False,
        }
        return [*parts, (key, left)]

    def _has_to_be_paid(self):
        """Override of `account_payment`: nobody is asked for what is retained."""
        if not super()._has_to_be_paid():
            return False
        retained = sum(self._get_retained_lines().mapped("amount_residual_currency"))
        return not self.currency_id.is_zero(self.amount_residual - retained)

    def _match_open_lines(self, other):
        """Override to keep credits of other invoices off what is retained."""
        if other == self.reversed_entry_id:
            return super()._match_open_lines(other)
        lines = (self.line_ids | other.line_ids).filtered(
            lambda line: (
                line.account_type == "asset_receivable"
                and not line.reconciled
                and not line.billing_is_retention
            )
        )
        for _account, group in lines.grouped("account_id").items():
            if len(group.move_id) > 1:
                group.reconcile()
        return None


class AccountMoveLine(models.Model):
    _inherit = "account.move.line"

    billing_is_retention = fields.Boolean(
        string="Retention",
        readonly=True,
        copy=False,
        help="Retained by the customer: not due before it is released.",
    )
    billing_release_id = fields.Many2one(
        "crm.billing.retention.release",
        string="Released Retention",
        readonly=True,
        copy=False,
        index="btree_not_null",
        ondelete="set null",
    )

    @api.depends("billing_is_retention", "billing_release_id")
    def _compute_term_key(self):
        """Override of `account` to keep retained instalments apart."""
        result = super()._compute_term_key()
        for line in self:
            if line.term_key:
                line.term_key = frozendict(
                    {
                        "billing_is_retention": line.billing_is_retention,
                        "billing_release_id": line.billing_release_id.id,
                        **line.term_key,
                    }
                )
        return result

    def _get_installments_data(self, *args, **kwargs):
        """Override of `account` to ask for the retention when nothing else is open."""
        retained = self.filtered("billing_is_retention")
        due = self - retained
        if not retained or all(due.mapped("reconciled")):
            return super()._get_installments_data(*args, **kwargs)
        data = super(AccountMoveLine, due)._get_installments_data(*args, **kwargs)
        sign = self.move_id.direction_sign
        for number, line in enumerate(retained, start=len(data) + 1):
            data.append(
                {
                    "number": number,
                    "line": line,
                    "date_maturity": line.date_maturity,
                    "amount_residual_currency": line.amount_residual_currency,
                    "amount_residual": line.amount_residual,
                    "amount_residual_currency_unsigned": -sign
                    * line.amount_residual_currency,
                    "amount_residual_unsigned": -sign * line.amount_residual,
                    # After the others, "next" is paid only by who pays all at once.
                    "type": "next",
                    "reconciled": line.reconciled,
                }
            )
        return data


def _sum(lines, name):
    return sum((Decimal(str(line[name])) for line in lines), Decimal(0))
