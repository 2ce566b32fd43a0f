from datetime import date

from odoo.exceptions import AccessError, UserError
from odoo.tests import freeze_time, tagged

from .agreement_common import AgreementCommon


@tagged("post_install", "-at_install")
class TestExplain(AgreementCommon):
    """Why an amount is what it is, and whether it still comes out the same."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.fixed = cls._create_plan(anchor_mode="fixed_day", anchor_day=10)

    def _bill_part(self):
        agreement = self._create_agreement(
            plan_id=self.fixed.id, start_date=date(2027, 3, 22), price_unit=62.0
        )
        return agreement.generate_invoices(date(2027, 3, 22))

    def test_a_part_of_a_period_is_recomputed_equal(self):
        period = self._bill_part().invoice_line_ids.billing_period_ids
        proof = period.with_user(self.clerk).proof
        self.assertEqual(proof["verdict"], "equal")
        self.assertEqual(proof["recomputed"], period.currency_id.format(38.0))
        self.assertIn("price", proof["formula"])
        values = {row["name"]: row["value"] for row in proof["inputs"]}
        self.assertEqual(values["Share of the whole period"], "19/31")
        self.assertEqual(values["Days billed"], "19")

    def test_what_was_edited_on_the_invoice_is_told(self):
        move = self._bill_part()
        move.invoice_line_ids.price_unit = 30.0
        move.billing_review_note = "Agreed on the phone"
        move.action_billing_review()
        self._post(move)
        period = move.invoice_line_ids.billing_period_ids
        self.assertEqual(period.proof["verdict"], "edited")
        self.assertEqual(period.proof["difference"], period.currency_id.format(-8.0))

    def test_inputs_that_give_another_amount_are_red(self):
        period = self._bill_part().invoice_line_ids.billing_period_ids
        story = dict(period.explanation)
        period.sudo().explanation = {
            **story,
            "inputs": {**story["inputs"], "quantity": "2"},
        }
        self.assertEqual(period.proof["verdict"], "differs")

    @freeze_time("2027-01-25 12:00:00")
    def test_credits_that_end_at_the_whole_debit_are_equal(self):
        agreement = self._create_agreement(price_unit=100.0)
        self._post(agreement.generate_invoices(date(2027, 1, 1)))
        for day in (date(2027, 1, 11), date(2027, 1, 21)):
            change = self.env["crm.billing.change"].create(
                {
                    "agreement_id": agreement.id,
                    "change_type": "quantity",
                    "quantity": 1.0 + day.day,
                    "date": day,
                }
            )
            change.action_apply()
        credits = agreement.period_ids.filtered(lambda row: row.kind == "credit")
        self.assertEqual(len(credits), 2)
        self.assertEqual(
            {row.proof["verdict"] for row in agreement.period_ids}, {"equal"}
        )

    def test_large_and_small_numbers_are_written_out(self):
        period = self._bill_part().invoice_line_ids.billing_period_ids
        for stored, shown in (
            ("2.7E+4", "27000"),
            ("1E-3", "0.001"),
            ("19/31", "19/31"),
        ):
            self.assertEqual(period._describe_input(stored), shown)

    def test_a_formula_in_words_is_not_recomputed(self):
        period = self._bill_part().invoice_line_ids.billing_period_ids
        period.sudo().explanation = {
            "rule": "S99",
            "formula": "as agreed on the phone",
            "inputs": {"tiers": [{"up_to": "40", "price": "0.90"}], "none": None},
            "amount": "38.00",
        }
        proof = period.proof
        self.assertEqual(proof["verdict"], "stated")
        self.assertEqual(
            proof["inputs"], [{"name": "Tiers", "value": "up to 40, price 0.90"}]
        )

    def test_the_line_of_the_invoice_leads_to_it(self):
        move = self._bill_part()
        line = move.invoice_line_ids.with_user(self.clerk)
        action = line.action_explain_billing()
        self.assertEqual(action["res_id"], line.billing_period_ids.id)
        self.assertTrue(line.has_billing_explanation)
        self.assertEqual(line.billing_last_day, date(2027, 4, 9))

        typed = move.invoice_line_ids.create(
            {"move_id": move.id, "name": "By hand", "price_unit": 1.0}
        )
        with self.assertRaisesRegex(UserError, "typed on the invoice"):
            typed.action_explain_billing()

    def test_what_was_waived_was_not_computed(self):
        agreement = self._create_agreement()
        period = self.env["crm.billing.period"].browse(
            agreement.with_user(self.manager).waive_period(
                agreement.line_ids.id, "2027-01-01", "2027-02-01", "Our outage"
            )
        )
        self.assertFalse(period.proof)
        with self.assertRaisesRegex(UserError, "Our outage"):
            period.action_explain()

    def test_only_those_who_may_read_the_agreement(self):
        period = self._bill_part().invoice_line_ids.billing_period_ids
        period.with_user(self.seller).action_explain()
        with self.assertRaises(AccessError):
            period.with_user(self.users["other_seller"]).action_explain()

    def test_the_short_form_is_printed_for_the_customer(self):
        period = self._bill_part().invoice_line_ids.billing_period_ids
        action = period.with_user(self.clerk).action_print_explanation()
        html, _kind = self.env["ir.actions.report"]._render_qweb_html(
            action["report_name"], period.ids
        )
        for words in (b"19/31", b"38.00", b"Days of the whole period"):
            self.assertIn(words, html)

    def test_the_pdf_tells_the_service_where_the_description_lost_it(self):
        move = self._bill_part()
        line = move.invoice_line_ids
        self.assertEqual(line._get_service_text(), "")
        line.name = "As discussed"
        self.assertIn("04/09/2027", line._get_service_text())
        html, _kind = self.env["ir.actions.report"]._render_qweb_html(
            "account.account_invoices", move.ids
        )
        self.assertIn(b"03/22/2027 \xe2\x80\x93 04/09/2027", html)
