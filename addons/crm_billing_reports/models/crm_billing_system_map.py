from odoo import api, fields, models

MAPPED = [
    ("account.account", "Account"),
    ("account.tax", "Tax"),
    ("product.product", "Product"),
    ("account.payment.term", "Payment terms"),
    ("account.journal", "Bank or cash journal"),
]


class CrmBillingSystemMap(models.Model):
    """What an account, a tax, a product is called in the other books.

    An invoice line takes the name of its product, else of its account: QuickBooks
    books on items, and an item stands for an account.
    """

    _name = "crm.billing.system.map"
    _description = "Name in External Books"
    _inherit = ["crm.billing.machine.fields"]
    _order = "system_id, model, external_name, id"
    _rec_name = "external_name"

    system_id = fields.Many2one(
        "crm.billing.system",
        string="Books",
        required=True,
        index=True,
        ondelete="cascade",
    )
    company_id = fields.Many2one(related="system_id.company_id", store=True, index=True)
    model = fields.Selection(
        MAPPED, string="Kind", required=True, default="account.account"
    )
    res_id = fields.Many2oneReference(
        string="Record", model_field="model", required=True
    )
    res_name = fields.Char(string="Here", compute="_compute_res_name")
    external_name = fields.Char(string="Name There", required=True)
    is_active = fields.Boolean(
        string="Active There",
        default=True,
        help="What is inactive there is refused; documents that need it wait.",
    )

    _record_uniq = models.UniqueIndex(
        "(system_id, model, res_id)", "This record already has a name in these books."
    )

    @api.model
    def _get_machine_fields(self):
        return ("company_id",)

    @api.depends("model", "res_id")
    def _compute_res_name(self):
        for row in self:
            record = self.env[row.model or "account.account"].browse(row.res_id)
            row.res_name = record.exists().display_name

    @api.model
    def _get_names(self, system):
        """Return ``{(model, res_id): (name there, whether it is active there)}``."""
        return {
            (row.model, row.res_id): (row.external_name, row.is_active)
            for row in self.search([("system_id", "=", system.id)])
        }
