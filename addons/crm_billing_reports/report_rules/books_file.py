"""Read and write the files that travel between two books, byte for byte the same."""

import csv
import hashlib
import io
import json
import re
from collections.abc import Iterable
from decimal import ROUND_HALF_UP, Decimal

# A spreadsheet runs a text that begins so as a formula.
FORMULA = re.compile(r"^(?:[=@\t\r]|[+\-](?![\d\s().,/-]*$))")
MARKED = re.compile(r"^'(?:[=@\t\r+\-]|')")
RATE_STEP = Decimal("0.00001")


def write_csv(headings: list[str], rows: Iterable[list[str]]) -> bytes:
    """Return a file as RFC 4180 says: UTF-8, commas, each line ended by CR LF.

    A text that a spreadsheet would run as a formula gets a quotation mark in front,
    which :func:`read_csv` takes away again; phone numbers and amounts stay.
    """
    out = io.StringIO(newline="")
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow(headings)
    writer.writerows([[_defuse(cell) for cell in row] for row in rows])
    return out.getvalue().encode()


def read_csv(data: bytes) -> tuple[list[str], list[list[str]]]:
    """Return headings and rows of a file that :func:`write_csv` made."""
    rows = list(csv.reader(io.StringIO(data.decode("utf-8-sig"), newline="")))
    if not rows:
        return [], []
    return rows[0], [[_restore(cell) for cell in row] for row in rows[1:]]


def is_marked(cell: str) -> bool:
    """Return whether a file does not show a text as it is, but marked as a text."""
    return bool(FORMULA.match(cell) or MARKED.match(cell))


def _defuse(cell: str) -> str:
    return "'" + cell if is_marked(cell) else cell


def _restore(cell: str) -> str:
    return cell[1:] if MARKED.match(cell) else cell


def find_columns(headings: list[str], wanted: Iterable[str]) -> tuple[dict, list[str]]:
    """Find columns by heading; a star, capitals and outer spaces do not count.

    :return: ``({wanted heading: place}, wanted headings that are missing)``
    """
    places = {_plain(heading): place for place, heading in enumerate(headings)}
    wanted = list(wanted)
    found = {name: places[_plain(name)] for name in wanted if _plain(name) in places}
    return found, [name for name in wanted if name not in found]


def _plain(heading: str) -> str:
    return heading.strip().lstrip("*").strip().lower()


def split_rows(
    documents: Iterable[list[list[str]]], row_limit: int, document_limit: int
) -> list[list[list[str]]]:
    """Part documents into files; the rows of one document stay in one file.

    :param documents: the rows of each document
    :param row_limit: most rows of a file; only a single larger document has more
    :param document_limit: most documents of a file
    """
    files, count = [], 0
    for rows in documents:
        is_full = not files or count >= document_limit
        if is_full or (files[-1] and len(files[-1]) + len(rows) > row_limit):
            files.append([])
            count = 0
        files[-1].extend(rows)
        count += 1
    return files


def get_checksum(data: bytes) -> str:
    """Return the SHA-256 of a file, in hexadecimal."""
    return hashlib.sha256(data).hexdigest()


def get_fingerprint(values: dict) -> str:
    """Return the SHA-256 of values, the same for the same values in any order."""
    text = json.dumps(values, sort_keys=True, default=str, ensure_ascii=False)
    return get_checksum(text.encode())


def get_batch_checksum(files: dict[str, bytes]) -> str:
    """Return one checksum for all files of a batch: of their names and checksums."""
    lines = [f"{get_checksum(files[name])}  {name}\n" for name in sorted(files)]
    return get_checksum("".join(lines).encode())


def split_rate(amount: Decimal, quantity: Decimal, step: Decimal) -> tuple:
    """Return ``(quantity, rate)`` whose product is ``amount`` to the cent.

    Other books multiply again. We write at most five decimals of a rate; where no such
    rate gives the amount, the line is one piece of the whole amount.

    :param amount: of the line, without tax, in the document currency
    :param step: smallest amount of that currency
    """
    if quantity:
        rate = (amount / quantity).quantize(RATE_STEP, ROUND_HALF_UP)
        if (rate * quantity / step).quantize(
            Decimal(1), ROUND_HALF_UP
        ) * step == amount:
            return quantity, rate
    return Decimal(1), amount


def share_difference(parts: list[Decimal], total: Decimal) -> list[Decimal]:
    """Return ``parts`` that add up to ``total``: the largest takes the difference.

    Taxes are rounded once per document here, once per line there: a cent or two are
    left over.
    """
    difference = total - sum(parts, Decimal(0))
    if not difference or not parts:
        return list(parts)
    largest = max(range(len(parts)), key=lambda place: abs(parts[place]))
    return [
        part + difference if place == largest else part
        for place, part in enumerate(parts)
    ]


def format_decimal(value: Decimal) -> str:
    """Return a number without exponent and without zeros at its end that say nothing.

    Two decimals stay: ``12.00``, ``0.33333``.
    """
    text = f"{value:f}"
    whole, _point, decimals = text.partition(".")
    return f"{whole}.{decimals.rstrip('0').ljust(2, '0')}"
