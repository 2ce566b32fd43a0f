from odoo.fields import Command
from odoo.tests import tagged

from .common import BillingHandoffCommon


@tagged("post_install", "-at_install")
class TestTaxes(BillingHandoffCommon):
    """Fiscal positions and tax numbers are core's; the draft carries them (E1, E3)."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        positions = cls.env["account.fiscal.position"]
        positions.search([]).auto_apply = False
        union = cls.env["res.country.group"].create(
            {
                "name": "Union of tests",
                "country_ids": [Command.set(cls.env.ref("base.fr").ids)],
            }
        )
        cls.domestic = positions.create(
            {"name": "At home", "auto_apply": True, "country_id": cls.home.id}
        )
        cls.union = positions.create(
            {
                "name": "Reverse charge",
                "auto_apply": True,
                "vat_required": True,
                "country_group_id": union.id,
            }
        )
        cls.export = positions.create(
            {"name": "Export", "auto_apply": True, "sequence": 99}
        )
        cls.reverse = cls.tax.copy(
            {
                "name": "Reverse 0%",
                "amount": 0,
                "fiscal_position_ids": [Command.set(cls.union.ids)],
                "original_tax_ids": [Command.set(cls.tax.ids)],
            }
        )
        cls.tax.fiscal_position_ids = cls.domestic

    def _bill(self, account, **values):
        deal = self._create_deal(account)
        self._create_quotation(deal, **values)
        return self._win_and_process(deal).move_ids

    def test_at_home(self):
        draft = self._bill(self.account)
        self.assertEqual(draft.fiscal_position_id, self.domestic)
        self.assertEqual(draft.amount_tax, 10.0)

    def test_inside_the_union(self):
        france = self.env.ref("base.fr").id
        account = self._create_account("Paris", country_id=france, vat="FR23334175221")
        draft = self._bill(account)
        self.assertEqual(draft.fiscal_position_id, self.union)
        self.assertEqual(draft.invoice_line_ids.tax_ids, self.reverse)
        self.assertEqual(draft.amount_tax, 0.0)

    def test_outside_the_union(self):
        account = self._create_account(
            "Auckland", country_id=self.env.ref("base.nz").id
        )
        draft = self._bill(account)
        self.assertEqual(draft.fiscal_position_id, self.export)
        self.assertEqual(draft.amount_tax, 0.0)

    def test_delivered_to_another_country(self):
        site = self.env["res.partner"].create(
            {
                "name": "Site",
                "parent_id": self.account.id,
                "type": "delivery",
                "country_id": self.env.ref("base.nz").id,
            }
        )
        draft = self._bill(self.account, partner_shipping_id=site.id)
        self.assertEqual(draft.fiscal_position_id, self.export)
        self.assertEqual(draft.partner_shipping_id, site)

    def test_a_country_that_nothing_maps_is_pointed_out(self):
        self.export.auto_apply = False
        deal = self._create_deal()
        order = self._create_quotation(deal, require_signature=False)
        self.assertFalse(deal.billing_readiness)
        site = self.env["res.partner"].create(
            {
                "name": "Site",
                "parent_id": self.account.id,
                "type": "delivery",
                "country_id": self.env.ref("base.nz").id,
            }
        )
        order.partner_shipping_id = site
        deal.invalidate_recordset()
        self.assertEqual(
            [(gap["name"], gap["level"]) for gap in deal.billing_readiness],
            [("Foreign taxes", "warn")],
        )

    def test_a_tax_number_of_the_wrong_form_is_refused(self):
        with self.assertRaisesRegex(Exception, "VAT|Tax ID"), self.env.cr.savepoint():
            self.account.write({"country_id": self.env.ref("base.fr").id, "vat": "FR1"})


@tagged("post_install", "-at_install")
class TestExemption(BillingHandoffCommon):
    """The checklist knows who is exempt, and until when."""

    def _get_verdict(self, taxed):
        deal = self._create_deal()
        order = self._create_quotation(deal)
        order.order_line.tax_ids = self.tax if taxed else False
        checklist = self._win_and_process(deal).move_ids.billing_checklist
        return next(item["status"] for item in checklist if item["code"] == "tax")

    def test_the_buyer_is_exempt_whoever_pays(self):
        self.account.bill_to_id = self._create_account("Parent")
        self.account.tax_exempt = True
        self.assertEqual(self._get_verdict(taxed=False), "ok")

    def test_an_exemption_that_has_expired_does_not_count(self):
        self.account.write({"tax_exempt": True, "tax_exempt_expiry": "2020-12-31"})
        self.assertEqual(self._get_verdict(taxed=False), "missing")
        self.assertEqual(self._get_verdict(taxed=True), "ok")

    def test_tax_for_an_exempt_customer_is_red(self):
        self.account.tax_exempt = True
        self.assertEqual(self._get_verdict(taxed=True), "differs")
