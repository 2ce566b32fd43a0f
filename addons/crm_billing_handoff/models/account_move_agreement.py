from collections import defaultdict

from odoo import fields, models
from odoo.exceptions import UserError
from odoo.fields import Command, Domain
from odoo.tools import float_compare

from .crm_billing_period import LASTING


class AccountMove(models.Model):
    """What an edited, posted or undone invoice of an agreement does to the ledger."""

    _inherit = "account.move"

    agreement_ids = fields.Many2many(
        "crm.billing.agreement",
        "account_move_crm_billing_agreement_rel",
        "move_id",
        "agreement_id",
        string="Agreements",
        copy=False,
        readonly=True,
        context={"active_test": False},
    )
    is_billing_refund = fields.Boolean(
        string="To Be Paid Back",
        copy=False,
        readonly=True,
        help="A credit that is paid back, not kept for the next invoices.",
    )

    # === CRUD METHODS === #

    def write(self, vals):
        if vals.get("state") == "cancel":
            self._free_billing_periods()
        return super().write(vals)

    def unlink(self):
        self._free_billing_periods()
        return super().unlink()

    def button_draft(self):
        """Override of `account`: what was cancelled has given its periods back."""
        cancelled = self.filtered(
            lambda move: move.state == "cancel" and move.sudo().agreement_ids
        )
        if cancelled:
            raise UserError(
                self.env._(
                    "%(invoices)s: the periods were given back when it was cancelled, "
                    "and may be billed elsewhere. Generate a new invoice from the "
                    "agreement instead.",
                    invoices=", ".join(cancelled.mapped("display_name")),
                )
            )
        return super().button_draft()

    # === BUSINESS METHODS - LEDGER === #

    def _free_billing_periods(self):
        """Give back what drafts bill, so that it is due again."""
        # Whoever may delete the draft need not be able to write the ledger.
        lines = self.sudo().filtered(lambda move: move.state != "posted").line_ids
        lines._free_billing_periods()

    def _post(self, soft=True):
        """Override of `account` to keep in the ledger what is really on the invoice.

        Credit notes first close what is open on the invoice they credit; what is left
        of them is matched with the account's next invoices, oldest first (3.3).
        """
        posted = super()._post(soft)
        ours = posted.sudo().filtered("agreement_ids")
        if ours:
            ours.invoice_line_ids._sync_billing_periods()
            ours._match_credits()
        return posted

    def _match_credits(self):
        """Match credit notes of agreements with what is open (3.3, F9)."""
        for move in self.filtered(lambda move: move.move_type == "out_refund"):
            origin = move.reversed_entry_id
            if origin.state == "posted":
                move._match_open_lines(origin)
        invoices = self.filtered(lambda move: move.move_type == "out_invoice")
        if not invoices:
            return
        credits = self.search(
            Domain("move_type", "=", "out_refund")
            & Domain("state", "=", "posted")
            & Domain("agreement_ids", "!=", False)
            & Domain("payment_state", "in", ("not_paid", "partial"))
            & Domain("commercial_partner_id", "in", invoices.commercial_partner_id.ids)
            & Domain("company_id", "in", invoices.company_id.ids)
            & Domain("is_billing_refund", "=", False),
            order="invoice_date, id",
        )
        by_account = defaultdict(self.browse)
        for credit in credits:
            by_account[credit._get_credit_key()] += credit
        for invoice in invoices.sorted(lambda move: (move.invoice_date, move.id)):
            for credit in by_account[invoice._get_credit_key()]:
                if credit.amount_residual and invoice.amount_residual:
                    credit._match_open_lines(invoice)

    def _get_credit_key(self):
        return (self.commercial_partner_id, self.company_id, self.currency_id)

    def _match_open_lines(self, other):
        """Reconcile what is open on both, in one currency."""
        lines = (self.line_ids | other.line_ids).filtered(
            lambda line: line.account_type == "asset_receivable" and not line.reconciled
        )
        for _account, group in lines.grouped("account_id").items():
            if len(group.move_id) > 1:
                group.reconcile()

    def _reverse_moves(self, default_values_list=None, cancel=False):
        """Override of `account` to write the credits of a reversal into the ledger.

        :raise UserError: all was credited before, or part of it and the reversal is to
            be posted as it is
        """
        self.sudo()._check_reversible(cancel)
        values_list = default_values_list or [{} for _move in self]
        for move, values in zip(self, values_list, strict=True):
            values.setdefault(
                "agreement_ids", [Command.set(move.sudo().agreement_ids.ids)]
            )
        reversals = super()._reverse_moves(values_list, cancel=cancel)
        for move, reversal in zip(self.sudo(), reversals.sudo(), strict=True):
            if move.agreement_ids:
                move._credit_billing_periods(reversal)
        return reversals

    def _check_reversible(self, cancel):
        """Refuse to give back more than what still stands (3.2)."""
        for move in self:
            periods = move.invoice_line_ids.billing_period_ids
            debits = periods.filtered(lambda period: period.amount > 0)
            credits = debits.credit_ids
            if not credits:
                continue
            left = sum(period._get_left() for period in debits)
            if cancel or move.currency_id.compare_amounts(left, 0) <= 0:
                raise UserError(
                    self.env._(
                        "%(invoice)s was credited already, in full or in part, by "
                        "%(credits)s. Credit what is left with a credit note that you "
                        "look at before posting.",
                        invoice=move.name,
                        credits=", ".join(credits.move_id.mapped("display_name"))
                        or self.env._("what waits for the next invoice"),
                    )
                )

    def _credit_billing_periods(self, reversal):
        """Write what ``reversal`` takes back, and ask whether to bill it again."""
        ledger = self.env["crm.billing.period"].sudo()
        originals = self.invoice_line_ids.filtered("billing_period_ids")
        copies = reversal.invoice_line_ids.filtered(
            lambda line: line.display_type == "product"
        )
        vals_list = []
        for original in originals:
            copy = copies.filtered(
                lambda line, original=original: line._is_reversal_of(original)
            )[:1]
            copies -= copy
            if copy:
                copy._link_billing_line(original)
                copy._lower_to_what_is_left(original)
                vals_list += [
                    {
                        **period._prepare_credit(),
                        "move_line_id": copy.id,
                        "is_reversal": True,
                    }
                    for period in original.billing_period_ids
                    if period.amount > 0
                ]
        ledger.create(vals_list)
        self.agreement_ids._ask_billing(
            self.env._("Bill the period again?"),
            self.env._(
                "%(invoice)s was reversed. Its days stay credited. If they are to be "
                "billed again, press “Bill again” on their ledger rows.",
                invoice=self.name,
            ),
        )


class AccountMoveLine(models.Model):
    _inherit = "account.move.line"

    def unlink(self):
        self.sudo()._free_billing_periods()
        return super().unlink()

    def _free_billing_periods(self):
        """Give back what lines of drafts bill: what a change wrote waits again."""
        periods = self.billing_period_ids
        if not periods:
            return
        lasting = periods.filtered(
            lambda period: period.kind in LASTING and not period.is_reversal
        )
        lasting.move_line_id = False
        lasting.agreement_id._reopen()
        (periods - lasting).with_context(billing_free=True).unlink()

    def _sync_billing_periods(self):
        """Write the amounts as they stand on the document into the ledger.

        Where prices include tax, the amount with tax is what was agreed.
        """
        for line in self.filtered("billing_period_ids"):
            if len(line.billing_period_ids) != 1:
                continue
            period = line.billing_period_ids
            amount = line._get_billed_amount()
            rounding = line.currency_id.rounding
            if float_compare(period.amount, amount, precision_rounding=rounding):
                period.amount = amount

    def _get_billed_amount(self):
        """Return what the line bills: credits negative, in the document currency."""
        self.ensure_one()
        taxes = self.tax_ids.flatten_taxes_hierarchy()
        included = taxes and all(tax.price_include for tax in taxes)
        amount = self.price_total if included else self.price_subtotal
        return -amount if self.move_type == "out_refund" else amount

    def _is_reversal_of(self, original):
        return (
            self.product_id == original.product_id
            and self.price_unit == original.price_unit
            and self.quantity == original.quantity
            and self.sequence == original.sequence
        )

    def _link_billing_line(self, original):
        self.write(
            {
                "billing_line_id": original.billing_line_id.id,
                "billing_date_from": original.billing_date_from,
                "billing_date_to": original.billing_date_to,
                "billing_kind": "credit",
            }
        )

    def _lower_to_what_is_left(self, original):
        """Credit only what earlier credits have left of a line (3.2)."""
        periods = original.billing_period_ids
        if not any(period.credit_ids and period.amount > 0 for period in periods):
            return
        left = sum(period._get_left() for period in periods)
        self.write({"quantity": 1.0, "discount": 0.0, "price_unit": max(left, 0.0)})


class CrmBillingPeriod(models.Model):
    _inherit = "crm.billing.period"

    def _get_left(self):
        """Return what no credit has taken back yet."""
        self.ensure_one()
        return self._get_billed() + sum(self.credit_ids.mapped("amount"))

    def _get_billed(self):
        """Return what was really billed: the line as it stands, else the amount."""
        self.ensure_one()
        line = self.move_line_id
        if line and len(line.billing_period_ids) == 1:
            return line._get_billed_amount()
        return self.amount

    def _prepare_credit(self):
        """Return a ledger row that takes this one back, as far as it still stands."""
        self.ensure_one()
        return {
            "line_id": self.line_id.id,
            "kind": "credit",
            "date_from": self.date_from,
            "date_to": self.date_to,
            "amount": -self._get_left(),
            "debit_id": self.id,
            "factor": self.factor,
            "note": self.env._("Reversal of the invoice"),
        }
