"""Stripe's test payment methods, each with the way in which charging it ends."""

import hashlib

from .outcomes import AUTHENTICATE, Outcome, bank_failure, decline

OK = Outcome()
ASK = Outcome(
    AUTHENTICATE, code="authentication_required", decline_code="authentication_required"
)
RADAR = decline("fraudulent", blocked=True, reason="highest_risk_level", advice_code="")

# name: (card number, outcome)
CARDS = {
    "pm_card_visa": ("4242424242424242", OK),
    "pm_card_visa_debit": ("4000056655665556", OK),
    "pm_card_mastercard": ("5555555555554444", OK),
    "pm_card_amex": ("378282246310005", OK),
    "pm_card_visa_chargeDeclined": ("4000000000000002", decline()),
    "pm_card_chargeDeclined": ("4000000000000002", decline()),
    "pm_card_visa_chargeDeclinedInsufficientFunds": (
        "4000000000009995",
        decline("insufficient_funds"),
    ),
    "pm_card_visa_chargeDeclinedLostCard": ("4000000000009987", decline("lost_card")),
    "pm_card_visa_chargeDeclinedStolenCard": (
        "4000000000009979",
        decline("stolen_card"),
    ),
    "pm_card_visa_chargeDeclinedVelocityLimitExceeded": (
        "4000000000006975",
        decline("card_velocity_exceeded"),
    ),
    "pm_card_visa_chargeDeclinedFraudulent": (
        "4100000000000019",
        decline("fraudulent"),
    ),
    "pm_card_radarBlock": ("4100000000000019", RADAR),
    "pm_card_chargeDeclinedExpiredCard": ("4000000000000069", decline("expired_card")),
    "pm_card_chargeDeclinedIncorrectCvc": (
        "4000000000000127",
        decline("incorrect_cvc"),
    ),
    "pm_card_chargeDeclinedProcessingError": (
        "4000000000000119",
        decline("processing_error"),
    ),
    "pm_card_chargeCustomerFail": ("4000000000000341", decline()),
    "pm_card_authenticationRequired": ("4000002760003184", ASK),
    "pm_card_createDispute": ("4000000000000259", Outcome(dispute="fraudulent")),
    "pm_card_createDisputeProductNotReceived": (
        "4000000000002685",
        Outcome(dispute="product_not_received"),
    ),
}

# name: (IBAN, outcome of the settlement)
DEBITS = {
    "pm_success_de": ("DE89370400440532013000", OK),
    "pm_failed_de": (
        "DE62370400440532013001",
        bank_failure("generic_could_not_process"),
    ),
    "pm_insufficientFunds_de": (
        "DE65370400440000343434",
        bank_failure("insufficient_funds"),
    ),
    "pm_debitNotAuthorized_de": (
        "DE68370400440000434343",
        bank_failure("debit_not_authorized"),
    ),
    "pm_disputed_de": (
        "DE35370400440532013002",
        Outcome(dispute="debit_not_authorized"),
    ),
}
BRANDS = {"4": "visa", "5": "mastercard", "3": "amex", "6": "discover"}


def find(name):
    """Return ``(type, number, outcome)`` of a test payment method, or None."""
    if name in CARDS:
        return "card", *CARDS[name]
    if name in DEBITS:
        return "sepa_debit", *DEBITS[name]
    return None


def outcome_of(number):
    """Return how charging a card number or an IBAN ends: well, if it is no test one."""
    known = [*CARDS.values(), *DEBITS.values()]
    return next((outcome for other, outcome in known if other == number), OK)


def is_card_number(number):
    """Return whether the check digit of a card number fits (Luhn)."""
    if not (number.isdigit() and 12 <= len(number) <= 19):
        return False
    doubled = [int(digit) * 2 for digit in number[-2::-2]]
    plain = [int(digit) for digit in number[-1::-2]]
    return (sum(plain) + sum(n // 10 + n % 10 for n in doubled)) % 10 == 0


def fingerprint(number):
    """Return what is equal for equal cards of one account, whoever holds them."""
    return hashlib.sha256(f"local stripe {number}".encode()).hexdigest()[:16]


def card(number, exp_month=12, exp_year=2034):
    """Return the ``card`` part of a payment method; the number is not in it."""
    brand = BRANDS.get(number[0], "unknown")
    return {
        "brand": brand,
        "checks": {
            "address_line1_check": None,
            "address_postal_code_check": None,
            "cvc_check": None,
        },
        "country": "US",
        "display_brand": brand,
        "exp_month": int(exp_month),
        "exp_year": int(exp_year),
        "fingerprint": fingerprint(number),
        "funding": "debit" if number == "4000056655665556" else "credit",
        "generated_from": None,
        "last4": number[-4:],
        "networks": {"available": [brand], "preferred": None},
        "regulated_status": "unregulated",
        "three_d_secure_usage": {"supported": True},
        "wallet": None,
    }


def debit(iban):
    """Return the ``sepa_debit`` part of a payment method."""
    return {
        "bank_code": iban[4:12],
        "branch_code": "",
        "country": iban[:2],
        "fingerprint": fingerprint(iban),
        "generated_from": {"charge": None, "setup_attempt": None},
        "last4": iban[-4:],
    }
