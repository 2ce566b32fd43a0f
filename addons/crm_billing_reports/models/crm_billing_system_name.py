from odoo import api, fields, models
from odoo.exceptions import UserError


class CrmBillingSystemName(models.Model):
    """A name that the other books use for a customer, a vendor or an employee.

    There a display name is unique among all lists together (Intuit, “Which contact
    fields are imported from Excel”): a customer called as an employee is refused.
    """

    _name = "crm.billing.system.name"
    _description = "Name List of External Books"
    _inherit = ["crm.billing.machine.fields"]
    _order = "system_id, name, id"

    system_id = fields.Many2one(
        "crm.billing.system",
        string="Books",
        required=True,
        index=True,
        ondelete="cascade",
    )
    company_id = fields.Many2one(related="system_id.company_id", store=True, index=True)
    kind = fields.Selection(
        [("customer", "Customer"), ("vendor", "Vendor"), ("employee", "Employee")],
        string="List",
        required=True,
        default="customer",
    )
    name = fields.Char(required=True)
    external_id = fields.Char(string="External ID")
    is_active = fields.Boolean(string="Active There", default=True)

    _name_uniq = models.UniqueIndex(
        "(system_id, lower(name))",
        "A name stands there once, among customers, vendors and employees together.",
    )

    @api.model
    def _get_machine_fields(self):
        return ("company_id",)

    @api.model
    def _get_names(self, system):
        """Return ``{name in small letters: row}`` of all lists of ``system``."""
        rows = self.search([("system_id", "=", system.id)])
        return {row.name.strip().lower(): row for row in rows}

    @api.model
    def _replace(self, system, kind, names):
        """Take over one whole list; the same list again changes nothing.

        :param names: ``{name: (external id or "", whether active)}``
        :return: ``(added, changed, removed)``, counts
        :raise UserError: a name stands in another list of these books
        """
        listed = {name.strip().lower(): name for name in names}
        others = self.search([("system_id", "=", system.id), ("kind", "!=", kind)])
        if clash := others.filtered(lambda row: row.name.strip().lower() in listed):
            raise UserError(
                self.env._(
                    "These names already stand in another list: %(names)s. A name is "
                    "unique there; choose the right list.",
                    names=", ".join(clash[:10].mapped("name")),
                )
            )
        own = self.search([("system_id", "=", system.id), ("kind", "=", kind)])
        gone = own.filtered(lambda row: row.name.strip().lower() not in listed)
        kept = {row.name.strip().lower(): row for row in own - gone}
        changed = self.browse()
        new = []
        for key, name in listed.items():
            external_id, is_active = names[name]
            values = {"external_id": external_id, "is_active": is_active}
            row = kept.get(key)
            if not row:
                key_values = {"system_id": system.id, "kind": kind, "name": name}
                new.append({**key_values, **values})
            elif any((row[field] or "") != (values[field] or "") for field in values):
                row.write(values)
                changed |= row
        counts = (len(new), len(changed), len(gone))
        gone.unlink()
        self.create(new)
        return counts
