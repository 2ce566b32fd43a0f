import base64
import csv
import io

from .common import ReportsCommon

INVOICES = ("Id", "Type", "Number", "Customer", "Date", "Amount", "Balance", "Status")
PAYMENTS = ("Id", "Type", "Number", "Customer", "Date", "Amount", "Applied to")


class MatchCommon(ReportsCommon):
    """Books kept elsewhere, and their lists as files."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.accountant = cls.users["accountant"]
        cls.system = cls.env["crm.billing.system"].create(
            {"name": "Their Books", "kind": "generic_csv", "start_date": "2026-01-01"}
        )
        cls.journal = cls.env["account.journal"].create(
            {"name": "Bank There", "type": "bank", "code": "BTH"}
        )
        cls.system.payment_journal_id = cls.journal
        cls.company.write(
            {"billing_books": "elsewhere", "billing_system_id": cls.system.id}
        )
        cls.invoice = cls._create_dated("2026-03-05", 120.0)

    # === LISTS === #

    def _invoice_row(self, move=None, **cells):
        """Return a row of the list of invoices that agrees with ``move``."""
        move = move or self.invoice
        row = {
            "Id": f"I{move.id}",
            "Type": "Invoice" if move.move_type == "out_invoice" else "Credit Memo",
            "Number": move.name,
            "Customer": move.commercial_partner_id.name,
            "Date": str(move.invoice_date),
            "Amount": f"{move.amount_total:.2f}",
            "Balance": "",
            "Status": "",
        }
        return {**row, **{name.capitalize(): text for name, text in cells.items()}}

    def _payment_row(self, move=None, amount="120.00", **cells):
        move = move or self.invoice
        row = {
            "Id": "P1",
            "Type": "Payment",
            "Number": "901",
            "Customer": move.commercial_partner_id.name,
            "Date": "2026-03-20",
            "Amount": amount,
            "Applied to": f"I{move.id}",
        }
        names = {"applied_to": "Applied to"}
        return {
            **row,
            **{
                names.get(name, name.capitalize()): text for name, text in cells.items()
            },
        }

    def _write(self, *rows):
        out = io.StringIO()
        names = list(dict.fromkeys(name for row in rows for name in row))
        writer = csv.DictWriter(out, names)
        writer.writeheader()
        writer.writerows(rows)
        return out.getvalue().encode()

    def _create_wizard(self, data, user=None, **values):
        return (
            self.env["crm.billing.books.import"]
            .with_user(user or self.accountant)
            .create(
                {
                    "system_id": self.system.id,
                    "file": base64.b64encode(data),
                    "file_name": "list.csv",
                    **values,
                }
            )
        )

    def _read(self, *rows, user=None, **values):
        """Read a list; return the record of its import."""
        self._create_wizard(self._write(*rows), user, **values).action_import()
        return self.env["crm.billing.outside.import"].search([], limit=1)

    def _read_complete(self, *rows, first="2026-03-01", last="2026-03-31"):
        return self._read(
            *rows, has_documents=True, has_payments=True, date_from=first, date_to=last
        )

    # === BOARD === #

    def _get_board(self, *domain):
        self.env.flush_all()
        self.env.invalidate_all()
        return (
            self.env["crm.billing.match.report"]
            .with_user(self.accountant)
            .search([("system_id", "=", self.system.id), *domain])
        )

    def _get_row(self, move=None):
        return self._get_board(("move_id", "=", (move or self.invoice).id))

    def _get_document(self, external_id):
        return self.env["crm.billing.outside.document"].search(
            [("system_id", "=", self.system.id), ("external_id", "=", external_id)]
        )
