from datetime import date

from odoo.fields import Command

from .common import ReportsCommon


class LeakCommon(ReportsCommon):
    """The leak radar, without what other data leak."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.leaks = cls.env["crm.billing.leak.report"]
        cls.company.billing_leak_since = date(2027, 1, 1)
        cls.product.taxes_id = [Command.clear()]
        cls.known = cls.leaks.search([]).ids

    def _find(self, user=None, **values):
        self.env.flush_all()
        self.env.invalidate_all()
        return self.leaks.with_user(user or self.clerk).search(
            [("id", "not in", self.known)]
            + [(name, "=", value) for name, value in values.items()]
        )
