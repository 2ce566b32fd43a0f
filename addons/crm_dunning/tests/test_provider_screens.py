from odoo import fields
from odoo.tests import tagged

from .charge_common import ChargeCommon

ACTIONS = {
    "crm_dunning_attempt_action": ("seller", "clerk", "manager", "accountant"),
    "crm_dunning_provider_event_action": ("clerk", "manager"),
    "crm_dunning_dispute_action": ("clerk", "manager", "accountant"),
    "crm_dunning_payout_action": ("clerk", "manager", "accountant"),
    "account_payment_action_provider": ("clerk", "manager", "accountant"),
    "payment_provider_action_charging": ("manager",),
}


@tagged("post_install", "-at_install")
class TestProviderScreens(ChargeCommon):
    """Each screen opens for whoever has its menu, with a record in it."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.move = cls._create_invoice(amount=80.0, due=fields.Date.today())

    def _hear(self):
        now = fields.Datetime.add(self.now, minutes=5)
        self.env.flush_all()
        with self.enter_registry_test_mode(), self.registry.cursor() as cr:
            env = self.env(cr=cr, user=self.env.ref("base.user_root").id)
            env["payment.provider"]._cron_poll_events(now)
            env["crm.dunning.provider.event"]._cron_process_events(now)
            env["crm.dunning.payout"]._cron_fetch_payouts(now)
        self.env.invalidate_all()

    def test_screens_open_for_their_readers(self):
        self._run_charges()
        self.stripe.open_dispute(self._get_attempts(self.move).payment_intent)
        self.stripe.pay_out(self.currency.name.lower())
        self._hear()
        for name, roles in ACTIONS.items():
            action = self.env.ref(f"crm_dunning.{name}")
            views = [(view or False, mode) for view, mode in action.views]
            for role in roles:
                with self.subTest(action=name, role=role):
                    model = self.env[action.res_model].with_user(self.users[role])
                    found = model.get_views([*views, (False, "search")])
                    for mode in {mode for _view, mode in views} & {"list", "form"}:
                        self._read(model, found, mode)

    def _read(self, model, found, mode):
        """Read what a view shows, as the web client does."""
        names = found["models"][model._name]["fields"]
        arch = found["views"][mode]["arch"]
        shown = {name for name in names if f'name="{name}"' in arch}
        specification = {
            name: {"fields": {"display_name": {}}}
            if model._fields[name].type == "many2one"
            else {}
            for name in shown
        }
        answer = model.web_search_read([], specification, limit=5)
        self.assertTrue(answer["records"])
        self.assertTrue(shown)

    def test_smart_buttons_of_the_invoice(self):
        self._run_charges()
        self.stripe.open_dispute(self._get_attempts(self.move).payment_intent)
        self._hear()
        move = self.move.with_user(self.clerk)
        for action in (
            move.action_view_dunning_attempts(),
            move.action_view_dunning_disputes(),
        ):
            model = self.env[action["res_model"]].with_user(self.clerk)
            self.assertEqual(model.search_count(action["domain"]), 1)
        case = self._get_case(self.move).with_user(self.clerk)
        self.assertEqual(case.payment_dispute_state, "open")
        self.assertEqual(case.payment_dispute_amount, 80.0)
        self.assertTrue(case.evidence_due_at)
