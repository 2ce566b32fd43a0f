from odoo import fields, models
from odoo.exceptions import UserError

from odoo.addons.crm_billing_handoff.billing_rules.usage_table import (
    BadTable,
    decode,
    find_separator,
    read_text,
)
from odoo.addons.crm_billing_handoff.models.uploaded import read_upload

from ..report_rules.books_file import find_columns

# What the lists that QuickBooks exports, and other programs, call the name.
NAMES = ("Name", "Display name", "Full name", "Customer", "Vendor", "Supplier")
NAMES += ("Employee", "Customer full name", "Vendor display name")
IDS = ("Id", "External ID", "ListID")
ACTIVE = ("Active", "Active status", "Status")
NO = ("no", "false", "0", "inactive", "deleted", "not active")


class CrmBillingNameImport(models.TransientModel):
    """Take over a whole name list of the other books; again it changes nothing.

    Names that are gone there are forgotten here.
    """

    _name = "crm.billing.name.import"
    _description = "Import a Name List"

    system_id = fields.Many2one(
        "crm.billing.system",
        string="Books",
        required=True,
        default=lambda self: self.env["crm.billing.system"]._get_default(),
    )
    kind = fields.Selection(
        [("customer", "Customers"), ("vendor", "Vendors"), ("employee", "Employees")],
        string="List",
        required=True,
        default="customer",
    )
    file = fields.Binary(attachment=False, required=True)
    file_name = fields.Char()

    # === ACTION METHODS === #

    def action_import(self):
        """Replace the list with that of the file.

        :return: the action that shows the names
        :raise UserError: it is no list, or a name stands in another list
        """
        self.ensure_one()
        self.env["crm.billing.system.name"].check_access("create")
        self.system_id.check_access("write")
        counts = self.env["crm.billing.system.name"]._replace(
            self.system_id, self.kind, self._read()
        )
        self.system_id.message_post(
            body=self.env._(
                "Names read: %(added)s added, %(changed)s changed, %(gone)s removed.",
                added=counts[0],
                changed=counts[1],
                gone=counts[2],
            )
        )
        return self.system_id.action_open_names()

    # === BUSINESS METHODS === #

    def _read(self):
        """Return ``{name: (external id, whether active)}`` of the file."""
        headings, *rows = self._read_rows(read_upload(self))
        place = self._find(headings, NAMES)
        if place is None:
            raise UserError(
                self.env._(
                    "No column of the file is called %(names)s.",
                    names=", ".join(NAMES),
                )
            )
        id_place = self._find(headings, IDS)
        active_place = self._find(headings, ACTIVE)
        names = {}
        for row in rows:
            if name := _cell(row, place):
                is_active = _cell(row, active_place).lower() not in NO
                names[name] = (_cell(row, id_place), is_active)
        return names

    def _read_rows(self, data):
        """Return all rows; a list of names alone has one column and no separator."""
        try:
            text = decode(data)
            try:
                separator = find_separator(text)
            except BadTable:
                separator = ","
            rows = list(read_text(text, separator))
        except BadTable as error:
            raise UserError(
                self.env._("This is no table with a heading and separated columns.")
            ) from error
        if not rows:
            raise UserError(self.env._("The file is empty."))
        return rows

    @staticmethod
    def _find(headings, wanted):
        found, _missing = find_columns(headings, wanted)
        return next(iter(found.values()), None)


def _cell(row, place):
    """Return the text of a cell, empty where there is none."""
    return row[place].strip() if place is not None and place < len(row) else ""
