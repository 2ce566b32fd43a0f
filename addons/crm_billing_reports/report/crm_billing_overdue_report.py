from odoo import api, fields, models
from odoo.tools import SQL

from odoo.addons.crm_dunning.models.crm_dunning_notice import SAID

# What people write to each other; what the system notes is no contact.
WORDS = ("comment", "email", "email_outgoing")


class CrmBillingOverdueReport(models.Model):
    """Who owes something past its due date, one row an account and currency (J4).

    The same instalments as in the aging, as of the same day; what is being done about
    them is what is known now.
    """

    _name = "crm.billing.overdue.report"
    _description = "Overdue by Account"
    _inherit = "crm.billing.report.mixin"
    _auto = False
    _order = "amount_company desc, id"
    _rec_name = "partner_id"
    _parameter_fields = ("as_of",)
    _depends = {
        "crm.billing.aging.report": ["total"],
        "crm.dunning.case": [
            "company_id",
            "currency_id",
            "next_action",
            "next_action_at",
            "owner_id",
            "partner_id",
            "promise_amount",
            "promise_date",
            "replied_at",
            "state",
        ],
        "crm.dunning.notice": [
            "company_id",
            "currency_id",
            "date",
            "partner_id",
            "state",
        ],
        "mail.message": ["date", "message_type", "model", "res_id"],
        "res.partner": ["billing_tz", "service_tier_id", "user_id"],
        "res.company": ["billing_tz"],
    }

    as_of = fields.Date(readonly=True, help="The day for which the report is made.")
    amount = fields.Monetary(
        readonly=True,
        string="Overdue in Currency",
        help="In the currency of the documents; never added up across currencies.",
    )
    amount_company = fields.Monetary(
        readonly=True,
        string="Overdue",
        currency_field="company_currency_id",
        help="As booked, without what is unapplied.",
    )
    unapplied = fields.Monetary(
        readonly=True,
        currency_field="company_currency_id",
        help="Credit notes, payments and advances of the account in this currency that "
        "are not matched yet; negative.",
    )
    date_due = fields.Date(readonly=True, string="Oldest Due Date", aggregator="min")
    days = fields.Integer(readonly=True, string="Oldest, Days", aggregator="max")
    instalment_count = fields.Integer(readonly=True, string="Instalments")
    is_disputed = fields.Boolean(readonly=True, string="Disputed", help="Part of it.")
    last_contact = fields.Date(
        readonly=True,
        aggregator="max",
        help="The last reminder, answer, or message on a case, up to the day of the "
        "report; local date of the account.",
    )
    case_count = fields.Integer(readonly=True, string="Open Cases")
    owner_id = fields.Many2one("res.users", string="Case Owner", readonly=True)
    promise_date = fields.Date(readonly=True, string="Promised Until", aggregator="min")
    promise_amount = fields.Monetary(readonly=True, string="Promised")
    next_action = fields.Char(readonly=True)
    next_action_at = fields.Datetime(readonly=True, aggregator="min")

    # === ACTION METHODS === #

    def action_view_cases(self):
        """Open the case of the account in this currency; of several, their list."""
        self.ensure_one()
        action = self.env["ir.actions.act_window"]._for_xml_id(
            "crm_dunning.crm_dunning_case_action"
        )
        domain = [
            ("partner_id", "=", self.partner_id.id),
            ("company_id", "=", self.company_id.id),
            ("currency_id", "=", self.currency_id.id),
            ("state", "!=", "closed"),
        ]
        cases = self.env["crm.dunning.case"].search(domain, limit=2)
        action.update(domain=domain, context={}, name=self.partner_id.display_name)
        if len(cases) == 1:
            action.update(res_id=cases.id, views=[(False, "form")])
        return action

    def action_view_instalments(self):
        """Open what the row is made of, as of the same day."""
        self.ensure_one()
        action = self.env["ir.actions.act_window"]._for_xml_id(
            "crm_billing_reports.crm_billing_aging_report_action"
        )
        action["domain"] = [
            ("as_of", "=", self.as_of.isoformat()),
            ("partner_id", "=", self.partner_id.id),
            ("company_id", "=", self.company_id.id),
            ("currency_id", "=", self.currency_id.id),
            ("overdue", "!=", 0),
        ]
        action["context"] = {"billing_as_of": self.as_of.isoformat()}
        action["views"] = [(False, "list")]
        return action

    # === QUERY === #

    @property
    def _table_query(self):
        as_of = self.env["crm.billing.aging.report"]._get_as_of()
        return SQL(
            """
            SELECT debt.id, debt.company_id, debt.partner_id, debt.currency_id,
                   debt.company_currency_id, account.user_id, debt.team_id,
                   account.service_tier_id, debt.as_of, debt.amount,
                   debt.amount_company, debt.unapplied, debt.date_due,
                   debt.as_of - debt.date_due AS days, debt.instalment_count,
                   debt.is_disputed, COALESCE(work.case_count, 0) AS case_count,
                   work.owner_id, work.promise_date, work.promise_amount,
                   work.next_action, work.next_action_at,
                   GREATEST(said.date, work.replied_on, written.date) AS last_contact
              FROM (%(debts)s) debt
         LEFT JOIN res_partner account ON account.id = debt.partner_id
         LEFT JOIN (%(cases)s) work
                ON work.partner_id = debt.partner_id
               AND work.company_id = debt.company_id
               AND work.currency_id = debt.currency_id
         LEFT JOIN (%(notices)s) said
                ON said.partner_id = debt.partner_id
               AND said.company_id = debt.company_id
               AND said.currency_id = debt.currency_id
         LEFT JOIN (%(messages)s) written
                ON written.partner_id = debt.partner_id
               AND written.company_id = debt.company_id
               AND written.currency_id = debt.currency_id
            """,
            debts=self._select_debts(as_of),
            cases=self._select_cases(as_of),
            notices=self._select_notices(as_of),
            messages=self._select_messages(as_of),
        )

    def _select_debts(self, as_of):
        """Return the accounts that owe something late, per company and currency."""
        return SQL(
            """
            SELECT MIN(id) FILTER (WHERE %(is_late)s) AS id,
                   company_id, partner_id, currency_id, company_currency_id, as_of,
                   SUM(amount_currency) FILTER (WHERE %(is_late)s) AS amount,
                   SUM(overdue) AS amount_company,
                   SUM(unapplied) AS unapplied,
                   MIN(date_due) FILTER (WHERE %(is_late)s) AS date_due,
                   (array_agg(team_id ORDER BY date_due, id)
                       FILTER (WHERE %(is_late)s AND team_id IS NOT NULL))[1]
                       AS team_id,
                   COUNT(*) FILTER (WHERE %(is_late)s) AS instalment_count,
                   bool_or(is_disputed) FILTER (WHERE %(is_late)s) AS is_disputed
              FROM (%(items)s) item
          GROUP BY company_id, partner_id, currency_id, company_currency_id, as_of
            HAVING bool_or(%(is_late)s)
            """,
            is_late=SQL("overdue != 0"),
            items=self.env["crm.billing.aging.report"]._select_aging(as_of),
        )

    def _select_cases(self, as_of):
        """Return what is being done, the case that a person has first."""
        return SQL(
            """
            SELECT one.partner_id, one.company_id, one.currency_id,
                   COUNT(*) AS case_count,
                   (array_agg(one.owner_id
                              ORDER BY one.state IN ('person', 'dispute') DESC,
                                       one.date_due, one.id)
                       FILTER (WHERE one.owner_id IS NOT NULL))[1] AS owner_id,
                   MIN(one.promise_date) AS promise_date,
                   SUM(one.promise_amount) FILTER (WHERE one.promise_date IS NOT NULL)
                       AS promise_amount,
                   (array_agg(one.next_action ORDER BY one.next_action_at, one.id)
                       FILTER (WHERE one.next_action IS NOT NULL))[1] AS next_action,
                   MIN(one.next_action_at) AS next_action_at,
                   MAX(%(replied_on)s) FILTER (WHERE %(replied_on)s <= %(as_of)s)
                       AS replied_on
              FROM crm_dunning_case one
              JOIN res_partner payer ON payer.id = one.partner_id
              JOIN res_company company ON company.id = one.company_id
             WHERE one.state != 'closed'
          GROUP BY one.partner_id, one.company_id, one.currency_id
            """,
            replied_on=self._get_local_date(SQL("one.replied_at")),
            as_of=as_of,
        )

    def _select_notices(self, as_of):
        return SQL(
            """
            SELECT partner_id, company_id, currency_id, MAX(date) AS date
              FROM crm_dunning_notice
             WHERE state = ANY(%(said)s) AND date <= %(as_of)s AND kind != 'record'
          GROUP BY partner_id, company_id, currency_id
            """,
            said=list(SAID),
            as_of=as_of,
        )

    def _select_messages(self, as_of):
        return SQL(
            """
            SELECT one.partner_id, one.company_id, one.currency_id,
                   MAX(%(written_on)s) AS date
              FROM mail_message message
              JOIN crm_dunning_case one
                ON one.id = message.res_id AND one.state != 'closed'
              JOIN res_partner payer ON payer.id = one.partner_id
              JOIN res_company company ON company.id = one.company_id
             WHERE message.model = 'crm.dunning.case'
               AND message.message_type = ANY(%(words)s)
               AND %(written_on)s <= %(as_of)s
          GROUP BY one.partner_id, one.company_id, one.currency_id
            """,
            written_on=self._get_local_date(SQL("message.date")),
            words=list(WORDS),
            as_of=as_of,
        )

    @api.model
    def _get_local_date(self, instant):
        """Return in SQL the account's date of ``instant``, naive UTC."""
        return SQL(
            "(%s AT TIME ZONE 'UTC' AT TIME ZONE"
            " COALESCE(payer.billing_tz, company.billing_tz, 'UTC'))::date",
            instant,
        )
