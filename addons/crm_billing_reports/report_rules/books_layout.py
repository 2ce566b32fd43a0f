"""The columns that other books read, and what those books accept in them.

Sources, as published; none was tried in a QuickBooks company.

* Names: Intuit, “Which contact fields are imported from Excel”. A display name has at
  most 100 characters, no tab, line break, colon or quotation mark, and is unique among
  customers, vendors and employees; company 50, email 100, phone 21 characters.
* Invoices: Intuit Community, “Do we need to map field everytime when import invoices”,
  lists the fields and which are mandatory. The spelling of the headings is that of
  common exporters. One row is a line, rows of one number are one invoice.
* Credit notes: Intuit, “How to import credit notes”, maps headings when a file is read
  and does not list them: these are ours, after those of invoices.
* Payments: SaasAnt, “How to import receive payments into QuickBooks Online”. Intuit's
  own import has no payments.
* A number has at most 21 characters: Zed Systems, “Import invoices into QuickBooks
  Online”; Chargebee on error 2050.
* 1,000 rows and 100 invoices a file: importcsv.com, “Import CSV to QuickBooks Online”.
  They are defaults, set per books.
"""

from typing import NamedTuple

from .books_file import is_marked

ROW_LIMIT = 1000
DOCUMENT_LIMIT = 100
NAME_LIMIT = 100
NUMBER_LIMIT = 21
TEXT_LIMITS = {"company_name": 50, "email": 100, "phone": 21}
FORBIDDEN = '\t\r\n:"'


class Column(NamedTuple):
    """A column of a file: its heading, which value it takes, whether it is a must."""

    heading: str
    value: str
    is_required: bool = False


_CUSTOMER = (
    Column("Name", "customer_name", True),
    Column("Company", "company_name"),
    Column("Email", "email"),
    Column("Phone", "phone"),
    Column("Website", "website"),
    Column("Street", "street"),
    Column("City", "city"),
    Column("State", "state"),
    Column("ZIP", "zip"),
    Column("Country", "country"),
    Column("Tax ID", "vat"),
    Column("Currency", "currency"),
)
_LINES = (
    Column("Memo", "memo"),
    Column("Item(Product/Service)", "item"),
    Column("ItemDescription", "description"),
    Column("ItemQuantity", "quantity"),
    Column("ItemRate", "rate"),
    Column("*ItemAmount", "amount", True),
    Column("*ItemTaxCode", "tax_code", True),
    Column("ItemTaxAmount", "tax_amount"),
    Column("Currency", "currency"),
    Column("Service Date", "service_date"),
)
QUICKBOOKS = {
    "customer": _CUSTOMER,
    "invoice": (
        Column("*InvoiceNo", "document_number", True),
        Column("*Customer", "customer_name", True),
        Column("*InvoiceDate", "document_date", True),
        Column("*DueDate", "due_date", True),
        Column("Terms", "terms"),
        *_LINES,
    ),
    "credit": (
        Column("*CreditNoteNo", "document_number", True),
        Column("*Customer", "customer_name", True),
        Column("*CreditNoteDate", "document_date", True),
        *_LINES,
    ),
    "payment": (
        Column("Ref No", "payment_number", True),
        Column("Customer", "customer_name", True),
        Column("Payment Date", "document_date", True),
        Column("Payment method", "method"),
        Column("Deposit To Account Name", "deposit_to"),
        Column("Invoice No", "document_number"),
        Column("Amount", "amount", True),
        Column("Reference No", "reference"),
        Column("Memo", "memo"),
        Column("Currency", "currency"),
    ),
}
_ID = Column("external_id", "external_ref", True)
_CHANGE = (Column("operation", "operation"), Column("version", "version"))
_DOCUMENT = (
    _ID,
    Column("number", "document_number", True),
    Column("customer", "customer_name", True),
    Column("customer_id", "customer_ref"),
    Column("date", "document_date", True),
    Column("due_date", "due_date"),
    Column("original", "original_number"),
    Column("memo", "memo"),
    Column("item", "item"),
    Column("account", "account"),
    Column("description", "description"),
    Column("quantity", "quantity"),
    Column("rate", "rate"),
    Column("amount", "amount", True),
    Column("tax_code", "tax_code"),
    Column("tax_amount", "tax_amount"),
    Column("currency", "currency", True),
    *_CHANGE,
)
GENERIC = {
    "customer": (
        _ID,
        Column("name", "customer_name", True),
        *(Column(one.value, one.value) for one in _CUSTOMER[1:]),
        *_CHANGE,
    ),
    "invoice": _DOCUMENT,
    "credit": _DOCUMENT,
    "payment": (
        _ID,
        Column("number", "payment_number", True),
        Column("customer", "customer_name", True),
        Column("customer_id", "customer_ref"),
        Column("date", "document_date", True),
        Column("method", "method"),
        Column("deposit_to", "deposit_to"),
        Column("invoice", "document_number"),
        Column("amount", "amount", True),
        Column("reference", "reference"),
        Column("memo", "memo"),
        Column("currency", "currency", True),
        *_CHANGE,
    ),
}
LAYOUTS = {"quickbooks_csv": QUICKBOOKS, "generic_csv": GENERIC}
# Without these nobody could book or find again what a row says.
NEEDED = {
    "customer": {"customer_name"},
    "invoice": {"document_number", "customer_name", "document_date", "amount"},
    "credit": {"document_number", "customer_name", "document_date", "amount"},
    "payment": {"payment_number", "customer_name", "document_date", "amount"},
}


def get_values(entity: str) -> list[str]:
    """Return the names of all values that a column of ``entity`` can take."""
    values = {column.value for layout in LAYOUTS.values() for column in layout[entity]}
    return sorted(values)


def find_name_fault(name: str) -> str | None:
    """Return why a display name is refused there: empty, long or sign; or nothing."""
    if not name.strip():
        return "name_empty"
    if len(name) > NAME_LIMIT:
        return "name_long"
    if any(sign in name for sign in FORBIDDEN):
        return "name_sign"
    # It would be another name there: files mark what a spreadsheet runs.
    return "name_formula" if is_marked(name.strip()) else None


def find_number_fault(number: str) -> str | None:
    """Return why a document number is refused there, or nothing."""
    if not number.strip():
        return "number_empty"
    if is_marked(number.strip()):
        return "name_formula"
    return "number_long" if len(number) > NUMBER_LIMIT else None


def shorten(value: str, text: str) -> str:
    """Cut what is only informative to what fits; an email is never cut."""
    limit = TEXT_LIMITS.get(value)
    if limit is None or len(text) <= limit:
        return text
    return "" if value == "email" else text[:limit]
