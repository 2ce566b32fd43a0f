from datetime import timedelta

from odoo import api, fields, models

COLUMNS = ("kpi_col1", "kpi_col2", "kpi_col3")  # last day, week and month


class DigestDigest(models.Model):
    """Key figures of billing in the mail that Odoo sends every day, week or month.

    Each recipient gets the figures of own rights: a salesperson those of own accounts.
    Amounts are in the currency of the company.
    """

    _inherit = "digest.digest"

    kpi_billing_billed = fields.Boolean("Billed")
    kpi_billing_billed_value = fields.Monetary(
        compute="_compute_kpi_billing_billed_value"
    )
    kpi_billing_overdue = fields.Boolean("Overdue at the End")
    kpi_billing_overdue_value = fields.Monetary(
        compute="_compute_kpi_billing_overdue_value"
    )
    kpi_billing_mrr = fields.Boolean("MRR at the End")
    kpi_billing_mrr_value = fields.Monetary(compute="_compute_kpi_billing_mrr_value")

    # === COMPUTE METHODS === #

    @api.depends_context("start_datetime", "end_datetime", "uid")
    def _compute_kpi_billing_billed_value(self):
        """Invoices less credit notes of the days, tax included."""
        self._add_up_billing(
            "billed",
            self.env["crm.billing.status.report"],
            "amount_billed",
            lambda first, last: [("date", ">=", first), ("date", "<=", last)],
        )

    @api.depends_context("start_datetime", "end_datetime", "uid")
    def _compute_kpi_billing_overdue_value(self):
        """What was past its due date at the end of the last day."""
        self._add_up_billing(
            "overdue",
            self.env["crm.billing.aging.report"],
            "overdue",
            lambda _first, last: [("as_of", "=", last)],
        )

    @api.depends_context("start_datetime", "end_datetime", "uid")
    def _compute_kpi_billing_mrr_value(self):
        """What recurred each month at the end of the last day."""
        self._add_up_billing(
            "mrr",
            self.env["crm.billing.revenue.month.report"],
            "closing",
            lambda _first, last: [
                ("as_of", "=", last),
                ("date", "=", fields.Date.start_of(last, "month")),
            ],
        )

    # === BUSINESS METHODS === #

    def _add_up_billing(self, name, report, measure, get_domain):
        """Write the total of ``measure`` in each company's own currency.

        Outside of a mail there are no days: nothing is added up then.

        :param get_domain: function of the first and last day that the figures are about
        :raise AccessError: the recipient reads no such report; the mail leaves it out
        """
        start, end, companies = self._get_kpi_compute_parameters()
        totals = {}
        if start and end:
            last = fields.Date.to_date(end)
            first = min(fields.Date.to_date(start) + timedelta(days=1), last)
            groups = report._read_group(
                [("company_id", "in", companies.ids), *get_domain(first, last)],
                ["company_id"],
                [f"{measure}:sum"],
            )
            totals = dict(groups)
        for digest in self:
            company = digest.company_id or self.env.company
            digest[f"kpi_billing_{name}_value"] = totals.get(company, 0.0)

    def _compute_kpis(self, company, user):
        """Override of `digest`: what is overdue has no trend, as the mail would praise
        its growth in green."""
        kpis = super()._compute_kpis(company, user)
        for kpi in kpis:
            if kpi["kpi_name"] == "kpi_billing_overdue":
                for column in COLUMNS:
                    kpi[column].pop("margin", None)
        return kpis

    def _compute_kpis_actions(self, company, user):
        """Override of `digest` to link each figure with its report."""
        menu = self.env.ref("crm_billing_handoff.billing_menu_root").id
        actions = {
            "kpi_billing_billed": "crm_billing_status_report_action",
            "kpi_billing_overdue": "crm_billing_overdue_report_action",
            "kpi_billing_mrr": "crm_billing_revenue_month_report_action",
        }
        return super()._compute_kpis_actions(company, user) | {
            kpi: f"crm_billing_reports.{action}?menu_id={menu}"
            for kpi, action in actions.items()
        }
