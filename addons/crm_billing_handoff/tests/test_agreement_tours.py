from dateutil.relativedelta import relativedelta

from odoo import fields
from odoo.fields import Command
from odoo.tests import HttpCase, tagged

from .agreement_common import AgreementCommon


@tagged("post_install", "-at_install")
class TestAgreementTours(AgreementCommon, HttpCase):
    """Agreements in a browser, from the quotation to the refund."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.company.billing_catch_up_limit = 12
        cls.today = fields.Date.today()
        cls.account = cls._create_account("Fabrikam")

    def _create_flat(self, start, **values):
        return self._create_agreement(
            start_date=start,
            price_unit=310.0,
            name_of_line="Workplace",
            **values,
        )

    @classmethod
    def _create_agreement(cls, start=True, lines=None, **values):
        name = values.pop("name_of_line", None)
        lines = lines or [{"name": name} if name else {}]
        return super()._create_agreement(start=start, lines=lines, **values)

    def _start_tour(self, tour, record, user):
        self.env.flush_all()
        path = {
            "crm.billing.agreement": "billing-agreements",
            "crm.lead": "crm",
        }[record._name]
        self.start_tour(f"/odoo/{path}/{record.id}", tour, login=user.login)
        self.env.invalidate_all()

    def _get_line_vals(self, name, method, **values):
        product = self._create_product(name=name, billing_method=method)
        return {
            "product_id": product.id,
            "name": name,
            "product_uom_qty": 1,
            **values,
        }

    def _create_quoted_deal(self):
        """Return a deal with a monthly, a metered and a milestone line."""
        meter = self.env["crm.billing.meter"].create(
            {"name": "Calls", "code": "calls", "unit_price": 0.5}
        )
        plan = {"billing_plan_id": self.monthly.id}
        deal = self._create_deal(name="Deal with Fabrikam")
        gateway = self._get_line_vals("Gateway", "usage", **plan)
        product = self.env["product.product"].browse(gateway["product_id"])
        product.billing_meter_id = meter
        phases = [
            Command.create({"name": name, "weight": weight, "user_id": self.seller.id})
            for name, weight in (("Plans", 40.0), ("Handover", 60.0))
        ]
        self.env["sale.order"].create(
            {
                "partner_id": deal.partner_id.id,
                "opportunity_id": deal.id,
                "user_id": deal.user_id.id,
                "order_line": [
                    Command.create(
                        self._get_line_vals(
                            "Workplace", "flat", price_unit=62.0, **plan
                        )
                    ),
                    Command.create(gateway),
                    Command.create(
                        self._get_line_vals(
                            "Relocation",
                            "milestone",
                            price_unit=9000.0,
                            billing_milestone_ids=phases,
                        )
                    ),
                ],
            }
        )
        return deal

    def test_quotation_becomes_an_agreement_with_its_first_draft(self):
        deal = self._create_quoted_deal()

        self._start_tour("billing_salesperson_wins_an_agreement", deal, self.seller)

        agreement = deal.billing_handoff_id.agreement_id
        self.assertEqual(
            agreement.line_ids.mapped("billing_method"), ["flat", "usage", "milestone"]
        )
        self.assertEqual(agreement.move_ids.amount_untaxed, 62.0)
        self.start_tour(
            "/odoo/billing-review",
            "billing_clerk_sees_the_first_draft",
            login=self.clerk.login,
        )

    def test_upgrade_with_preview(self):
        agreement = self._create_flat(self.today - relativedelta(days=10))
        self._post(agreement.generate_invoices())

        self._start_tour("billing_clerk_upgrades", agreement, self.clerk)

        self.assertEqual(agreement.line_ids.mapped("quantity"), [1.0, 3.0])
        kinds = agreement.period_ids.mapped("kind")
        self.assertEqual(sorted(kinds), ["charge", "credit", "recurring"])
        charge = agreement.period_ids.filtered(lambda row: row.kind == "charge")
        credit = agreement.period_ids.filtered(lambda row: row.kind == "credit")
        self.assertAlmostEqual(charge.amount, -3 * credit.amount, delta=0.03)

    def test_cancel_with_refund(self):
        agreement = self._create_flat(self.today - relativedelta(days=10))
        invoice = self._post(agreement.generate_invoices())
        self._pay(invoice)

        self._start_tour("billing_manager_cancels_with_refund", agreement, self.manager)

        self.assertEqual(agreement.cancel_date, self.today)
        credit_note = agreement.move_ids - invoice
        self.assertEqual(credit_note.move_type, "out_refund")
        credit = agreement.period_ids.filtered(lambda row: row.kind == "credit")
        self.assertEqual(credit_note.amount_untaxed, -credit.amount)

    def test_gaps_after_an_outage(self):
        agreement = self._create_flat(
            self.today - relativedelta(months=3, days=5), invoice_mode="draft"
        )
        start = agreement.start_date
        self._post(agreement.generate_invoices(start))

        self._start_tour("billing_manager_fills_the_gaps", agreement, self.manager)

        waived, *billed = agreement.period_ids.sorted("date_from")[1:]
        self.assertTrue(waived.is_covered)
        self.assertEqual(waived.date_from, start + relativedelta(months=1))
        self.assertIn("Our outage", waived.note)
        self.assertEqual([row.status for row in billed], ["draft", "draft"])
        self.assertEqual(len(agreement.move_ids), 3)

    def test_usage_import(self):
        self.account.ref = "C-100"
        meter = self.env["crm.billing.meter"].create(
            {"name": "Calls", "code": "calls", "unit_price": 0.5}
        )
        line = {"billing_method": "usage", "meter_id": meter.id, "name": "Gateway"}
        agreement = self._create_agreement(
            start_date=self.today.replace(day=1), lines=[line]
        )

        self._start_tour("billing_clerk_imports_usage", agreement, self.clerk)

        events = self.env["crm.billing.usage"].search([("meter_id", "=", meter.id)])
        self.assertEqual(sorted(events.mapped("value")), [250.0, 400.0])
        self.assertEqual(events.line_id, agreement.line_ids)
        self.assertEqual(events.batch_id.refused, 1)
