from datetime import date, datetime

from freezegun import freeze_time

from odoo.fields import Command
from odoo.tests import tagged

from .change_common import CHANGE_DAY, DECEMBER, NOVEMBER, ChangeCommon
from .milestone_common import MilestoneCommon


@tagged("post_install", "-at_install")
@freeze_time("2027-01-01 12:00:00")
class TestExemption(MilestoneCommon):
    """The tax of an invoice is the one of its date (E2, E4)."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.env["account.fiscal.position"].search([]).auto_apply = False
        cls.exempt = {
            "tax_exempt": True,
            "tax_exempt_reason": "Public school, decree 12",
            "tax_exempt_expiry": "2027-02-01",
        }

    # === AGREEMENTS === #

    def test_exempt_to_the_last_day_included(self):
        self.account.write(self.exempt)
        self._create_agreement(price_unit=100.0)
        taxes = []
        for day in (date(2027, 1, 1), date(2027, 2, 1), date(2027, 3, 1)):
            with freeze_time(f"{day} 12:00:00"):
                taxes.append(self._run(day).amount_tax)
        self.assertEqual(taxes, [0, 0, 10])

    def test_a_move_abroad_decides_the_next_invoice(self):
        export = self.env["account.fiscal.position"].create(
            {
                "name": "Export",
                "auto_apply": True,
                "country_id": self.env.ref("base.nz").id,
            }
        )
        agreement = self._create_agreement(price_unit=100.0)
        self.assertEqual(self._run(date(2027, 1, 1)).amount_tax, 10)
        self.account.country_id = self.env.ref("base.nz")
        with freeze_time("2027-02-01 12:00:00"):
            move = self._run(date(2027, 2, 1))
        self.assertRecordValues(
            move, [{"amount_tax": 0, "fiscal_position_id": export.id}]
        )
        self.assertEqual(agreement.line_ids.tax_ids, self.tax)

    def test_a_credit_takes_the_tax_of_what_it_credits(self):
        """Exempt in mid-period: the credit carries tax, the charge does not."""
        self._create_agreement(price_unit=310.0)
        invoice = self._run(date(2027, 1, 1))
        invoice.action_post()
        self.account.tax_exempt = True
        credit = invoice._reverse_moves([{"invoice_date": "2027-01-15"}])
        self.assertEqual(credit.amount_tax, 31)
        credit.action_post()
        self.assertEqual(credit.amount_tax, 31)

    def test_the_deposit_comes_back_with_its_own_tax(self):
        agreement = self._start(line={"deposit_percent": 10.0})
        agreement.with_user(self.clerk).generate_invoices()
        self.account.tax_exempt = True
        agreement.milestone_ids[3].action_mark_done()
        lines = agreement.milestone_ids[3].move_id.invoice_line_ids
        self.assertRecordValues(
            lines.sorted("sequence"),
            [
                {"price_subtotal": 21600, "tax_ids": []},
                {"price_subtotal": -2160, "tax_ids": self.tax.ids},
            ],
        )

    def test_the_agreements_own_position_stays(self):
        own = self.env["account.fiscal.position"].create({"name": "Agreed"})
        self.account.tax_exempt = True
        self._create_agreement(price_unit=100.0, fiscal_position_id=own.id)
        move = self._run(date(2027, 1, 1))
        self.assertEqual(move.fiscal_position_id, own)
        move.invoice_date = "2027-01-02"
        self.assertEqual(move.fiscal_position_id, own)

    # === DRAFTS === #

    def test_a_draft_follows_its_invoice_date(self):
        self.account.write(self.exempt)
        self._create_agreement(price_unit=100.0)
        move = self._run(date(2027, 1, 1))
        self.assertEqual(move.billing_exempt_reason, "Public school, decree 12")
        move.invoice_date = "2027-02-02"
        self.assertRecordValues(
            move, [{"amount_tax": 10, "billing_exempt_reason": False}]
        )
        move.invoice_date = "2027-02-01"
        self.assertEqual(move.amount_tax, 0)

    def test_a_draft_of_a_deal_is_taxed_on_the_day_it_is_posted(self):
        self.account.write(self.exempt)
        deal = self._create_deal()
        order = self._create_quotation(deal)
        self.assertFalse(order.order_line.tax_ids)
        move = self._win_and_process(deal).move_ids
        self.assertEqual(move.amount_tax, 0)
        with freeze_time("2027-02-02 12:00:00"):
            self._post(move)
        self.assertEqual(move.amount_tax, 10)
        self.assertFalse(move.billing_exempt_reason)

    def test_quoted_with_tax_and_exempt_since(self):
        deal = self._create_deal()
        order = self._create_quotation(deal)
        self.assertEqual(order.order_line.tax_ids, self.tax)
        self.account.write(self.exempt)
        move = self._win_and_process(deal).move_ids
        self.assertEqual(move.amount_tax, 0)
        self.assertEqual(
            move.fiscal_position_id, self.company.billing_exempt_position_id
        )

    def test_an_exempt_deal_without_quotation(self):
        self.account.write(self.exempt)
        deal = self._create_deal(expected_revenue=100.0)
        self.company.billing_product_id.taxes_id = self.tax
        self.assertEqual(self._win_and_process(deal).move_ids.amount_tax, 0)

    def test_an_exemption_with_a_tax_of_its_own(self):
        zero = self.tax.copy({"name": "Exempt 0%", "amount": 0})
        position = self.env["account.fiscal.position"].create({"name": "Exempt"})
        zero.write(
            {
                "fiscal_position_ids": [Command.set(position.ids)],
                "original_tax_ids": [Command.set(self.tax.ids)],
            }
        )
        self.company.billing_exempt_position_id = position
        self.account.tax_exempt = True
        self._create_agreement(price_unit=100.0)
        self.assertEqual(self._run(date(2027, 1, 1)).invoice_line_ids.tax_ids, zero)

    def test_the_reason_is_printed(self):
        self.account.write(self.exempt)
        self._create_agreement(price_unit=100.0)
        move = self._run(date(2027, 1, 1))
        html = self.env["ir.actions.report"]._render_qweb_html(
            "account.report_invoice", move.ids
        )[0]
        self.assertIn(b"Public school, decree 12", html)

    def test_without_tax_the_checklist_is_content(self):
        self.account.write(self.exempt)
        deal = self._create_deal()
        self._create_quotation(deal)
        checklist = self._win_and_process(deal).move_ids.billing_checklist
        status = {item["code"]: item["status"] for item in checklist}
        self.assertEqual((status["tax"], status["fiscal_position"]), ("ok", "ok"))

    def test_nobody_is_not_exempt(self):
        nobody = self.env["res.partner"]
        self.assertFalse(nobody._is_tax_exempt_on(date(2027, 1, 1)))
        self.assertFalse(
            nobody._get_billing_fiscal_position(self.company, nobody, date(2027, 1, 1))
        )

    # === WARNING === #

    def _warn(self, now):
        self.env["res.partner"]._cron_warn_exemptions(datetime.fromisoformat(now))
        return self.account.activity_ids

    def test_warned_thirty_days_before_once(self):
        self.account.write(self.exempt)
        self.assertFalse(self._warn("2027-01-01 12:00:00"))
        task = self._warn("2027-01-02 12:00:00")
        self.assertRecordValues(
            task, [{"user_id": self.clerk.id, "date_deadline": date(2027, 2, 1)}]
        )
        self.assertEqual(self._warn("2027-01-03 12:00:00"), task)

    def test_a_prolonged_exemption_is_warned_of_again(self):
        self.account.write(self.exempt)
        self._warn("2027-01-02 12:00:00")
        self.account.tax_exempt_expiry = "2028-02-01"
        self.assertEqual(len(self._warn("2027-01-03 12:00:00")), 1)
        self.assertEqual(len(self._warn("2028-01-10 12:00:00")), 2)

    def test_no_warning_without_an_end(self):
        self.account.write({"tax_exempt": True, "tax_exempt_expiry": False})
        self.assertFalse(self._warn("2027-01-10 12:00:00"))

    def test_the_job_runs(self):
        self.account.write(self.exempt)
        with freeze_time("2027-01-20 12:00:00"), self.enter_registry_test_mode():
            cron = self.env.ref("crm_billing_handoff.ir_cron_warn_exemptions")
            for _time in range(2):
                cron.method_direct_trigger()
        self.assertEqual(len(self.account.activity_ids), 1)


@tagged("post_install", "-at_install")
@freeze_time("2027-11-05 12:00:00")
class TestExemptionInMidPeriod(ChangeCommon):
    """What was taxed is credited with tax, what is charged now follows today (E4)."""

    def test_exempt_since_the_change(self):
        agreement = self._create_billed(NOVEMBER)
        self.account.tax_exempt = True
        self._change(agreement, "price", CHANGE_DAY, price_unit=126.0)
        moves = self._bill(DECEMBER)
        lines = moves.invoice_line_ids.filtered("billing_kind")
        taxes = {line.billing_kind: line.tax_ids for line in lines}
        self.assertEqual(taxes["credit"], self.tax)
        self.assertFalse(taxes["charge"])
        self.assertFalse(taxes["recurring"])

    def test_moved_abroad_since_the_change(self):
        self.env["account.fiscal.position"].search([]).auto_apply = False
        self.env["account.fiscal.position"].create(
            {
                "name": "Export",
                "auto_apply": True,
                "country_id": self.env.ref("base.nz").id,
            }
        )
        agreement = self._create_billed(NOVEMBER)
        self.account.country_id = self.env.ref("base.nz")
        self._change(agreement, "price", CHANGE_DAY, price_unit=126.0)
        moves = self._bill(DECEMBER)
        lines = moves.invoice_line_ids.filtered("billing_kind")
        taxes = {line.billing_kind: line.tax_ids for line in lines}
        self.assertEqual(taxes["credit"], self.tax)
        self.assertFalse(taxes["charge"] | taxes["recurring"])

    def test_a_draft_that_is_redated_keeps_the_tax_of_its_credits(self):
        self.account.write({"tax_exempt": True, "tax_exempt_expiry": "2027-12-04"})
        agreement = self._create_billed(NOVEMBER)
        self._change(agreement, "price", CHANGE_DAY, price_unit=126.0)
        with self._on(DECEMBER):
            moves = self._run(DECEMBER)
        moves.invoice_date = "2027-12-04"
        self.assertFalse(moves.invoice_line_ids.tax_ids)
        moves.invoice_date = "2027-12-05"
        lines = moves.invoice_line_ids.filtered("billing_kind")
        taxes = {line.billing_kind: line.tax_ids for line in lines}
        self.assertFalse(taxes["credit"])
        self.assertEqual(taxes["charge"], self.tax)
