from datetime import date
from unittest.mock import patch

from odoo.tests import HttpCase, tagged

from ..report.crm_billing_report_mixin import TieOut
from .test_report_export import ExportCommon

ACTION = "crm_billing_reports.crm_billing_aging_report_action"


@tagged("post_install", "-at_install")
class TestReportTours(HttpCase, ExportCommon):
    """The banner above a report, in a browser."""

    def _start(self, tour):
        action = self.env.ref(ACTION)
        self.env.flush_all()
        self.start_tour(
            f"/odoo/action-{action.id}", tour, login=self.clerk.login, timeout=90
        )

    def test_the_reader_changes_the_day(self):
        invoice = self._create_dated("2020-03-01", 1_234.5)
        self._pay_on(invoice, date(2020, 6, 1), 1_000.0)
        self._start("billing_report_as_of")

    def test_a_difference_is_red_and_shows_its_documents(self):
        proof = TieOut(
            label="Total",
            amount=112,
            ledger_label="receivable accounts",
            ledger_amount=100,
            currency_id=self.company.currency_id.id,
            documents=("account.move", self.moves.ids),
        )
        aging = type(self.env["crm.billing.aging.report"])
        with patch.object(aging, "_get_tie_outs", lambda self, domain: [proof]):
            self._start("billing_report_differs")
