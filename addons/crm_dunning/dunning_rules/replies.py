"""What a customer's reply to a reminder says, by keywords that a person can read."""

import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta

# A reply that says several things is what needs a person first.
KINDS = ("auto_reply", "dispute", "wrong_address", "promise", "paid")
AUTOMATIC_PRECEDENCE = ("bulk", "junk", "auto_reply", "list")
_NEGATIONS = (
    "not never haven't hasn't isn't wasn't unpaid will be when if should must once "
    "cannot can't nicht noch nie wird werden wann falls pas jamais sera quand si no "
    "nunca cuando niet nooit wordt wanneer non mai quando"
)
NEGATIONS = frozenset(_NEGATIONS.split())
NEAR = 3  # words before a keyword in which a negation takes its meaning away
_EMAIL = re.compile(r"[\w.+'-]+@[\w-]+(?:\.[\w-]+)+")


@dataclass(frozen=True)
class Rule:
    """Words or phrases that mean something in one language.

    :param kind: see ``KINDS``
    :param words: each alone is enough; case, accents and line breaks do not matter
    """

    kind: str
    words: tuple[str, ...]
    lang: str = "en"

    def __post_init__(self):
        if self.kind not in KINDS:
            raise ValueError(f"A reply cannot be {self.kind!r}")


@dataclass(frozen=True)
class Reply:
    """What a reply says.

    :param kind: one of ``KINDS``, or ``other``
    :param matched: the keyword or header that says so
    :param promised: local date that the customer names for the payment
    :param email: address that the customer names instead of the one written to
    """

    kind: str
    matched: str | None = None
    promised: date | None = None
    email: str | None = None


# === READING === #


def read(
    text: str,
    subject: str,
    headers: Mapping[str, str],
    rules: Iterable[Rule],
    today: date | None = None,
) -> Reply:
    """Return what the reply says, ignoring what it quotes.

    A reply by a machine says nothing, whatever words it holds.

    :param text: plain text of the message
    :param headers: of the message, names in any case
    :param today: local date of the account; without it no date is read
    """
    if header := _get_automatic_header(headers):
        return Reply("auto_reply", header)
    rules = list(rules)
    own = strip_quotes(text)
    body, title = normalise(own), normalise(_strip_prefix(subject))
    for kind in KINDS:
        words = [word for rule in rules if rule.kind == kind for word in rule.words]
        # A subject is ours but for a machine's answer, which has one of its own.
        places = (title, body) if kind == "auto_reply" else (body,)
        matched = next(
            (w for w in words if any(_says(p, w, kind) for p in places)), None
        )
        if matched:
            return Reply(
                kind,
                matched,
                find_date(own, today) if kind == "promise" and today else None,
                _find_email(own) if kind == "wrong_address" else None,
            )
    return Reply("other")


def normalise(text: str) -> str:
    """Return the text in small letters without accents, one space between words."""
    plain = unicodedata.normalize("NFKD", text.replace("’", "'").casefold())
    plain = "".join(sign for sign in plain if not unicodedata.combining(sign))
    return " ".join(plain.split())


def _get_automatic_header(headers):
    given = {
        name.lower(): str(value).strip().lower() for name, value in headers.items()
    }
    if given.get("auto-submitted", "no").split(";")[0] != "no":
        return "Auto-Submitted"
    for name in ("X-Autoreply", "X-Autorespond"):
        if given.get(name.lower(), "no") != "no":
            return name
    if given.get("precedence") in AUTOMATIC_PRECEDENCE:
        return "Precedence"
    return None


def _strip_prefix(subject):
    return re.sub(r"^\s*((re|aw|wg|fw|fwd|tr|sv)\s*:\s*)+", "", subject, flags=re.I)


def _says(text, word, kind):
    """Return whether the text holds the word, for ``paid`` without a negation near."""
    for match in re.finditer(rf"(?<!\w){re.escape(normalise(word))}(?!\w)", text):
        before = re.findall(r"[\w']+", text[: match.start()])[-NEAR:]
        if kind != "paid" or not NEGATIONS & set(before):
            return True
    return False


def _find_email(text):
    found = _EMAIL.search(text)
    return found[0].strip(".'").lower() if found else None


# === WHAT IS THEIRS === #

_CUT = re.compile(
    r"^\s*("
    r"-- ?$|_{10,}|-{2,}\s*(original message|urspr\S+ nachricht|message d'origine)|"
    r"(on|am|le|el|il|op)\b.{4,200}(wrote|schrieb|a \S+crit|escribi\S+|ha scritto|"
    r"schreef)\b.{0,120}:\s*$|"
    r"(from|von|de|van|da)\s*:\s.*@)",
    re.I,
)


def strip_quotes(text: str) -> str:
    """Return what the writer wrote above the quoted message and the signature."""
    lines = text.replace("\r\n", "\n").split("\n")
    kept = []
    for number, line in enumerate(lines):
        # The line that opens a quotation is often broken in two.
        both = f"{line} {lines[number + 1]}" if number + 1 < len(lines) else line
        if _CUT.match(line) or (_CUT.match(both) and not line.endswith(".")):
            if not _CUT.match(line) and _CUT.match(lines[number + 1]):
                kept.append(line)
            break
        if not line.lstrip().startswith(">"):
            kept.append(line)
    return "\n".join(kept)


# === DATES === #

_MONTHS = {
    name: number
    for names in (
        "january february march april may june july august september october november "
        "december",
        "januar februar marz april mai juni juli august september oktober november "
        "dezember",
        "janvier fevrier mars avril mai juin juillet aout septembre octobre novembre "
        "decembre",
        "jan feb mar apr may jun jul aug sep oct nov dec",
    )
    for number, name in enumerate(names.split(), 1)
}
_MONTH = "|".join(sorted(_MONTHS, key=len, reverse=True))
_DATES = re.compile(
    rf"(?<!\d)(?P<iso>(?P<iy>\d{{4}})-(?P<im>\d\d)-(?P<id>\d\d))(?!\d)"
    rf"|(?<!\d)(?P<dd>\d\d?)\.(?P<dm>\d\d?)\.(?P<dy>\d{{4}}|\d\d)?(?!\d)"
    rf"|(?<!\d)(?P<sa>\d\d?)/(?P<sb>\d\d?)/(?P<sy>\d{{4}})(?!\d)"
    rf"|(?<!\d)(?P<nd>\d\d?)(?:st|nd|rd|th|er|\.)? (?:of )?(?P<nm>{_MONTH})\b,?"
    rf"(?: (?P<ny>\d{{4}}))?"
    rf"|\b(?P<mm>{_MONTH}) (?P<md>\d\d?)(?:st|nd|rd|th)?\b,?(?: (?P<my>\d{{4}}))?"
)
_TOMORROW = re.compile(r"\b(tomorrow|morgen|demain)\b")


def find_date(text: str, today: date) -> date | None:
    """Return the first day from today on that the text names, None if it names none.

    A date without a year is the next such day; 3/4/2027 could be two days, so it is
    none.
    """
    plain = normalise(text)
    days = (_to_day(match.groupdict(), today) for match in _DATES.finditer(plain))
    found = next((day for day in days if day and day >= today), None)
    if found is None and _TOMORROW.search(plain):
        return today + timedelta(days=1)
    return found


def _to_day(parts, today):
    if parts["iso"]:
        return _make(parts["iy"], parts["im"], parts["id"], today)
    if parts["dd"]:
        return _make(parts["dy"], parts["dm"], parts["dd"], today)
    if parts["sa"]:
        first, second = int(parts["sa"]), int(parts["sb"])
        if first != second and max(first, second) <= 12:
            return None
        month, day = min((first, second), key=lambda n: n > 12), max(first, second)
        return _make(parts["sy"], month, day, today)
    if parts["nd"]:
        return _make(parts["ny"], _MONTHS[parts["nm"]], parts["nd"], today)
    return _make(parts["my"], _MONTHS[parts["mm"]], parts["md"], today)


def _make(year, month, day, today):
    """Return the day, of the next year that has it ahead where none is named."""
    years = (int(year) % 2000 + 2000,) if year else (today.year, today.year + 1)
    for candidate in years:
        try:
            found = date(candidate, int(month), int(day))
        except ValueError:
            continue
        if year or found >= today:
            return found
    return None
