from freezegun import freeze_time

from odoo.fields import Command
from odoo.tests import Form, tagged

from .milestone_common import MilestoneCommon


@tagged("post_install", "-at_install")
@freeze_time("2027-03-01 12:00:00")
class TestMilestoneForms(MilestoneCommon):
    """Milestones as they are typed: amounts appear while somebody types (C8)."""

    def _type(self, form, field, name, **values):
        with getattr(form, field).new() as row:
            row.name = name
            for key, value in values.items():
                setattr(row, key, value)

    def test_on_the_deal(self):
        deal = self._create_deal(expected_revenue=1000.0)
        with Form(deal.with_user(self.seller)) as form:
            self._type(form, "billing_milestone_ids", "One", weight=40.0)
            self._type(form, "billing_milestone_ids", "Two", weight=60.0)
        self.assertEqual(deal.billing_milestone_ids.mapped("amount"), [400, 600])
        self.assertEqual(deal.billing_milestone_ids.user_id, self.seller)

    def test_on_the_quotation(self):
        self.product.billing_method = "milestone"
        deal = self._create_deal()
        order = self._create_quotation(deal, price=1000.0)
        with Form(order.with_user(self.seller)) as form:
            self._type(form, "billing_milestone_ids", "One", weight=40.0)
            self._type(
                form,
                "billing_milestone_ids",
                "Two",
                kind="fixed",
                fixed_amount=100.0,
            )
        self.assertEqual(
            order.order_line.billing_milestone_ids.mapped("amount"), [900, 100]
        )
        with Form(order.with_user(self.seller)) as form:
            with form.order_line.edit(0) as line:
                line.price_unit = 2000.0
        self.assertEqual(
            order.order_line.billing_milestone_ids.mapped("amount"), [1900, 100]
        )

    def test_on_the_agreement(self):
        agreement = self._create_contract()
        extra = {"name": "Extra", "kind": "fixed", "fixed_amount": 2000.0}
        agreement.with_user(self.clerk).milestone_ids = [Command.create(extra)]
        self.assertEqual(
            agreement.milestone_ids.sorted("sequence").mapped("amount"),
            [8000, 17500, 31500, 21000, 2000],
        )

    def test_a_milestone_of_its_own(self):
        agreement = self._create_contract()
        with Form(self.env["crm.billing.milestone"].with_user(self.clerk)) as form:
            form.name = "Extra"
            form.line_id = agreement.line_ids
            form.kind = "fixed"
            form.fixed_amount = 2000.0
        self.assertEqual(agreement.milestone_ids[-1].name, "Extra")

    def test_in_any_order(self):
        """The last one takes the rest, wherever it was moved to."""
        agreement = self._create_contract(100.0, [(n, "share", 1.0) for n in "abc"])
        first = agreement.milestone_ids[0]
        self.assertEqual(first.amount, 33.33)
        first.sequence = 99
        self.assertEqual(first.amount, 33.34)

    def test_a_copied_quotation_brings_its_milestones(self):
        self.product.billing_method = "milestone"
        deal = self._create_deal()
        order = self._create_quotation(deal, price=1000.0)
        self.env["crm.billing.milestone"].create(
            {"name": "All", "order_id": order.id, "weight": 100.0}
        )
        copy = order.copy()
        self.assertRecordValues(
            copy.billing_milestone_ids,
            [{"name": "All", "amount": 1000, "state": "open", "line_id": False}],
        )
        self.assertEqual(len(order.billing_milestone_ids), 1)

    def test_the_release_dialog_of_an_agreement(self):
        agreement = self._start(retention_percent=5.0)
        agreement.milestone_ids[1].action_mark_done()
        self._post(agreement.move_ids)
        action = agreement.with_user(self.clerk).action_open_retention_release()
        wizard = Form(
            self.env[action["res_model"]]
            .with_user(self.clerk)
            .with_context(**action["context"])
        )
        self.assertEqual(wizard.amount, 900)
        wizard.save().action_release()
        self.assertFalse(agreement.retention_open)
