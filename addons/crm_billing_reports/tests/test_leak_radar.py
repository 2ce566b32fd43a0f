from datetime import date

from freezegun import freeze_time

from odoo import fields
from odoo.exceptions import AccessError, UserError
from odoo.fields import Command
from odoo.tests import tagged

from odoo.addons.crm_billing_handoff.tests.agreement_common import AgreementCommon

from .leak_common import LeakCommon

TODAY = "2027-06-15"


@tagged("post_install", "-at_install")
@freeze_time(f"{TODAY} 12:00:00")
class TestLeakRadar(LeakCommon, AgreementCommon):
    """What was earned and is not on its way: found, worth its amount, fixed."""

    # === DEALS === #

    def test_a_blocked_deal_is_worth_its_quotation_and_says_why(self):
        self.account.billing_contact_id.email = False
        self.account.email = False
        deal = self._create_deal(expected_revenue=5.0)
        self._create_quotation(deal, price=300.0, quantity=2)
        handoff = self._win_and_process(deal)
        self.assertEqual(handoff.state, "blocked")
        leak = self._find(kind="deal")
        self.assertRecordValues(
            leak,
            [
                {
                    "lead_id": deal.id,
                    "handoff_id": handoff.id,
                    "partner_id": self.account.id,
                    "user_id": self.seller.id,
                    "amount": 600.0,
                    "is_estimated": False,
                    "is_waived": False,
                }
            ],
        )
        self.assertTrue(leak.reason)

    def test_fixing_what_is_missing_and_one_click_hand_the_deal_off(self):
        self.account.billing_contact_id.email = False
        self.account.email = False
        deal = self._create_deal()
        self._create_quotation(deal, price=300.0)
        self._win_and_process(deal)
        leak = self._find(user=self.seller, kind="deal")
        action = leak.action_fix()
        self.assertEqual(action["res_model"], "crm.billing.handoff")
        self.account.billing_contact_id.email = "ap@northwind.example.com"
        leak.action_fix()
        self.assertFalse(self._find(kind="deal"))
        self.assertEqual(deal.billing_move_ids.amount_untaxed, 300.0)

    def test_a_deal_that_nobody_queued_is_found(self):
        deal = self._create_deal(expected_revenue=700.0)
        old = self._create_deal(expected_revenue=900.0)
        self._win(deal | old)
        self.env.cr.execute(
            "DELETE FROM crm_billing_handoff WHERE lead_id IN %s",
            [tuple((deal | old).ids)],
        )
        old.date_closed = "2026-12-31 12:00:00"
        leak = self._find(kind="deal")
        self.assertEqual(leak.lead_id, deal)
        self.assertEqual((leak.amount, leak.is_estimated), (700.0, True))

    def test_a_deal_counts_from_the_local_day_of_its_account(self):
        self.account.billing_tz = "America/Los_Angeles"
        deal = self._create_deal(expected_revenue=700.0)
        self._win(deal)
        self.env.cr.execute(
            "DELETE FROM crm_billing_handoff WHERE lead_id = %s", [deal.id]
        )
        deal.date_closed = "2027-06-10 06:30:00"  # 23:30 of the day before, there
        leak = self._find(kind="deal")
        self.assertEqual(leak.since, date(2027, 6, 9))
        self.company.billing_leak_since = date(2027, 6, 10)
        self.assertFalse(self._find(kind="deal"), "won before the first day")

    def test_without_a_first_day_all_deals_are_watched(self):
        deal = self._create_deal(expected_revenue=700.0)
        self._win(deal)
        self.env.cr.execute(
            "DELETE FROM crm_billing_handoff WHERE lead_id = %s", [deal.id]
        )
        self.company.billing_leak_since = False
        self.assertIn(deal, self._find(kind="deal").lead_id)

    def test_a_deal_of_nobody_is_not_left_out(self):
        """Without company, team and salesperson the company is that of its maker."""
        self.clerk.company_id.billing_leak_since = "2020-01-01"
        deal = self._create_deal(expected_revenue=700.0)
        self._win(deal)
        self.env.cr.execute(
            "DELETE FROM crm_billing_handoff WHERE lead_id = %s", [deal.id]
        )
        deal.invalidate_recordset()
        deal.write({"company_id": False, "team_id": False, "user_id": False})
        self.env.flush_all()
        self.env.cr.execute(
            "UPDATE crm_lead SET create_uid = %s WHERE id = %s",
            [self.clerk.id, deal.id],
        )
        leak = self._find(kind="deal")
        self.assertEqual((leak.lead_id, leak.company_id), (deal, self.company))
        self.env.cr.execute(
            "UPDATE crm_lead SET create_uid = NULL WHERE id = %s", [deal.id]
        )
        first = self.env["res.company"].sudo().search([], order="id", limit=1)
        leak = self.leaks.sudo().search([("lead_id", "=", deal.id)])
        self.assertEqual(leak.company_id, first)

    def test_a_deal_won_just_now_is_on_its_way(self):
        deal = self._create_deal(expected_revenue=700.0)
        self._win(deal)
        self.assertFalse(self._find(kind="deal"))
        with freeze_time(f"{TODAY} 13:30:00"):
            self.assertEqual(self._find(kind="deal").lead_id, deal)

    # === AGREEMENTS === #

    def test_a_missed_billing_date_is_worth_what_the_engine_would_bill(self):
        agreement = self._create_agreement(
            start_date=date(2027, 4, 11), price_unit=31.0, quantity=2
        )
        leak = self._find(kind="agreement")
        self.assertEqual(leak.agreement_id, agreement)
        preview = agreement.preview_invoices(date(2027, 6, 15))
        self.assertEqual(leak.amount, sum(paper["untaxed"] for paper in preview))
        self.assertEqual(leak.amount, 186.0)
        self.assertEqual((leak.since, leak.age), (date(2027, 4, 11), 65))
        leak.action_fix()
        self.assertFalse(self._find(kind="agreement"))
        self.assertEqual(sum(agreement.move_ids.mapped("amount_untaxed")), 186.0)

    def test_only_agreements_of_the_chosen_companies_are_counted(self):
        agreement = self._create_agreement(start_date=date(2027, 4, 11))
        now = fields.Datetime.now()
        other = self.env["res.company"].create({"name": "Elsewhere"})
        asked = self.env["crm.billing.agreement"].with_user(self.clerk)
        counted = asked.with_context(allowed_company_ids=self.company.ids)
        self.assertIn(agreement.id, counted._get_unbilled_amounts(now))
        self.clerk.company_ids = [Command.link(other.id)]
        counted = asked.with_context(allowed_company_ids=other.ids)
        self.assertNotIn(agreement.id, counted._get_unbilled_amounts(now))

    def test_what_is_due_today_is_no_leak(self):
        self._create_agreement(start_date=date(2027, 6, 15), price_unit=31.0)
        self.assertFalse(self._find(kind="agreement"))

    def test_an_account_on_hold_counts_in_full(self):
        agreement = self._create_agreement(start_date=date(2027, 5, 1), price_unit=50.0)
        self.account.billing_hold = True
        leak = self._find(kind="agreement")
        self.assertEqual((leak.amount, leak.is_estimated), (100.0, False))
        with self.assertRaises(UserError):
            leak.action_fix()
        with self.assertRaises(UserError):
            agreement.with_context(billing_counting=True).generate_invoices()

    def test_a_draft_agreement_whose_service_began_is_found_and_started(self):
        agreement = self._create_agreement(
            start=False, start_date=date(2027, 6, 1), price_unit=80.0, discount=25.0
        )
        agreement.flush_recordset()
        leak = self._find(kind="start")
        self.assertEqual((leak.amount, leak.is_estimated), (60.0, True))
        leak.action_fix()
        self.assertEqual(agreement.state, "running")

    def test_amounts_of_another_currency_are_converted_today(self):
        other = self.env["res.currency"].create(
            {
                "name": "TST",
                "symbol": "T",
                "rate_ids": [
                    Command.create(
                        {
                            "name": "2027-01-01",
                            "rate": 4.0,
                            "company_id": self.company.id,
                        }
                    )
                ],
            }
        )
        self._create_agreement(
            start_date=date(2027, 6, 1), price_unit=100.0, currency_id=other.id
        )
        leak = self._find(kind="agreement")
        self.assertEqual((leak.amount_currency, leak.amount), (100.0, 25.0))
        self.assertEqual(leak.currency_id, other)

    # === MILESTONES === #

    def _create_milestone(self):
        """Return the first of two milestones, worth 400."""
        phases = [
            Command.create({"name": name, "kind": "percent", "weight": weight})
            for name, weight in (("Design", 40.0), ("Build", 60.0))
        ]
        agreement = self._create_agreement(
            lines=[
                {
                    "billing_method": "milestone",
                    "price_unit": 1000.0,
                    "milestone_ids": phases,
                }
            ],
            start_date=date(2027, 5, 1),
        )
        return agreement.line_ids.milestone_ids[0]

    def test_a_done_milestone_without_an_invoice_is_counted_once(self):
        milestone = self._create_milestone()
        self.account.billing_hold = True
        milestone.with_user(self.clerk).action_mark_done("2027-06-10")
        leaks = self._find(agreement_id=milestone.agreement_id.id)
        self.assertRecordValues(
            leaks,
            [
                {
                    "kind": "milestone",
                    "milestone_id": milestone.id,
                    "amount": 400.0,
                    "since": date(2027, 6, 10),
                    "age": 5,
                }
            ],
        )
        self.account.billing_hold = False
        self._find(kind="milestone").action_fix()
        self.assertEqual(milestone.state, "invoiced")
        self.assertFalse(self._find(agreement_id=milestone.agreement_id.id))

    # === USAGE === #

    def test_usage_that_nobody_rates_is_found_and_assigned(self):
        meter = self.env["crm.billing.meter"].create(
            {"name": "Calls", "code": "calls", "unit_price": 0.5}
        )
        meter.with_user(self.clerk).record_usage(
            [
                {
                    "id": f"{account}{number}",
                    "meter": "calls",
                    "account": account,
                    "at": "2027-06-01T10:00:00Z",
                    "value": 30,
                }
                for account in ("NORTH", "SOUTH")
                for number in range(2)
            ]
        )
        leaks = self._find(kind="usage").sorted("subject")
        self.assertEqual(leaks.mapped("subject"), ["calls: NORTH", "calls: SOUTH"])
        self.assertRecordValues(
            leaks,
            [{"event_count": 2, "amount": 30.0, "is_estimated": True, "age": 14}] * 2,
        )
        # Still unknown: shown, so that a clerk can say whose they are.
        shown = leaks[0].action_fix()
        self.assertEqual(shown["res_model"], "crm.billing.usage")
        self.account.ref = "NORTH"
        self._create_agreement(
            lines=[{"billing_method": "usage", "meter_id": meter.id}],
            start_date=date(2027, 6, 1),
        )
        self._find(kind="usage").action_fix()
        self.assertEqual(self._find(kind="usage").subject, "calls: SOUTH")

    def test_an_unknown_meter_has_no_amount(self):
        self.env["crm.billing.meter"].with_user(self.clerk).record_usage(
            [
                {
                    "id": "x",
                    "meter": "nobody",
                    "account": "NORTH",
                    "at": "2027-06-01T10:00:00Z",
                    "value": 1,
                }
            ]
        )
        leak = self._find(kind="usage")
        self.assertEqual(leak.reason, "No such meter")
        domain = [("id", "=", leak.id)]
        [(amount,)] = leak._read_group(domain, [], ["amount:sum"])
        self.assertIs(amount, False)  # unknown, which is not nothing

    # === INVOICES === #

    def test_a_draft_becomes_a_leak_after_three_days(self):
        draft = self._create_invoice(
            amount=120.0, post=False, due="2027-07-12", invoice_date="2027-06-12"
        )
        draft.invoice_line_ids.tax_ids = self.tax
        self.env.cr.execute(
            "UPDATE account_move SET create_date = '2027-06-12' WHERE id = %s",
            [draft.id],
        )
        leak = self._find(kind="draft")
        self.assertEqual((leak.move_id, leak.amount, leak.age), (draft, 120.0, 3))
        self.company.billing_leak_draft_days = 4
        self.assertFalse(self._find(kind="draft"))

    def test_a_posted_invoice_that_never_left_counts_what_is_open(self):
        move = self._create_dated("2027-06-01", 100.0)
        self.assertEqual(self._find(kind="unsent").amount, 100.0)
        self._pay_on(move, "2027-06-03", 60.0)
        self.assertEqual(self._find(kind="unsent").amount, 40.0)
        move.is_move_sent = True
        self.assertFalse(self._find(kind="unsent"))

    def test_a_returned_invoice_is_bounced_not_unsent(self):
        move = self._create_dated(TODAY, 100.0)
        move.is_move_sent = True
        move._mark_undelivered(self.account, "old@northwind.example.com")
        leak = self._find(move_id=move.id)
        self.assertRecordValues(
            leak, [{"kind": "bounced", "reason": "old@northwind.example.com"}]
        )
        self.assertEqual(leak.action_fix()["res_model"], "res.partner")

    # === EVERYBODY'S OWN === #

    def test_a_salesperson_sees_own_accounts_and_cannot_bill(self):
        other = self._create_account("Southwind", user_id=self.users["other_seller"].id)
        self._create_agreement(start_date=date(2027, 5, 1))
        self._create_agreement(
            start_date=date(2027, 5, 1),
            partner_id=other.id,
            user_id=self.users["other_seller"].id,
        )
        mine = self._find(user=self.seller)
        self.assertEqual(mine.partner_id, self.account)
        with self.assertRaises(AccessError):
            mine.action_fix()

    def test_a_step_is_offered_to_whom_it_is_not_refused(self):
        """A salesperson hands own deals off, and bills nothing; nor does accounting."""
        self._create_dated("2027-06-01", 100.0)
        self.account.billing_contact_id.email = self.account.email = False
        deal = self._create_deal()
        self._create_quotation(deal)
        self._win_and_process(deal)
        for user, deal, unsent in (
            (self.seller, True, False),
            (self.users["accountant"], False, False),
            (self.clerk, True, True),
        ):
            with self.subTest(user=user.name):
                self.assertEqual(self._find(user=user, kind="deal").can_fix, deal)
                self.assertEqual(self._find(user=user, kind="unsent").can_fix, unsent)

    def test_several_at_once_tell_what_is_left(self):
        held = self._create_account("Southwind", billing_hold=True)
        self._create_agreement(start_date=date(2027, 5, 1))
        self._create_agreement(start_date=date(2027, 5, 1), partner_id=held.id)
        leaks = self._find(kind="agreement")
        message = leaks.action_fix()["params"]["message"]
        self.assertIn("1 done", message)
        self.assertIn("on billing hold", message)
        self.assertEqual(self._find(kind="agreement").partner_id, held)

    def test_several_unsent_invoices_are_queued_and_sales_sends_none(self):
        self._create_dated("2027-06-01", 100.0)
        nowhere = self._create_account("Southwind")
        self.account.email = "ap@northwind.example.com"
        self._create_dated("2027-06-02", 50.0, account=nowhere)
        leaks = self._find(kind="unsent")
        with self.assertRaises(AccessError):
            leaks.with_user(self.seller).action_fix()
        with self.assertRaises(AccessError):
            leaks[0].with_user(self.seller).action_fix()
        message = leaks.action_fix()["params"]["message"]
        self.assertIn("1 done", message)
        self.assertIn("no e-mail address", message)
        queued = leaks.move_id.filtered("sending_data")
        self.assertEqual(queued.partner_id.commercial_partner_id, self.account)

    def test_what_needs_a_person_is_not_counted_as_done(self):
        for _number in range(2):
            draft = self._create_invoice(amount=9.0, post=False, due=TODAY)
            draft.is_billing_review = True
            self.env.cr.execute(
                "UPDATE account_move SET create_date = '2027-06-01',"
                " invoice_date = '2027-06-01' WHERE id = %s",
                [draft.id],
            )
        self.company.billing_review_required = True
        result = self._find(kind="draft").action_fix()["params"]
        self.assertEqual(result["type"], "warning")
        self.assertIn("a person decides", result["message"])

    def test_the_sum_over_accounts_is_the_revenue_at_risk(self):
        self._create_dated("2027-06-01", 100.0)
        self._create_agreement(start_date=date(2027, 5, 1), price_unit=50.0)
        leaks = self.leaks.with_user(self.clerk)
        domain = [("id", "not in", self.known)]
        self.assertEqual(leaks._read_group(domain, [], ["amount:sum"]), [(200.0,)])
        groups = leaks._read_group(domain, ["kind"], ["amount:sum"])
        self.assertEqual(dict(groups), {"agreement": 100.0, "unsent": 100.0})

    def test_invoices_at_risk_tie_to_the_ledger(self):
        """Half paid, foreign, waived, too young: the same documents, the same sum."""
        half = self._create_dated("2027-06-01", 100.0)
        self._pay_on(half, "2027-06-03", 60.0)
        self._create_dated("2027-06-02", 33.33)
        self._create_dated(TODAY, 500.0)
        returned = self._create_dated(TODAY, 7.0)
        returned._mark_undelivered(self.account, "old@northwind.example.com")
        leak = self._find(user=self.manager, move_id=half.id)
        leak.waive("Goodwill")
        proofs = self.leaks.with_user(self.clerk).get_tie_outs(
            [("partner_id", "=", self.account.id), ("is_waived", "=", False)]
        )
        self.assertEqual(
            [(proof["amount"], proof["difference"]) for proof in proofs],
            [(40.0 + 33.33 + 7.0, 0.0)],
        )

    def test_the_radar_shows_each_company_its_own(self):
        other = self.env["res.company"].create({"name": "Branch abroad"})
        self.clerk.company_ids |= other
        self._create_agreement(start_date=date(2027, 5, 1))
        agreement = self._create_agreement(
            start=False,
            start_date=date(2027, 5, 1),
            company_id=other.id,
            plan_id=self.monthly.id,
        )
        leaks = self.leaks.with_user(self.clerk)
        domain = [("id", "not in", self.known)]
        home = leaks.with_context(allowed_company_ids=self.company.ids)
        abroad = leaks.with_context(allowed_company_ids=other.ids)
        self.env.flush_all()
        self.assertEqual(home.search(domain).mapped("kind"), ["agreement"])
        self.assertEqual(abroad.search(domain).agreement_id, agreement)
