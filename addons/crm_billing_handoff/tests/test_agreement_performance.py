from datetime import date
from unittest.mock import patch

from freezegun import freeze_time

from odoo.fields import Command, Datetime
from odoo.tests import tagged

from .agreement_common import AgreementCommon

FEW, MANY = 10, 40  # the difference leaves out what does not grow with the number
NOON = Datetime.to_datetime("2027-01-01 12:00:00")


@tagged("post_install", "-at_install")
@freeze_time(NOON)
class TestAgreementPerformance(AgreementCommon):
    """Query budgets of the run, and the shortcut that makes a draft cheap."""

    def _create_agreements(self, number, lines=1, **values):
        return self.env["crm.billing.agreement"].union(
            *(
                self._create_agreement(
                    partner_id=self._create_account(f"Account {count}").id,
                    lines=[{"price_unit": 100.0} for _line in range(lines)],
                    **values,
                )
                for count in range(number)
            )
        )

    def _count_queries(self):
        """Return the queries of one run of the job."""
        self.env.flush_all()
        self.env.invalidate_all()
        start = self.env.cr.sql_log_count
        with self.enter_registry_test_mode(), self.env.registry.cursor() as cr:
            self.env(cr=cr)["crm.billing.agreement"]._cron_invoice_due(now=NOON)
        return self.env.cr.sql_log_count - start

    def _count_drafts(self, number, lines):
        agreements = self._create_agreements(number, lines)
        queries = self._count_queries()
        self.env.invalidate_all()
        self.assertEqual(len(agreements.move_ids), number)
        self.assertEqual(len(agreements.period_ids), number * lines)
        return queries

    def test_a_draft_of_many(self):
        """P1: 1.0 queries a draft of one line, 1.5 of five, its note included."""
        self._count_drafts(1, 1)  # fills caches that all others share
        for lines, budget in ((1, 1.0), (5, 1.5)):
            with self.subTest(lines=lines):
                few = self._count_drafts(FEW, lines)
                many = self._count_drafts(MANY, lines)
                self.assertLessEqual((many - few) / (MANY - FEW), budget)

    def test_nothing_due(self):
        """P5: 10 queries when nothing is due, whatever there is."""
        self._create_agreements(2)
        self._count_queries()
        few = self._count_queries()
        self._create_agreements(MANY)
        self._count_queries()
        self.assertLessEqual(self._count_queries(), 10)
        self.assertLessEqual(self._count_queries(), few)

    def test_posting_many(self):
        """P8: posting and queueing ask what core's numbering asks, and no more."""
        self._create_agreements(1, invoice_mode="send")
        self._count_queries()
        counts = []
        for number in (5, 15):
            agreements = self._create_agreements(number, invoice_mode="send")
            counts.append(self._count_queries())
            self.env.invalidate_all()
            self.assertEqual(set(agreements.move_ids.mapped("state")), {"posted"})
            self.assertTrue(all(agreements.move_ids.mapped("sending_data")))
        self.assertLessEqual((counts[1] - counts[0]) / 10, 6)

    def test_a_night_looks_at_what_starts_or_ends(self):
        steady = self._create_agreement(price_unit=10.0)
        turning = self._create_agreement(
            lines=[
                {"price_unit": 10.0},
                {"price_unit": 5.0, "start_date": date(2027, 2, 1)},
            ]
        )
        self.assertEqual(turning.mrr, 10)
        agreements = self.env["crm.billing.agreement"].with_context(
            lastcall=Datetime.to_datetime("2027-01-31 00:20:00")
        )
        with freeze_time("2027-02-01 00:20:00"):
            found = agreements.search(agreements._get_refresh_domain(Datetime.now()))
            self.assertEqual(found & (steady | turning), turning)
            agreements._cron_refresh()
        self.assertEqual(turning.mrr, 15)

    def test_one_invoice_is_queued_like_many(self):
        """A chunk of one does not render and send in the middle of the run."""
        agreement = self._create_agreement(invoice_mode="send")
        send = type(self.env["account.move.send"])
        with patch.object(send, "_generate_and_send_invoices") as sending:
            self._run(date(2027, 1, 1))
        sending.assert_not_called()
        self.assertTrue(agreement.move_ids.sending_data)

    # === WHAT IS FORESEEN === #

    def _get_entries(self, agreement, foreseen):
        """Bill ``agreement``; return every amount and tag of its journal entries."""
        lines = type(self.env["crm.billing.agreement.line"])
        if foreseen:
            self._run(date(2027, 1, 1))
        else:
            with patch.object(lines, "_prepare_balance", lambda *arguments: {}):
                self._run(date(2027, 1, 1))
        self.assertTrue(agreement.move_ids)
        return [
            [
                (
                    line.display_type,
                    line.balance,
                    line.amount_currency,
                    line.debit,
                    line.credit,
                    line.price_subtotal,
                    line.price_total,
                    line.tax_base_amount,
                    line.tax_tag_ids,
                    line.account_id,
                )
                for line in move.line_ids.sorted(
                    lambda line: (line.display_type, line.sequence, line.balance)
                )
            ]
            for move in agreement.move_ids.sorted("id")
        ]

    def _create_tax(self, **values):
        return self.env["account.tax"].create(
            {"name": "Other", "amount": 21.0, "type_tax_use": "sale", **values}
        )

    def _create_tagged_tax(self):
        tag = self.env["account.account.tag"].create(
            {
                "name": "Base",
                "applicability": "taxes",
                "country_id": self.home.id,
            }
        )
        tax = self._create_tax(name="Tagged")
        tax.repartition_line_ids.filtered(
            lambda line: line.repartition_type == "base"
        ).tag_ids = tag
        return tax

    def test_what_is_foreseen_is_what_core_works_out(self):
        """Balances and tags given beforehand never change an entry."""
        currency = self.env.ref("base.CHF")
        currency.active = True
        currency.rate_ids = [
            Command.create({"name": "2026-01-01", "inverse_company_rate": 1.07})
        ]
        included = self._create_tax(name="Incl", price_include_override="tax_included")
        group = self.env["account.tax"].create(
            {
                "name": "Group",
                "amount_type": "group",
                "type_tax_use": "sale",
                "children_tax_ids": [Command.set((self.tax | included).ids)],
            }
        )
        cases = {
            "plain": [{}],
            "no tax": [{"tax_ids": [Command.clear()]}],
            "one with and one without": [{}, {"tax_ids": [Command.clear()]}],
            "odd": [{"price_unit": 33.335, "quantity": 1.7, "discount": 12.5}],
            "several": [{"price_unit": 0.15}, {"price_unit": 0.15}, {"quantity": 3}],
            "included": [{"tax_ids": [Command.set(included.ids)], "price_unit": 99.99}],
            "group": [{"tax_ids": [Command.set(group.ids)], "price_unit": 99.99}],
            "tags": [{"tax_ids": [Command.set(self._create_tagged_tax().ids)]}],
        }
        home = self.company.currency_id
        for rounding, money in (
            ("round_per_line", home),
            ("round_globally", home),
            ("round_globally", currency),
        ):
            self.company.tax_calculation_rounding_method = rounding
            for name, lines in cases.items():
                with self.subTest(case=name, rounding=rounding, money=money.name):
                    values = {"currency_id": money.id, "consolidate": "no"}
                    values["lines"] = [{"price_unit": 10.05, **line} for line in lines]
                    expected, found = (
                        self._get_entries(self._create_agreement(**values), foreseen)
                        for foreseen in (False, True)
                    )
                    self.assertEqual(found, expected)
