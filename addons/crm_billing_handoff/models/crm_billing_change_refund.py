import logging
from collections import defaultdict

import psycopg2

from odoo import api, fields, models
from odoo.exceptions import UserError

from .crm_billing_agreement_due import Document
from .crm_billing_agreement_invoice import Paper

_logger = logging.getLogger(__name__)


class CrmBillingChange(models.Model):
    """Money that goes back: only what came in, once, after it has settled (3.3)."""

    _inherit = "crm.billing.change"

    refund_state = fields.Selection(
        [("waiting", "Waits for a payment to settle"), ("done", "Paid back")],
        string="Refund",
        readonly=True,
        copy=False,
        index="btree_not_null",
    )
    refund_amount = fields.Monetary(string="Refunded", readonly=True, copy=False)
    payment_ids = fields.One2many(
        "account.payment", "billing_change_id", string="Refunds", readonly=True
    )

    # === BUSINESS METHODS === #

    def _refund(self, rows):
        """Credit each invoice on a posted note of its own and pay back what came in.

        What credits a charge that no invoice carries yet rides with that charge.
        """
        agreement = self.agreement_id
        agreement._check_origins_posted(rows)
        today, cache = agreement._get_today(), defaultdict(dict)
        on_paper = rows.filtered("debit_id.move_id")
        papers = []
        for origin, credits in on_paper.grouped(lambda r: r.debit_id.move_id).items():
            header = agreement._prepare_credit_note(origin, today, cache)
            header["is_billing_refund"] = True
            dues = [row._to_due() for row in credits]
            document = Document(agreement, today, dues)
            papers.append(Paper(header, [document], is_refund=True))
        notes = agreement._make_papers(papers)
        if rows - on_paper and not agreement._expects_any_invoice():
            settled = agreement._settle_now()
            rest = settled.filtered(lambda move: move.reversed_entry_id)
            rest.is_billing_refund = True
            notes |= rest
        notes.filtered(lambda note: note.state == "draft")._post(soft=False)
        self._pay_back()

    def _pay_back(self):
        """Pay the excess of the credit notes back, once; the rest stays as credit."""
        notes = self.period_ids.move_id.filtered("is_billing_refund")
        if notes.reversed_entry_id._has_payment_in_flight():
            self.refund_state = "waiting"
            return
        for note in notes:
            note._match_open_lines(note.reversed_entry_id)
            self._pay_back_note(note)
            # What was no money, or is paid back, takes part in matching again.
            note.is_billing_refund = False
        self.refund_state = "done"
        self.refund_amount = sum(self.payment_ids.mapped("amount"))

    def _pay_back_note(self, note):
        origin = note.reversed_entry_id
        key = f"{self.id}-{note.id}"
        if self.payment_ids.filtered(lambda payment: payment.billing_refund_key == key):
            return
        amount = min(note.amount_residual, origin._get_billing_refundable())
        if note.currency_id.compare_amounts(amount, 0) <= 0:
            return
        register = self.env["account.payment.register"].with_context(
            active_model="account.move", active_ids=note.ids
        )
        wizard = register.create(
            {
                "amount": amount,
                "payment_date": self.agreement_id._get_today(),
                **self._prepare_refund_journal(origin),
            }
        )
        # Core hands the payment back as the user, who does not write these.
        payment = wizard._create_payments().sudo()
        # The links are the flow's; core hands the payment back as the person's.
        payment.sudo().write(
            {
                "billing_change_id": self.id,
                "billing_refund_key": key,
                "billing_refund_move_id": origin.id,
            }
        )
        note.message_post(
            body=self.env._(
                "%(amount)s %(currency)s paid back: %(payment)s.",
                amount=amount,
                currency=note.currency_id.name,
                payment=payment.display_name,
            )
        )

    def _prepare_refund_journal(self, origin):
        """Return the journal on which the money came in, if it can pay, too."""
        journals = origin._get_billing_payments().journal_id.filtered(
            lambda journal: (
                journal.active
                and journal.type in ("bank", "cash")
                and journal.outbound_payment_method_line_ids
            )
        )
        return {"journal_id": journals[0].id} if journals else {}

    @api.model
    def _settle_waiting_refunds(self, now):
        """Pay back what waited, once the payment on its way has arrived or failed."""
        for change in self.search([("refund_state", "=", "waiting")]):
            agreement = change.agreement_id
            if not agreement.try_lock_for_update(allow_referencing=True):
                continue
            try:
                with self.env.cr.savepoint():
                    change._pay_back()
            except psycopg2.OperationalError:
                raise
            except Exception as error:
                # A person has to look at it; the other refunds go on.
                if not isinstance(error, UserError):
                    _logger.exception("Refund of change %s failed", change.id)
                agreement._ask_billing(
                    self.env._("A refund could not be paid"), str(error)
                )


class AccountMove(models.Model):
    _inherit = "account.move"

    def _get_billing_partials(self):
        """Return the matchings of an invoice with money, not with credit notes."""
        lines = self.line_ids.filtered(
            lambda line: line.account_type == "asset_receivable"
        )
        return lines.matched_credit_ids.filtered(
            lambda partial: (
                partial.credit_move_id.move_id.origin_payment_id
                or partial.credit_move_id.move_id.statement_line_id
            )
        )

    def _get_billing_payments(self):
        return self._get_billing_partials().credit_move_id.move_id.origin_payment_id

    def _get_billing_refundable(self):
        """Return the money that came in for the invoice and was not sent back yet.

        Also what an invoice before it brought, where that is credited on this one.

        :return: float in the currency of the invoice, never negative
        """
        if not self:
            return 0.0
        self.ensure_one()
        return self._get_refundable_money() + self._get_carried_money()

    def _get_carried_money(self):
        """Return the money of earlier invoices that is credited on this one.

        What is open on them is closed first.
        """
        carried = defaultdict(float)
        for line in self.invoice_line_ids.filtered(lambda line: line.price_total < 0):
            carried[line.billing_period_ids.debit_id.move_id - self] -= line.price_total
        return sum(
            min(
                amount,
                max(0.0, origin._get_billing_refundable() - origin.amount_residual),
            )
            for origin, amount in carried.items()
            if len(origin) == 1
        )

    def _get_refundable_money(self):
        came_in = sum(self._get_billing_partials().mapped("debit_amount_currency"))
        sent_back = self.env["account.payment"].search(
            [
                ("billing_refund_move_id", "=", self.id),
                ("state", "not in", ("canceled", "rejected")),
            ]
        )
        return max(0.0, came_in - sum(sent_back.mapped("amount")))

    def _has_payment_in_flight(self):
        """Return whether an online payment of the invoices is not settled yet."""
        return any(
            transaction.state in ("pending", "authorized")
            or (transaction.state == "done" and not transaction.is_post_processed)
            for transaction in self.transaction_ids
        )


class AccountPayment(models.Model):
    _inherit = "account.payment"

    billing_change_id = fields.Many2one(
        "crm.billing.change",
        string="Refund of Cancellation",
        readonly=True,
        copy=False,
        index="btree_not_null",
        ondelete="restrict",
    )
    billing_refund_key = fields.Char(readonly=True, copy=False)
    billing_refund_move_id = fields.Many2one(
        "account.move",
        string="Refunded Invoice",
        readonly=True,
        copy=False,
        index="btree_not_null",
    )

    _billing_refund_uniq = models.UniqueIndex(
        "(billing_refund_key) WHERE billing_refund_key IS NOT NULL",
        "This credit was paid back already.",
    )
