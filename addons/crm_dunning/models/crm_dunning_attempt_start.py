"""Before anything is sent: may this be charged, and the row that says so for ever."""

import uuid
from datetime import timedelta

from odoo import api, fields, models
from odoo.exceptions import UserError
from odoo.fields import Command

from odoo.addons.payment import utils as payment_utils
from odoo.addons.payment_stripe import const

from ..dunning_rules import caps
from .account_move_charge import AUTOMATIC

# Under the context key ``dunning_flow`` of what our own attempts do to transactions. A
# call from outside can name the key, but cannot carry this very object.
OURS = object()
LEASE_HOURS = 1


class CrmDunningAttempt(models.Model):
    """Phase A: in one transaction look once more, then write what will be sent."""

    _inherit = "crm.dunning.attempt"

    # === BUSINESS METHODS - START === #

    @api.model
    def _start(self, moves, source, now=None):
        """Write an attempt for each of these invoices that may be charged now.

        Nothing is sent yet: the caller commits first. What somebody else has locked, or
        something is in the way of, is passed over.

        :param moves: customer invoices
        :param source: ``due``, ``retry`` or ``person``
        :param now: instant, naive UTC, the clock by default
        :return: the attempts, state ``sending``
        :raise psycopg2.OperationalError: another transaction was faster
        """
        now = now or fields.Datetime.now()
        # Attempts and transactions are the flow's, whoever starts it.
        attempts, moves = self.sudo(), moves.sudo()
        moves = moves.try_lock_for_update(allow_referencing=True)
        who = "person" if source == "person" else "retry"
        moves._write_lease(who, now + timedelta(hours=LEASE_HOURS))
        obstacles = attempts._get_obstacles(moves, source, now)
        free = moves.filtered(lambda move: move not in obstacles)
        (moves - free)._write_lease(None, None)
        amounts = free._get_charge_amounts(source, now)
        return attempts.concat(
            *(attempts._write_ahead(move, amounts[move], source, now) for move in free)
        )

    def _write_ahead(self, move, amount, source, now):
        """Create transaction and attempt of one invoice, request included."""
        token = move._get_dunning_token()
        key = str(uuid.uuid4())
        transaction = self._create_transaction(move, token, float(amount))
        transaction._log_sent_message()
        case = move.dunning_case_ids.filtered(lambda case: case.state != "closed")[:1]
        return self.create(
            {
                "key": key,
                "kind": "charge",
                "source": source,
                "move_id": move.id,
                "case_id": case.id,
                "transaction_id": transaction.id,
                "provider_id": token.provider_id.id,
                "token_id": token.id,
                "currency_id": move.currency_id.id,
                "amount": float(amount),
                "payload": self._prepare_payload(transaction, key),
                "card_brand": token.card_brand,
                "card_fingerprint": token.card_fingerprint,
                "checked_at": now,
            }
        )

    def _create_transaction(self, move, token, amount):
        invoices = [Command.set(move.ids)]
        transactions = self.env["payment.transaction"].with_context(dunning_flow=OURS)
        # Not one of core's own numbers: a payment of core that was rolled back gets the
        # same number again, and with it the same key at the provider.
        reference = transactions._compute_reference(
            token.provider_id.code, prefix=f"{move.name}-C"
        )
        return transactions.create(
            {
                "provider_id": token.provider_id.id,
                "payment_method_id": token.payment_method_id.id,
                "reference": reference,
                "amount": amount,
                "currency_id": move.currency_id.id,
                "partner_id": move.partner_id.id,
                "token_id": token.id,
                "operation": "offline",
                "invoice_ids": invoices,
            }
        )

    def _prepare_payload(self, transaction, key):
        """Return the requests of the charge, the same in each repetition.

        The description is what core's webhook finds the transaction by.
        """
        if transaction.provider_code != "stripe":
            return {}
        token = transaction.token_id
        method = token.payment_method_id.primary_payment_method_id
        code = (method or token.payment_method_id).code
        create = {
            "amount": _to_minor_units(transaction.amount, transaction.currency_id),
            "currency": transaction.currency_id.name.lower(),
            "customer": token.provider_ref,
            "payment_method": token.stripe_payment_method,
            "allowed_payment_method_types": [
                const.PAYMENT_METHODS_MAPPING.get(code, code)
            ],
            "capture_method": "automatic",
            "description": transaction.reference,
            "metadata": {"attempt": key, "reference": transaction.reference},
        }
        confirm = {"off_session": True}
        if token.stripe_mandate:
            confirm["mandate"] = token.stripe_mandate
        return {"create": create, "confirm": confirm}

    # === BUSINESS METHODS - WHAT IS IN THE WAY === #

    @api.model
    def _get_obstacles(self, moves, source, now):
        """Return why these invoices cannot be charged at ``now``, in words.

        :return: ``{move: text}`` of those that cannot
        """
        moves = moves.sudo()
        found = self._get_blocks(moves, source, now)
        free = moves.filtered(lambda move: move not in found)
        amounts = free._get_charge_amounts(source, now)
        policies = free._get_charge_policies()
        for move in free:
            text = self._get_policy_obstacle(move, policies[move], source, now)
            if not text and not amounts[move] > 0:
                text = self.env._("nothing of it is due yet")
            if (
                not text
                and source in AUTOMATIC
                and move._is_charged_before(amounts[move])
            ):
                text = self.env._("it was paid before, and that is undone")
            text = text or self._get_method_obstacle(move, policies[move], now)
            if text:
                found[move] = text
        return found

    def _get_blocks(self, moves, source, now):
        """Return what the pre-flight and other payments say, in words."""
        purpose = "charge" if source in AUTOMATIC else "person"
        labels = moves._get_dunning_block_labels()
        found = {
            move: labels[reason]
            for move, reason in moves._get_dunning_blocks(now, purpose).items()
        }
        for move in moves._get_busy():
            found.setdefault(move, labels["in_flight"])
        for move in moves._filtered_on_pay_page(now):
            found.setdefault(move, self.env._("the customer is on the pay page"))
        # The lease is already ours; a customer on the pay page has an open transaction.
        for transaction in moves._get_unproven_transactions():
            for move in transaction.invoice_ids & moves:
                found.setdefault(
                    move,
                    self.env._("the outcome of an earlier payment is not known yet"),
                )
        return found

    def _get_policy_obstacle(self, move, policy, source, now):
        if policy.state != "armed":
            return self.env._("its policy is not armed")
        if source not in AUTOMATIC:
            return None
        if policy.charge_mode == "none":
            return self.env._("its policy charges nothing by itself")
        payer = move.commercial_partner_id
        window = policy._get_window(payer._get_dunning_tz(move.company_id))
        if not window.is_open(now):
            return self.env._("it is outside the hours of the policy")
        return None

    def _get_method_obstacle(self, move, policy, now):
        token = move._get_dunning_token()
        if not token:
            return self.env._("the account has no saved method that can be charged")
        try:
            token.provider_id._check_can_charge()
        except UserError as error:
            return str(error)
        if self._is_refused_for_good(move, token):
            return self.env._(
                "the bank has declined this method for good: the customer has to save "
                "another one, or to pay with the pay link"
            )
        verdict = self._get_cap_verdict(move, token, policy, now)
        if not verdict.allowed:
            return self.env._(
                "the limit of charges is reached (%(limit)s)", limit=verdict.reason
            )
        return None

    def _get_cap_verdict(self, move, token, policy, now):
        """Return whether the limits of card and invoice allow a charge at ``now``."""
        return caps.allowed_at(
            self._get_cap_attempts(move, token, now),
            now,
            card=token._get_card_key(),
            invoice=move.id,
            brand=token.card_brand,
            limits=policy._to_retry_policy().limits,
        )

    def _is_refused_for_good(self, move, token):
        """Return whether the last decline forbids the same card for this invoice."""
        last = self.search(
            [
                ("move_id", "=", move.id),
                ("kind", "=", "charge"),
                ("state", "=", "declined"),
                ("token_id", "in", token._get_same_card().ids),
            ],
            order="settled_at desc, id desc",
            limit=1,
        )
        if not last or last._classify().may_retry:
            return False
        renewed = token.card_changed_at
        return not (renewed and renewed > last.settled_at)


def _to_minor_units(amount, currency):
    return payment_utils.to_minor_currency_units(
        amount,
        currency,
        arbitrary_decimal_number=const.CURRENCY_DECIMALS.get(currency.name),
    )
