from odoo import api, fields, models
from odoo.exceptions import UserError
from odoo.tools import SQL

from ..models.crm_billing_forecast_line import MEASURES, SOURCES
from .crm_billing_status_query import BANKS

SALES = ("out_invoice", "out_receipt")
# What nobody could foresee: it came into being after the snapshot.
NEW = ("new", "Not Foreseen")


class CrmBillingForecastReport(models.Model):
    """A forecast beside what happened since: invoices before tax, money with tax.

    The forecast is the last one of each company made on or before the day asked for
    (``as_of`` in the domain, today by default). What happened is read from the ledger
    by its own dates, from the first day of that forecast up to today: customer
    invoices, receipts and credit notes by invoice date (drafts of earlier days on the
    first day, on which they are expected), money by the date of its matching with an
    instalment (billing rules, 8.6). Company currency.
    """

    _name = "crm.billing.forecast.report"
    _description = "Billing Forecast and What Happened"
    _inherit = ["crm.billing.report.mixin"]
    _auto = False
    _order = "date, id"
    _rec_name = "partner_id"
    _parameter_fields = ("as_of",)
    _depends = {
        "crm.billing.forecast": [
            "company_id",
            "date",
            "date_until",
            "state",
            "is_money_only",
        ],
        "crm.billing.forecast.line": ["forecast_id", "source", "date", *MEASURES],
        "account.move": [
            "state",
            "move_type",
            "invoice_date",
            "amount_untaxed_signed",
            "commercial_partner_id",
            "invoice_user_id",
            "team_id",
        ],
        "account.partial.reconcile": ["amount", "max_date", "debit_move_id"],
        "res.partner": ["commercial_partner_id", "service_tier_id", "user_id"],
    }

    as_of = fields.Date(
        string="Forecast Made Until",
        readonly=True,
        help="The last forecast made on or before this day is shown.",
    )
    forecast_id = fields.Many2one("crm.billing.forecast", readonly=True)
    source = fields.Selection([*SOURCES, NEW], readonly=True)
    date = fields.Date(readonly=True)
    is_past = fields.Boolean(
        string="Has Happened", readonly=True, help="The day is over."
    )
    agreement_id = fields.Many2one("crm.billing.agreement", readonly=True)
    move_id = fields.Many2one("account.move", string="Invoice", readonly=True)
    invoiced_low = fields.Monetary(
        string="Invoices: Low", currency_field="company_currency_id", readonly=True
    )
    invoiced = fields.Monetary(
        string="Invoices: Expected",
        currency_field="company_currency_id",
        readonly=True,
        help="Before tax.",
    )
    invoiced_high = fields.Monetary(
        string="Invoices: High", currency_field="company_currency_id", readonly=True
    )
    invoiced_actual = fields.Monetary(
        string="Invoiced",
        currency_field="company_currency_id",
        readonly=True,
        help="Posted customer invoices less credit notes, before tax.",
    )
    invoiced_difference = fields.Monetary(
        string="Invoices: Difference",
        currency_field="company_currency_id",
        readonly=True,
        help="Of the days that are over: invoiced less expected.",
    )
    cash_low = fields.Monetary(
        string="Money: Low",
        currency_field="company_currency_id",
        readonly=True,
        help="With tax. Everybody pays as late as in the last tenth of what they paid; "
        "cumulate it from the first day on.",
    )
    cash = fields.Monetary(
        string="Money: Expected",
        currency_field="company_currency_id",
        readonly=True,
        help="With tax, on the due date moved by the payer's habit.",
    )
    cash_high = fields.Monetary(
        string="Money: High",
        currency_field="company_currency_id",
        readonly=True,
        help="With tax. Everybody pays as early as in the first tenth of what they "
        "paid, and what is late comes at once.",
    )
    cash_actual = fields.Monetary(
        string="Collected",
        currency_field="company_currency_id",
        readonly=True,
        help="Payments matched with instalments, at booked amounts.",
    )
    cash_difference = fields.Monetary(
        string="Money: Difference",
        currency_field="company_currency_id",
        readonly=True,
        help="Of the days that are over: collected less expected.",
    )
    amount_open = fields.Monetary(
        string="Open at the Time",
        currency_field="company_currency_id",
        readonly=True,
        help="Balance of the receivable accounts on the evening before the forecast.",
    )

    # === ACTION METHODS === #

    def action_open(self):
        """Open the document behind the row: invoice, else agreement, else account."""
        self.ensure_one()
        self.check_access("read")
        record = self.move_id or self.agreement_id or self.partner_id
        if not record:
            raise UserError(self.env._("An entry without an account has no document."))
        return record._get_records_action(context={})

    # === QUERY === #

    @property
    def _table_query(self):
        today = fields.Date.context_today(self)
        as_of = self._get_as_of()
        return SQL(
            """
            WITH chosen AS (%(chosen)s)
            SELECT event.id, %(as_of)s::date AS as_of, event.forecast_id, event.source,
                   event.date, event.date < %(today)s AS is_past, event.company_id,
                   account.id AS partner_id, event.user_id, event.team_id,
                   account.service_tier_id, event.currency_id,
                   company.currency_id AS company_currency_id,
                   event.agreement_id, event.move_id,
                   invoice.low AS invoiced_low, invoice.expected AS invoiced,
                   invoice.high AS invoiced_high, invoice.actual AS invoiced_actual,
                   CASE WHEN event.date < %(today)s
                        THEN invoice.actual - invoice.expected
                        ELSE invoice.expected * 0 END AS invoiced_difference,
                   event.cash_low, event.cash, event.cash_high, event.cash_actual,
                   CASE WHEN event.date < %(today)s
                        THEN event.cash_actual - event.cash ELSE 0 END
                       AS cash_difference,
                   event.amount_open
              FROM (%(lines)s UNION ALL %(invoices)s UNION ALL %(money)s) event
              JOIN res_company company ON company.id = event.company_id
              JOIN chosen ON chosen.id = event.forecast_id
         LEFT JOIN LATERAL (
                   SELECT event.invoiced_low AS low, event.invoiced AS expected,
                          event.invoiced_high AS high, event.invoiced_actual AS actual
                    WHERE chosen.is_money_only IS NOT TRUE) invoice ON TRUE
         LEFT JOIN res_partner payer ON payer.id = event.partner_id
         LEFT JOIN res_partner account ON account.id = payer.commercial_partner_id
            """,
            chosen=self._select_chosen(as_of),
            as_of=as_of,
            today=today,
            lines=self._select_lines(),
            invoices=self._select_invoices(today),
            money=self._select_money(today),
        )

    @api.model
    def _get_as_of(self):
        """Return the day asked for in the domain or the context, else today."""
        day = self._get_parameter("billing_as_of")
        return day or fields.Date.context_today(self)

    @api.model
    def _select_chosen(self, as_of):
        """Return the last finished forecast of each company up to a day."""
        return SQL(
            """
            SELECT DISTINCT ON (company_id) id, company_id, date, date_until,
                   is_money_only
              FROM crm_billing_forecast
             WHERE state = 'done' AND date <= %s
          ORDER BY company_id, date DESC
            """,
            as_of,
        )

    def _select_lines(self):
        """Return what was expected."""
        return SQL(
            """
            SELECT line.id * 4 AS id, chosen.id AS forecast_id, line.source, line.date,
                   line.company_id, line.partner_id, line.user_id, line.team_id,
                   line.currency_id, line.agreement_id, line.move_id,
                   COALESCE(line.invoiced_low, 0) AS invoiced_low,
                   COALESCE(line.invoiced, 0) AS invoiced,
                   COALESCE(line.invoiced_high, 0) AS invoiced_high,
                   0::numeric AS invoiced_actual,
                   COALESCE(line.cash_low, 0) AS cash_low,
                   COALESCE(line.cash, 0) AS cash,
                   COALESCE(line.cash_high, 0) AS cash_high,
                   0::numeric AS cash_actual,
                   COALESCE(line.amount_open, 0) AS amount_open
              FROM chosen
              JOIN crm_billing_forecast_line line ON line.forecast_id = chosen.id
            """
        )

    def _select_invoices(self, today):
        """Return what was invoiced since: of agreements, known documents, new ones."""
        return SQL(
            """
            SELECT move.id * 4 + 1, chosen.id,
                   CASE WHEN known.is_known THEN 'document'
                        WHEN billed.agreement_id IS NOT NULL THEN 'agreement'
                        ELSE 'new' END,
                   GREATEST(move.invoice_date, chosen.date),
                   move.company_id, move.commercial_partner_id,
                   move.invoice_user_id, move.team_id, move.currency_id,
                   billed.agreement_id, move.id,
                   0, 0, 0, move.amount_untaxed_signed, 0, 0, 0, 0, 0
              FROM chosen
        CROSS JOIN LATERAL (
                   SELECT id FROM account_move
                    WHERE company_id = chosen.company_id
                      AND invoice_date BETWEEN chosen.date
                          AND LEAST(chosen.date_until, %(today)s)
                    UNION
                   SELECT move_id FROM crm_billing_forecast_line
                    WHERE forecast_id = chosen.id AND source = 'document') found
              JOIN account_move move ON move.id = found.id
               AND move.invoice_date <= LEAST(chosen.date_until, %(today)s)
        CROSS JOIN LATERAL (
                   SELECT min(agreement_id) AS agreement_id
                     FROM account_move_crm_billing_agreement_rel
                    WHERE move_id = move.id) billed
        CROSS JOIN LATERAL (
                   SELECT EXISTS (SELECT FROM crm_billing_forecast_line line
                                   WHERE line.move_id = move.id
                                     AND line.forecast_id = chosen.id
                                     AND line.source = 'document') AS is_known) known
             WHERE move.move_type IN %(types)s
               AND move.state = 'posted' AND chosen.is_money_only IS NOT TRUE
            """,
            today=today,
            types=(*SALES, "out_refund"),
        )

    def _select_money(self, today):
        """Return what was collected since: matchings of instalments with payments.

        What a payment writes off is no collection (billing rules, 8.6).
        """
        return SQL(
            """
            SELECT part.id * 4 + 2, chosen.id,
                   CASE WHEN known.source IS NOT NULL THEN known.source
                        WHEN move.date < chosen.date THEN 'open'
                        WHEN billed.agreement_id IS NOT NULL THEN 'agreement'
                        ELSE 'new' END,
                   part.max_date, move.company_id, move.commercial_partner_id,
                   move.invoice_user_id, move.team_id, move.currency_id,
                   billed.agreement_id, move.id,
                   0, 0, 0, 0, 0, 0, 0,
                   part.amount * COALESCE((%(share)s), 1), 0
              FROM chosen
              JOIN account_partial_reconcile part
                ON part.max_date BETWEEN chosen.date
                   AND LEAST(chosen.date_until, %(today)s)
              JOIN account_move_line line ON line.id = part.debit_move_id
              JOIN account_move move ON move.id = line.move_id
               AND move.company_id = chosen.company_id
              JOIN account_move_line credit ON credit.id = part.credit_move_id
              JOIN account_journal journal ON journal.id = credit.journal_id
         LEFT JOIN account_payment payment ON payment.id = credit.payment_id
        CROSS JOIN LATERAL (
                   SELECT min(agreement_id) AS agreement_id
                     FROM account_move_crm_billing_agreement_rel
                    WHERE move_id = move.id) billed
        CROSS JOIN LATERAL (
                   SELECT min(expected.source) AS source
                     FROM crm_billing_forecast_line expected
                    WHERE expected.move_id = move.id
                      AND expected.forecast_id = chosen.id) known
             WHERE move.move_type IN %(types)s AND move.state = 'posted'
               AND line.display_type = 'payment_term'
               AND journal.type IN %(banks)s
            """,
            today=today,
            types=SALES,
            share=self.env["crm.billing.collection.report"]._select_share(),
            banks=BANKS,
        )
