from datetime import timedelta

from odoo.tests import HttpCase, tagged

from .charge_common import ChargeCommon
from .common import DunningCommon
from .portal_common import PortalCommon, PortalMixin


@tagged("post_install", "-at_install")
class TestPortalTours(PortalCommon):
    """The customer answers in a browser."""

    def _start(self, tour):
        self.env.flush_all()
        self.start_tour("/my/invoices", tour, login=self.customer.login)
        self.env.invalidate_all()
        return self._get_case(self.invoice)

    def test_the_customer_promises(self):
        case = self._start("dunning_customer_promises")
        self.assertRecordValues(
            case,
            [
                {
                    "state": "promise",
                    "promise_amount": 40.0,
                    "promise_date": self.today + timedelta(days=14),
                }
            ],
        )

    def test_the_customer_complains(self):
        case = self._start("dunning_customer_complains")
        self.assertEqual(case.state, "dispute")
        self.assertIn("4711", case.dispute_note)

    def test_the_customer_has_paid(self):
        case = self._start("dunning_customer_has_paid")
        self.assertEqual(case.state, "person")
        self.assertIn("Transfer 4711", case.reason_note)


@tagged("post_install", "-at_install")
class TestPaymentTour(PortalMixin, HttpCase, ChargeCommon):
    """The customer pays with a saved card, against the local Stripe."""

    def test_the_customer_pays(self):
        self._create_token(self.customer.partner_id)
        self.env.flush_all()
        self.start_tour(
            "/my/invoices", "dunning_customer_pays", login=self.customer.login
        )
        self.env.invalidate_all()
        self.assertEqual(self._count_charges(), 1)
        self.assertEqual(self.invoice.transaction_ids.state, "done")
        self.assertEqual(self.invoice.amount_residual, 40.0)


@tagged("post_install", "-at_install")
class TestTours(DunningCommon, HttpCase):
    """Collector and manager in a browser."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.account = cls._create_account("Fabrikam")

    def test_the_collector_works_a_case(self):
        invoice = self._create_invoice(
            due=self.env.cr.now().date() - timedelta(days=20)
        )
        case = self.env["crm.dunning.case"]._open_for(invoice)
        case._take_over("overdue")
        self.env.flush_all()

        self.start_tour(
            "/odoo/collections", "dunning_collector", login=self.clerk.login
        )

        self.env.invalidate_all()
        self.assertRecordValues(
            case, [{"state": "automatic", "promise_date": False, "promise_amount": 0.0}]
        )
        events = self.env["crm.billing.event"].search([("move_id", "=", invoice.id)])
        actions = set(
            events.filtered(lambda event: event.user_id == self.clerk).mapped("action")
        )
        self.assertLessEqual(
            {"promised", "disputed", "dispute_ended", "given_back"}, actions
        )

    def test_the_manager_arms_a_policy(self):
        policy = self._create_policy(state="dry_run", name="Friendly, then firm")
        self._create_invoice(due=self.env.cr.now().date() - timedelta(days=40))
        self.env.flush_all()

        self._start(policy, "dunning_manager_arms", self.manager)

        self.assertRecordValues(
            policy, [{"state": "armed", "armed_uid": self.manager.id}]
        )
        self.assertEqual(policy.step_ids.mapped("days"), [-5, 2, 11, 18])

        self._start(policy, "dunning_manager_disarms", self.manager)

        self.assertRecordValues(policy, [{"state": "dry_run", "armed_uid": False}])

    def test_an_account_that_owes_orders_nothing(self):
        self.policy.sales_block = "block"
        deal = self._create_deal()
        order = self._create_quotation(deal)
        late = self.env.cr.now().date() - timedelta(days=12)
        self.env["crm.dunning.case"]._open_for(
            self._create_invoice(amount=250.0, due=late)
        )

        self._start(deal, "dunning_salesperson_is_stopped", self.seller)
        self.assertEqual(order.state, "draft")

        self._start(order, "dunning_manager_allows_the_order", self.manager)
        self.assertRecordValues(
            order,
            [
                {
                    "state": "draft",
                    "dunning_allowed_uid": self.manager.id,
                    "dunning_allow_reason": "Prepaid",
                }
            ],
        )

        self._start(order, "dunning_salesperson_confirms", self.seller)
        self.assertEqual(order.state, "sale")

    def _start(self, record, tour, user):
        """Start a tour on the form of a record, and read anew what it wrote."""
        self.env.flush_all()
        action = {
            "crm.dunning.policy": "crm_dunning.crm_dunning_policy_action",
            "crm.lead": "crm.crm_lead_action_pipeline",
            "sale.order": "sale.action_quotations",
        }[record._name]
        self.start_tour(f"/odoo/action-{action}/{record.id}", tour, login=user.login)
        self.env.invalidate_all()
