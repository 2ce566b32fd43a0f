from datetime import timedelta

from odoo import fields
from odoo.exceptions import ValidationError
from odoo.tests import Form, tagged

from .common import BillingHandoffCommon


@tagged("post_install", "-at_install")
class TestReadiness(BillingHandoffCommon):
    """What is missing, why, who fixes it, and that fixing releases by itself."""

    def _get_names(self, deal, level="block"):
        gaps = deal.with_user(self.seller).billing_readiness or []
        return [gap["name"] for gap in gaps if gap["level"] == level]

    def test_a_ready_deal_has_no_gaps(self):
        deal = self._create_deal(expected_revenue=10)
        self.assertFalse(deal.with_user(self.seller).billing_readiness)
        self.assertEqual(deal.billing_gap_count, 0)

    def test_the_salesperson_sees_the_gaps_before_winning(self):
        account = self._create_account(
            "Gappy", billing_contact_id=False, street=False, legal_name=False
        )
        deal = self._create_deal(account, expected_revenue=10)

        self.assertEqual(
            self._get_names(deal), ["Street and city", "Accounts payable contact"]
        )
        self.assertEqual(self._get_names(deal, "warn"), ["Legal name"])
        gap = deal.with_user(self.seller).billing_readiness[-1]
        self.assertEqual(
            (gap["model"], gap["res_id"], gap["who"]),
            ("res.partner", account.id, "sales"),
        )
        self.assertTrue(gap["why"])

    def test_account_and_handoff_show_the_same_gaps(self):
        account = self._create_account("Gappy", billing_contact_id=False)
        deal = self._create_deal(account, expected_revenue=10)
        before = deal.billing_readiness
        handoff = self._win_and_process(deal)
        self.assertEqual(handoff.missing, before)
        self.assertEqual(handoff.readiness, before)
        self.assertEqual(account.billing_readiness, before)

    def test_the_form_follows_the_customer_that_is_typed(self):
        bad = self._create_account("Gappy", billing_contact_id=False)
        deal = self._create_deal(expected_revenue=10)
        with Form(deal.with_user(self.seller)) as form:
            self.assertFalse(form.billing_readiness)
            form.partner_id = bad
            self.assertEqual(
                [gap["name"] for gap in form.billing_readiness],
                ["Accounts payable contact"],
            )

    def test_each_shipped_rule(self):
        today = fields.Date.context_today(self.account)
        contact = self.account.billing_contact_id
        position = self.env["account.fiscal.position"].create(
            {"name": "Union", "vat_required": True}
        )
        cases = {
            "Country": (self.account, {"country_id": False}),
            "Street and city": (self.account, {"city": False}),
            "Accounts payable contact": (self.account, {"billing_contact_id": False}),
            "Accounts payable e-mail": (contact, {"email": False}),
            "Tax number": (
                self.account,
                {"property_account_position_id": position.id, "vat": False},
            ),
            "PO number": (self.account, {"po_required": True}),
            "PO expired": (
                self.account,
                {"po_number": "PO-1", "po_expiry": today - timedelta(days=1)},
            ),
            "Billing hold": (self.account, {"billing_hold": True}),
        }
        for name, (record, values) in cases.items():
            with self.subTest(rule=name), self._rolled_back():
                deal = self._create_deal(expected_revenue=10)
                self.assertEqual(self._get_names(deal), [])
                record.write(values)
                deal.invalidate_recordset()
                self.assertIn(name, self._get_names(deal))

    def test_each_shipped_warning(self):
        today = fields.Date.context_today(self.account)
        yesterday = today - timedelta(days=1)
        self.env["account.fiscal.position"].search([]).auto_apply = False
        cases = {
            "Legal name": ("account", {"legal_name": False}),
            "Payment terms": ("both", {"payment_term_id": False}),
            "Tax exemption expired": (
                "account",
                {"tax_exempt": True, "tax_exempt_expiry": yesterday},
            ),
            "Lines with a price": ("line", {"price_unit": 0}),
            "Lines with a tax": ("line", {"tax_ids": False}),
            "Signature": ("order", {"require_signature": True}),
            "Quotation validity": ("order", {"validity_date": yesterday}),
            "Foreign taxes": ("account", {"country_id": self.env.ref("base.nz").id}),
        }
        for name, (target, values) in cases.items():
            with self.subTest(rule=name), self._rolled_back():
                deal = self._create_deal()
                order = self._create_quotation(deal, require_signature=False)
                self.assertEqual(self._get_names(deal, "warn"), [])
                if target == "both":
                    self.account.property_payment_term_id = False
                record = {"account": self.account, "line": order.order_line}
                record.get(target, order).write(values)
                deal.invalidate_recordset()
                self.assertEqual(self._get_names(deal, "warn"), [name])
                self.assertEqual(self._win_and_process(deal).state, "done")

    def test_a_gap_links_to_where_it_is_closed(self):
        self.account.po_required = True
        [gap] = self._create_deal(expected_revenue=10).billing_readiness
        self.assertEqual(
            (gap["model"], gap["res_id"]), ("res.partner", self.account.id)
        )

    def test_a_bounced_mail_address_does_not_work(self):
        deal = self._create_deal(expected_revenue=10)
        self.account.billing_contact_id.message_bounce = 1
        self.assertEqual(self._get_names(deal), ["Accounts payable e-mail"])
        self.account.invoice_sending_method = "manual"
        deal.invalidate_recordset()
        self.assertEqual(self._get_names(deal), [], "paper needs no mail address")

    def test_a_po_that_the_next_invoice_exceeds(self):
        self.account.write({"po_number": "PO-7", "po_amount_limit": 150})
        first = self._create_deal(expected_revenue=100)
        self.assertEqual(self._win_and_process(first).state, "done")
        second = self._create_deal(expected_revenue=60)
        self.assertEqual(self._get_names(second), ["PO limit"])
        third = self._create_deal(expected_revenue=50)
        self.assertEqual(self._get_names(third), [])

    def test_a_po_that_two_deals_exceed_together(self):
        self.account.write(
            {
                "po_number": "PO-7",
                "po_amount_limit": 150,
                "bill_to_id": self._create_account("Parent").id,
            }
        )
        deals = self._create_deal(expected_revenue=100)
        deals |= self._create_deal(expected_revenue=100)
        handoffs = self._win_and_process(deals)
        self.assertEqual(sorted(handoffs.mapped("state")), ["blocked", "done"])
        blocked = handoffs.filtered(lambda handoff: handoff.state == "blocked")
        self.assertEqual(blocked.missing[0]["code"], "po_limit", "whoever pays")

    def test_a_cancelled_quotation_brings_no_po(self):
        self.account.po_required = True
        deal = self._create_deal()
        old = self._create_quotation(deal, client_order_ref="PO-OLD")
        self._create_quotation(deal)
        self.assertNotIn("PO number", self._get_names(deal))
        old._action_cancel()
        self.assertIn("PO number", self._get_names(deal))

    def test_one_task_for_the_owner(self):
        account = self._create_account("Gappy", billing_contact_id=False)
        deal = self._create_deal(account, expected_revenue=10)
        handoff = self._win_and_process(deal)
        handoff._process_or_bisect()
        self.assertEqual(len(deal.activity_ids), 1)
        self.assertEqual(deal.activity_ids.user_id, self.seller)
        self.assertIn("Accounts payable contact", deal.activity_ids.note)

    def test_what_is_missing_is_said_in_the_reader_s_language(self):
        self.env["res.lang"]._activate_lang("fr_FR")
        self.seller.lang = "fr_FR"
        rule = self.env.ref("crm_billing_handoff.readiness_rule_accounts_payable")
        rule.with_context(lang="fr_FR").name = "Qui paie"
        self.account.billing_contact_id = False
        deal = self._create_deal(expected_revenue=10)
        self._win_and_process(deal, self.env.user)
        self.assertIn("Qui paie", deal.activity_ids.note)

        handoff = deal.billing_handoff_id.with_user(self.clerk)
        handoff = handoff.with_context(lang="fr_FR")
        self.assertEqual(handoff.readiness[0]["name"], "Qui paie", "live")
        for view_type in ("list", "kanban"):
            arch = handoff.get_view(view_type=view_type)["arch"]
            self.assertIn('name="readiness"', arch)
            self.assertNotIn('name="missing"', arch)

    def test_fixing_releases_by_itself(self):
        account = self._create_account("Gappy")
        contact = account.billing_contact_id
        contact.email = False
        deal = self._create_deal(account, expected_revenue=10)
        handoff = self._win_and_process(deal)
        self.assertEqual(handoff.state, "blocked")
        self._wake()
        handoff.to_recheck = False

        contact.with_user(self.seller).email = "ap@gappy.example.com"
        self._wake()
        self.assertTrue(handoff.to_recheck)
        self._run_job()

        self.assertEqual(handoff.state, "done")
        self.assertFalse(deal.activity_ids, "the task is done by itself")
        actions = self.env["crm.billing.event"].search([("lead_id", "=", deal.id)])
        self.assertEqual(
            actions.sorted("id").mapped("action"), ["blocked", "released", "drafted"]
        )

    def test_a_change_on_the_payer_releases_too(self):
        payer = self._create_account("Payer", street=False)
        self.account.billing_contact_id = False
        self.account.bill_to_id = payer
        deal = self._create_deal(expected_revenue=10)
        handoff = self._win_and_process(deal)
        self.assertEqual(handoff.payer_id, payer)
        self._wake()
        handoff.to_recheck = False
        payer.with_user(self.seller).street = "5 Payer Street"
        self._wake()
        self.assertTrue(handoff.to_recheck)

    def test_a_write_elsewhere_wakes_nobody_and_costs_one_query(self):
        gappy = self._create_account("Gappy", billing_contact_id=False)
        handoff = self._win_and_process(self._create_deal(gappy, expected_revenue=10))
        other = self._create_account("Elsewhere")
        self._wake()
        handoff.to_recheck = False
        self.env.flush_all()

        other.comment = "hello"
        other.flush_recordset()
        with self.assertQueryCount(1):
            self.env.cr.precommit.run()
        self.assertFalse(handoff.to_recheck)

    def test_the_nightly_pass_catches_the_rest(self):
        account = self._create_account("Gappy", billing_contact_id=False)
        handoff = self._win_and_process(self._create_deal(account, expected_revenue=10))
        self._wake()
        handoff.to_recheck = False
        with self.enter_registry_test_mode():
            self.env.ref(
                "crm_billing_handoff.ir_cron_recheck_handoffs"
            ).method_direct_trigger()
        self.assertTrue(handoff.to_recheck)

    # === A MANAGER'S OWN RULE === #

    def _create_rule(self, **values):
        return (
            self.env["crm.billing.readiness.rule"]
            .with_user(self.manager)
            .create({"name": "Mine", "message": "Because.", **values})
        )

    def test_a_manager_s_rule_works_the_same(self):
        deal = self._create_deal(expected_revenue=10)
        rule = self._create_rule(field_path="ref")
        self.assertEqual(self._get_names(deal), ["Mine"])
        handoff = self._win_and_process(deal)
        self.assertEqual(handoff.state, "blocked")

        rule.active = False
        self.assertTrue(handoff.to_recheck, "a changed rule is a changed cause")
        handoff._process_or_bisect()
        self.assertEqual(handoff.state, "done")

    def test_a_rule_of_another_company_does_not_count(self):
        other = self.env["res.company"].create({"name": "Other"})
        self.manager.company_ids += other
        self._create_rule(field_path="ref", company_id=other.id)
        self.assertEqual(self._get_names(self._create_deal(expected_revenue=10)), [])

    def test_a_rule_with_a_date(self):
        deal = self._create_deal(expected_revenue=10)
        self._create_rule(
            check_model="crm.lead", domain="[('date_deadline', '>', 'today +3d')]"
        )
        self.assertEqual(self._get_names(deal), ["Mine"])
        deal.date_deadline = fields.Date.context_today(deal) + timedelta(days=5)
        deal.invalidate_recordset()
        self.assertEqual(self._get_names(deal), [])

    def test_a_broken_rule_is_refused_at_save(self):
        broken = {
            "no such field": {"field_path": "nonsense"},
            "no such path": {"field_path": "country_id.nonsense"},
            "path through a text": {"field_path": "name.length"},
            "unknown field in the condition": {"domain": "[('nonsense', '=', 1)]"},
            "unknown operator": {"domain": "[('name', '~~', 'x')]"},
            "not a list": {"domain": "{'a': 1}"},
            "syntax": {"domain": "[('name', '=', "},
            "code": {"domain": "[('name', '=', __import__('os').getcwd())]"},
            "code in the scope": {
                "field_path": "ref",
                "applies_domain": "[('id', 'in', [i for i in (1, 2)])]",
            },
            "a link to no record": {"field_path": "ref", "link_path": "name"},
            "a link that is no field": {"field_path": "ref", "link_path": "nonsense"},
            "neither": {},
            "both": {"field_path": "ref", "domain": "[]"},
        }
        for why, values in broken.items():
            with self.subTest(why=why), self.assertRaises(ValidationError) as raised:
                self._create_rule(**values)
            self.assertIn("Mine", str(raised.exception))

    def _rolled_back(self):
        """Undo what one of several cases did, in the database and in the cache."""
        test = self

        class RolledBack:
            def __enter__(self):
                self.savepoint = test.env.cr.savepoint()
                self.savepoint.__enter__()

            def __exit__(self, *_error):
                self.savepoint.rollback()
                self.savepoint.close(rollback=True)
                test.env.invalidate_all(flush=False)

        return RolledBack()
