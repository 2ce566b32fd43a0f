"""Who may charge an invoice now, how much of it, and by which saved method."""

from datetime import timedelta
from decimal import Decimal

from odoo import api, fields, models
from odoo.exceptions import ValidationError
from odoo.tools import SQL

from .crm_dunning_attempt import LIVE_STATES

COLLECTORS = [
    ("retry", "Our charges"),
    ("provider", "The provider, a debit is under way"),
    ("portal", "The customer, on the pay page"),
    ("person", "A person"),
]
PORTAL_MINUTES = (
    20  # that a customer on the pay page has before anybody else may charge
)
AUTOMATIC = ("due", "retry")  # what charges without a person


class Busy(frozenset):
    """Ids of busy invoices, read for a batch; no caller from outside can make one."""


class AccountMove(models.Model):
    """One collector at a time (idea 8): a lease that cannot be held twice.

    It lies in the row of the invoice. Whoever takes it writes that row, so that of two
    transactions at once the database lets one pass, whatever each has seen before.
    """

    _inherit = "account.move"

    dunning_collector = fields.Selection(
        COLLECTORS,
        string="May Charge Now",
        readonly=True,
        copy=False,
        help="Who took the right to charge this invoice; it expires.",
    )
    dunning_collector_until = fields.Datetime(
        string="May Charge Until", readonly=True, copy=False
    )

    # === CRUD METHODS === #

    @api.model
    def _get_machine_fields(self):
        return (
            *super()._get_machine_fields(),
            "dunning_collector",
            "dunning_collector_until",
        )

    # === BUSINESS METHODS - LEASE === #

    def _write_lease(self, who, until):
        """Write the lease into the rows, waiting for whoever has them.

        :raise psycopg2.errors.SerializationFailure: somebody took it since the
            transaction began; it is repeated or left
        """
        if not self:
            return
        self.flush_recordset()
        self.env.cr.execute(
            SQL(
                "UPDATE account_move SET dunning_collector = %s,"
                " dunning_collector_until = %s WHERE id = ANY(%s)",
                who or None,
                until or None,
                sorted(self.ids),
            )
        )
        self.invalidate_recordset(["dunning_collector", "dunning_collector_until"])

    def _claim_for_payment(self, transaction, now):
        """Let a payment begin that is not ours: pay page, payment form, wizard.

        :param transaction: the new transaction
        :raise ValidationError: a charge is under way, or may have taken the money
        """
        who = "person" if transaction.operation == "offline" else "portal"
        moves = self.filtered(lambda move: move.move_type == "out_invoice")
        moves._write_lease(who, now + timedelta(minutes=PORTAL_MINUTES))
        if busy := moves._get_busy(transaction):
            raise ValidationError(
                self.env._(
                    "A payment of %(invoices)s is under way. Wait until its outcome is "
                    "known, usually a few minutes, so that nothing is paid twice.",
                    invoices=", ".join(busy.sorted("id").mapped("display_name")),
                )
            )
        moves.filtered(lambda move: move.state == "posted")._check_owed(transaction)

    def _check_owed(self, transaction):
        """Refuse a payment above what is open of these invoices now.

        The page or wizard may be older than the payment that another has made since.

        :raise ValidationError: less is open, or nothing
        """
        if not self or transaction.currency_id != self.currency_id:
            return
        self.invalidate_recordset(["amount_residual"])
        owed = sum(self.mapped("amount_residual"))
        if transaction.currency_id.compare_amounts(transaction.amount, owed) > 0:
            raise ValidationError(
                self.env._(
                    "Only %(amount)s of %(invoices)s is open. Look again: it may have "
                    "been paid in this moment.",
                    amount=transaction.currency_id.format(owed),
                    invoices=", ".join(self.sorted("id").mapped("display_name")),
                )
            )

    def _get_busy(self, transaction=None):
        """Return the invoices of which a payment may have taken money already.

        :param transaction: the one that asks
        """
        if not self:
            return self
        self.env["payment.transaction"].flush_model()
        self.env["crm.dunning.attempt"].flush_model()
        rows = self.env.execute_query(
            SQL(
                """
                SELECT move_id FROM crm_dunning_attempt
                 WHERE move_id = ANY(%(ids)s) AND kind = 'charge'
                   AND state = ANY(%(live)s)
             UNION
                SELECT link.invoice_id
                  FROM account_invoice_transaction_rel link
                  JOIN payment_transaction tx ON tx.id = link.transaction_id
                  JOIN payment_provider provider ON provider.id = tx.provider_id
                 WHERE link.invoice_id = ANY(%(ids)s) AND tx.id != %(own)s
                   AND tx.operation NOT IN ('refund', 'validation')
                   AND (tx.state IN ('pending', 'authorized')
                        AND provider.code NOT IN ('none', 'custom')
                        OR tx.state = 'done' AND tx.is_post_processed IS NOT TRUE
                        OR tx.outcome_unknown AND tx.token_id IS NOT NULL)
                """,
                ids=self.ids,
                live=list(LIVE_STATES),
                own=transaction.id if transaction else 0,
            )
        )
        return self.browse(move_id for [move_id] in rows)

    def _filtered_on_pay_page(self, now):
        """Return the invoices that a customer may be paying elsewhere at ``now``.

        At a provider that nobody can ask what has become of it; Stripe is asked.
        """
        limit = now - timedelta(minutes=PORTAL_MINUTES)
        begun = self.sudo().transaction_ids.filtered(
            lambda one: (
                one.state == "draft"
                and one.operation in ("online_direct", "online_redirect")
                and one.provider_code not in ("stripe", "custom")
                and one.create_date > limit
            )
        )
        return begun.invoice_ids & self.sudo()

    def _get_collector(self, now):
        """Return ``(who may charge now, until when)``, both empty if everybody may.

        :param now: instant, naive UTC
        """
        self.ensure_one()
        live = self.sudo().dunning_attempt_ids.filtered(
            lambda attempt: attempt.kind == "charge" and attempt.state in LIVE_STATES
        )[:1]
        if live:
            return ("provider" if live.state == "processing" else "retry"), False
        until = self.dunning_collector_until
        if until and until > now:
            return self.dunning_collector, until
        return False, False

    # === BUSINESS METHODS - PAY PAGE === #

    def _has_to_be_paid(self):
        """Override of `account_payment` to offer no payment while one is under way."""
        if not super()._has_to_be_paid():
            return False
        known = self.env.context.get("dunning_busy")
        busy = known if isinstance(known, Busy) else self.sudo()._get_busy().ids
        return self.id not in busy

    def _get_online_payment_error(self):
        """Override of `account_payment` to say that a charge is under way."""
        error = super()._get_online_payment_error()
        if not self.sudo()._get_busy():
            return error
        text = self.env._(
            "A payment of this invoice is under way. Look again in a few minutes."
        )
        return f"{error}\n{text}".strip()

    # === BUSINESS METHODS - HOW MUCH === #

    def _get_charge_amounts(self, source, now, policies=None):
        """Return what of each invoice may be charged at ``now``.

        Instalments that are due on the payer's local date; under a policy that charges
        at posting, also an invoice that is due in one sum. Never a retention that is
        not released, nor, without a person, what is excluded from follow-ups. Less the
        discount of who pays early.

        :param source: as in the attempt
        :param policies: ``{move: policy}``, if it is known
        :return: ``{move: Decimal}`` in the currency of the invoice
        """
        found = dict.fromkeys(self, Decimal(0))
        rows = self.env["account.move.line"]._get_open_instalments(move_ids=self.ids)
        policies = policies or self._get_charge_policies()
        for move in self:
            payer = move.commercial_partner_id
            today = payer._get_dunning_today(move.company_id, now)
            open_rows = [row for row in rows.get(move.id, ()) if not row.is_retention]
            at_once = policies[move].charge_mode == "posting" and len(open_rows) == 1
            found[move] = sum(
                (
                    row.residual
                    for row in open_rows
                    if (row.due <= today or at_once)
                    and not (source in AUTOMATIC and row.no_followup)
                ),
                Decimal(0),
            )
            if found[move] and len(open_rows) == 1:
                found[move] = move._get_discounted(found[move])
        return found

    def _get_discounted(self, amount):
        """Return what is to be paid now by terms with an early-payment discount.

        As on the pay page; core books the rest as discount.
        """
        self.ensure_one()
        if not self.invoice_payment_term_id.early_discount:
            return amount
        values = self._get_invoice_next_payment_values()
        if values.get("installment_state") != "epd":
            return amount
        return min(amount, Decimal(str(values["amount_due"])))

    def _is_charged_before(self, amount):
        """Return whether ``amount`` on top of what came online exceeds the invoice.

        Then money was given back, or its payment was taken off the invoice: whether
        that is owed again, a person decides.

        :param amount: Decimal, in the currency of the invoice
        """
        self.ensure_one()
        came = sum(
            Decimal(str(one.amount))
            for one in self.sudo().transaction_ids
            if one.state == "done"
            and one.amount > 0
            and one.invoice_ids == self.sudo()
            and one.currency_id == self.currency_id
        )
        total = float(came + amount)
        return self.currency_id.compare_amounts(total, self.amount_total) > 0

    def _get_charge_policies(self):
        """Return the policy that each invoice follows: its case's, else the account's.

        :return: ``{move: policy}``
        """
        cases = self.sudo().dunning_case_ids.filtered(
            lambda case: case.state != "closed" and case.policy_id
        )
        found = {case.move_id: case.policy_id for case in cases}
        for company, moves in (
            (self - self.browse(m.id for m in found)).grouped("company_id").items()
        ):
            payers = moves.commercial_partner_id
            policies = payers._get_dunning_policies(company)
            for move in moves:
                found[move] = policies[move.commercial_partner_id.id]
        return {move: found[move].sudo() for move in self}
