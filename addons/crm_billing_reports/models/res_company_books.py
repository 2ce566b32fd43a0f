from odoo import api, fields, models
from odoo.exceptions import ValidationError


class ResCompany(models.Model):
    _inherit = "res.company"

    billing_books = fields.Selection(
        [("here", "In Odoo"), ("elsewhere", "In other books")],
        string="Books Are Kept",
        default="here",
        required=True,
        help="In other books: what is posted here is handed out, and payments come "
        "back. Nobody books anything twice.",
    )
    billing_system_id = fields.Many2one(
        "crm.billing.system",
        string="The Other Books",
        help="Where the books of this company are kept.",
    )

    @api.constrains("billing_books", "billing_system_id")
    def _check_billing_system(self):
        for company in self:
            system = company.billing_system_id
            if company.billing_books == "elsewhere" and not system:
                raise ValidationError(
                    self.env._(
                        "Name the books in which %(company)s is booked.",
                        company=company.name,
                    )
                )
            if system and system.company_id != company:
                raise ValidationError(
                    self.env._(
                        "%(books)s are not those of %(company)s.",
                        books=system.name,
                        company=company.name,
                    )
                )
