"""What a declined charge allows: which code is which class, and what a class permits.

The table follows the issuer codes as Stripe names them and the rules of the card
networks on repeated charges. A manager may be stricter than it, never looser.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta

HOUR, DAY = timedelta(hours=1), timedelta(days=1)


@dataclass(frozen=True)
class Decline:
    """What the provider said of one failed charge; None or "" where it said nothing.

    :param code: general error code
    :param decline_code: reason of the issuer
    :param advice_code: ``do_not_try_again``, ``try_again_later``, ``confirm_card_data``
    :param network_advice_code: merchant advice code of the network, two digits
    :param network_decline_code: response code of the network
    :param outcome_reason: why the provider itself judged so
    :param brand: of the card, such as ``visa``
    :param method_type: ``card``, ``sepa_debit`` …
    """

    code: str | None = None
    decline_code: str | None = None
    advice_code: str | None = None
    network_advice_code: str | None = None
    network_decline_code: str | None = None
    outcome_reason: str | None = None
    brand: str | None = None
    method_type: str = "card"


@dataclass(frozen=True)
class DeclineClass:
    """What may follow a decline.

    :param is_hard: the method as it is will not pay
    :param max_tries: further charges of the same method, at most; 0 means never
    :param delays: when each comes at the earliest, counted from the first failure; used
        where a policy times tries by class
    :param pay_days: after the delays, tries wait for the 1st, the 15th or a Friday
    :param first_delay_bank_days: bank days before the method may be presented again
    :param mail: ``none``, ``neutral``, ``declined``, ``confirm``, ``new_method``,
        ``revoked``; which text tells the customer, never why the bank declined
    :param person: ``at_once``, ``after_cap``, ``after_two_mails``, ``if_no_reply``,
        ``if_not_found``: when a person takes over where a policy goes by class
    :param blocks_token: the saved method is never charged again
    :param not_before: earliest next try after this failure, by the network's advice
    :param is_restricted: a manager lowered ``max_tries``; it holds under every timing
    :param is_unknown: nobody knows the code; two tries at most, whatever the policy
    """

    name: str
    is_hard: bool
    max_tries: int
    delays: tuple[timedelta, ...] = ()
    pay_days: bool = False
    first_delay_bank_days: int = 0
    mail: str = "none"
    person: str = "after_cap"
    blocks_token: bool = False
    not_before: timedelta = timedelta(0)
    is_restricted: bool = False
    is_unknown: bool = False

    @property
    def may_retry(self) -> bool:
        return self.max_tries > 0

    @property
    def stops_card(self) -> bool:
        """Whether no other invoice may be charged to the same card either.

        A card that only needs its number or date corrected is free again when the saved
        method has been replaced.
        """
        return self.blocks_token or self.name == "new_method"


CLASSES: Mapping[str, DeclineClass] = {
    found.name: found
    for found in (
        DeclineClass(
            "wait_funds",
            is_hard=False,
            max_tries=4,
            delays=(3 * DAY,),
            pay_days=True,
            mail="neutral",
        ),
        DeclineClass(
            "try_later",
            is_hard=False,
            max_tries=3,
            delays=(2 * HOUR, 24 * HOUR, 3 * DAY),
        ),
        DeclineClass(
            "generic",
            is_hard=False,
            max_tries=2,
            delays=(3 * DAY, 5 * DAY),
            mail="declined",
        ),
        DeclineClass(
            "needs_customer",
            is_hard=True,
            max_tries=0,
            mail="confirm",
            person="after_two_mails",
        ),
        DeclineClass(
            "new_method",
            is_hard=True,
            max_tries=0,
            mail="new_method",
            person="after_two_mails",
        ),
        DeclineClass(
            "revoked",
            is_hard=True,
            max_tries=0,
            mail="revoked",
            person="at_once",
            blocks_token=True,
        ),
        DeclineClass(
            "lost_stolen",
            is_hard=True,
            max_tries=0,
            mail="new_method",
            person="if_no_reply",
            blocks_token=True,
        ),
        DeclineClass(
            "fraud", is_hard=True, max_tries=0, person="at_once", blocks_token=True
        ),
        DeclineClass("duplicate", is_hard=True, max_tries=0, person="if_not_found"),
        DeclineClass(
            "blocked",
            is_hard=True,
            max_tries=0,
            mail="new_method",
            person="after_two_mails",
            blocks_token=True,
        ),
        DeclineClass(
            "sepa_funds",
            is_hard=False,
            max_tries=1,
            first_delay_bank_days=5,
            mail="neutral",
        ),
        DeclineClass(
            "sepa_dead",
            is_hard=True,
            max_tries=0,
            mail="new_method",
            person="at_once",
            blocks_token=True,
        ),
    )
}
UNKNOWN = replace(CLASSES["generic"], is_unknown=True)

_CODES_OF = {
    "wait_funds": "insufficient_funds card_velocity_exceeded "
    "withdrawal_count_limit_exceeded",
    "try_later": "processing_error issuer_not_available try_again_later "
    "reenter_transaction approve_with_id no_action_taken",
    "generic": "generic_decline do_not_honor call_issuer security_violation "
    "service_not_allowed not_permitted restricted_card invalid_amount",
    "needs_customer": "authentication_required authentication_not_handled "
    "mobile_device_authentication_required offline_pin_required "
    "online_or_offline_pin_required",
    "new_method": "expired_card incorrect_number invalid_number invalid_account "
    "invalid_expiry_month invalid_expiry_year incorrect_cvc invalid_cvc incorrect_zip "
    "incorrect_address incorrect_pin card_not_supported currency_not_supported "
    "transaction_not_allowed new_account_information_available testmode_decline",
    "revoked": "revocation_of_authorization revocation_of_all_authorizations "
    "stop_payment_order",
    "lost_stolen": "lost_card stolen_card pickup_card pin_try_exceeded",
    "fraud": "fraudulent merchant_blacklist highest_risk_level",
    "duplicate": "duplicate_transaction",
    "blocked": "do_not_try_again previously_declined_do_not_retry",
}
CODES: Mapping[str, str] = {
    code: name for name, codes in _CODES_OF.items() for code in codes.split()
}
SEPA_CODES: Mapping[str, str] = {
    "insufficient_funds": "sepa_funds",
    "debit_not_authorized": "sepa_dead",
    "account_closed": "sepa_dead",
    "bank_account_restricted": "sepa_dead",
    "no_account": "sepa_dead",
}
_SEPA_DEAD = re.compile(r"incorrect_account_holder_.*|.*mandate.*")
_SEPA = ("sepa_debit", "sepa_direct_debit")
# Codes that mean something only together with a decline code.
_SAYS_NOTHING = ("", "card_declined", "payment_intent_payment_attempt_failed")

VISA_NEVER = frozenset(
    ("04", "07", "12", "14", "15", "41", "43", "46", "57", "R0", "R1", "R3")
)
MASTERCARD_NEVER = frozenset(("03", "21"))
MASTERCARD_WAIT: Mapping[str, timedelta] = {
    "24": HOUR,
    "25": 24 * HOUR,
    "26": 2 * DAY,
    "27": 4 * DAY,
    "28": 6 * DAY,
    "29": 8 * DAY,
    "30": 10 * DAY,
}


def classify(decline: Decline) -> DeclineClass:
    """Return what may follow a decline, in the order that the networks set.

    First what forbids every further charge of the method, then what only delays it,
    then the meaning of the code. A code without a brand counts for every network.
    """
    found = _by_code(decline)
    if _is_dead(decline):
        return _bury(found)
    wait = _network_wait(decline)
    return replace(found, not_before=wait) if found.may_retry and wait else found


def _is_dead(decline):
    return (
        decline.advice_code == "do_not_try_again"
        or decline.outcome_reason == "previously_declined_do_not_retry"
        or _says(decline, "mastercard", decline.network_advice_code, MASTERCARD_NEVER)
        or _says(decline, "visa", decline.network_decline_code, VISA_NEVER)
    )


def _says(decline, brand, code, codes):
    return (decline.brand or brand).lower() == brand and code in codes


def _bury(found):
    """Return the class of a dead method, its own where that is as final already."""
    if found.blocks_token or found.name == "duplicate":
        return found
    if found.name == "new_method":
        return replace(found, blocks_token=True)
    return CLASSES["blocked"]


def _network_wait(decline):
    code = decline.network_advice_code
    if _says(decline, "mastercard", code, MASTERCARD_WAIT):
        return MASTERCARD_WAIT[code]
    return timedelta(0)


def _by_code(decline):
    """Return the class by the decline code, where that is missing by the code."""
    if decline.outcome_reason == "highest_risk_level":
        return CLASSES["fraud"]
    given = [code for code in (decline.decline_code, decline.code) if code]
    known = [code for code in given if code not in _SAYS_NOTHING]
    if decline.method_type in _SEPA:
        return _by_sepa_code(known)
    names = [CODES.get(code) for code in known]
    if names and names[0]:
        return CLASSES[names[0]]
    hard = [name for name in names if name and CLASSES[name].is_hard]
    return CLASSES[hard[0]] if hard else UNKNOWN


def _by_sepa_code(codes):
    """Return the class of a failed debit; whatever it is, it is presented once more."""
    for code in codes:
        if code in SEPA_CODES:
            return CLASSES[SEPA_CODES[code]]
        if _SEPA_DEAD.fullmatch(code):
            return CLASSES["sepa_dead"]
        if code in CODES and CLASSES[CODES[code]].is_hard:
            return CLASSES[CODES[code]]
    return replace(CLASSES["sepa_funds"], is_unknown=True)


# === STRICTER BY A MANAGER === #


@dataclass(frozen=True)
class Override:
    """What a policy says about one code.

    :param max_tries: further charges at most, None to leave them as they are
    :param to_person: a person takes over at once, and nothing is tried again
    """

    max_tries: int | None = None
    to_person: bool = False


def is_looser(found: DeclineClass, override: Override) -> bool:
    """Return whether the override would allow what the table does not."""
    return override.max_tries is not None and override.max_tries > found.max_tries


def restrict(found: DeclineClass, override: Override) -> DeclineClass:
    """Return the class with a manager's stricter rule.

    :raise ValueError: the rule would be looser than the table
    """
    if is_looser(found, override):
        raise ValueError(
            f"{found.name} allows {found.max_tries} tries, not {override.max_tries}"
        )
    if override.to_person:
        return replace(found, max_tries=0, person="at_once")
    if override.max_tries is None:
        return found
    return replace(found, max_tries=override.max_tries, is_restricted=True)
