from datetime import timedelta
from unittest.mock import patch

from odoo import fields
from odoo.exceptions import AccessError
from odoo.fields import Command
from odoo.tests import tagged
from odoo.tools import SQL

from .common import ReportsCommon


@tagged("post_install", "-at_install")
class TestTouches(ReportsCommon):
    """Each thing done again is counted once, on its handoff, with cause and actor."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.report = cls.env["crm.billing.touch.report"]
        cls.client = cls._create_account("Touchco")
        cls.deal = cls._create_deal(cls.client)
        cls._create_quotation(cls.deal, confirm=True)

    def _get_touches(self, **values):
        self._wake()
        self.env.invalidate_all()
        return self.report.search(
            [("partner_id", "=", self.client.id)]
            + [(name, "=", value) for name, value in values.items()]
        )

    def _assert_touches(self, *expected):
        """Compare ``(kind, cause)`` of all touches of the account."""
        touches = self._get_touches()
        found = sorted((touch.kind, touch.cause or "") for touch in touches)
        self.assertEqual(found, sorted(expected))
        return touches

    def _bill(self):
        """Return the posted invoice of the deal, billed without a touch."""
        self._win_and_process(self.deal)
        move = self.deal.billing_move_ids
        clerk = move.with_user(self.clerk)
        clerk.action_billing_review()
        clerk.action_post()
        return move

    def _tracked(self, move):
        return move.with_user(self.clerk).with_context(tracking_disable=False)

    def _age(self, records, days=1):
        """Let records have been made ``days`` ago: in an earlier transaction."""
        self.env.flush_all()
        self.env.cr.execute(
            SQL(
                "UPDATE %s SET create_date = create_date - %s * INTERVAL '1 day'"
                " WHERE id = ANY(%s)",
                SQL.identifier(records._table),
                days,
                records.ids,
            )
        )

    # === BEFORE THE INVOICE === #

    def test_smooth_deal_has_no_touch(self):
        move = self._bill()
        self._pay(move)
        self._assert_touches()

    def test_blocked_handoff_names_what_is_missing(self):
        self.client.street = False
        [handoff] = self._win_and_process(self.deal)
        self.assertEqual(handoff.state, "blocked")
        [touch] = self._get_touches()
        missing = [gap["name"] for gap in handoff.missing if gap["level"] == "block"]
        self.assertEqual((touch.kind, touch.cause), ("blocked", ", ".join(missing)))
        self.assertEqual(touch.handoff_id, handoff)
        self.assertEqual(touch.user_id, self.seller)
        self.assertEqual(touch.date, fields.Date.context_today(touch))

    def test_account_corrected_until_the_first_bill(self):
        handoff = self._win(self.deal)
        self._age(self.env["crm.billing.event"].search([]), days=2)
        self._age(handoff)
        clerk = self.client.with_user(self.clerk)
        clerk.po_number = "PO 7"
        self._bill()
        clerk.po_number = "PO 8"
        field = self.env["ir.model.fields"]._get("res.partner", "po_number")
        [touch] = self._get_touches(kind="edit")
        self.assertEqual(touch.cause, field.field_description)
        self.assertEqual(touch.by_id, self.clerk)
        self.assertEqual(touch.handoff_id, handoff)

    def test_account_changed_by_an_import_is_no_correction(self):
        handoff = self._win(self.deal)
        self._age(self.env["crm.billing.event"].search([]), days=2)
        self._age(handoff)
        result = self.env["res.partner"].load(
            [".id", "po_number"], [[str(self.client.id), "PO 9"]]
        )
        self.assertFalse(result["messages"])
        self._assert_touches()

    def test_draft_approved_with_a_reason(self):
        self._win_and_process(self.deal)
        move = self.deal.billing_move_ids.with_user(self.clerk)
        move.invoice_line_ids.price_unit = 90.0
        move.billing_review_note = "Agreed on the phone"
        move.action_billing_review()
        self._assert_touches(("overridden", "Agreed on the phone"))

    def test_draft_changed_after_its_review(self):
        self._win_and_process(self.deal)
        move = self.deal.billing_move_ids.with_user(self.clerk)
        move.action_billing_review()
        self._assert_touches()
        move.invoice_line_ids[0].name = "In better words"
        move.action_billing_review()
        [touch] = self._assert_touches(("correction", ""))
        self.assertEqual(touch.move_id, move)

    def test_last_draft_deleted(self):
        [handoff] = self._win_and_process(self.deal)
        self.deal.billing_move_ids.with_user(self.clerk).unlink()
        [touch] = self._get_touches()
        self.assertEqual((touch.kind, touch.handoff_id), ("cancelled_draft", handoff))
        self.assertEqual(touch.by_id, self.clerk)

    def test_draft_cancelled_counts_once(self):
        [handoff] = self._win_and_process(self.deal)
        move = self.deal.billing_move_ids
        self.env.flush_all()
        self._tracked(move).button_cancel()
        [touch] = self._assert_touches(("cancelled_draft", ""))
        self.assertEqual((touch.move_id, touch.handoff_id), (move, handoff))
        self.assertEqual(touch.by_id, self.clerk)

    # === AFTER THE INVOICE === #

    def test_invoice_set_back_to_draft(self):
        move = self._bill()
        self.env.flush_all()
        tracked = self._tracked(move)
        tracked.button_draft()
        self._wake()
        tracked.invoice_line_ids[0].name = "Right words"
        tracked.action_billing_review()
        tracked.action_post()
        [touch] = self._assert_touches(("correction", ""))
        self.assertEqual((touch.move_id, touch.by_id), (move, self.clerk))

    def test_set_back_in_another_language(self):
        self.env["res.lang"]._activate_lang("fr_FR")
        state = self.env["ir.model.fields"]._get("account.move", "state")
        labels = {"draft": "Brouillon", "posted": "Comptabilisé"}
        for value, label in labels.items():
            choice = state.selection_ids.filtered(lambda one, v=value: one.value == v)
            choice.with_context(lang="fr_FR").name = label
        move = self._bill()
        self.env.flush_all()
        self._tracked(move).with_context(lang="fr_FR").button_draft()
        self._wake()
        change = self.env["mail.tracking.value"].search(
            [("mail_message_id.res_id", "=", move.id), ("field_id", "=", state.id)]
        )
        self.assertEqual(change.new_value_char, "Brouillon")
        self._assert_touches(("correction", ""))

    def test_sent_again(self):
        move = self._bill()
        log = self.env["crm.billing.event"]
        event = move._prepare_billing_event("sent")
        log._log([event])
        self._assert_touches()
        log._log([{**event, "action": "not_sent", "note": "Bounced"}])
        log._log([{**event, "note": "Payable"}])
        self._assert_touches(("not_sent", "Bounced"), ("resend", "Payable"))

    def test_hand_made_invoice_sent_again(self):
        move = self._create_invoice(self.client)
        send = self.env["account.move.send"]
        for _time in range(2):
            send.with_user(self.clerk)._generate_and_send_invoices(
                move.with_user(self.clerk), sending_methods=["email"]
            )
        [touch] = self._assert_touches(("resend", ""))
        self.assertEqual((touch.move_id, touch.by_id), (move, self.clerk))
        self.assertFalse(touch.handoff_id)

    def test_credit_with_its_reason(self):
        move = self._bill()
        self.env["account.move.reversal"].with_user(self.clerk).create(
            {
                "move_ids": [Command.set(move.ids)],
                "journal_id": move.journal_id.id,
                "reason": "Wrong price, too high",
            }
        ).modify_moves()
        [touch] = self._get_touches(kind="credit")
        self.assertEqual(touch.cause, "Wrong price, too high")
        self.assertEqual((touch.move_id, touch.by_id), (move, self.clerk))
        self.assertFalse(self._get_touches(kind="match"))

    def test_planned_credit_is_no_touch(self):
        move = self._bill()
        refund = move._reverse_moves([{"invoice_date": move.invoice_date}])
        self.env["crm.billing.event"]._log([refund._prepare_billing_event("billed")])
        refund.action_post()
        self._assert_touches()

    def test_matched_by_hand(self):
        move = self._bill()
        payment = self.env["account.payment"].create(
            {
                "payment_type": "inbound",
                "partner_id": self.client.id,
                "amount": move.amount_total,
                "journal_id": self.env["account.journal"]
                .search(
                    [("type", "=", "bank"), ("company_id", "=", self.company.id)],
                    limit=1,
                )
                .id,
            }
        )
        payment.action_post()
        self.env.flush_all()
        lines = (move | payment.move_id).line_ids.filtered(
            lambda line: line.account_type == "asset_receivable"
        )
        lines.with_user(self.clerk).reconcile()
        # All in one transaction, as if the payment had been registered.
        self._assert_touches()
        self._age(move | payment.move_id)
        self._age(self.env["crm.billing.event"].search([("move_id", "=", move.id)]))
        [touch] = self._assert_touches(("match", ""))
        self.assertEqual((touch.move_id, touch.by_id), (move, self.clerk))
        self.assertEqual(touch.handoff_id, self.deal.billing_handoff_id)

    def test_matched_by_a_job_is_no_touch(self):
        move = self._bill()
        self._pay(move)
        self._age(
            self.env["account.move"].search([("partner_id", "=", self.client.id)])
        )
        self._assert_touches()

    # === COUNTED === #

    def test_counted_on_the_handoff(self):
        self.client.street = False
        [handoff] = self._win_and_process(self.deal)
        self._age(self.env["crm.billing.event"].search([]), days=2)
        self._age(handoff)
        self.client.with_user(self.clerk).po_number = "PO 7"
        self._wake()
        self.env.invalidate_all()
        self.assertEqual(handoff.with_user(self.clerk).touch_count, 2)
        self.assertEqual(handoff.with_user(self.seller).touch_count, 2)
        action = handoff.with_user(self.seller).action_view_touches()
        self.assertEqual(self.report.search_count(action["domain"]), 2)

    def test_counting_a_handoff_reads_its_own_touches_as_the_report_does(self):
        second = self._create_deal(self.client)
        self._create_quotation(second, confirm=True)
        moves = self._bill()
        self._win_and_process(second)
        other = self._create_dated("2027-01-05", 50.0)
        for move in moves + other:
            reversal = self.env["account.move.reversal"].with_user(self.clerk)
            reversal.create(
                {
                    "move_ids": [Command.set(move.ids)],
                    "journal_id": move.journal_id.id,
                    "reason": "Wrong price",
                }
            ).modify_moves()
        self._wake()
        self.env.invalidate_all()
        handoffs = self.env["crm.billing.handoff"].search([])
        all_counts = dict(
            self.report._read_group(
                [("handoff_id", "!=", False)], ["handoff_id"], ["touch_count:sum"]
            )
        )
        self.assertTrue(all_counts)
        for handoff in handoffs:
            handoff.invalidate_recordset(["touch_count"])
            self.assertEqual(handoff.touch_count, all_counts.get(handoff, 0))
        self.assertTrue(all_counts[self.deal.billing_handoff_id])
        read = self.report.with_context(billing_touch_handoffs=handoffs.ids)
        credits_ = [("kind", "=", "credit")]
        self.assertIn(other, self.report.search(credits_).move_id)
        self.assertNotIn(other, read.search(credits_).move_id)

    def test_credits_and_decisions_prove_themselves(self):
        move = self._bill()
        self.env["account.move.reversal"].with_user(self.clerk).create(
            {
                "move_ids": [Command.set(move.ids)],
                "journal_id": move.journal_id.id,
                "reason": "Wrong price",
            }
        ).modify_moves()
        self.env["crm.billing.event"]._log(
            [{**move._prepare_billing_event("waived"), "note": "Goodwill"}]
        )
        self._wake()
        self.env.invalidate_all()
        report = self.report.with_user(self.clerk)
        credits_, decisions = report.get_tie_outs([])
        self.assertTrue(credits_["ties"] and decisions["ties"])
        own, _rest = report.get_tie_outs([("partner_id", "=", self.client.id)])
        self.assertEqual((own["amount"], own["ledger_amount"]), (1.0, 1.0))
        for kind, place, model in (
            ("credit", 0, "account.move"),
            ("waived", 1, "crm.billing.event"),
        ):
            [touch] = self._get_touches(kind=kind)
            query = self.report._table_query
            with patch.object(
                type(self.report),
                "_table_query",
                SQL("SELECT * FROM (%s) one WHERE one.id <> %s", query, touch.id),
            ):
                self.env.invalidate_all()
                proof = report.get_tie_outs([])[place]
            self.assertEqual(proof["difference"], -1.0)
            self.assertEqual(proof["documents"], (model, (touch.id // 8,)))
            twice = SQL(
                "(%s) UNION ALL SELECT * FROM (%s) one WHERE one.id = %s",
                query,
                query,
                touch.id,
            )
            with patch.object(type(self.report), "_table_query", twice):
                self.env.invalidate_all()
                proof = report.get_tie_outs([])[place]
            self.assertEqual(proof["difference"], 1.0)
            self.assertEqual(proof["documents"], (model, (touch.id // 8,)))

    def test_minutes_of_the_company_come_first(self):
        self.env["crm.billing.touch.cost"].search(
            [("kind", "=", "blocked")]
        ).minutes = 6
        self.client.street = False
        self._win_and_process(self.deal)
        [touch] = self._get_touches()
        self.assertEqual((touch.minutes, touch.hours), (6, 0.1))
        self.env["crm.billing.touch.cost"].create(
            {"kind": "blocked", "minutes": 30, "company_id": self.company.id}
        )
        [touch] = self._get_touches()
        self.assertEqual((touch.minutes, touch.hours), (30, 0.5))

    def test_each_kind_has_a_shipped_cost(self):
        kinds = dict(self.report._fields["kind"].selection)
        costs = self.env["crm.billing.touch.cost"].search([("company_id", "=", False)])
        self.assertEqual(set(costs.mapped("kind")), set(kinds))

    def test_local_date_of_the_account(self):
        self.client.street = False
        self.client.billing_tz = "Pacific/Kiritimati"  # UTC+14
        self._win_and_process(self.deal)
        [touch] = self._get_touches()
        event = self.env["crm.billing.event"].browse(touch.id // 8)
        here = event.create_date + timedelta(hours=14)
        self.assertEqual(touch.date, here.date())

    def test_row_opens_what_was_touched(self):
        self.client.street = False
        [handoff] = self._win_and_process(self.deal)
        [touch] = self._get_touches()
        action = touch.action_view_document()
        self.assertEqual(
            (action["res_model"], action["res_id"]), (handoff._name, handoff.id)
        )
        self.assertIn(touch.cause, touch.display_name)

    # === RIGHTS === #

    def test_salespeople_see_their_own(self):
        self.client.street = False
        self._win_and_process(self.deal)
        domain = [("partner_id", "=", self.client.id)]
        for role, count in (("seller", 1), ("other_seller", 0), ("accountant", 1)):
            report = self.report.with_user(self.users[role])
            with self.subTest(role=role):
                self.assertEqual(report.search_count(domain), count)

    def test_only_managers_set_costs(self):
        cost = self.env["crm.billing.touch.cost"].search([], limit=1)
        with self.assertRaises(AccessError):
            cost.with_user(self.clerk).minutes = 1
        cost.with_user(self.manager).minutes = 1
        self.assertEqual(cost.minutes, 1)
