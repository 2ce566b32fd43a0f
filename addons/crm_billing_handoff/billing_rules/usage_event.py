"""A usage event as it is sent, in the one form in which events are kept."""

import json
import re
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal, InvalidOperation
from zoneinfo import ZoneInfo

DIGITS = Decimal("0.000001")
LARGEST = Decimal(10) ** 15
LONGEST_ID = 256
LONGEST_PROPERTIES = 8192  # characters of JSON
FUTURE = timedelta(days=1)
EARLIEST = date(1970, 1, 1)  # before it nothing is measured
KNOWN_KEYS = frozenset(
    ("id", "meter", "account", "agreement", "at", "value", "properties", "cancels")
)
NAMES = ("meter", "account", "agreement", "cancels")
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
_INSTANT = re.compile(
    r"(\d{4}-\d{2}-\d{2})[T ](\d{2}:\d{2})(?::(\d{2})(?:[.,](\d{1,9}))?)?"
    r"\s?(Z|z|[+-]\d{2}:?\d{2})?"
)


@dataclass(frozen=True)
class Event:
    """One event; the same event sent twice is equal but for how its account is named.

    :param at: instant in UTC, without zone; ``None`` where only the day is known
    :param day: local day of the account, where only that was sent
    :param value: ``None``: not sent
    :param properties: canonical JSON, so that the order of keys does not matter
    :param cancels: id of the event that this one takes back
    :param account: code, VAT or external id; ``id:7`` where a number was sent
    """

    uid: str
    meter: str
    account: str
    agreement: str
    at: datetime | None
    day: date | None
    value: Decimal | None
    properties: str
    cancels: str


@dataclass(frozen=True)
class Refusal:
    """Why an event is not taken: a reason by name, and what it is about."""

    reason: str
    about: str = field(default="")


def read_event(raw: object, now: datetime) -> Event | Refusal:
    """Return an event in its normal form, or why it is none.

    :param raw: what a sender sent: ``id``, ``meter``, ``account`` or ``agreement``,
        ``at`` (ISO 8601; without a zone it is UTC, a plain date is a local day of the
        account), ``value``, ``properties``, ``cancels``
    :param now: instant of arrival, UTC without zone; more than one day after it is the
        future and refused (billing rules, 4.1)
    """
    if problem := _check_keys(raw):
        return problem
    uid, cancels = _text(raw["id"]), _text(raw.get("cancels"))
    moment = _read_moment(raw.get("at"))
    value = _read_value(raw.get("value"))
    properties = _read_properties(raw.get("properties"))
    for part in (moment, value, properties):
        if isinstance(part, Refusal):
            return part
    at, day = moment
    if (at or datetime.combine(day, time())) > now + FUTURE:
        return Refusal("future", str(raw["at"]))
    if (day or at.date()) < EARLIEST:
        return Refusal("bad_time", str(raw["at"]))
    return _check_cancels(uid, cancels, value) or Event(
        uid=uid,
        meter=_text(raw.get("meter")),
        account=_reference(raw.get("account")),
        agreement=_reference(raw.get("agreement")),
        at=at,
        day=day,
        value=value,
        properties=properties,
        cancels=cancels,
    )


def _check_keys(raw):
    """Return what is wrong with the frame of an event, ``None`` if nothing is."""
    if not isinstance(raw, dict):
        return Refusal("not_an_event")
    if unknown := sorted(str(key) for key in raw.keys() - KNOWN_KEYS):
        return Refusal("unknown_keys", ", ".join(unknown))
    if any(map(_is_unwritable, raw.values())):
        return Refusal("bad_text")
    uid = _text(raw.get("id"))
    if not uid:
        return Refusal("no_id")
    if len(uid) > LONGEST_ID:
        return Refusal("long_id", str(LONGEST_ID))
    if any(len(_text(raw.get(name))) > LONGEST_ID for name in NAMES):
        return Refusal("long_name", str(LONGEST_ID))
    if not raw.get("account") and not raw.get("agreement"):
        return Refusal("no_account")
    return None


def local_day(at: datetime, tz: str) -> date:
    """Return the local date of an instant (UTC, without zone)."""
    return at.replace(tzinfo=timezone.utc).astimezone(ZoneInfo(tz)).date()


def _text(value):
    return "" if value is None or value is False else str(value).strip()


def _reference(value):
    return f"id:{value}" if type(value) is int else _text(value)


def _is_unwritable(value):
    """Return whether no database keeps a text: it holds a NUL or half a character."""
    if not isinstance(value, str):
        return False
    try:
        value.encode()
    except UnicodeEncodeError:
        return True
    return "\x00" in value


def _read_moment(value):
    """Return ``(instant, None)`` or ``(None, day)``, or why it is neither."""
    if isinstance(value, datetime):
        return _to_utc(value), None
    if isinstance(value, date):
        return None, value
    text = _text(value)
    if not text:
        return Refusal("no_time")
    try:
        if _DATE.fullmatch(text):
            return None, date.fromisoformat(text)
        if match := _INSTANT.fullmatch(text):
            return _to_utc(_parse_instant(*match.groups())), None
    except (ValueError, OverflowError):
        return Refusal("bad_time", text)
    return Refusal("bad_time", text)


def _parse_instant(day, minute, second, fraction, zone):
    micro = (fraction or "0").ljust(6, "0")[:6]
    zone = "+00:00" if zone in (None, "Z", "z") else zone
    if ":" not in zone:
        zone = f"{zone[:3]}:{zone[3:]}"
    return datetime.fromisoformat(f"{day}T{minute}:{second or '00'}.{micro}{zone}")


def _to_utc(instant):
    if instant.tzinfo is None:
        return instant
    return instant.astimezone(timezone.utc).replace(tzinfo=None)


def _read_value(value):
    """Return the value to six decimals, as the number that is printed; or a refusal."""
    if value is None or value is False or value == "":
        return None
    if isinstance(value, bool):
        return Refusal("bad_value", str(value))
    try:
        number = Decimal(str(value).strip())
    except InvalidOperation:
        return Refusal("bad_value", str(value))
    if not number.is_finite() or abs(number) >= LARGEST:
        return Refusal("bad_value", str(value))
    # half away from zero is core's way of storing a number of six digits
    return number.quantize(DIGITS, "ROUND_HALF_UP") + 0


def _check_cancels(uid, cancels, value):
    if not cancels:
        return None
    if cancels == uid:
        return Refusal("cancels_itself")
    if value:
        return Refusal("cancels_with_value")
    return None


def _read_properties(value):
    if value in (None, False, "", {}):
        return "{}"
    if not isinstance(value, dict):
        return Refusal("bad_properties")
    try:
        text = json.dumps(value, sort_keys=True, allow_nan=False, ensure_ascii=False)
    except (TypeError, ValueError, RecursionError):
        return Refusal("bad_properties")
    if len(text) > LONGEST_PROPERTIES or "\\u0000" in text or _is_unwritable(text):
        return Refusal("bad_properties")
    return text
