from datetime import timedelta

import pytz
from dateutil.relativedelta import relativedelta

from odoo import api, fields, models
from odoo.exceptions import UserError, ValidationError
from odoo.fields import Domain
from odoo.tools import format_date

CHUNK_SIZE = 100
PAYER_CHUNK = 1000
# A book of at most this many agreements is forecast while the user waits.
AT_ONCE = 200
LONGEST = 36
# Every day is kept this long, of what is older the first of each month, for two years.
KEEP_DAYS, KEEP_MONTHS = 35, 24


class CrmBillingForecast(models.Model):
    """What was expected on the morning of a day: invoices, and when money comes.

    Made each night by :meth:`_cron_forecast`, in chunks; nothing else is written and
    nothing is billed. What agreements bill is counted by the engine
    (`crm_billing_forecast_agreement.py`), documents and open items are read from the
    ledger as of the evening before (`crm_billing_forecast_ledger.py`). A snapshot stays
    as it was, so that it can be compared with what happened
    (`report/crm_billing_forecast_report.py`).
    """

    _name = "crm.billing.forecast"
    _description = "Billing Forecast"
    _order = "date desc, id desc"

    company_id = fields.Many2one(
        "res.company", required=True, readonly=True, index=True
    )
    currency_id = fields.Many2one(related="company_id.currency_id")
    date = fields.Date(
        required=True,
        readonly=True,
        help="First day that is forecast, local date of the company.",
    )
    date_until = fields.Date(string="Last Day", required=True, readonly=True)
    state = fields.Selection(
        [("running", "Running"), ("done", "Done")],
        default="running",
        required=True,
        readonly=True,
    )
    step = fields.Selection(
        [
            ("agreements", "Agreements"),
            ("documents", "Documents"),
            ("payers", "Open Items"),
        ],
        default="agreements",
        required=True,
        readonly=True,
    )
    last_id = fields.Integer(
        readonly=True, help="Up to which record the step has come."
    )
    habits = fields.Json(
        readonly=True,
        help="How late all payers together pay: for those who have no habit yet.",
    )
    line_ids = fields.One2many("crm.billing.forecast.line", "forecast_id")
    is_money_only = fields.Boolean(
        string="Money Only",
        readonly=True,
        help="Made afterwards for a past day: what was open then, at the habits of "
        "then. What agreements would have billed nobody knows any more.",
    )
    broken_count = fields.Integer(
        string="Cannot Be Billed",
        readonly=True,
        help="Agreements that nothing can be told about; they are in the leak radar.",
    )

    _day_uniq = models.UniqueIndex(
        "(company_id, date)", "This day is forecast already: open its forecast."
    )

    # === COMPUTE METHODS === #

    @api.depends("date", "company_id")
    def _compute_display_name(self):
        for forecast in self:
            forecast.display_name = self.env._(
                "Forecast of %(day)s", day=format_date(self.env, forecast.date)
            )

    # === ACTION METHODS === #

    def action_forecast_now(self):
        """Forecast today anew for the companies that the user works in.

        Which records it is called on does not matter: a button without any calls it.

        A small book at once, a large one by the job. Safe to call again: the day has
        one forecast, the last one.

        :return: a notice
        :raise AccessError: the user is no billing clerk
        """
        self.env["account.move"]._check_is_biller()
        # Snapshots are written by the flow, for the clerk who asks for one.
        flow = self.sudo()
        now = fields.Datetime.now()
        forecasts = flow._open(self.env.companies, now, again=True)
        is_small = flow._count_agreements(forecasts.company_id) <= AT_ONCE
        if is_small:
            for forecast in forecasts:
                while forecast.state == "running":
                    forecast._forecast_chunk(CHUNK_SIZE)
        else:
            cron = self.env.ref("crm_billing_reports.ir_cron_forecast_billing")
            cron.sudo()._trigger()
        return {
            "type": "ir.actions.client",
            "tag": "display_notification",
            "params": {
                "type": "success",
                "message": self.env._("The forecast is up to date.")
                if is_small
                else self.env._("The forecast is being made: look again soon."),
                "next": {"type": "ir.actions.client", "tag": "soft_reload"},
            },
        }

    @api.model
    def forecast_past(self, date):
        """Forecast the money of what was open on a past day, to see how good it is.

        By the ledger and the habits of that day, so it can be compared with what
        happened from the first day on. A day that has a forecast keeps it.

        :param date: first day of the forecast, local date of the company
        :return: the forecast of that day in the user's company
        :raise AccessError: the user is no billing clerk
        :raise UserError: the day is not over
        """
        self.env["account.move"]._check_is_biller()
        company = self.env.company
        report = self.env["crm.billing.forecast.report"]
        day = report.with_context(billing_as_of=date)._get_parameter("billing_as_of")
        if not day or day >= self._get_today(company, fields.Datetime.now()):
            raise UserError(self.env._("Choose a day that is over."))
        # Snapshots are written by the flow, for the clerk who asks for one.
        flow = self.sudo()
        forecast = flow.search([("company_id", "=", company.id), ("date", "=", day)])
        if not forecast:
            values = flow._prepare_forecast(company, day)
            forecast = flow.create({**values, "is_money_only": True, "step": "payers"})
        while forecast.state == "running":
            forecast._forecast_chunk(CHUNK_SIZE)
        return forecast.with_env(self.env)

    def action_check_past(self):
        """Show how good the habits are: the money of the last month, beside what came.

        :raise AccessError: the user is no billing clerk
        """
        today = self._get_today(self.env.company, fields.Datetime.now())
        return self.forecast_past(
            today + relativedelta(months=-1, day=1)
        ).action_view_report()

    def action_view_report(self):
        """Open the forecast beside what happened since."""
        self.ensure_one()
        is_past = self.date < self._get_today(self.company_id, fields.Datetime.now())
        name = "crm_billing_forecast_report_action" + ("_past" if is_past else "")
        action = self.env["ir.actions.act_window"]._for_xml_id(
            f"crm_billing_reports.{name}"
        )
        domain = [("as_of", "=", self.date), ("company_id", "=", self.company_id.id)]
        context = {
            "search_default_past": int(is_past),
            "search_default_open": int(self.is_money_only),
        }
        return {**action, "domain": domain, "context": context, "path": False}

    # === BUSINESS METHODS - THE JOB === #

    @api.model
    def _cron_forecast(self, now=None, chunk_size=CHUNK_SIZE):
        """Make today's forecast of each company, one commit a chunk.

        A killed job goes on after the last committed chunk; a day that has one is not
        forecast again.

        :param now: instant (naive UTC), the clock by default
        """
        self = self.sudo()
        commit_progress = self.env["ir.cron"]._commit_progress
        companies = self.env["res.company"].search(Domain.TRUE)
        self._open(companies, now or fields.Datetime.now())
        running = self.search([("state", "=", "running")], order="id")
        commit_progress(remaining=self._count_agreements(running.company_id))
        for forecast in running:
            forecast = forecast.try_lock_for_update(allow_referencing=True)
            while forecast.state == "running":
                done = forecast._forecast_chunk(chunk_size)
                if not commit_progress(done):
                    return
                forecast = forecast.try_lock_for_update(allow_referencing=True)
        commit_progress(remaining=0)

    @api.model
    def _open(self, companies, now, again=False):
        """Return the forecasts of today that are to be made; drop unfinished old ones.

        :param again: throw away what today has already
        """
        todays = {company: self._get_today(company, now) for company in companies}
        known = self.search(
            Domain.OR(
                Domain("company_id", "=", company.id)
                & (Domain("date", "=", today) | Domain("state", "=", "running"))
                for company, today in todays.items()
            )
        )
        stale = known.filtered(lambda one: again or one.date != todays[one.company_id])
        known -= stale
        stale.unlink()
        return known | self.create(
            [
                self._prepare_forecast(company, today)
                for company, today in todays.items()
                if company not in known.company_id
            ]
        )

    @api.model
    def _get_today(self, company, now):
        zone = pytz.timezone(company.billing_tz or "UTC")
        return pytz.utc.localize(now).astimezone(zone).date()

    @api.model
    def _prepare_forecast(self, company, today):
        months = company.billing_forecast_months
        return {
            "company_id": company.id,
            "date": today,
            "date_until": today + relativedelta(months=months, days=-1),
            "habits": self._read_company_habits(company, today),
        }

    @api.model
    def _count_agreements(self, companies):
        return self.env["crm.billing.agreement"].search_count(
            [("state", "=", "running"), ("company_id", "in", companies.ids)]
        )

    def _forecast_chunk(self, chunk_size):
        """Do the next part of the step; at its end go on to the next step.

        :return: how many agreements were done
        """
        self.ensure_one()
        step = self.step
        last_id, count = getattr(self, f"_forecast_{step}")(chunk_size)
        if last_id:
            self.last_id = last_id
            return count
        steps = [name for name, _label in self._fields["step"].selection]
        if step == steps[-1]:
            self.state = "done"
        else:
            self.write({"step": steps[steps.index(step) + 1], "last_id": 0})
        return count

    @api.autovacuum
    def _gc_forecasts(self):
        """Forget old snapshots, but the first of each month."""
        today = fields.Date.today()
        old = self.search([("date", "<", today - timedelta(days=KEEP_DAYS))])
        oldest = today - relativedelta(months=KEEP_MONTHS)
        kept = {
            (one.company_id, one.date.replace(day=1)): one
            for one in old.sorted("date", reverse=True)
            if one.state == "done"
        }
        dropped = old.filtered(
            lambda one: (
                one.date < oldest
                or kept.get((one.company_id, one.date.replace(day=1))) != one
            )
        )
        dropped[:20].unlink()


class ResCompany(models.Model):
    _inherit = "res.company"

    billing_forecast_months = fields.Integer(
        string="Months to Forecast", default=6, required=True
    )

    @api.constrains("billing_forecast_months")
    def _check_forecast_months(self):
        for company in self:
            if not 1 <= company.billing_forecast_months <= LONGEST:
                raise ValidationError(
                    self.env._("Forecast 1 to %(most)s months.", most=LONGEST)
                )
