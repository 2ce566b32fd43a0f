from datetime import date, timedelta

from odoo.tests import HttpCase, tagged

from odoo.addons.crm_billing_handoff.tests.agreement_common import AgreementCommon

from .common import ReportsCommon
from .match_common import MatchCommon


@tagged("post_install", "-at_install")
class TestReaderTours(HttpCase, ReportsCommon, AgreementCommon):
    """Accountant, salesperson and manager read reports in a browser."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.accountant = cls.users["accountant"]
        cls.right = cls.env.ref("base.group_allow_export")

    def _start(self, tour, user, url="/odoo/aging-receivables"):
        self.env.flush_all()
        self.start_tour(url, tour, login=user.login)
        self.env.invalidate_all()

    def _create_aged(self):
        """Return an invoice of 800.00 due 2020-03-01, of which 300.00 are open."""
        account = self._create_account("Aging Reader", user_id=self.seller.id)
        invoice = self._create_dated("2020-02-01", 800.0, "2020-03-01", account)
        self._pay_on(invoice, date(2020, 4, 1), 500.0)
        return invoice

    def test_the_accountant_reads_the_aging_of_a_past_day(self):
        invoice = self._create_aged()
        self.accountant.group_ids += self.right
        self._start("reports_accountant_reads_the_aging", self.accountant)
        event = self.env["crm.billing.event"].search(
            [("action", "=", "exported"), ("user_id", "=", self.accountant.id)]
        )
        self.assertEqual(len(event), 1)
        self.assertIn("2020-03-20", event.new_value)
        self.assertEqual(event.row_count, 1)
        self.assertEqual(invoice.amount_residual, 300.0)

    def test_the_rep_reads_own_accounts_and_no_tie_out(self):
        self._create_aged()
        other = self.users["other_seller"]
        self._create_dated(
            "2020-02-01",
            70.0,
            account=self._create_account("Of Another Rep", user_id=other.id),
            invoice_user_id=other.id,
        )
        self.seller.group_ids -= self.right
        self._start("reports_rep_reads_own_accounts", self.seller)

    def test_the_rep_is_offered_own_steps_only(self):
        deal = self._create_deal(name="Mine To Hand Off")
        self.account.billing_contact_id.email = self.account.email = False
        self._create_quotation(deal)
        self._win_and_process(deal)
        account = self._create_account("Bill Of Billing", user_id=self.seller.id)
        self._create_dated("2020-02-01", 70.0, account=account)
        self._start("reports_rep_hands_off", self.seller, "/odoo/billing-leaks")

    def test_the_manager_keeps_a_search_of_movements(self):
        today = self.env.cr.now().date()
        self._create_agreement(
            partner_id=self._create_account("Revenue Reader").id,
            start_date=today - timedelta(days=40),
            price_unit=120.0,
        )
        self.manager.group_ids += self.right
        self._start(
            "reports_manager_reads_revenue", self.manager, "/odoo/recurring-revenue"
        )
        favourite = self.env["ir.filters"].search([("name", "=", "How Reader moved")])
        self.assertEqual(favourite.model_id, "crm.billing.revenue.report")
        self.assertEqual(favourite.user_ids, self.manager)
        self.assertIn("Revenue Reader", favourite.domain)


@tagged("post_install", "-at_install")
class TestLeakTours(HttpCase, ReportsCommon):
    """What is not on its way is fixed by a clerk, or waived by a manager."""

    def _create_blocked(self, name, price):
        """Return a won deal that nobody could bill yet."""
        account = self._create_account(name)
        account.email = account.billing_contact_id.email = False
        deal = self._create_deal(name=name, partner_id=account.id)
        self._create_quotation(deal, price=price)
        self.assertEqual(self._win_and_process(deal).state, "blocked")
        return deal

    def test_a_leak_is_fixed_and_another_is_waived(self):
        self.product.taxes_id = False
        fixed = self._create_blocked("Forgotten Deal", 600.0)
        waived = self._create_blocked("Given Away", 90.0)
        fixed.partner_id.billing_contact_id.email = "ap@forgotten.example.com"

        self._start("reports_clerk_fixes_a_leak", self.clerk)
        self.assertEqual(fixed.billing_move_ids.amount_untaxed, 600.0)
        self.assertFalse(waived.billing_move_ids)

        self._start("reports_manager_waives_a_leak", self.manager)
        self.assertRecordValues(
            self.env["crm.billing.leak.waiver"].search([], order="id desc", limit=1),
            [{"amount": 90.0, "reason": "Goodwill of the founder"}],
        )
        event = self.env["crm.billing.event"].search([("action", "=", "leak_waived")])
        self.assertEqual(event.user_id, self.manager)

    def _start(self, tour, user):
        self.env.flush_all()
        self.start_tour("/odoo/billing-leaks", tour, login=user.login)
        self.env.invalidate_all()


@tagged("post_install", "-at_install")
class TestCertificateTour(HttpCase, MatchCommon):
    """A manager explains what differs from the other books, and certifies a month."""

    def test_the_manager_certifies_the_last_month(self):
        last = self.env.cr.now().date().replace(day=1) - timedelta(days=1)
        first = last.replace(day=1)
        self.system.start_date = first
        move = self._create_dated(first, 250.0)
        self._read_complete(
            self._invoice_row(move, amount="249.00"), first=first, last=last
        )
        row = self._get_row(move)
        self.assertEqual(row.reason, "amount")
        # What other data of the month differ is none of this test.
        others = self._get_board(("is_open", "=", True)) - row
        self.env["crm.billing.match.note"]._explain(others, "Not of this test")
        self.env.flush_all()

        self.start_tour(
            "/odoo/billing-match",
            "reports_manager_certifies_a_month",
            login=self.manager.login,
        )

        self.env.invalidate_all()
        self.assertRecordValues(
            self.env["crm.billing.certificate"].search(
                [("system_id", "=", self.system.id)]
            ),
            [
                {
                    "state": "certified",
                    "date_from": first,
                    "date_to": last,
                    "certified_uid": self.manager.id,
                    "is_drifted": False,
                }
            ],
        )
        self.assertEqual(self._get_row(move).note_id.text, "Rounded there")
