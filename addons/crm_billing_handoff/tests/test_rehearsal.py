from datetime import date
from unittest.mock import patch

from odoo.exceptions import AccessError, UserError, ValidationError
from odoo.tests import freeze_time, tagged

from .agreement_common import AgreementCommon

MODULE = "odoo.addons.crm_billing_handoff.models.crm_billing_rehearsal"


@tagged("post_install", "-at_install")
class TestRehearsal(AgreementCommon):
    """The next months of the whole book, nothing written but the result."""

    def setUp(self):
        super().setUp()
        self.startClassPatcher(freeze_time("2027-05-12 12:00:00"))
        self.env["crm.billing.agreement"].search([]).write({"state": "closed"})

    def _rehearse(self, months=3, user=None):
        rehearsals = self.env["crm.billing.rehearsal"].with_user(user or self.clerk)
        rehearsal = rehearsals.create({"months": months})
        self.env.invalidate_all()
        return rehearsal

    def _create_flat(self, **values):
        return self._create_agreement(
            start_date=values.pop("start_date", date(2027, 6, 1)),
            price_unit=100.0,
            **values,
        )

    def _get_causes(self, rehearsal):
        return [
            (row.cause, row.billing_date, row.difference)
            for row in rehearsal.difference_ids
        ]

    def test_it_expects_what_the_engine_bills(self):
        agreement = self._create_flat(start_date=date(2027, 4, 20))
        rehearsal = self._rehearse()

        self.assertEqual(rehearsal.state, "done")
        self.assertEqual(rehearsal.date_until, date(2027, 8, 11))
        self.assertEqual(rehearsal.agreement_done, 1)
        self.assertFalse(agreement.period_ids)
        self.assertFalse(agreement.move_ids)
        expected = [(row.billing_date, row.amount) for row in rehearsal.line_ids]
        self.assertEqual(rehearsal.amount, 400.0)

        agreement.generate_invoices(rehearsal.date_until)
        made = agreement.period_ids.sorted("date_from")
        self.assertEqual([(row.date_from, row.amount) for row in made], expected)

    def test_a_long_look_is_no_catch_up(self):
        self.company.billing_catch_up_limit = 2
        agreement = self._create_flat()
        rehearsal = self._rehearse(12)
        self.assertEqual(len(rehearsal.line_ids), 12)
        self.assertFalse(agreement.is_catch_up_held)

    def test_what_cannot_be_billed_is_told_and_the_rest_expected(self):
        broken = self._create_flat()
        other = self._create_agreement(
            partner_id=self._create_account("Contoso").id,
            start_date=date(2027, 6, 1),
            price_unit=50.0,
        )
        self.account.billing_hold = True
        rehearsal = self._rehearse(1)
        self.assertEqual(rehearsal.broken_count, 1)
        self.assertEqual(rehearsal.amount, 50.0)
        failed = rehearsal.line_ids.filtered("error")
        self.assertEqual(failed.agreement_id, broken)
        self.assertIn("billing hold", failed.error)
        self.assertFalse(broken.billing_error)
        self.assertEqual((rehearsal.line_ids - failed).agreement_id, other)

    # === DIFFERENCES === #

    def _schedule(self, agreement, day, **values):
        change = self.env["crm.billing.change"].create(
            {"agreement_id": agreement.id, "date": day, **values}
        )
        change.action_apply()
        self.assertEqual(change.state, "scheduled")
        return change

    def test_a_scheduled_change_counts_and_stays_scheduled(self):
        agreement = self._create_flat()
        first = self._rehearse(3)
        change = self._schedule(
            agreement, date(2027, 7, 1), change_type="price", price_unit=130.0
        )
        second = self._rehearse(3)
        self.assertEqual(
            second.line_ids.mapped("amount"),
            [100.0, 130.0, 130.0],
        )
        self.assertEqual(
            self._get_causes(second),
            [("price", date(2027, 7, 1), 30.0), ("price", date(2027, 8, 1), 30.0)],
        )
        self.assertEqual(second.line_ids.line_id, first.line_ids.line_id)
        self.assertEqual(change.state, "scheduled")
        self.assertEqual(len(agreement.line_ids), 1)
        self.assertFalse(agreement.period_ids)

    def test_a_scheduled_end_and_a_scheduled_new_line(self):
        agreement = self._create_flat()
        self._rehearse(3)
        self._schedule(
            agreement,
            date(2027, 7, 1),
            change_type="add",
            product_id=self._create_product(name="More").id,
            plan_id=self.monthly.id,
            price_unit=5.0,
        )
        causes = self._get_causes(self._rehearse(3))
        self.assertEqual({cause for cause, _day, _amount in causes}, {"new"})
        self.assertEqual(len(agreement.line_ids), 1)

    def test_what_raises_anything_is_told_and_the_rest_expected(self):
        broken, good = self._create_flat(), self._create_flat()
        lines = self.env.registry["crm.billing.agreement.line"]
        plain = lines._get_dues

        def raising(line, *arguments):
            if line.agreement_id == broken:
                raise ZeroDivisionError("odd data")
            return plain(line, *arguments)

        with patch.object(lines, "_get_dues", raising):
            with self.assertLogs(MODULE, "WARNING"):
                rehearsal = self._rehearse(1)
        self.assertEqual(rehearsal.line_ids.filtered("error").agreement_id, broken)
        self.assertEqual(rehearsal.line_ids.filtered("kind").agreement_id, good)

    def test_the_first_one_has_nothing_to_compare_with(self):
        self._create_flat()
        rehearsal = self._rehearse()
        self.assertFalse(rehearsal.difference_ids)
        with self.assertRaisesRegex(UserError, "first rehearsal"):
            rehearsal.action_view_differences()

    def test_the_same_book_differs_in_nothing(self):
        self._create_flat()
        self._rehearse()
        self.assertFalse(self._rehearse().difference_ids)

    def test_a_new_agreement(self):
        self._create_flat()
        self._rehearse(2)
        self._create_flat(start_date=date(2027, 7, 1))
        second = self._rehearse(2)
        self.assertEqual(self._get_causes(second), [("new", date(2027, 7, 1), 100.0)])
        self.assertEqual(second.difference, 100.0)
        self.assertEqual(second.causes[0]["cause"], "new")

    def test_another_price_and_quantity(self):
        dearer, more = self._create_flat(), self._create_flat()
        self._rehearse(1)
        dearer.line_ids.sudo().price_unit = 110.0
        more.line_ids.sudo().quantity = 2.0
        causes = self._get_causes(self._rehearse(1))
        self.assertEqual(
            {(cause, amount) for cause, _day, amount in causes},
            {("price", 10.0), ("quantity", 100.0)},
        )

    def test_an_end_and_a_shorter_last_part(self):
        agreement = self._create_flat()
        self._rehearse(3)
        agreement.end_date = date(2027, 7, 15)
        self.assertEqual(
            [cause for cause, _day, _amount in self._get_causes(self._rehearse(3))],
            ["proration", "end"],
        )

    def test_what_was_billed_meanwhile(self):
        agreement = self._create_flat()
        self._rehearse(2)
        agreement.generate_invoices(date(2027, 6, 1))
        causes = self._get_causes(self._rehearse(2))
        self.assertEqual(causes, [("billed", date(2027, 6, 1), -100.0)])

    def test_days_that_only_one_looks_at_are_no_difference(self):
        self._create_flat()
        self._rehearse(1)
        self.assertFalse(self._rehearse(6).difference_ids)

    def test_differences_add_up(self):
        agreement = self._create_flat()
        first = self._rehearse(3)
        agreement.line_ids.sudo().price_unit = 90.0
        self._create_flat()
        second = self._rehearse(3)
        self.assertEqual(second.difference, second.amount - first.amount)

    # === BIG BOOKS, ROLES === #

    def test_a_big_book_is_done_in_chunks_by_the_job(self):
        for _number in range(5):
            self._create_flat()
        with patch(f"{MODULE}.AT_ONCE", 2):
            rehearsal = self._rehearse(1)
        self.assertEqual((rehearsal.state, rehearsal.progress), ("running", 0))
        commits = []
        cron = self.env.registry["ir.cron"]
        with patch.object(
            cron,
            "_commit_progress",
            lambda self, processed=0, **options: commits.append(processed) or 1,
        ):
            self.env["crm.billing.rehearsal"]._cron_rehearse(chunk_size=2)
        self.env.invalidate_all()
        self.assertEqual(commits, [0, 2, 2, 1, 0])
        self.assertEqual((rehearsal.state, rehearsal.progress), ("done", 100))
        self.assertEqual(len(rehearsal.line_ids), 5)

    def test_a_killed_job_goes_on_where_it_was(self):
        for _number in range(4):
            self._create_flat()
        with patch(f"{MODULE}.AT_ONCE", 2):
            rehearsal = self._rehearse(1)
        rehearsal.sudo()._rehearse_chunk(3)
        self.assertEqual(rehearsal.progress, 75)
        with patch.object(
            self.env.registry["ir.cron"], "_commit_progress", lambda *a, **o: 1
        ):
            self.env["crm.billing.rehearsal"]._cron_rehearse()
            self.env["crm.billing.rehearsal"]._cron_rehearse()
        self.assertEqual(len(rehearsal.line_ids), 4)

    def test_a_stopped_one_goes_on_no_more(self):
        self._create_flat()
        with patch(f"{MODULE}.AT_ONCE", 0):
            rehearsal = self._rehearse(1)
        rehearsal.action_stop()
        with patch.object(
            self.env.registry["ir.cron"], "_commit_progress", lambda *a, **o: 1
        ):
            self.env["crm.billing.rehearsal"]._cron_rehearse()
        self.assertEqual(rehearsal.state, "stopped")
        self.assertFalse(rehearsal.line_ids)

    def test_the_months_are_bounded(self):
        for months in (0, -1, 37):
            with self.subTest(months), self.assertRaises(ValidationError):
                self._rehearse(months)

    def test_who_may(self):
        for user in (self.seller, self.users["accountant"]):
            with self.subTest(user.name), self.assertRaises(AccessError):
                self._rehearse(1, user)
        rehearsal = self._rehearse(1)
        self.assertEqual(
            rehearsal.with_user(self.users["accountant"]).read(["amount"])[0]["amount"],
            0.0,
        )
        with self.assertRaises(AccessError):
            rehearsal.with_user(self.seller).read(["amount"])
        with self.assertRaises(AccessError):
            rehearsal.with_user(self.manager).write({"state": "running"})

    def test_nobody_forges_a_result(self):
        self._create_flat()
        forged = (
            self.env["crm.billing.rehearsal"]
            .with_user(self.manager)
            .create({"months": 1, "state": "stopped", "agreement_total": 999})
        )
        self.assertEqual((forged.state, forged.agreement_total), ("done", 1))

    def test_each_company_rehearses_its_own_book(self):
        self._create_flat()
        other = self.env["res.company"].create({"name": "Elsewhere"})
        self.clerk.company_ids |= other
        rehearsals = self.env["crm.billing.rehearsal"].with_user(self.clerk)
        theirs = rehearsals.with_company(other).create({"months": 1})
        self.assertEqual(theirs.company_id, other)
        self.assertFalse(theirs.line_ids)
        with self.assertRaises(AccessError):
            theirs.with_user(self.manager).read(["months"])


@tagged("post_install", "-at_install")
class TestUpcoming(AgreementCommon):
    """The next documents on the form."""

    def setUp(self):
        super().setUp()
        self.startClassPatcher(freeze_time("2027-05-12 12:00:00"))

    def test_the_next_ones_as_they_will_be(self):
        agreement = self._create_agreement(
            start_date=date(2027, 5, 20), price_unit=100.0
        )
        found = agreement.with_user(self.clerk).get_upcoming_invoices(3)
        self.assertEqual(
            [document["date"] for document in found["documents"]],
            ["2027-05-20", "2027-06-20", "2027-07-20"],
        )
        self.assertTrue(found["has_more"])
        first = found["documents"][0]
        money = agreement.currency_id.format
        self.assertEqual(
            (first["untaxed"], first["tax"], first["total"]),
            (money(100.0), money(10.0), money(110.0)),
        )
        self.assertFalse(agreement.period_ids)

    def test_a_scheduled_price_is_shown_from_its_day(self):
        agreement = self._create_agreement(
            start_date=date(2027, 6, 1), price_unit=100.0
        )
        change = self.env["crm.billing.change"].create(
            {
                "agreement_id": agreement.id,
                "change_type": "price",
                "price_unit": 120.0,
                "date": date(2027, 7, 1),
            }
        )
        change.action_apply()
        found = agreement.with_user(self.seller).get_upcoming_invoices(3)
        money = agreement.currency_id.format
        self.assertEqual(
            [document["untaxed"] for document in found["documents"]],
            [money(100.0), money(120.0), money(120.0)],
        )
        self.assertEqual(change.state, "scheduled")
        self.assertEqual(len(agreement.line_ids), 1)

    def test_more_than_the_catch_up_limit(self):
        self.company.billing_catch_up_limit = 2
        agreement = self._create_agreement(start_date=date(2027, 6, 1))
        self.assertEqual(len(agreement.get_upcoming_invoices(20)["documents"]), 20)

    def test_an_end_ends_the_list(self):
        agreement = self._create_agreement(
            start_date=date(2027, 6, 1), end_date=date(2027, 7, 31)
        )
        found = agreement.get_upcoming_invoices(6)
        self.assertEqual(len(found["documents"]), 2)
        self.assertFalse(found["has_more"])

    def test_words_where_nothing_is_to_come(self):
        draft = self._create_agreement(start=False)
        self.assertIn("Start", draft.get_upcoming_invoices()["message"])
        agreement = self._create_agreement()
        self.account.billing_hold = True
        self.assertIn("hold", agreement.get_upcoming_invoices()["message"])

    def test_salespeople_see_those_of_their_own(self):
        agreement = self._create_agreement(start_date=date(2027, 6, 1))
        found = agreement.with_user(self.seller).get_upcoming_invoices(1)
        self.assertEqual(len(found["documents"]), 1)
        with self.assertRaises(AccessError):
            agreement.with_user(self.users["other_seller"]).get_upcoming_invoices(1)
