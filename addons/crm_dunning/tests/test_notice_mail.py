from odoo.exceptions import AccessError, ValidationError
from odoo.tests import tagged

from .dunning_run_common import MailRunCommon


@tagged("post_install", "-at_install")
class TestNoticeMail(MailRunCommon):
    """What the customer reads, who gets it, and what stops it at the last second."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.contact = cls.account.billing_contact_id
        cls.env["ir.config_parameter"].set_param(
            "account_payment.enable_portal_payment", "True"
        )
        cls._create_stripe_provider()

    # === CONTENT === #

    def test_content(self):
        """Every open instalment with its residual, credits apart, sums that tie."""
        old = self._create_invoice(due="2027-02-10", amount=100)
        self._pay(old, 40)
        soon = self._create_invoice(due="2027-02-16", amount=30)
        later = self._create_invoice(due="2027-06-16", amount=500)
        credit = self._create_invoice(
            due="2027-02-01", amount=20, move_type="out_refund"
        )
        self.account.billing_mail_note = "Thank you for ten years together!"
        [notice] = self._run("2027-02-12")
        body = notice.message_id.body
        for text in (
            old.name,
            "60.00",
            "100.00",
            soon.name,
            "30.00",
            credit.name,
            "20.00",
            "500.00",
            "570.00",  # 60 + 30 + 500 − 20
            "ten years together",
            f"/my/invoices/{old.id}?",
        ):
            self.assertIn(text, body)
        self.assertNotIn(later.name, body)
        content = notice._get_content()
        statement = sum(
            self.env["account.move.line"]
            .search(
                [
                    ("partner_id", "child_of", self.account.id),
                    ("account_type", "=", "asset_receivable"),
                    ("parent_state", "=", "posted"),
                ]
            )
            .mapped("amount_residual")
        )
        self.assertEqual(content.balance, statement)
        self.assertEqual(
            (content.overdue_total, content.upcoming_total, content.credit_total),
            (60, 30, 20),
        )

    def test_pay_link_is_core_s(self):
        """The links of the batch are those that core makes one by one."""
        moves = self._create_invoice(due="2027-02-10", amount=100)
        moves |= self._create_invoice(due="2027-02-10", amount=45.5)
        links = moves._get_dunning_pay_links({})
        for move in moves:
            self.assertEqual(links[move.id], move._get_billing_pay_link())
        self._pay(moves[0])
        self.assertEqual(list(moves._get_dunning_pay_links({})), moves[1].ids)

    def test_pay_link_of_an_instalment(self):
        """The link asks for what the message lists."""
        move = self._create_invoice(due="2027-02-10", amount=100)
        self.assertIn(
            "amount=25.0", move._get_dunning_pay_links({move.id: 25})[move.id]
        )

    def test_trail(self):
        """The mail stands in the oldest invoice's thread, others name it."""
        old = self._create_invoice(due="2027-02-10")
        other = self._create_invoice(due="2027-02-11")
        [notice] = self._run("2027-02-13")
        self.assertEqual(notice.move_id, old)
        self.assertEqual(notice.message_id.res_id, old.id)
        self.assertIn(notice.message_id, old.message_ids)
        self.assertIn(old.name, other.message_ids[0].body)
        self._send("2027-02-13 12:10:00")
        self.assertTrue(notice.message_id.exists(), "the trail outlives the mail")
        self.assertEqual(notice.state, "sent")
        self.assertTrue(notice.sent_at)

    def test_language_of_the_recipient(self):
        self.env["res.lang"]._activate_lang("fr_FR")
        template = self.env.ref("crm_dunning.mail_template_dunning_neutral")
        template.with_context(lang="fr_FR").subject = "Rappel de paiement"
        self.contact.lang = "fr_FR"
        self._create_invoice(due="2027-02-10", amount=1200)
        [notice] = self._run("2027-02-12")
        self.assertEqual(notice.subject, "Rappel de paiement")
        self.assertIn("10/02/2027", notice.message_id.body)

    # === RECIPIENTS === #

    def test_recipients(self):
        """Accounts payable, else invoice address, else the account (9.5)."""
        notices = self.Notice
        self.assertEqual(notices._get_recipients(self.account), self.contact)
        self.contact.email = False
        address = self.env["res.partner"].create(
            {
                "name": "Invoices",
                "type": "invoice",
                "parent_id": self.account.id,
                "email": "invoices@example.com",
            }
        )
        self.assertEqual(notices._get_recipients(self.account), address)
        address.action_archive()
        self.account.email = "house@example.com"
        self.assertEqual(notices._get_recipients(self.account), self.account)
        self.account.email = False
        self.assertFalse(notices._get_recipients(self.account))

    def test_copies(self):
        self.policy.write({"copy_salesperson": True, "copy_approver": True})
        approver = self.env["res.partner"].create(
            {"name": "Boss", "parent_id": self.account.id, "email": "boss@example.com"}
        )
        self.account.billing_approver_id = approver
        self._create_invoice(due="2027-02-10")
        [notice] = self._run("2027-02-12")
        self.assertEqual(
            notice.recipient_ids, self.contact | approver | self.seller.partner_id
        )
        self.assertEqual(notice.recipient_id, self.contact)

    def test_nobody_can_be_reached(self):
        """No address: a person takes over, nothing is marked as sent."""
        self.contact.email = False
        move = self._create_invoice(due="2027-02-10")
        [notice] = self._run("2027-02-12")
        self.assertEqual(notice.state, "recorded")
        case = self._get_case(move)
        self.assertEqual((case.state, case.reason), ("person", "bounce"))

    # === IN THE SECOND OF SENDING === #

    def test_leaves(self):
        self._create_invoice(due="2027-02-10")
        [notice] = self._run("2027-02-12")
        [mail] = self._send()
        self.assertIn(self.contact.email, mail["email_to"][0])
        self.assertEqual(notice.state, "sent")

    def test_paid_meanwhile(self):
        move = self._create_invoice(due="2027-02-10")
        [notice] = self._run("2027-02-12")
        self._pay(move)
        self.assertFalse(self._send())
        self.assertEqual(notice.state, "stopped")
        self.assertIn("nothing is open", notice.reason)
        self.assertFalse(self._get_lines(notice))

    def test_disputed_meanwhile(self):
        move = self._create_invoice(due="2027-02-10")
        [notice] = self._run("2027-02-12")
        self._get_case(move).action_dispute("wrong price")
        self.assertFalse(self._send())
        self.assertEqual(notice.state, "stopped")
        self.assertFalse(self._run("2027-02-13"))

    def test_part_paid_meanwhile(self):
        """Another amount is open: stopped, and made anew with the right one."""
        move = self._create_invoice(due="2027-02-10", amount=100)
        [notice] = self._run("2027-02-12")
        self._pay(move, 30)
        self.assertFalse(self._send())
        self.assertEqual(notice.state, "stopped")
        [again] = self._run("2027-02-12", hour=13)
        self.assertEqual((again.stage, again.amount), (2, 70))
        [mail] = self._send("2027-02-12 13:05:00")
        self.assertIn("70.00", mail["body"])

    def test_one_of_two_paid_meanwhile(self):
        paid = self._create_invoice(due="2027-02-10", amount=100)
        other = self._create_invoice(due="2027-02-10", amount=50)
        self._run("2027-02-12")
        self._pay(paid)
        self.assertFalse(self._send())
        [again] = self._run("2027-02-12", hour=13)
        self.assertEqual(self._get_lines(again).move_id, other)

    def test_too_late(self):
        """A mail of yesterday, or of closed hours, does not leave today."""
        self._create_invoice(due="2027-02-10")
        [notice] = self._run("2027-02-12")
        self.assertFalse(self._send("2027-02-13 09:00:00"))
        self.assertEqual(notice.state, "stopped")
        [again] = self._run("2027-02-13")
        self.policy.hour_to = 12.0
        self.assertFalse(self._send("2027-02-13 12:30:00"))
        self.assertEqual(again.state, "stopped")

    def test_disarmed_meanwhile(self):
        self._create_invoice(due="2027-02-10")
        [notice] = self._run("2027-02-12")
        self.policy.state = "dry_run"
        self.assertFalse(self._send())
        self.assertEqual(notice.state, "stopped")

    # === TEXTS === #

    def test_broken_text_is_not_saved(self):
        """G7: whatever a manager breaks, it does not reach the run."""
        template = self.env.ref("crm_dunning.mail_template_dunning_firm")
        template = template.with_user(self.manager)
        for values in (
            {"body_html": "<p t-out='object.no_such_field'/>"},
            {"subject": "{{ object.nothing }}"},
            {"body_html": "<p t-out='1 // 0'/>"},
        ):
            with self.assertRaises(ValidationError), self.env.cr.savepoint():
                template.write(values)
        template.subject = "Really: {{ object.company_id.name }}"

    def test_manager_edits_clerk_does_not(self):
        template = self.env.ref("crm_dunning.mail_template_dunning_firm")
        with self.assertRaises(AccessError):
            template.with_user(self.clerk).subject = "x"

    def test_shipped_texts(self):
        """Each shipped text renders and quotes no code of a bank."""
        notice, contents = self.Notice._make_sample()
        names = self.env["ir.model.data"].search(
            [
                ("module", "=", "crm_dunning"),
                ("model", "=", "mail.template"),
                ("name", "=like", "mail_template_dunning_%"),
                ("name", "!=", "mail_template_dunning_card_expiry"),
            ]
        )
        templates = self.env["mail.template"].browse(names.mapped("res_id"))
        self.assertEqual(len(templates), 10)
        for template in templates.with_context(dunning_contents=contents):
            body = template._render_field("body_html", notice.ids)[notice.id]
            self.assertIn("115.00", body, template.name)
            for code in ("insufficient", "stolen", "lost", "fraud", "declined_"):
                self.assertNotIn(code, body.lower())
