"""What a test can make banks, payers and Stripe's people do."""

from dataclasses import replace

from . import (
    balance,
    cards,
    charging,
    customers,
    disputes,
    mandates,
    outcomes,
    refunds,
    setup_intents,
)
from .confirming import check_open, keep_for_later
from .errors import ApiError
from .intent_values import take_method
from .outcomes import Outcome


class MoneyControl:
    """Payment methods and their future, debits, disputes, refunds, payouts."""

    store = None

    # === PAYMENT METHODS === #

    def saved_method(self, method="pm_card_visa", number=None, **person):
        """Make a customer with a saved method, mandate included.

        :param method: a test payment method, which says how charging ends
        :param number: another card number or IBAN: equal ones share a fingerprint
        :param person: name, email, … of the customer
        :return: ids ``{"customer", "payment_method", "mandate"}``
        """
        kind, usual, outcome = cards.find(method)
        customer = customers.create_customer(self.store, person)
        saved = customers.add_method(self.store, kind, number or usual, outcome)
        customers.attach(self.store, saved, customer["id"])
        mandate = None
        if kind == "sepa_debit":
            mandate = mandates.make(self.store, saved)["id"]
        return {
            "customer": customer["id"],
            "payment_method": saved["id"],
            "mandate": mandate,
        }

    def adopt(self, customer, payment_method, **person):
        """Make a customer and a saved method with ids that somebody has noted already.

        The id says how charging ends: ``<test method>.<anything>`` for ever, or
        ``<test method>.<n>x.<anything>`` n times and then well.

        :return: whether they were missing
        """
        if payment_method in self.store.objects["payment_method"]:
            return False
        name, *rest = payment_method.split(".")
        kind, number, outcome = cards.find(name) or cards.find("pm_card_visa")
        if customer not in self.store.objects["customer"]:
            customers.create_customer(self.store, {"id": customer, **person})
        saved = customers.add_method(
            self.store, kind, number, outcome, id=payment_method
        )
        customers.attach(self.store, saved, customer)
        if kind == "sepa_debit":
            mandates.make(self.store, saved)
        if rest and rest[0].removesuffix("x").isdigit():
            self.succeed_with(payment_method)
            self._plan(payment_method, outcome, int(rest[0].removesuffix("x")))
        return True

    def decline_with(self, method, decline_code="generic_decline", times=1, **more):
        """The next ``times`` charges are declined (0: all from now on).

        :param decline_code: of a SEPA debit the failure code of its settlement
        :param more: code, advice_code, network_decline_code, network_advice_code,
            blocked and reason (by Stripe itself)
        """
        outcome = outcomes.decline(decline_code, **more)
        if self.store.get("payment_method", method)["type"] == "sepa_debit":
            outcome = outcomes.bank_failure(decline_code)
        return self._plan(method, outcome, times)

    def succeed_with(self, method, times=0):
        """Charges succeed from now on (or the next ``times``)."""
        return self._plan(method, Outcome(), times)

    def ask_with(self, method, times=0):
        """Charges need the customer's confirmation (3-D Secure) from now on."""
        return self._plan(method, cards.ASK, times)

    def _plan(self, method, outcome, times):
        behaviour = self.store.hidden["behaviours"][method]
        if times:
            behaviour["next"].append({"outcome": outcome.to_json(), "times": times})
        else:
            behaviour.update(always=outcome.to_json(), next=[])
        return behaviour

    def update_card(self, method, exp_month=12, exp_year=2040, number=None):
        """The network renews a card: same id, new expiry, and charges succeed."""
        saved = self.store.get("payment_method", method)
        changes = {"exp_month": exp_month, "exp_year": exp_year}
        if number:
            changes = cards.card(number, exp_month, exp_year)
        self.succeed_with(method)
        return self.store.change(
            saved,
            "payment_method.automatically_updated",
            card={**saved["card"], **changes},
        )

    def expire_card(self, method, exp_month, exp_year):
        """Give a card another expiry without telling anybody."""
        card = self.store.get("payment_method", method)["card"]
        card.update(exp_month=exp_month, exp_year=exp_year)

    def set_mandate(self, mandate, status="inactive"):
        found = self.store.get("mandate", mandate)
        mandates.set_status(self.store, found, status)
        return found

    # === THE PAYER AT THE SCREEN === #

    def pay(self, intent, method="pm_card_visa"):
        """The payer enters a method on the page, as with Stripe.js.

        :return: the PaymentIntent or SetupIntent, whatever became of it
        """
        found = self.store.locate(intent)
        if found["object"] == "setup_intent":
            setup_intents.confirm(self.store, {"payment_method": method}, intent)
            return found
        check_open(found)
        take_method(self.store, found, method)
        saved = self.store.get("payment_method", found["payment_method"])
        mandate = None
        if saved["type"] == "sepa_debit":
            mandate = mandates.make(self.store, saved)
        try:
            charging.run(self.store, found, saved, mandate=mandate)
        except ApiError:
            return found
        keep_for_later(self.store, found, saved)
        return found

    def authenticate(self, intent, success=True):
        """The payer passes 3-D Secure, or gives up."""
        found = self.store.locate(intent)
        if found["status"] != "requires_action":
            raise ValueError(f"{intent} is {found['status']}")
        method = self.store.get("payment_method", found["payment_method"])
        if found["object"] == "setup_intent":
            setup_intents.finish(self.store, found, method)
        elif success:
            charging.succeed(self.store, found, method, Outcome())
            keep_for_later(self.store, found, method)
        else:
            refusal = replace(
                cards.ASK, code="payment_intent_authentication_failure", decline_code=""
            )
            charging.fail(self.store, found, method, refusal)
        return found

    # === THE BANK, LATER === #

    def settle(self, identifier, failure_code=None):
        """A SEPA debit settles now.

        :param identifier: of the charge or of its PaymentIntent
        :param failure_code: ``insufficient_funds``, …; "" for success; None as planned
        """
        charge = self._charge(identifier)
        charging.settle(self.store, charge["id"], failure_code)
        return charge

    def settle_due(self):
        """Settle the debits whose day has come."""
        with self.store.lock:
            before = len(self.store.hidden["settle_at"])
            charging.settle_due(self.store)
            changed = len(self.store.hidden["settle_at"]) != before
        if changed:
            self.service.save()

    def open_dispute(self, identifier, reason="fraudulent", amount=None):
        """The payer's bank takes a charge back (``amount`` in minor units)."""
        return disputes.open_dispute(
            self.store, self._charge(identifier), reason, amount
        )

    def close_dispute(self, dispute, status="lost"):
        found = self.store.get("dispute", dispute)
        disputes.close_dispute(self.store, found, status)
        return found

    def warn_of_fraud(self, identifier):
        return disputes.warn_of_fraud(self.store, self._charge(identifier))

    # === STRIPE'S DASHBOARD === #

    def refund(self, identifier, amount=None):
        """Somebody refunds in Stripe's own pages (``amount`` in minor units)."""
        params = {"charge": self._charge(identifier)["id"]}
        if amount:
            params["amount"] = amount
        return refunds.create(self.store, params)

    def fail_refund(self, refund, reason="expired_or_canceled_card"):
        found = self.store.get("refund", refund)
        refunds.fail(self.store, found, reason)
        return found

    def pay_out(self, currency="eur", paid=True):
        """Pay to the bank what no payout has taken yet; None when there is nothing."""
        return balance.pay_out(self.store, currency, paid)

    def _charge(self, identifier):
        """Return a charge by its id or by the id of its PaymentIntent."""
        if identifier.startswith("pi_"):
            intent = self.store.get("payment_intent", identifier)
            identifier = intent["latest_charge"]
        return self.store.get("charge", identifier)
