from odoo.tests import tagged

from .dunning_run_common import FollowUpCommon, to_instant

NOON = to_instant("2027-02-12 12:00:00")
FEW, MANY = 50, 150


@tagged("post_install", "-at_install")
class TestFollowUpPerformance(FollowUpCommon):
    """Query budgets of reminders: what an invoice and a mail add (P9, P10)."""

    def _prepare(self, count):
        accounts = self.env["res.partner"].create(
            [
                {
                    "name": f"Customer {number}",
                    "is_company": True,
                    "email": f"customer{number}@example.com",
                    "country_id": self.home.id,
                }
                for number in range(count)
            ]
        )
        moves = self.env["account.move"].create(
            [
                {
                    "move_type": "out_invoice",
                    "partner_id": account.id,
                    "invoice_date": "2027-01-10",
                    "invoice_date_due": "2027-02-10",
                    "invoice_payment_term_id": False,
                    "invoice_line_ids": [
                        (0, 0, {"product_id": self.product.id, "price_unit": 100})
                    ],
                }
                for account in accounts
            ]
        )
        moves.action_post()
        return accounts

    def _count(self, count):
        """Return the queries of deciding and writing, and those of the mails."""
        payer_ids = self._prepare(count).ids
        cases = self.env["crm.dunning.case"]
        queued = []
        notices = type(self.Notice)
        queue = notices._queue_mails
        self.patch(
            notices, "_queue_mails", lambda self, scheduled=None: queued.append(self)
        )
        with self._counting() as decide:
            found = cases._find_follow_ups(NOON)
            cases._follow_up(NOON, sorted(set(found) & set(payer_ids)))
        self.patch(notices, "_queue_mails", queue)
        with self._counting() as mail:
            queued[0]._queue_mails()
        self.assertEqual(len(queued[0]), count)
        return decide.queries, mail.queries

    def _counting(self):
        return _Counter(self.env)

    def test_budget(self):
        self._count(5)
        few, many = self._count(FEW), self._count(MANY)
        decide, mail = ((b - a) / (MANY - FEW) for a, b in zip(few, many, strict=True))
        self.assertLessEqual(decide, 0.1, "queries an invoice: find, decide, write")
        self.assertLessEqual(mail, 1.0, "queries a mail")

    def test_nothing_due(self):
        """A second run costs the same beside few and beside many."""
        counts = []
        for count in (5, 50):
            self._prepare(count)
            self._run("2027-02-12")
            self.env.flush_all()
            self.env.invalidate_all()
            with self._counting() as again:
                found = self.env["crm.dunning.case"]._find_follow_ups(NOON)
            self.assertFalse(found)
            counts.append(again.queries)
        self.assertEqual(counts[0], counts[1])
        self.assertLessEqual(counts[0], 12)


class _Counter:
    """Counts queries, those at the end of the block included."""

    def __init__(self, env):
        self.env = env

    def __enter__(self):
        self.env.flush_all()
        self.env.invalidate_all()
        self.before = self.env.cr.sql_log_count
        return self

    def __exit__(self, *exception):
        self.env.flush_all()
        self.queries = self.env.cr.sql_log_count - self.before
