from collections import Counter

from odoo.modules.module import Manifest
from odoo.tests import TransactionCase, tagged
from odoo.tools import convert_file

MODULE = "crm_dunning"
BELOW = "crm_billing_handoff"


@tagged("post_install", "-at_install")
class TestDemo(TransactionCase):
    """One customer for each path that an unpaid invoice can take."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        for module, mark in ((BELOW, "res_users_sam"), (MODULE, "res_partner_drayton")):
            if not cls.env.ref(f"{module}.{mark}", raise_if_not_found=False):
                for path in Manifest.for_addon(module)["demo"]:
                    convert_file(cls.env, module, path, {}, mode="init", noupdate=True)
                    cls._analyze()
                cls.env.flush_all()
                cls.env.cr.precommit.run()  # what closes the cases of paid invoices

    @classmethod
    def _analyze(cls):
        """Let Odoo's queries be planned for a ledger that grew in one transaction.

        Planned among the dead rows of other tests, one of them takes minutes.
        """
        cls.env.flush_all()
        cls.env.cr.execute(
            "ANALYZE account_move, account_move_line, account_payment,"
            " account_partial_reconcile"
        )

    def _account(self, name):
        return self.env.ref(f"{MODULE}.res_partner_{name}")

    def _cases(self, name):
        return self.env["crm.dunning.case"].search(
            [("partner_id", "=", self._account(name).id)]
        )

    def _notices(self, name):
        return self.env["crm.dunning.notice"].search(
            [("partner_id", "=", self._account(name).id)], order="date, id"
        )

    def test_each_path_has_its_customer(self):
        expected = {
            "copperline": "automatic",
            "eastgate": "promise",
            "glenhaven": "dispute",
            "hollis": "hold",
            "seabright": "closed",
        }
        for name, state in expected.items():
            with self.subTest(name=name):
                self.assertEqual(self._cases(name).mapped("state"), [state])

    def test_a_person_has_what_is_overdue_for_long(self):
        cases = self._cases("drayton").filtered(lambda case: case.state == "person")
        self.assertTrue(cases)
        self.assertEqual(set(cases.mapped("reason")), {"overdue"})
        self.assertEqual(
            cases.owner_id, self.env.ref("crm_billing_handoff.res_users_clara")
        )
        self.assertTrue(all(cases.mapped("deadline")))

    def test_a_promise_was_broken(self):
        self.assertEqual(self._cases("foxglove").promise_broken_count, 1)
        self.assertFalse(self._cases("foxglove").promise_date)

    def test_the_payer_closed_the_case(self):
        self.assertEqual(self._cases("seabright").close_reason, "paid")
        self.assertEqual(len(self._notices("seabright")), 2)

    def test_a_reminder_came_back_and_went_to_the_next_address(self):
        notice = self._notices("pelham").filtered("reason")[:1]
        self.assertIn("ap@pelham.example.com", notice.reason)
        self.assertNotEqual(
            notice.recipient_id, self.env.ref(f"{MODULE}.res_partner_pelham_payable")
        )

    def test_each_currency_has_its_own_messages(self):
        currencies = Counter(self._notices("quillon").mapped("currency_id.name"))
        self.assertEqual(set(currencies), {"USD", "EUR"})

    def test_nobody_got_two_messages_a_day(self):
        sent = self.env["crm.dunning.notice"].search([("state", "=", "sent")])
        days = Counter(
            (notice.partner_id, notice.currency_id, notice.date) for notice in sent
        )
        self.assertEqual({count for count in days.values()}, {1})

    def test_saved_cards_say_how_charging_ends(self):
        """The local Stripe reads the way from the id of the saved method."""
        provider = self.env.ref("payment.payment_provider_stripe")
        self.assertTrue(provider.dunning_armed)
        provider._check_can_charge()
        attempts = self.env["crm.dunning.attempt"]
        moves = self.env["account.move"].union(
            *(
                self.env.ref(f"{MODULE}.account_move_{name}")
                for name in ("inverness", "jessamine", "kestrel", "rosewood")
            )
        )
        self.assertEqual(attempts._get_obstacles(moves, "due", self._now()), {})

    def _now(self):
        return self.env.cr.now().replace(microsecond=0)
