"""What a bank says: declines with their codes, and what Stripe tells about them."""

from dataclasses import asdict, dataclass

MESSAGES = {
    "insufficient_funds": "Your card has insufficient funds.",
    "expired_card": "Your card has expired.",
    "incorrect_cvc": "Your card's security code is incorrect.",
    "incorrect_number": "Your card number is incorrect.",
    "processing_error": "An error occurred while processing your card. "
    "Try again in a little bit.",
    "authentication_required": "Your card was declined. This transaction requires "
    "authentication.",
}
OWN_CODE = (  # declines whose `code` is the decline code, not `card_declined`
    "expired_card",
    "incorrect_cvc",
    "incorrect_number",
    "processing_error",
    "authentication_required",
)
ADVICE = {  # what Stripe advises unless a test says otherwise
    "generic_decline": "try_again_later",
    "insufficient_funds": "try_again_later",
    "processing_error": "try_again_later",
    "lost_card": "do_not_try_again",
    "stolen_card": "do_not_try_again",
    "expired_card": "confirm_card_data",
    "incorrect_cvc": "confirm_card_data",
}
SUCCESS, DECLINE, AUTHENTICATE = "succeed", "decline", "authenticate"


@dataclass(frozen=True)
class Outcome:
    """How charging a payment method ends.

    ``kind`` succeed, decline or authenticate (declined off-session, asks the customer
    on-session). Of a SEPA debit a decline arrives when the debit settles.
    """

    kind: str = SUCCESS
    code: str = ""
    decline_code: str = ""
    advice_code: str = ""
    network_decline_code: str = ""
    network_advice_code: str = ""
    blocked: bool = False  # by Stripe itself: the bank was never asked
    reason: str = ""  # of a block: highest_risk_level, rule, …
    dispute: str = ""  # reason of the dispute that follows a success

    def to_json(self):
        return asdict(self)

    @property
    def message(self):
        return MESSAGES.get(self.decline_code or self.code, "Your card was declined.")


def decline(decline_code="generic_decline", **more):
    """Return the decline with that code and Stripe's usual advice."""
    own = decline_code in OWN_CODE
    return Outcome(
        DECLINE,
        **{
            "code": decline_code if own else "card_declined",
            "decline_code": decline_code,
            "advice_code": ADVICE.get(decline_code, ""),
            **more,
        },
    )


def bank_failure(code):
    """Return how a SEPA debit comes back: no decline code, no advice."""
    return Outcome(DECLINE, code=code)


def describe(outcome):
    """Return ``outcome`` of a charge of a card."""
    said = {
        "advice_code": outcome.advice_code or None,
        "network_advice_code": outcome.network_advice_code or None,
        "network_decline_code": outcome.network_decline_code or None,
        "risk_level": "normal",
        "risk_score": 20,
    }
    if outcome.kind == SUCCESS:
        return {
            **said,
            "network_status": "approved_by_network",
            "reason": None,
            "seller_message": "Payment complete.",
            "type": "authorized",
        }
    if outcome.blocked:
        return {
            **said,
            "network_status": "not_sent_to_network",
            "reason": outcome.reason,
            "risk_level": "highest",
            "risk_score": 90,
            "seller_message": "Stripe blocked this payment as too risky.",
            "type": "blocked",
        }
    return {
        **said,
        "network_status": "declined_by_network",
        "reason": outcome.decline_code or outcome.code,
        "seller_message": "The bank did not return any further details with this "
        "decline.",
        "type": "issuer_declined",
    }


def error_fields(outcome):
    """Return what an error and ``last_payment_error`` say about the decline."""
    fields = {
        "code": outcome.code,
        "decline_code": outcome.decline_code,
        "advice_code": outcome.advice_code,
        "network_advice_code": outcome.network_advice_code,
        "network_decline_code": outcome.network_decline_code,
    }
    return {name: value for name, value in fields.items() if value}
