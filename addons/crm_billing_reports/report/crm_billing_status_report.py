from collections import defaultdict
from decimal import Decimal

from odoo import api, fields, models
from odoo.fields import Domain
from odoo.tools import SQL

from .crm_billing_report_mixin import ACCOUNT, TieOut

STATUSES = [
    ("draft", "Draft"),
    ("posted", "Not sent"),
    ("sent", "Sent"),
    ("part", "Partly paid"),
    ("overdue", "Overdue"),
    ("failed", "Payment failed"),
    ("paid", "Paid"),
    ("credited", "Credited"),
    ("credit_note", "Credit note"),
]
# Filters by their path from a journal entry; the others are asked from the report.
LEDGER_PATHS = {
    "company_id": "company_id",
    "partner_id": ACCOUNT,
    "team_id": "team_id",
    "service_tier_id": f"{ACCOUNT}.service_tier_id",
    "account_manager_id": f"{ACCOUNT}.user_id",
    "currency_id": "currency_id",
    "move_id": "id",
    "date": "date",
    "invoice_date": "invoice_date",
}
PROOFS = ("total", "billed", "overdue")
MOST_DOCUMENTS = 200


class CrmBillingStatusReport(models.Model):
    """Where each customer invoice stands, and whose it is: one row a document (J5).

    Drafts, invoices and credit notes, not what is cancelled. An invoice has one status,
    the one that needs attention first, as on its deal: a failed payment comes before
    overdue, overdue before partly paid. Amounts include tax, in the currency of the
    company as booked, negative on credit notes; ``amount_currency`` is in that of the
    document. Overdue is as of today, by the due date of each instalment; unreleased
    retention is not due. The SQL is in `crm_billing_status_query.py`.
    """

    _name = "crm.billing.status.report"
    _description = "Invoice Status"
    _inherit = "crm.billing.report.mixin"
    _auto = False
    _order = "date desc, id desc"
    _rec_name = "move_id"

    move_id = fields.Many2one("account.move", string="Invoice", readonly=True)
    move_type = fields.Selection(
        [("out_invoice", "Invoice"), ("out_refund", "Credit note")],
        string="Document",
        readonly=True,
    )
    status = fields.Selection(STATUSES, readonly=True)
    account_manager_id = fields.Many2one(
        "res.users",
        readonly=True,
        help="The salesperson of the account, whoever sold this invoice.",
    )
    date = fields.Date(string="Accounting Date", readonly=True)
    invoice_date = fields.Date(readonly=True)
    date_due = fields.Date(
        string="Oldest Due Date",
        readonly=True,
        help="Of the instalments that are open.",
    )
    days_overdue = fields.Integer(
        readonly=True, aggregator="max", help="Of the oldest open instalment, today."
    )
    is_sent = fields.Boolean(string="Sent to Customer", readonly=True)
    amount_currency = fields.Monetary(
        string="In Currency", readonly=True, aggregator=None
    )
    amount_total = fields.Monetary(
        string="Total",
        readonly=True,
        currency_field="company_currency_id",
        help="Drafts and posted documents.",
    )
    amount_billed = fields.Monetary(
        string="Billed",
        readonly=True,
        currency_field="company_currency_id",
        help="Posted invoices less posted credit notes.",
    )
    amount_collected = fields.Monetary(
        string="Collected",
        readonly=True,
        currency_field="company_currency_id",
        help="Money that came and is matched, less money paid back. Credit notes, "
        "write-offs and fees that a bank kept are no collections.",
    )
    amount_credited = fields.Monetary(
        string="Credited",
        readonly=True,
        currency_field="company_currency_id",
        help="What credit notes took off invoices; on a credit note, what it gave.",
    )
    amount_open = fields.Monetary(
        string="Open", readonly=True, currency_field="company_currency_id"
    )
    amount_overdue = fields.Monetary(
        string="Overdue",
        readonly=True,
        currency_field="company_currency_id",
        help="Of invoices. What entries without an invoice owe, such as opening "
        "balances, stands in Aging and in Overdue by Account only.",
    )

    # === ACTION METHODS === #

    def action_view_invoice(self):
        """Open the document of the row."""
        self.ensure_one()
        return self.move_id._get_records_action(context={})

    # === BUSINESS METHODS - TIE-OUT === #

    @api.model
    def _get_tie_outs(self, domain):
        """Override: the report is the list of invoices, and what receivables say.

        The first proof is against the invoices, drafts included; the second one
        against what these invoices put on the receivable accounts; the third one
        against what is open of their instalments that the aging of today has overdue.
        """
        domain = Domain(domain)
        moves = self._get_ledger_domain(domain)
        mine = self._sum_by_company(
            self, domain, ["amount_total", "amount_billed", "amount_overdue"]
        )
        invoices = self._sum_by_company(
            self.env["account.move"].sudo(), moves, ["amount_total_signed"]
        )
        booked = self._sum_by_company(
            self.env["account.move.line"].sudo(),
            self._get_receivable_domain(moves),
            ["balance"],
        )
        late = self._sum_by_company(
            self.env["account.move.line"].sudo(),
            self._get_late_domain(moves),
            ["amount_residual"],
        )
        proofs = []
        for company in self._get_proved({*mine, *invoices}):
            amounts = mine[company] or (Decimal(0),) * len(PROOFS)
            ledgers = [
                (sums[company] or (Decimal(0),))[0] for sums in (invoices, booked, late)
            ]
            proofs += [
                self._prove(company, kind, amount, ledger, domain, moves)
                for kind, amount, ledger in zip(PROOFS, amounts, ledgers, strict=True)
            ]
        return proofs

    def _prove(self, company, kind, amount, ledger, domain, moves):
        """Return one proof; what causes a difference is looked for only if there is.

        :param kind: one of ``PROOFS``
        """
        label, ledger_label = self._get_proof_labels()[kind]
        if len(self.env.companies) > 1:
            label = f"{company.name}: {label}"
        currency = company.currency_id
        documents = ()
        if currency.compare_amounts(float(amount), float(ledger)):
            find = self._find_late if kind == "overdue" else self._find_culprits
            documents = ("account.move", find(company, domain, moves))
        return TieOut(
            label=label,
            amount=amount,
            ledger_label=ledger_label,
            ledger_amount=ledger,
            currency_id=currency.id,
            documents=documents,
        )

    def _get_proof_labels(self):
        _ = self.env._
        return {
            "total": (_("Total"), _("list of invoices")),
            "billed": (_("Billed"), _("booked on receivable accounts")),
            "overdue": (_("Overdue"), _("aging, without entries that are no invoices")),
        }

    @api.model
    def _sum_by_company(self, records, domain, names):
        """Return ``{company: Decimals}`` in the order of ``names``, None if empty."""
        sums = defaultdict(lambda: None)
        groups = records._read_group(
            domain, ["company_id"], [f"{name}:sum" for name in names]
        )
        for company, *amounts in groups:
            sums[company] = tuple(Decimal(str(amount or 0)) for amount in amounts)
        return sums

    def _get_ledger_domain(self, domain):
        """Return which invoices ``domain`` selects, as the ledger knows them."""
        return Domain(
            [
                ("move_type", "in", ("out_invoice", "out_refund")),
                ("state", "!=", "cancel"),
                ("company_id", "in", self.env.companies.ids),
            ]
        ) & domain.map_conditions(self._to_ledger)

    def _to_ledger(self, condition):
        name, dot, rest = condition.field_expr.partition(".")
        end = (condition.operator, condition.value)
        if name in LEDGER_PATHS:
            return Domain(f"{LEDGER_PATHS[name]}{dot}{rest}", *end)
        if name == "user_id":  # of the account where the invoice has none
            nobody = Domain("invoice_user_id", "=", False)
            account = Domain(f"{ACCOUNT}.user_id{dot}{rest}", *end)
            invoice = Domain(f"invoice_user_id{dot}{rest}", *end)
            return (~nobody & invoice) | (nobody & account)
        # A leaf such as the status is the report's own: its rows have the ids.
        return Domain("id", "in", self._search(Domain(condition)).subselect())

    @staticmethod
    def _get_receivable_domain(moves):
        return Domain(
            [
                ("parent_state", "=", "posted"),
                ("account_id.account_type", "=", "asset_receivable"),
            ]
        ) & Domain("move_id", "any", moves)

    def _get_late_domain(self, moves):
        """Return the items of ``moves`` that the aging of today has overdue."""
        today = fields.Date.to_string(fields.Date.context_today(self))
        aging = self.env["crm.billing.aging.report"].sudo()
        late = aging.with_context(billing_as_of=today)._search(
            Domain("overdue", "!=", 0) & Domain("move_id", "any", moves)
        )
        return Domain("id", "in", late.subselect())

    def _find_late(self, company, domain, moves):
        """Return ids of the documents of which both sides have not the same overdue."""
        own = Domain("company_id", "=", company.id)
        late = Domain("amount_overdue", "!=", 0)
        mine = dict(
            self._read_group(domain & own & late, ["move_id"], ["amount_overdue:sum"])
        )
        ledger = dict(
            self.env["account.move.line"]
            .sudo()
            ._read_group(
                own & self._get_late_domain(moves), ["move_id"], ["amount_residual:sum"]
            )
        )
        compare = company.currency_id.compare_amounts
        return sorted(
            move.id
            for move in {*mine, *ledger}
            if compare(mine.get(move, 0.0), ledger.get(move, 0.0))
        )[:MOST_DOCUMENTS]

    def _find_culprits(self, company, domain, moves):
        """Return ids of the documents that one side has and the other one has not, or
        whose total is not what they put on the receivable accounts."""
        own = Domain("company_id", "=", company.id)
        ledger = self.env["account.move"].sudo()._search(moves & own)
        mine = self._search(domain & own)
        rows = self.env.execute_query(
            SQL(
                """
                WITH listed AS (%(ledger)s), mine AS (%(mine)s)
                SELECT COALESCE(listed.id, mine.id) AS move_id
                  FROM listed FULL JOIN mine ON mine.id = listed.id
                 WHERE listed.id IS NULL OR mine.id IS NULL
             UNION
                SELECT move.id
                  FROM listed
                  JOIN account_move move ON move.id = listed.id
                 WHERE move.state = 'posted'
                   AND move.amount_total_signed != (
                       SELECT COALESCE(SUM(line.balance), 0)
                         FROM account_move_line line
                         JOIN account_account account
                           ON account.id = line.account_id
                          AND account.account_type = 'asset_receivable'
                        WHERE line.move_id = move.id)
              ORDER BY move_id
                 LIMIT %(most)s
                """,
                ledger=ledger.subselect(),
                mine=mine.subselect(),
                most=MOST_DOCUMENTS,
            )
        )
        return [move_id for (move_id,) in rows]
