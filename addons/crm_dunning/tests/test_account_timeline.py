from odoo.exceptions import AccessError
from odoo.tests import tagged

from .test_case_life import CaseCommon


@tagged("post_install", "-at_install")
class TestAccountTimeline(CaseCommon):
    def _get_rows(self, user):
        self.env.flush_all()
        self.env["crm.billing.timeline"].invalidate_model()
        account = self.account.with_user(user)
        domain = account.action_view_billing_timeline()["domain"]
        return self.env["crm.billing.timeline"].with_user(user).search(domain)

    def _create_reminder(self, **values):
        return self.env["crm.dunning.notice"].create(
            {
                "partner_id": self.account.id,
                "company_id": self.company.id,
                "currency_id": self.currency.id,
                "date": self.today,
                "subject": "Please pay",
                "move_id": self.move.id,
                **values,
            }
        )

    def test_one_list_of_all_that_happened(self):
        self.case.action_dispute("Wrong quantity")
        self.move.message_post(
            body="We will pay soon",
            author_id=self.account.billing_contact_id.id,
            message_type="email",
            subtype_xmlid="mail.mt_comment",
        )
        self._pay(self.move, 40)
        self._create_reminder()
        rows = self._get_rows(self.clerk)
        self.assertEqual(len(rows.ids), len(set(rows.ids)))
        disputed = rows.filtered(lambda row: row.action == "disputed")
        self.assertEqual(disputed.title, "Wrong quantity")
        payment = rows.filtered(lambda row: row.kind == "payment")
        self.assertEqual((payment.amount, payment.move_id), (40, self.move))
        reminder = rows.filtered(lambda row: row.kind == "reminder")
        self.assertEqual(reminder.title, "Please pay")
        message = rows.filtered(lambda row: row.author_id.parent_id == self.account)
        self.assertIn("We will pay soon", message.title)

    def test_a_reminder_in_the_thread_is_listed_once(self):
        messages = [
            self.move.message_post(
                body=body, message_type="email", subtype_xmlid="mail.mt_comment"
            )
            for body in ("Please pay", "Thank you")
        ]
        self._create_reminder(message_id=messages[0].id)
        rows = self._get_rows(self.clerk)
        said = [(row.kind, row.title.strip()) for row in rows if row.title]
        self.assertIn(("reminder", "Please pay"), said)
        self.assertNotIn(("message", "Please pay"), said)
        self.assertIn(("message", "Thank you"), said)

    def test_a_charge_says_what_the_bank_answered(self):
        provider = self._create_stripe_provider()
        self.env["crm.dunning.attempt"].create(
            {
                "key": "timeline",
                "state": "declined",
                "source": "retry",
                "move_id": self.move.id,
                "partner_id": self.account.id,
                "provider_id": provider.id,
                "currency_id": self.currency.id,
                "amount": 100.0,
                "message": "Your card has insufficient funds.",
            }
        )
        charge = self._get_rows(self.clerk).filtered(lambda row: row.kind == "charge")
        self.assertIn("insufficient funds", charge.title)

    def test_a_salesperson_reads_own_accounts_only(self):
        self.assertTrue(self._get_rows(self.seller))
        self.assertFalse(self._get_rows(self.users["other_seller"]))
        row = self._get_rows(self.clerk)[:1]
        with self.assertRaises(AccessError):
            row.with_user(self.users["other_seller"]).read(["title"])
        for role in ("clerk", "manager"):
            with self.assertRaises(AccessError):
                row.with_user(self.users[role]).write({"title": "Changed"})

    def test_another_company_reads_none_of_its_invoices(self):
        other = self.env["res.company"].create({"name": "Other"})
        self.clerk.write({"company_ids": [(6, 0, other.ids)], "company_id": other.id})
        rows = self._get_rows(self.clerk)
        self.assertFalse(rows.filtered("company_id"))
