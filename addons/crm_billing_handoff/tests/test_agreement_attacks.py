from contextlib import suppress
from datetime import date

from psycopg2.errors import ForeignKeyViolation

from odoo.exceptions import AccessError, UserError
from odoo.fields import Command
from odoo.tests import tagged
from odoo.tools import mute_logger

from .attack_common import REFUSED, AttackCommon
from .change_common import CHANGE_DAY, NOVEMBER
from .usage_common import UsageCommon


@tagged("post_install", "-at_install")
class TestChangeAttacks(AttackCommon):
    """A change does what a person may do, by whatever door it comes in."""

    def test_a_default_schedules_no_refund(self):
        """The job applies what is scheduled as superuser."""
        agreement = self._create_billed(NOVEMBER)
        values = {
            "agreement_id": agreement.id,
            "change_type": "cancel",
            "policy": "refund",
            "date": str(CHANGE_DAY),
        }
        with self._on(CHANGE_DAY):
            try:
                made = self._call(
                    self.clerk,
                    self.changes,
                    "create",
                    [values],
                    context={"default_state": "scheduled"},
                )
            except REFUSED:
                made = []
            self.assertEqual(self.changes.browse(made).mapped("state"), ["draft"])
            self._apply_due(CHANGE_DAY)
        self.assertFalse(agreement.cancel_date)

    def test_ones_own_default_schedules_no_refund(self):
        agreement = self._create_billed(NOVEMBER)
        self.env["ir.default"].with_user(self.clerk).set(
            "crm.billing.change", "state", "scheduled", user_id=self.clerk.id
        )
        change = self._create_change(agreement, "cancel", CHANGE_DAY)
        self.assertEqual(change.state, "draft")

    def test_lines_of_another_company(self):
        agreement = self._create_billed(NOVEMBER)
        with self._on(NOVEMBER):
            foreign = self._create_foreign(price_unit=50)
            foreign.sudo().action_start()
        with self._on(CHANGE_DAY), self.assertRaises(REFUSED):
            change = self._create_change(
                agreement,
                "price",
                CHANGE_DAY,
                price_unit=1,
                line_ids=[Command.set(foreign.line_ids.ids)],
            )
            change.action_apply()
        self.assertFalse(foreign.line_ids.successor_id)

    def test_lines_of_another_agreement(self):
        agreement = self._create_billed(NOVEMBER)
        other = self._create_billed(NOVEMBER, po_number="X")
        with self._on(CHANGE_DAY), self.assertRaises(REFUSED):
            change = self._create_change(
                agreement,
                "price",
                CHANGE_DAY,
                price_unit=1,
                line_ids=[Command.set(other.line_ids.ids)],
            )
            change.action_apply()
        self.assertFalse(other.line_ids.successor_id)

    def test_sales_changes_nothing(self):
        agreement = self._create_billed(NOVEMBER)
        change = self._create_change(agreement, "cancel", CHANGE_DAY, policy="credit")
        for user in (self.seller, self.accountant):
            for method in ("action_apply", "action_withdraw"):
                with self.subTest(f"{user.name} {method}"):
                    with self.assertRaises(AccessError):
                        self._call(user, change, method)
            with self.assertRaises(AccessError):
                self._call(
                    user, self.changes, "create", [{"agreement_id": agreement.id}]
                )
        with self.assertRaises(AccessError):
            self._call(self.seller, agreement, "action_confirm_catch_up")
        with self.assertRaises(AccessError):
            self._call(
                self.clerk,
                agreement,
                "waive_period",
                agreement.line_ids.id,
                "2027-12-05",
                "2028-01-05",
                "x",
            )

    def test_odd_numbers_of_a_change(self):
        agreement = self._create_billed(NOVEMBER)
        for kind, values in (
            ("add", {"product_id": self.product.id, "discount": 150}),
            ("add", {"product_id": self.product.id, "discount": -50}),
            ("add", {"product_id": self.product.id, "quantity": -3}),
            ("quantity", {"quantity": -1}),
            ("quantity", {"quantity": 1e200}),
            ("discount", {"discount": 101}),
        ):
            with self.subTest(f"{kind} {values}"), self._on(CHANGE_DAY):
                with self.env.cr.savepoint() as point:
                    with self.assertRaises(REFUSED):
                        change = self._create_change(
                            agreement, kind, CHANGE_DAY, **values
                        )
                        change.action_apply()
                        self.env.flush_all()
                    point.rollback()
                self.env.invalidate_all()

    def test_far_days_of_a_change(self):
        agreement = self._create_billed(NOVEMBER)
        for kind, values in (
            (
                "discount",
                {"discount": 5, "discount_until": "periods", "discount_periods": 10**6},
            ),
            ("cancel", {"policy": "credit"}),
            ("pause", {"resume_date": "9999-12-31", "shift_end": True}),
            ("renew", {"renewal_count": 10**6}),
        ):
            with self.subTest(kind), self._on(CHANGE_DAY):
                with self.env.cr.savepoint() as point:
                    day = date(9999, 12, 31) if kind == "cancel" else CHANGE_DAY
                    # Refused in words or done: never an error of the machine.
                    with suppress(REFUSED):
                        change = self._create_change(agreement, kind, day, **values)
                        change.action_preview()
                        change.action_apply()
                        self.env.flush_all()
                    point.rollback()
                self.env.invalidate_all()


@tagged("post_install", "-at_install")
class TestLedgerAttacks(AttackCommon):
    """The ledger and what ties documents to it are the flow's."""

    def test_bill_again_in_another_company(self):
        with self._on(NOVEMBER):
            foreign = self._create_foreign(price_unit=50)
            foreign.sudo().action_start()
        period = (
            self.env["crm.billing.period"]
            .sudo()
            .create(
                {
                    "line_id": foreign.line_ids.id,
                    "kind": "recurring",
                    "date_from": NOVEMBER,
                    "date_to": "2027-12-05",
                    "amount": 0,
                    "is_covered": True,
                }
            )
        )
        with self.assertRaises(AccessError):
            self._call(self.clerk, period, "action_bill_again")

    def test_links_of_invoice_lines(self):
        agreement = self._create_billed(NOVEMBER)
        period = agreement.period_ids
        with self._on(CHANGE_DAY):
            draft = self.env["account.move"].create(
                {
                    "move_type": "out_invoice",
                    "partner_id": self.account.id,
                    "invoice_line_ids": [
                        Command.create({"name": "Typed", "price_unit": 5})
                    ],
                }
            )
        line = draft.invoice_line_ids
        for target, values in (
            (line, {"billing_line_id": agreement.line_ids.id}),
            (line, {"billing_date_from": "2027-01-01"}),
            (line, {"billing_date_to": "2027-01-01"}),
            (line, {"billing_kind": "milestone"}),
            (line, {"billing_period_ids": [Command.link(period.id)]}),
            (line, {"billing_period_ids": [Command.set(period.ids)]}),
            (period.move_line_id, {"billing_line_id": False}),
            (period.move_line_id, {"billing_period_ids": [Command.clear()]}),
        ):
            for user in (self.accountant, self.clerk):
                with self.subTest(f"{user.name} {values}"):
                    with self.assertRaises(REFUSED):
                        self._call(user, target, "write", values)
        for name, value in (
            ("billing_line_id", agreement.line_ids.id),
            ("billing_kind", "milestone"),
        ):
            with self.subTest(name), self.assertRaises(REFUSED):
                self._call(
                    self.accountant,
                    self.env["account.move"],
                    "create",
                    [
                        {
                            "move_type": "out_invoice",
                            "partner_id": self.account.id,
                            "invoice_line_ids": [
                                Command.create(
                                    {"name": "x", "price_unit": 1, name: value}
                                )
                            ],
                        }
                    ],
                )

    def test_links_of_payments(self):
        payment = self.env["account.payment"].create(
            {"partner_id": self.account.id, "amount": 5}
        )
        agreement = self._create_billed(NOVEMBER)
        for values in (
            {"billing_refund_move_id": agreement.move_ids.id},
            {"billing_refund_key": "1-1"},
        ):
            with self.subTest(values), self.assertRaises(REFUSED):
                self._call(self.accountant, payment, "write", values)

    def test_context_keys_open_nothing(self):
        agreement = self._create_billed(NOVEMBER)
        period = agreement.period_ids
        keys = {
            "billing_free": True,
            "billing_run": True,
            "billing_flow": "flow",
            "billing_from_agreement": True,
            "billing_milestone_undone": True,
            "price_table": True,
        }
        for user in (self.clerk, self.manager, self.accountant):
            with self.assertRaises(AccessError):
                self._call(user, period, "unlink", context=keys)
            with self.assertRaises(AccessError):
                self._call(user, agreement, "write", {"state": "draft"}, context=keys)
            with self.assertRaises(REFUSED):
                self._call(
                    user, agreement.line_ids, "write", {"price_unit": 1}, context=keys
                )
        for name, value in (
            ("state", "running"),
            ("is_catch_up_held", True),
            ("mrr", 5.0),
            ("billing_error", "x"),
        ):
            with self.subTest(name):
                with self.assertRaises(AccessError):
                    self._call(
                        self.clerk,
                        self.env["crm.billing.agreement"],
                        "create",
                        [{"partner_id": self.account.id}],
                        context={f"default_{name}": value},
                    )

    def test_a_running_agreement_keeps_what_was_billed(self):
        agreement = self._create_billed(NOVEMBER)
        other = self._create_account("Contoso")
        for values in (
            {"billed_until": "2027-12-31"},
            {"start_date": "2027-10-05"},
            {"partner_id": other.id},
            {"end_date": "2027-11-10"},
            {"trial_days": 400},
            {"company_id": self.elsewhere.id},
        ):
            with self.subTest(values), self.assertRaises(REFUSED):
                self._call(self.clerk, agreement, "write", values)

    def test_a_billed_line_keeps_its_links(self):
        agreement = self._create_billed(NOVEMBER)
        line = agreement.line_ids
        change = self._create_change(agreement, "cancel", CHANGE_DAY)
        for values in (
            {"change_id": change.id},
            {"paused_end_date": "2027-11-10"},
            {"deposit_date": "2027-11-10"},
            {"meter_id": self.meter.id},
            {"has_own_anchor": True, "anchor_day": 9},
        ):
            with self.subTest(values), self.assertRaises(REFUSED):
                self._call(self.clerk, line, "write", values)
        with self.assertRaises(ForeignKeyViolation), mute_logger("odoo.sql_db"):
            self._call(self.clerk, line, "unlink")


@tagged("post_install", "-at_install")
class TestLineAttacks(AttackCommon):
    _bill = UsageCommon._bill
    """Numbers that no invoice can carry, dates that no calendar has."""

    def test_odd_numbers_of_a_line(self):
        line = self._create_agreement(start=False).line_ids
        for values in (
            {"discount": 150},
            {"discount": -1},
            {"quantity": -1},
            {"price_unit": 1e200},
            {"interval_count": 10**6},
            {"anchor_day": 99},
            {"anchor_day": -4},
            {"settling_days": -5},
            {"lead_days": -5},
        ):
            with self.subTest(values), self.assertRaises(REFUSED):
                self._call(self.clerk, line, "write", values)

    def test_odd_dates(self):
        """What is no typing error works, what is one is refused in words."""
        for values in (
            {"trial_days": 10**7},
            {"interval_count": 10**6},
            {"start_date": date(9999, 12, 31)},
            {"end_date": date(9999, 12, 31)},
            {"start_date": date(1, 1, 1)},
            {"settling_days": 10**9},
            {"lead_days": 10**9},
        ):
            with self.subTest(values):
                with self.env.cr.savepoint() as point, mute_logger("odoo.sql_db"):
                    with self.assertRaises(REFUSED):
                        self._create_agreement(**values)
                        self.env.flush_all()
                    point.rollback()
                self.env.invalidate_all()

    def test_a_far_look_ahead(self):
        agreement = self._create_agreement()
        for until in ("9999-12-31", "5000-01-01"):
            for user, method in (
                (self.seller, "preview_invoices"),
                (self.clerk, "generate_invoices"),
            ):
                with self.subTest(f"{method} {until}"), self.assertRaises(UserError):
                    self._call(user, agreement, method, until)

    def test_price_table_of_a_billed_line(self):
        agreement = self._create_usage_agreement(
            price_model="graduated",
            tier_ids=self._tiers((10, 1, 0), (0, 0.5, 0)),
            unit_price=0,
        )
        self._use(20)
        self._bill("2027-02-01")
        line = agreement.line_ids
        self.assertTrue(line.period_ids)
        for record, values in (
            (line, {"unit_price": 9}),
            (line, {"price_model": "volume"}),
            (line, {"minimum": 9}),
            (line, {"allowance": 99}),
            (line, {"tier_ids": [Command.update(line.tier_ids[0].id, {"price": 9})]}),
            (line.tier_ids[0], {"price": 9}),
        ):
            with self.subTest(values), self.assertRaises(REFUSED):
                self._call(self.clerk, record, "write", values)
        with self.assertRaises(REFUSED):
            self._call(self.clerk, line.tier_ids[0], "unlink")

    def test_retention_of_a_posted_invoice_is_not_edited(self):
        invoice = self._create_agreement().generate_invoices(until=date(2027, 1, 1))
        self._post(invoice)
        lines = invoice.line_ids.filtered(
            lambda line: line.account_type == "asset_receivable"
        )
        for user in (self.clerk, self.accountant):
            with self.assertRaisesRegex(AccessError, "Release retention"):
                self._call(user, lines, "write", {"billing_is_retention": True})
