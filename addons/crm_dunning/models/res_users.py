from odoo import api, fields, models


class ResUsers(models.Model):
    """Which news of the own customers a salesperson wants (H3)."""

    _inherit = "res.users"

    dunning_news_paid = fields.Boolean(string="Invoices Paid", default=True)
    dunning_news_overdue = fields.Boolean(string="Invoices Overdue", default=True)
    dunning_news_failed = fields.Boolean(string="Payments Failed", default=True)
    dunning_news_disputed = fields.Boolean(string="Invoices Disputed", default=True)
    dunning_news_credited = fields.Boolean(string="Invoices Credited", default=True)

    @property
    def SELF_READABLE_FIELDS(self):
        return super().SELF_READABLE_FIELDS + self._get_news_fields()

    @property
    def SELF_WRITEABLE_FIELDS(self):
        return super().SELF_WRITEABLE_FIELDS + self._get_news_fields()

    @api.model
    def _get_news_field(self, kind):
        return f"dunning_news_{kind}"

    def _get_news_fields(self):
        kinds = self.env["crm.dunning.news"]._fields["kind"].get_values(self.env)
        return [self._get_news_field(kind) for kind in kinds]
