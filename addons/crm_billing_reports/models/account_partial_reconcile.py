from odoo import models


class AccountPartialReconcile(models.Model):
    _inherit = "account.partial.reconcile"

    # What was matched after a day, which is what reports as of that day take back.
    _max_date_idx = models.Index("(max_date)")
