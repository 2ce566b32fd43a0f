"""Usage in a table of text: which columns there are, and an event of each row."""

import csv
import hashlib
import io
import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from decimal import Decimal

SEPARATORS = ";,\t|"
BOMS = (
    (b"\xef\xbb\xbf", "utf-8-sig"),
    (b"\xff\xfe", "utf-16"),
    (b"\xfe\xff", "utf-16"),
)
# How people and exports head the columns.
HEADINGS = {
    "id": {"id", "event", "event id", "event_id", "uid", "reference"},
    "meter": {"meter", "meter code", "metric"},
    "account": {"account", "customer", "customer code", "ref", "vat", "client"},
    "agreement": {"agreement", "contract"},
    "at": {"at", "date", "time", "timestamp", "day", "occurred at", "datetime"},
    "value": {"value", "quantity", "amount", "units", "usage"},
    "cancels": {"cancels", "cancels event"},
}
NEEDED = (("at",), ("value", "cancels"), ("account", "agreement"))
# A spreadsheet would run such a text; a signed number is one only to the eye.
FORMULA = re.compile(r"[=@\t\r\n]|[+-](?!\d[\d.,'\s]*\Z)")


class BadTable(ValueError):
    """The table as a whole cannot be read: a reason by name, and what it is about."""

    def __init__(self, reason: str, about: str = ""):
        super().__init__(reason, about)
        self.reason, self.about = reason, about


@dataclass(frozen=True)
class Columns:
    """Where the values of an event stand; other named columns are its properties."""

    places: dict
    properties: dict


def decode(data: bytes, encoding: str | None = None) -> str:
    """Return the text of a file: a byte order mark decides, then UTF-8, then Windows.

    :raise BadTable: it is no text in this encoding
    """
    for mark, name in BOMS:
        if data.startswith(mark):
            encoding = name
    for name in (encoding,) if encoding else ("utf-8", "cp1252"):
        try:
            text = data.decode(name)
        except (UnicodeDecodeError, LookupError):
            continue
        if "\x00" not in text:
            return text
    raise BadTable("encoding")


def find_separator(text: str) -> str:
    """Return the separator that parts the heading into the most columns.

    :raise BadTable: none of them parts it
    """
    heading = next((line for line in text.splitlines() if line.strip()), "")
    found = {
        separator: len(next(csv.reader([heading], delimiter=separator), ()))
        for separator in SEPARATORS
    }
    best = max(found, key=found.get)
    if found[best] < 2:
        raise BadTable("separator")
    return best


def read_text(text: str, separator: str | None = None) -> Iterator[list[str]]:
    """Yield the rows of a separated text, empty ones left out.

    :raise BadTable: quotes or lines are broken
    """
    separator = separator or find_separator(text)
    try:
        for row in csv.reader(io.StringIO(text, newline=""), delimiter=separator):
            if any(cell.strip() for cell in row):
                yield row
    except csv.Error as error:
        raise BadTable("broken", str(error)) from error


def find_columns(heading: Iterable[object]) -> Columns:
    """Return where the values stand, by the words of the first row.

    :raise BadTable: a needed column is missing, or two have one meaning
    """
    places, properties = {}, {}
    for place, cell in enumerate(heading):
        word = str(cell or "").strip().lower()
        if not word:
            continue
        name = next((name for name, words in HEADINGS.items() if word in words), None)
        if name is None:
            properties[word] = place
        elif name in places:
            raise BadTable("twice", name)
        else:
            places[name] = place
    for names in NEEDED:
        if not places.keys() & set(names):
            raise BadTable("missing", " / ".join(names))
    return Columns(places, properties)


def read_events(
    rows: Iterable[list], columns: Columns, decimal: str = "."
) -> Iterator[dict]:
    """Yield the event of each row, as a sender would send it.

    A table without ids gets them from what its rows say: the same file again is known,
    equal rows of one file are told apart by their number.

    :param decimal: the decimal sign of numbers, point or comma
    """
    seen = Counter()
    for row in rows:
        event = {
            name: _clean(row[place])
            for name, place in columns.places.items()
            if place < len(row) and row[place] not in (None, "")
        }
        if isinstance(event.get("value"), str):
            number = read_number(event["value"], decimal)
            # With a decimal comma 1.5 is no number, although it looks like one.
            event["value"] = f"{number} ?" if isinstance(number, str) else number
        properties = {
            name: str(_clean(row[place]))
            for name, place in columns.properties.items()
            if place < len(row) and row[place] not in (None, "")
        }
        if properties:
            event["properties"] = properties
        if "id" not in columns.places:
            content = json.dumps(event, sort_keys=True, default=str)
            digest = hashlib.sha256(content.encode()).hexdigest()[:24]
            seen[digest] += 1
            event["id"] = f"row-{digest}-{seen[digest]}"
        yield event


def read_number(text: str, decimal: str = ".") -> Decimal | str:
    """Return a written number; what is none is left as it is, to be refused.

    Thousands are parted by the other sign, a blank or an apostrophe, in threes only:
    ``1,5`` with a decimal point is no number, rather than fifteen.
    """
    other = "," if decimal == "." else "."
    sign, left = re.escape(decimal), text.strip()
    thousands = rf"[{re.escape(other)}'\s\u00a0\u202f]"
    pattern = rf"[+-]?(\d+|\d{{1,3}}({thousands}\d{{3}})+)({sign}\d+)?"
    if not re.fullmatch(pattern, left):
        return text
    return Decimal(re.sub(thousands, "", left).replace(decimal, "."))


def disarm(text: str) -> str:
    """Return a text that no spreadsheet takes for a formula."""
    return f"'{text}" if FORMULA.match(text) else text


def write_text(rows: Iterable[Iterable[object]], separator: str = ";") -> str:
    """Return rows as separated text, safe to be opened in a spreadsheet."""
    output = io.StringIO()
    writer = csv.writer(output, delimiter=separator, lineterminator="\r\n")
    for row in rows:
        writer.writerow([disarm(str("" if cell is None else cell)) for cell in row])
    return output.getvalue()


def _clean(cell):
    return disarm(cell.strip()) if isinstance(cell, str) else cell
