from odoo import api, fields, models
from odoo.tools import SQL

from ..models.crm_dunning_policy import TONES

WITHIN_DAYS = 14
LONGEST = 365


class CrmDunningRecoveryReport(models.Model):
    """What each reminder and each charge brought in: one row an instalment and try.

    A payment counts once: for the last reminder of its instalment before it, if it came
    within some days (context key ``recovery_days``, 14 by default), and never for a
    reminder if one of our charges collected it. Money is in the company's currency at
    the rate of the invoice, hours and weekdays are those of the account.
    """

    _name = "crm.dunning.recovery.report"
    _description = "Recovery"
    _auto = False
    _order = "date desc, id desc"
    _rec_name = "partner_id"
    _depends = {
        "crm.dunning.notice": [
            "state",
            "partner_id",
            "policy_id",
            "step_id",
            "tone",
            "sent_at",
        ],
        "crm.dunning.notice.line": [
            "notice_id",
            "line_id",
            "move_id",
            "company_id",
            "kind",
            "date",
            "days",
            "amount",
            "step_id",
        ],
        "crm.dunning.attempt": [
            "state",
            "kind",
            "move_id",
            "company_id",
            "partner_id",
            "case_id",
            "transaction_id",
            "amount",
            "sent_at",
            "decline_class",
            "decline_code",
            "code",
        ],
        "crm.dunning.case": ["policy_id"],
        "account.move": [
            "invoice_user_id",
            "amount_total",
            "amount_total_signed",
            "origin_payment_id",
            "journal_id",
        ],
        "account.move.line": ["balance", "amount_currency"],
        "account.partial.reconcile": [
            "debit_move_id",
            "credit_move_id",
            "max_date",
            "amount",
        ],
        "account.payment": ["payment_transaction_id"],
        "account.journal": ["type"],
        "res.partner": ["billing_tz"],
        "res.company": ["billing_tz"],
    }

    kind = fields.Selection(
        [("reminder", "Reminder"), ("charge", "Charge")], readonly=True
    )
    company_id = fields.Many2one("res.company", readonly=True)
    currency_id = fields.Many2one(
        related="company_id.currency_id", string="Company Currency"
    )
    policy_id = fields.Many2one("crm.dunning.policy", readonly=True)
    step_id = fields.Many2one("crm.dunning.step", readonly=True)
    days = fields.Integer(string="Day", readonly=True, aggregator=None)
    tone = fields.Selection(TONES, readonly=True)
    source = fields.Selection("_get_sources", string="Charged As", readonly=True)
    state = fields.Selection("_get_states", string="Charge", readonly=True)
    decline_class = fields.Selection("_get_decline_classes", readonly=True)
    decline_code = fields.Char(readonly=True)
    date = fields.Date(readonly=True, help="Local date of the account.")
    hour = fields.Integer(
        readonly=True, aggregator=None, help="Local hour of the account, 0 to 23."
    )
    weekday = fields.Selection(
        [
            ("1", "Monday"),
            ("2", "Tuesday"),
            ("3", "Wednesday"),
            ("4", "Thursday"),
            ("5", "Friday"),
            ("6", "Saturday"),
            ("7", "Sunday"),
        ],
        readonly=True,
    )
    partner_id = fields.Many2one("res.partner", string="Account", readonly=True)
    user_id = fields.Many2one("res.users", string="Salesperson", readonly=True)
    move_id = fields.Many2one("account.move", string="Invoice", readonly=True)
    amount = fields.Monetary(string="Asked For", readonly=True)
    amount_recovered = fields.Monetary(string="Recovered", readonly=True)
    is_recovered = fields.Float(
        string="Success",
        readonly=True,
        aggregator="avg",
        help="Share of the reminders and charges after which money came.",
    )
    days_to_payment = fields.Float(readonly=True, aggregator="avg")

    @api.model
    def _get_sources(self):
        return self._describe_attempt("source")

    @api.model
    def _get_states(self):
        return self._describe_attempt("state")

    @api.model
    def _get_decline_classes(self):
        """Return what the classes of the shipped table are called."""
        return [
            ("wait_funds", self.env._("Not enough money")),
            ("try_later", self.env._("Bank not reached")),
            ("generic", self.env._("Declined without a reason")),
            ("needs_customer", self.env._("Customer must confirm")),
            ("new_method", self.env._("Card needs replacing")),
            ("revoked", self.env._("Permission withdrawn")),
            ("lost_stolen", self.env._("Card lost or stolen")),
            ("fraud", self.env._("Suspected fraud")),
            ("duplicate", self.env._("Taken for a duplicate")),
            ("blocked", self.env._("Never to be tried again")),
            ("sepa_funds", self.env._("Debit: not enough money")),
            ("sepa_dead", self.env._("Debit: account or mandate invalid")),
        ]

    def _describe_attempt(self, name):
        field = self.env["crm.dunning.attempt"]._fields[name]
        return field._description_selection(self.env)

    # === ACTION METHODS === #

    def action_view_invoice(self):
        """Open the invoice of the row."""
        self.ensure_one()
        return {
            "type": "ir.actions.act_window",
            "res_model": "account.move",
            "res_id": self.move_id.id,
            "views": [(False, "form")],
        }

    # === QUERY === #

    @property
    def _table_query(self):
        return SQL(
            "SELECT * FROM (%s) reminder UNION ALL SELECT * FROM (%s) charge",
            self._select_reminders(self._get_within_days()),
            self._select_charges(),
        )

    def _get_within_days(self):
        """Return after how many days a payment counts no more, from the context."""
        days = self.env.context.get("recovery_days", WITHIN_DAYS)
        if not isinstance(days, int) or isinstance(days, bool):
            return WITHIN_DAYS
        return min(max(days, 0), LONGEST)

    def _select_reminders(self, days):
        """Return a row for each instalment listed in a message that left."""
        return SQL(
            """
            SELECT 2 * listed.id AS id,
                   'reminder' AS kind,
                   listed.company_id,
                   notice.policy_id,
                   COALESCE(listed.step_id, notice.step_id) AS step_id,
                   listed.days,
                   notice.tone,
                   NULL::varchar AS source,
                   NULL::varchar AS state,
                   NULL::varchar AS decline_class,
                   NULL::varchar AS decline_code,
                   listed.date,
                   EXTRACT(HOUR FROM moment.local_at)::int AS hour,
                   EXTRACT(ISODOW FROM listed.date)::int::varchar AS weekday,
                   notice.partner_id,
                   move.invoice_user_id AS user_id,
                   listed.move_id,
                   listed.amount * line.balance
                       / NULLIF(line.amount_currency, 0) AS amount,
                   COALESCE(paid.amount, 0) AS amount_recovered,
                   (paid.amount IS NOT NULL)::int AS is_recovered,
                   paid.first_date - listed.date AS days_to_payment
              FROM (SELECT *, LEAD(date) OVER (
                                  PARTITION BY line_id ORDER BY date, id) AS next_date
                      FROM crm_dunning_notice_line
                     WHERE kind = 'listed'
                       AND notice_id IN (SELECT id FROM crm_dunning_notice
                                          WHERE state = 'sent')) listed
              JOIN crm_dunning_notice notice ON notice.id = listed.notice_id
              JOIN account_move_line line ON line.id = listed.line_id
              JOIN account_move move ON move.id = listed.move_id
              JOIN res_partner account ON account.id = notice.partner_id
              JOIN res_company company ON company.id = listed.company_id
        CROSS JOIN LATERAL (
                   SELECT COALESCE(notice.sent_at, notice.create_date)
                          AT TIME ZONE 'UTC'
                          AT TIME ZONE COALESCE(
                              account.billing_tz, company.billing_tz, 'UTC'
                          ) AS local_at) moment
         LEFT JOIN LATERAL (
                   SELECT SUM(partial.amount) AS amount,
                          MIN(partial.max_date) AS first_date
                     FROM account_partial_reconcile partial
                     JOIN account_move_line credit
                       ON credit.id = partial.credit_move_id
                     JOIN account_move paying ON paying.id = credit.move_id
                     JOIN account_journal journal ON journal.id = paying.journal_id
                LEFT JOIN account_payment payment
                       ON payment.id = paying.origin_payment_id
                    WHERE partial.debit_move_id = listed.line_id
                      AND partial.max_date >= listed.date
                      AND partial.max_date <= listed.date + %(days)s
                      AND (listed.next_date IS NULL
                           OR partial.max_date < listed.next_date)
                      AND journal.type IN ('bank', 'cash', 'credit')
                      AND NOT EXISTS (
                          SELECT FROM crm_dunning_attempt attempt
                           WHERE attempt.transaction_id
                                 = payment.payment_transaction_id)
                   ) paid ON TRUE
            """,
            days=days,
        )

    def _select_charges(self):
        """Return a row for each charge whose outcome is known."""
        return SQL(
            """
            SELECT 2 * attempt.id + 1 AS id,
                   'charge' AS kind,
                   attempt.company_id,
                   dunning.policy_id,
                   NULL::int AS step_id,
                   NULL::int AS days,
                   NULL::varchar AS tone,
                   attempt.source,
                   attempt.state,
                   attempt.decline_class,
                   COALESCE(attempt.decline_code, attempt.code) AS decline_code,
                   moment.local_at::date AS date,
                   EXTRACT(HOUR FROM moment.local_at)::int AS hour,
                   EXTRACT(ISODOW FROM moment.local_at)::int::varchar AS weekday,
                   attempt.partner_id,
                   move.invoice_user_id AS user_id,
                   attempt.move_id,
                   asked.amount,
                   CASE WHEN attempt.state = 'succeeded' THEN asked.amount ELSE 0 END
                       AS amount_recovered,
                   (attempt.state = 'succeeded')::int AS is_recovered,
                   CASE WHEN attempt.state = 'succeeded' THEN 0 END AS days_to_payment
              FROM crm_dunning_attempt attempt
              JOIN account_move move ON move.id = attempt.move_id
              JOIN res_company company ON company.id = attempt.company_id
              JOIN res_partner account ON account.id = attempt.partner_id
         LEFT JOIN crm_dunning_case dunning ON dunning.id = attempt.case_id
        CROSS JOIN LATERAL (
                   SELECT COALESCE(attempt.sent_at, attempt.create_date)
                          AT TIME ZONE 'UTC'
                          AT TIME ZONE COALESCE(
                              account.billing_tz, company.billing_tz, 'UTC'
                          ) AS local_at) moment
        CROSS JOIN LATERAL (
                   SELECT attempt.amount * ABS(move.amount_total_signed)
                          / NULLIF(ABS(move.amount_total), 0) AS amount) asked
             WHERE attempt.kind = 'charge'
               AND attempt.state IN ('succeeded', 'declined')
            """
        )
