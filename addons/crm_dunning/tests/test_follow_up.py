from odoo.tests import tagged

from .dunning_run_common import FollowUpCommon


@tagged("post_install", "-at_install")
class TestFollowUp(FollowUpCommon):
    """Stages and days of reminders (billing rules, section 9)."""

    def test_worked_example(self):
        """Default policy, due 10 Feb: mails 5, 12, 19 Feb, person 28 Feb."""
        move = self._create_invoice(due="2027-02-10")
        found = self._run_days("2027-02-01", "2027-03-05")
        self.assertEqual(list(found), ["05.02.", "12.02.", "19.02.", "28.02."])
        self.assertEqual([one.stage for one in found.values()], [-5, 2, 9, 18])
        self.assertEqual(
            [one.state for one in found.values()],
            ["queued", "queued", "queued", "recorded"],
        )
        case = self._get_case(move)
        self.assertEqual((case.state, case.reason), ("person", "overdue"))

    def test_outage(self):
        """Stopped 6–20 Feb: one mail on the 21st, the +9 one, the +2 skipped."""
        self._create_invoice(due="2027-02-10")
        self._run_days("2027-02-01", "2027-02-05")
        found = self._run_days("2027-02-21", "2027-02-27")
        self.assertEqual(list(found), ["21.02."])
        notice = found["21.02."]
        self.assertEqual(notice.stage, 9)
        self.assertEqual(self._get_lines(notice).mapped("days"), [9])
        self.assertEqual(self._get_lines(notice, "skipped").mapped("days"), [2])

    def test_twice_a_day(self):
        """A second run of the day finds nothing to say."""
        self._create_invoice(due="2027-02-10")
        self.assertEqual(len(self._run("2027-02-12")), 1)
        self.assertFalse(self._run("2027-02-12", hour=14))
        self.assertFalse(self._run("2027-02-13"))
