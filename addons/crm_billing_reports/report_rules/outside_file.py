"""What the books outside say: the rows of their list of documents, read and checked.

One row is a document; a payment has one row for each invoice that it is applied to.
Columns are found by the words that QuickBooks, Xero, Sage and people use. Nothing is
guessed: a row that is not understood is an error with its number, column and value.
"""

import csv
import io
import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from itertools import islice

HEADINGS = {
    "external_id": (
        "external id",
        "externalid",
        "id",
        "txn id",
        "transaction id",
        "trans #",
    ),
    "kind": ("transaction type", "type", "txn type", "kind"),
    "number": (
        "number",
        "invoiceno",
        "invoice no",
        "invoice no.",
        "invoice number",
        "docnumber",
        "document number",
        "num",
        "no.",
        "no",
        "ref no",
        "ref no.",
        "refnumber",
        "payment no",
        "credit memo no",
        "creditmemono",
    ),
    "customer": (
        "customer",
        "customer name",
        "customer full name",
        "name",
        "display name",
        "client",
        "contact name",
    ),
    "customer_id": ("customer id", "customerid", "customer external id", "customerref"),
    "date": (
        "date",
        "invoicedate",
        "invoice date",
        "transaction date",
        "txndate",
        "payment date",
        "paymentdate",
        "credit memo date",
    ),
    "due": ("due date", "duedate", "due"),
    "currency": ("currency", "currency code", "currencycode"),
    "amount": ("amount", "total", "total amount", "totalamt", "payment amount"),
    "open": ("open balance", "balance", "balance due", "open", "amount due"),
    "status": ("status", "payment status", "a/r paid", "state"),
    "version": ("version", "synctoken", "sync token"),
    "deposited": ("deposited", "deposit", "deposited there"),
    "applied_to": ("applied to", "invoice", "invoice ref", "linked invoice"),
    "applied": ("applied amount", "amount applied", "applied"),
}
NEEDED = ("number", "customer", "date", "amount")
KINDS = {
    "invoice": ("invoice", "inv", "sales invoice"),
    "credit": ("credit", "credit memo", "credit note", "creditmemo", "refund note"),
    "payment": ("payment", "receive payment", "receipt", "customer payment"),
}
# A status begins with one of these; "overdue 12 days" is open.
STATUSES = {
    "void": ("void", "deleted", "cancel"),
    "draft": ("draft", "pending", "not sent to"),
    "partial": ("partial", "partly"),
    "open": ("open", "unpaid", "not paid", "overdue", "sent", "due", "unapplied"),
    "paid": ("paid", "closed", "deposited", "applied"),
}
YES, NO = ("yes", "y", "true", "1", "x"), ("no", "n", "false", "0", "")
# Where year, month and day stand.
DATE_FORMATS = {"%Y-%m-%d": (0, 1, 2), "%m/%d/%Y": (2, 0, 1), "%d/%m/%Y": (2, 1, 0)}
MOST_CELL = 100_000  # characters; notes are shorter
TITLE_ROWS = 20  # reports have their name, the company and the range on top
LONGEST = {"external_id": 128, "number": 128, "customer": 256, "version": 64}
LARGEST = Decimal(10) ** 13
DIGITS = re.compile(r"\d+")


class MissingColumns(ValueError):
    """The heading lacks columns, or has two of one meaning."""

    def __init__(self, reason: str, names: Iterable[str]):
        super().__init__(reason, *names)
        self.reason, self.names = reason, tuple(names)


@dataclass(frozen=True)
class RowError:
    """Why a row cannot be taken: its number, as spreadsheets count, and the column."""

    row: int
    column: str
    reason: str
    value: str = ""


@dataclass(frozen=True)
class Document:
    """A document of the other side; amounts in its currency, positive.

    ``open`` is None where the file does not say what is unpaid. ``applied`` holds
    ``(invoice number or id, amount)`` of a payment.
    """

    row: int
    kind: str
    external_id: str
    number: str
    customer: str
    date: date
    amount: Decimal
    currency: str = ""
    customer_id: str = ""
    due: date | None = None
    open: Decimal | None = None
    status: str = ""
    version: str = ""
    deposited: bool = False
    applied: tuple = ()


class Refused(Exception):
    """A cell that is not understood."""

    def __init__(self, column, reason, value=""):
        super().__init__(column, reason, value)
        self.column, self.reason, self.value = column, reason, value


def find_columns(heading: Iterable[object]) -> dict[str, int]:
    """Return where each known column stands; others are left alone.

    :raise MissingColumns: a needed one is missing, or two have one meaning
    """
    places, twice = {}, []
    for place, cell in enumerate(heading):
        word = re.sub(r"[\s_]+", " ", str(cell or "")).strip(" *").lower()
        name = next((key for key, words in HEADINGS.items() if word in words), None)
        if name in places:
            twice.append(name)
        elif name:
            places[name] = place
    if twice:
        raise MissingColumns("twice", twice)
    if missing := [name for name in NEEDED if name not in places]:
        raise MissingColumns("missing", missing)
    return places


def read_rows(text: str, separator: str, most: int) -> list[list[str]]:
    """Return the rows of a separated text, empty ones too: people count them.

    :param most: one row more than this is read at the most
    :raise ValueError: quotes are broken, or a cell is absurdly long
    """
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator)
    try:
        rows = list(islice(reader, most + 1))
    except csv.Error as error:
        raise ValueError(str(error)) from error
    # The limit of `csv` is one for the whole process: Odoo lifts it.
    if any(len(cell) > MOST_CELL for row in rows for cell in row):
        raise ValueError(f"a cell is over the limit of {MOST_CELL} characters")
    return rows


def find_heading(rows: list[list[str]]) -> tuple[int, dict[str, int]]:
    """Return the place of the heading among the first rows, and its columns.

    :raise MissingColumns: what the row that is most like a heading lacks
    """
    nearest = None
    for place, row in enumerate(rows[:TITLE_ROWS]):
        try:
            return place, find_columns(row)
        except MissingColumns as error:
            if nearest is None or len(error.names) < len(nearest.names):
                nearest = error
    raise nearest or MissingColumns("missing", NEEDED)


def read_documents(
    rows: Iterable[list[str]],
    columns: dict[str, int],
    kind: str = "invoice",
    date_format: str = "%Y-%m-%d",
    decimal: str = ".",
    first: int = 2,
) -> tuple[list[Document], list[RowError]]:
    """Return the documents of the rows below the heading, and what is wrong.

    A payment for several invoices has a row for each; without a column of applied
    amounts, the amount of each row is what is applied, and the payment is their sum.

    :param kind: of rows in a file without a column that says it
    :param date_format: ``%Y-%m-%d``, ``%m/%d/%Y`` or ``%d/%m/%Y``
    :param decimal: the decimal sign
    :param first: number of the first of these rows in the file
    """
    found, errors = {}, []
    reader = _Reader(columns, kind, date_format, decimal)
    for number, row in enumerate(rows, first):
        if _is_empty_or_total(row):
            continue
        try:
            _add(found, reader.read_row(number, row), "applied" not in columns)
        except Refused as error:
            errors.append(RowError(number, error.column, error.reason, error.value))
    return list(found.values()), errors + _check_applied(found.values())


def _is_empty_or_total(row):
    """Return whether this is no document, but a sum that a report prints below."""
    filled = [str(cell).strip() for cell in row if str(cell).strip()]
    if not filled:
        return True
    return len(filled) <= 3 and filled[0].lower().startswith("total")


def _add(found, document, is_sum):
    """Keep a document; rows of one payment become one, equal rows are one."""
    key = document.kind, document.external_id
    known = found.get(key)
    if known is None:
        found[key] = document
        return
    if document.kind != "payment" or not document.applied:
        if replace(document, row=known.row) != known:
            raise Refused("external_id", "twice", document.external_id)
        return
    if document.applied[0][0] in dict(known.applied):
        raise Refused("applied_to", "twice", document.applied[0][0])
    amount = known.amount + document.amount if is_sum else known.amount
    same = replace(
        document,
        row=known.row,
        applied=known.applied,
        amount=known.amount if is_sum else document.amount,
    )
    if same != known:
        raise Refused("external_id", "mixed", document.external_id)
    applied = known.applied + document.applied
    found[key] = replace(known, applied=applied, amount=amount)


def _check_applied(documents):
    return [
        RowError(document.row, "applied", "applied", document.number)
        for document in documents
        if sum(amount for _ref, amount in document.applied) > document.amount
    ]


class _Reader:
    """Read one row after the other of a file with known columns."""

    def __init__(self, columns, kind, date_format, decimal):
        self.columns, self.kind = columns, kind
        self.date_format = DATE_FORMATS[date_format]
        self.decimal = decimal

    def read_row(self, number, row):
        """Return the document of a row.

        :raise Refused: a cell is not understood
        """
        cells = self._get_cells(row)
        kind = self._read_kind(cells["kind"])
        amount = self._read_amount("amount", cells["amount"], kind)
        status = self._read_status(cells["status"])
        # Payments there often have no number of their own; an invoice always has one.
        name = cells["number"] or (kind == "payment" and cells["external_id"])
        number_text = self._need("number", name)
        document = Document(
            row=number,
            kind=kind,
            external_id=cells["external_id"] or number_text,
            number=number_text,
            customer=self._need("customer", cells["customer"]),
            customer_id=cells["customer_id"],
            date=self._read_date("date", self._need("date", cells["date"])),
            due=self._read_date("due", cells["due"]) if cells["due"] else None,
            currency=self._read_currency(cells["currency"]),
            amount=amount,
            status=status,
            version=cells["version"],
            deposited=self._read_flag(cells["deposited"]),
        )
        if kind == "payment":
            return replace(document, applied=self._read_applied(cells, amount))
        return replace(document, open=self._read_open(cells, amount, status))

    def _get_cells(self, row):
        cells = dict.fromkeys(HEADINGS, "")
        for name, place in self.columns.items():
            text = str(row[place] if place < len(row) else "").strip()
            if "\x00" in text or len(text) > LONGEST.get(name, 256):
                raise Refused(name, "long", text[:40].replace("\x00", ""))
            cells[name] = text
        return cells

    def _need(self, column, text):
        if not text:
            raise Refused(column, "empty")
        return text

    def _read_kind(self, text):
        if not text:
            return self.kind
        for kind, words in KINDS.items():
            if text.lower() in words:
                return kind
        raise Refused("kind", "kind", text)

    def _read_status(self, text):
        for status, words in STATUSES.items():
            if text.lower().startswith(words):
                return status
        if text:
            raise Refused("status", "status", text)
        return ""

    def _read_flag(self, text):
        if text.lower() not in YES + NO:
            raise Refused("deposited", "flag", text)
        return text.lower() in YES

    def _read_currency(self, text):
        if text and not re.fullmatch(r"[A-Za-z]{3}", text):
            raise Refused("currency", "currency", text)
        return text.upper()

    def _read_date(self, column, text):
        parts = re.split(r"[-/.]", text)
        try:
            day = date(*(int(parts[place]) for place in self.date_format))
        except (ValueError, IndexError, OverflowError) as error:
            raise Refused(column, "date", text) from error
        if len(parts) != 3 or not 1990 <= day.year <= 2200:
            raise Refused(column, "date", text)
        return day

    def _read_number(self, column, text):
        """Return a number; ``(12.00)`` is minus twelve, as accountants write it."""
        inner = re.fullmatch(r"\((.*)\)", text)
        left = (inner.group(1) if inner else text).strip()
        other = "," if self.decimal == "." else "."
        sign = re.escape(self.decimal)
        thousands = rf"[{re.escape(other)}'\s\u00a0\u202f]"
        pattern = rf"[+-]?([0-9]+|[0-9]{{1,3}}({thousands}[0-9]{{3}})+)({sign}[0-9]+)?"
        if not re.fullmatch(pattern, left):
            raise Refused(column, "amount", text)
        value = Decimal(re.sub(thousands, "", left).replace(self.decimal, "."))
        if abs(value) >= LARGEST:
            raise Refused(column, "amount", text)
        return -value if inner else value

    def _read_amount(self, column, text, kind):
        """Return what a document is about, positive.

        Lists of what is owed show credits and payments with a minus.
        """
        value = self._read_number(column, self._need(column, text))
        if kind == "invoice" and value < 0:
            raise Refused(column, "negative", text)
        return abs(value)

    def _read_open(self, cells, amount, status):
        if cells["open"]:
            value = abs(self._read_number("open", cells["open"]))
            if value > amount:
                raise Refused("open", "open", cells["open"])
            return value
        return {"paid": Decimal(0), "open": amount}.get(status)

    def _read_applied(self, cells, amount):
        if not cells["applied_to"]:
            return ()
        if not cells["applied"]:
            return ((cells["applied_to"], amount),)
        value = abs(self._read_number("applied", cells["applied"]))
        return ((cells["applied_to"], value),)


def is_older(version: str, known: str) -> bool:
    """Return whether a version is older than the known one, where both are numbers."""
    if not (DIGITS.fullmatch(version or "") and DIGITS.fullmatch(known or "")):
        return False
    return int(version) < int(known)
