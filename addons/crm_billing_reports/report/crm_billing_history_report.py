from decimal import Decimal

from odoo import api, fields, models
from odoo.fields import Domain
from odoo.tools import SQL

from .crm_billing_report_mixin import ACCOUNT, TieOut

DOCUMENTS = ("out_invoice", "out_refund")
MOST_DOCUMENTS = 200
# Filters that invoices know as well, by their path from an invoice.
LEDGER_PATHS = {
    "company_id": "company_id",
    "partner_id": ACCOUNT,
    "move_id": "id",
    "currency_id": "currency_id",
}


class CrmBillingHistoryReport(models.Model):
    """Everything that happened to a customer invoice, one row a fact (K1).

    The invoice itself, each payment and credit note matched with it, and what the audit
    log knows of it. Amounts count what is open: the invoice adds, a matching takes off,
    so that those of an invoice add up to its residual (negative for credit notes).
    Days are local dates of the account.
    """

    _name = "crm.billing.history.report"
    _description = "Invoices with History"
    _inherit = "crm.billing.report.mixin"
    _auto = False
    _order = "date desc, id desc"
    _rec_name = "move_id"
    _depends = {
        "account.move": [
            "amount_total_in_currency_signed",
            "amount_total_signed",
            "commercial_partner_id",
            "company_id",
            "currency_id",
            "invoice_date",
            "invoice_user_id",
            "move_type",
            "state",
            "team_id",
        ],
        "account.move.line": ["display_type", "move_id", "payment_id"],
        "account.partial.reconcile": [
            "amount",
            "credit_amount_currency",
            "credit_move_id",
            "debit_amount_currency",
            "debit_move_id",
            "max_date",
        ],
        "crm.billing.event": ["action", "move_id", "new_value", "note", "user_id"],
        "res.company": ["billing_tz", "currency_id"],
        "res.partner": [
            "billing_tz",
            "commercial_partner_id",
            "service_tier_id",
            "user_id",
        ],
    }

    move_id = fields.Many2one("account.move", string="Invoice", readonly=True)
    kind = fields.Selection(
        [("document", "Issued"), ("matching", "Matched"), ("event", "Logged")],
        readonly=True,
        string="Fact",
    )
    date = fields.Date(readonly=True)
    matched_move_id = fields.Many2one(
        "account.move",
        string="Matched With",
        readonly=True,
        help="The entry of the payment, or the credit note.",
    )
    payment_id = fields.Many2one("account.payment", readonly=True)
    action = fields.Selection(
        lambda self: self._get_actions(), readonly=True, string="What"
    )
    note = fields.Char(readonly=True)
    actor_id = fields.Many2one("res.users", string="By", readonly=True)
    amount = fields.Monetary(
        currency_field="company_currency_id",
        readonly=True,
        help="What the fact adds to what is open; in company currency, as booked.",
    )
    amount_currency = fields.Monetary(
        readonly=True,
        string="Amount in Currency",
        help="The same in the currency of the document.",
    )

    @api.model
    def _get_actions(self):
        return (
            self.env["crm.billing.event"]
            ._fields["action"]
            ._description_selection(self.env)
        )

    # === ACTION METHODS === #

    def action_view_document(self):
        """Open the payment, or else the invoice of the row."""
        self.ensure_one()
        record = self.payment_id or self.matched_move_id or self.move_id
        return record._get_records_action(context={})

    # === BUSINESS METHODS - PRINT === #

    def _is_blank(self, name):
        """Override: what was logged moves no money."""
        return self.kind == "event" and name in ("amount", "amount_currency")

    # === BUSINESS METHODS - QUERY === #

    @property
    def _table_query(self):
        """Ids of the three ledgers are told apart by their last two bits."""
        return SQL(
            """
            SELECT fact.*,
                   move.company_id,
                   account.id AS partner_id,
                   COALESCE(move.invoice_user_id, account.user_id) AS user_id,
                   move.team_id,
                   account.service_tier_id,
                   move.currency_id,
                   company.currency_id AS company_currency_id
              FROM (%s UNION ALL %s UNION ALL %s UNION ALL %s) fact
              JOIN account_move move ON move.id = fact.move_id
              JOIN res_company company ON company.id = move.company_id
         LEFT JOIN res_partner payer ON payer.id = move.commercial_partner_id
         LEFT JOIN res_partner account ON account.id = payer.commercial_partner_id
             WHERE move.state = 'posted' AND move.move_type IN %s
            """,
            self._select_documents(),
            self._select_matchings("debit", "credit"),
            self._select_matchings("credit", "debit"),
            self._select_events(),
            DOCUMENTS,
        )

    @api.model
    def _select_documents(self):
        return SQL(
            """
            SELECT id * 4 AS id, id AS move_id, 'document' AS kind,
                   invoice_date AS date, NULL::integer AS matched_move_id,
                   NULL::integer AS payment_id, NULL AS action, NULL AS note,
                   create_uid AS actor_id,
                   amount_total_signed AS amount,
                   amount_total_in_currency_signed AS amount_currency
              FROM account_move
            """
        )

    @api.model
    def _select_matchings(self, own, other):
        """Return what was matched with items on the side ``own``.

        It takes off a debit, and brings a credit nearer to nothing.
        """
        return SQL(
            """
            SELECT part.id * 4 + %(side)s, item.move_id, 'matching', part.max_date,
                   counterpart.move_id, counterpart.payment_id, NULL, NULL,
                   part.create_uid,
                   %(sign)s * part.amount, %(sign)s * part.%(own_amount)s
              FROM account_partial_reconcile part
              JOIN account_move_line item ON item.id = part.%(own)s
              JOIN account_move_line counterpart ON counterpart.id = part.%(other)s
             WHERE item.display_type = 'payment_term'
            """,
            side=1 if own == "debit" else 2,
            sign=-1 if own == "debit" else 1,
            own=SQL.identifier(f"{own}_move_id"),
            other=SQL.identifier(f"{other}_move_id"),
            own_amount=SQL.identifier(f"{own}_amount_currency"),
        )

    @api.model
    def _select_events(self):
        return SQL(
            """
            SELECT event.id * 4 + 3, event.move_id, 'event',
                   (event.create_date AT TIME ZONE 'UTC' AT TIME ZONE COALESCE(
                       account.billing_tz, company.billing_tz, 'UTC'))::date,
                   NULL, NULL, event.action,
                   COALESCE(event.note, event.new_value), event.user_id, 0, 0
              FROM crm_billing_event event
              JOIN account_move move ON move.id = event.move_id
              JOIN res_company company ON company.id = move.company_id
         LEFT JOIN res_partner payer ON payer.id = move.commercial_partner_id
         LEFT JOIN res_partner account ON account.id = payer.commercial_partner_id
            """
        )

    # === BUSINESS METHODS - TIE-OUT === #

    @api.model
    def _get_tie_outs(self, domain):
        """Override: issued less matched is what is open on the invoices, by company.

        Filters that an invoice does not know, such as the day of a fact, are left out
        of the proof; it says so. Nothing open is proved as well.
        """
        domain = Domain(domain)
        is_known = all(
            one.field_expr in LEDGER_PATHS for one in domain.iter_conditions()
        )
        chosen = domain if is_known else Domain.TRUE
        own = dict(self._read_group(chosen, ["company_id"], ["amount:sum"]))
        # Whoever reads the report is told what it is compared with.
        ledger = dict(
            self.env["account.move"]
            .sudo()
            ._read_group(
                self._get_ledger_domain(chosen),
                ["company_id"],
                ["amount_residual_signed:sum"],
            )
        )
        companies = {*own, *ledger} or {self.env.company}
        return [
            self._prove_company(
                company, own.get(company), ledger.get(company), chosen, is_known
            )
            for company in sorted(companies, key=lambda company: company.id)
        ]

    @api.model
    def _get_ledger_domain(self, domain):
        return (
            Domain("state", "=", "posted")
            & Domain("move_type", "in", DOCUMENTS)
            & Domain("company_id", "in", self.env.companies.ids)
            & domain.map_conditions(
                lambda one: Domain(
                    LEDGER_PATHS[one.field_expr], one.operator, one.value
                )
            )
        )

    @api.model
    def _prove_company(self, company, amount, ledger_amount, domain, is_known):
        amount, ledger_amount = amount or 0.0, ledger_amount or 0.0
        is_equal = company.currency_id.compare_amounts(amount, ledger_amount) == 0
        label = self.env._("Issued less matched")
        if len(self.env.companies) > 1:
            label = f"{label}, {company.name}"
        if not is_known:
            label = self.env._("%s without these filters", label)
        return TieOut(
            label=label,
            amount=Decimal(str(amount)),
            ledger_label=self.env._("open on invoices"),
            ledger_amount=Decimal(str(ledger_amount)),
            currency_id=company.currency_id.id,
            documents=()
            if is_equal
            else ("account.move", self._get_culprits(company, domain)),
        )

    @api.model
    def _get_culprits(self, company, domain):
        """Return the ids of invoices whose facts do not add up to their residual."""
        rows = self.env.execute_query(
            SQL(
                """
                SELECT move.id
                  FROM account_move move
             LEFT JOIN (%s) fact ON fact.move_id = move.id
                 WHERE move.company_id = %s AND move.id IN %s
              GROUP BY move.id
                HAVING ABS(COALESCE(SUM(fact.amount), 0)
                           - move.amount_residual_signed) >= 0.005
              ORDER BY move.id
                 LIMIT %s
                """,
                self._table_query,
                company.id,
                self.env["account.move"]
                .sudo()
                ._search(self._get_ledger_domain(domain))
                .subselect(),
                MOST_DOCUMENTS,
            )
        )
        return [move_id for (move_id,) in rows]
