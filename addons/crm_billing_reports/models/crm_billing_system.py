from odoo import api, fields, models
from odoo.exceptions import UserError

KINDS = [("quickbooks_csv", "QuickBooks (CSV)"), ("generic_csv", "Other (CSV)")]
ENTITIES = [
    ("customer", "Customers"),
    ("invoice", "Invoices"),
    ("credit", "Credit notes"),
    ("payment", "Payments"),
]
# What can stand on the other side, and so in the crosswalk.
MODELS = {
    "res.partner": "customer",
    "account.move": "invoice",
    "account.payment": "payment",
    "account.bank.statement.line": "payment",
}


class CrmBillingSystem(models.Model):
    """Another system that keeps books of the same business, such as QuickBooks.

    What goes out and comes back is a file. What is what on both sides stands in
    `crm.billing.crosswalk`: it hangs on this record and on no password or address, so
    that it outlives both. A system that was in use is archived, never deleted.
    """

    _name = "crm.billing.system"
    _description = "External Books"
    _inherit = ["mail.thread", "mail.activity.mixin"]
    _order = "name, id"
    _check_company_auto = True

    name = fields.Char(required=True, tracking=True)
    active = fields.Boolean(default=True, tracking=True)
    kind = fields.Selection(
        KINDS, string="Format", required=True, default="quickbooks_csv", tracking=True
    )
    company_id = fields.Many2one(
        "res.company", required=True, default=lambda self: self.env.company, index=True
    )
    closed_until = fields.Date(
        string="Books There Closed Until",
        tracking=True,
        help="Nothing of this day or before is handed out: the other side would refuse "
        "it, or change figures that were reported.",
    )
    confirm_days = fields.Integer(
        string="Days to Confirm",
        default=7,
        help="What was handed out and was not seen there after these days is an alarm.",
    )
    crosswalk_ids = fields.One2many("crm.billing.crosswalk", "system_id")
    crosswalk_count = fields.Integer(compute="_compute_crosswalk_count")

    _name_uniq = models.UniqueIndex(
        "(company_id, lower(name))",
        "This company already has books of that name.",
    )
    _confirm_days_positive = models.Constraint(
        "CHECK (confirm_days >= 0)",
        "Give the days in which a file is read there as a number from 0 on.",
    )

    # === COMPUTE METHODS === #

    @api.depends("crosswalk_ids")
    def _compute_crosswalk_count(self):
        counts = self.env["crm.billing.crosswalk"]._read_group(
            [("system_id", "in", self.ids)], ["system_id"], ["__count"]
        )
        counts = {system.id: count for system, count in counts}
        for system in self:
            system.crosswalk_count = counts.get(system.id, 0)

    # === CRUD METHODS === #

    def write(self, vals):
        """Refuse to move what is mapped to another company."""
        if "company_id" in vals and any(
            system.company_id.id != vals["company_id"] and system.sudo().crosswalk_ids
            for system in self
        ):
            raise UserError(
                self.env._(
                    "Records are mapped to these books: they stay with their company. "
                    "Create other books for the other company."
                )
            )
        return super().write(vals)

    @api.ondelete(at_uninstall=False)
    def _unlink_except_mapped(self):
        if self.sudo().crosswalk_ids:
            raise UserError(
                self.env._(
                    "Records are mapped to these books. Archive them: without the "
                    "map everything would be handed out a second time."
                )
            )

    # === ACTION METHODS === #

    def action_open_crosswalk(self):
        """Show what is mapped to these books."""
        self.ensure_one()
        action = self.env["ir.actions.act_window"]._for_xml_id(
            "crm_billing_reports.crm_billing_crosswalk_action"
        )
        action["domain"] = [("system_id", "=", self.id)]
        action["context"] = {"default_system_id": self.id}
        return action
