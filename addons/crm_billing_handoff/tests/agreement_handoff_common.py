from unittest.mock import patch

from odoo import fields
from odoo.fields import Command

from .common import BillingHandoffCommon

WON = fields.Datetime.to_datetime("2026-03-10 09:00:00")


class AgreementHandoffCommon(BillingHandoffCommon):
    """Deals whose quotation recurs, won on 10 March 2026."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.monthly = cls.env.ref("crm_billing_handoff.plan_monthly")
        cls.quarterly = cls.env.ref("crm_billing_handoff.plan_quarterly")
        cls.yearly = cls.env.ref("crm_billing_handoff.plan_yearly")
        cls.hosting = cls._create_product(
            name="Hosting",
            list_price=30.0,
            billing_method="flat",
            billing_plan_id=cls.monthly.id,
        )

    def _create_mixed_deal(self, **values):
        """Return a deal with 3 × 30.00 a month and 100.00 once."""
        deal = self._create_deal()
        order = self._create_quotation(deal, product=self.product, **values)
        order.order_line = [
            Command.create(
                {
                    "product_id": self.hosting.id,
                    "product_uom_qty": 3,
                    "price_unit": 30.0,
                    "discount": 10.0,
                }
            )
        ]
        return deal, order

    def _hand_off(self, deals, on=WON):
        """Win the deals on that day, as the salesperson, and let the job run."""
        self.env.cr.flush()
        with self._at(on):
            return self._win_and_process(deals)

    def _at(self, moment):
        """Freeze the clock that the flow reads."""
        return patch("odoo.fields.Datetime.now", return_value=moment)
