from decimal import Decimal

from odoo import api, fields, models
from odoo.exceptions import ValidationError

from ..billing_rules.allocation import exact
from .account_move_exemption import TAKING_BACK

# Core's copies of a posted invoice: no proration, no usage, no review.
CORE_RECURRING = ("monthly", "quarterly", "yearly")


class AccountMove(models.Model):
    """What the review compares an invoice of agreements with."""

    _inherit = "account.move"

    billing_is_later = fields.Boolean(
        compute="_compute_billing_is_later",
        help="All its agreements have posted an invoice before: it was reviewed.",
    )

    # === COMPUTE METHODS === #

    @api.depends("agreement_ids")
    def _compute_billing_is_later(self):
        """Tell the first invoice of an agreement from later ones, in one query."""
        # Who reviews the draft may not read every agreement on it.
        moves = self.sudo()
        started = dict(
            moves._read_group(
                [
                    ("agreement_ids", "in", moves.agreement_ids.ids),
                    ("move_type", "=", "out_invoice"),
                    ("state", "=", "posted"),
                    ("id", "not in", self._origin.ids),
                ],
                ["agreement_ids"],
                ["__count"],
            )
            if moves.agreement_ids
            else ()
        )
        for move in self:
            agreements = move.sudo().agreement_ids
            move.billing_is_later = bool(agreements) and all(
                agreement in started for agreement in agreements
            )

    # === CONSTRAINT METHODS === #

    @api.constrains("auto_post", "agreement_ids", "is_billing_review")
    def _check_core_recurring(self):
        """C2: what recurs is an agreement; copies would bill it a second time."""
        for move in self:
            if move.auto_post in CORE_RECURRING and (
                move.is_billing_review or move.sudo().agreement_ids
            ):
                raise ValidationError(
                    self.env._(
                        "%(invoice)s comes from Billing: it is not copied by "
                        "auto-post. Use a billing agreement for what recurs.",
                        invoice=move.display_name,
                    )
                )

    # === BUSINESS METHODS - REVIEW === #

    def _prefetch_agreements_for_review(self):
        """Read for the whole list what the checklists of agreements compare."""
        lines = self.sudo().invoice_line_ids
        agreements = self.sudo().agreement_ids
        if not agreements:
            return
        agreements.mapped("order_id.name")
        lines.billing_line_id.mapped("tax_ids.price_include")
        lines.billing_period_ids.mapped("amount")
        self.mapped("billing_is_later")

    def _get_reviewed_agreement(self):
        """Return the agreement whose terms count: those of one invoice share them."""
        self.ensure_one()
        return self.sudo().agreement_ids.sorted("id")[:1]

    def _get_ledger_difference(self):
        """Return by how much the draft is off its ledger rows, document currency.

        The rows say what the engine worked out; a line that a person edited or added
        by hand is off by the difference.
        """
        self.ensure_one()
        difference = Decimal(0)
        for line in self.sudo().invoice_line_ids:
            if line.display_type != "product":
                continue
            agreed = sum(exact(row.amount) for row in line.billing_period_ids)
            difference += exact(line._get_billed_amount()) - agreed
        return difference

    def _get_agreed_taxes(self, line):
        """Return the taxes that an invoice line should have, ``None`` if not known.

        A credit takes back the taxes of what it credits.
        """
        origin = line.billing_period_ids.debit_id.move_line_id[:1]
        if origin:
            return origin.tax_ids
        if line.billing_kind in TAKING_BACK:
            return None
        if line.billing_line_id:
            return self.fiscal_position_id.map_tax(line.billing_line_id.tax_ids)
        return line.sale_line_ids.tax_ids if line.sale_line_ids else None

    def _restore_agreed_taxes(self):
        """Give lines of agreements their own taxes back, mapped for the draft.

        Core takes those of the product when the fiscal position changes.
        """
        for line in self.invoice_line_ids.filtered("billing_line_id"):
            taxes = self._get_agreed_taxes(line)
            if taxes is not None and line.tax_ids != taxes:
                line.tax_ids = taxes
