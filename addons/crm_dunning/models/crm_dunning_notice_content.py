"""What a message says: open amounts, credits and sums of an account, at that second."""

from collections import defaultdict
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal

from odoo import api, models
from odoo.tools import SQL

from .crm_dunning_notice import IN_MESSAGE

SHOWN = (*IN_MESSAGE, "upcoming", "dry_run")


@dataclass
class Row:
    """One instalment as a customer reads it; amounts in the message's currency."""

    move: object
    due: date
    amount: float
    total: float
    days_late: int
    link: str | None = None
    reference: str | None = None  # the customer's own order number

    @property
    def name(self):
        return self.move.name

    @property
    def is_part(self):
        return self.amount < self.total


@dataclass
class Content:
    """The sums equal the account's statement (G4): balance = all open less credits."""

    overdue: list = field(default_factory=list)
    upcoming: list = field(default_factory=list)
    credits: list = field(default_factory=list)
    others: float = 0.0
    balance: float = 0.0

    @property
    def overdue_total(self):
        return _sum(row.amount for row in self.overdue)

    @property
    def upcoming_total(self):
        return _sum(row.amount for row in self.upcoming)

    @property
    def credit_total(self):
        return _sum(credit["amount"] for credit in self.credits)

    @property
    def days_late(self):
        return max((row.days_late for row in self.overdue), default=0)


class CrmDunningNotice(models.Model):
    _inherit = "crm.dunning.notice"

    # === BUSINESS METHODS - CONTENT === #

    def _get_content(self):
        """Return what this message says; templates read it.

        A batch reads the content of all its messages at once and hands it on in the
        context, under a key that only our code fills.
        """
        self.ensure_one()
        prepared = self.env.context.get("dunning_contents")
        if isinstance(prepared, Contents) and self.id in prepared:
            return prepared[self.id]
        return self._read_contents()[self.id]

    def _read_contents(self):
        """Return ``{notice id: Content}``, in a constant number of queries."""
        partners, companies = self.partner_id.ids, self.company_id.ids
        instalments = self.env["account.move.line"]._get_open_instalments(
            partner_ids=partners, company_ids=companies
        )
        rows = {row.line_id: row for found in instalments.values() for row in found}
        credit_rows = self._read_credit_rows(partners, companies)
        sums = defaultdict(Decimal)
        for row in rows.values():
            sums[row.partner_id, row.company_id, row.currency_id] += row.residual
        lines = self.line_ids.filtered(lambda line: line.kind in SHOWN)
        links = lines.move_id._get_dunning_pay_links(
            _sum_by_move(
                rows[line.line_id.id] for line in lines if line.line_id.id in rows
            )
        )
        references = {
            move.id: move.ref
            for move in lines.move_id
            if move.ref and move._is_ref_a_po()
        }
        contents = Contents()
        for notice in self:
            key = (notice.partner_id.id, notice.company_id.id, notice.currency_id.id)
            contents[notice.id] = notice._build_content(
                rows, credit_rows[key], sums[key], links, references
            )
        return contents

    def _build_content(self, rows, credit_rows, everything, links, references):
        content = Content(credits=credit_rows)
        listed = Decimal(0)
        shown = self.line_ids.filtered(lambda line: line.kind in SHOWN)
        for line in shown.sorted(lambda line: (line.date_due, line.id)):
            row = rows.get(line.line_id.id)
            if not row:
                continue  # paid since
            listed += row.residual
            entry = Row(
                move=line.move_id,
                due=row.due,
                amount=float(row.residual),
                total=float(row.total),
                days_late=(self.date - row.due).days,
                link=links.get(row.move_id),
                reference=references.get(row.move_id),
            )
            is_overdue = entry.days_late > 0
            (content.overdue if is_overdue else content.upcoming).append(entry)
        content.others = float(everything - listed)
        content.balance = float(everything) - content.credit_total
        return content

    @api.model
    def _make_sample(self):
        """Return a message that no customer gets, and what it says.

        Texts are tried with it when they are saved; the caller undoes it.
        """
        company = self.env.company
        # Who writes texts need not be allowed to write messages.
        notice = self.sudo().create(
            {
                "partner_id": company.partner_id.id,
                "recipient_id": company.partner_id.id,
                "company_id": company.id,
                "currency_id": company.currency_id.id,
                "date": "2027-02-12",
                "next_try_on": "2027-02-15",
                "charge_on": "2027-02-20",
                "kind": "record",
                "state": "dry_run",
                "amount": 100.0,
            }
        )
        row = Row(
            move=self.env["account.move"],
            due=date(2027, 2, 10),
            amount=60.0,
            total=100.0,
            days_late=2,
            link="https://example.com/pay",
        )
        credit = {"name": "RINV/1", "date": date(2027, 2, 1), "amount": 10.0}
        content = Content([row], [row], [credit], others=5.0, balance=115.0)
        return notice, Contents({notice.id: content})

    @api.model
    def _read_credit_rows(self, partner_ids, company_ids):
        """Return credits and payments that are not applied, oldest first.

        :return: ``{(payer, company, currency): [{name, date, amount}]}``
        """
        rows = self.env.execute_query(
            SQL(
                """
                SELECT payer.commercial_partner_id, line.company_id, line.currency_id,
                       move.name, line.date, -line.amount_residual_currency
                  FROM account_move_line line
                  JOIN account_move move ON move.id = line.move_id
                  JOIN res_partner payer ON payer.id = line.partner_id
                  JOIN account_account account ON account.id = line.account_id
                   AND account.account_type = 'asset_receivable'
                 WHERE line.reconciled IS NOT TRUE AND line.parent_state = 'posted'
                   AND line.amount_residual_currency < 0
                   AND payer.commercial_partner_id = ANY(%s)
                   AND line.company_id = ANY(%s)
              ORDER BY line.date, line.id
                """,
                list(partner_ids),
                list(company_ids),
            )
        )
        found = defaultdict(list)
        for *key, name, day, amount in rows:
            found[tuple(key)].append(
                {"name": name, "date": day, "amount": float(amount)}
            )
        return found


class Contents(dict):
    """Contents of a batch; a caller from outside cannot put one into the context."""


def _sum(amounts):
    return float(sum((Decimal(str(amount)) for amount in amounts), Decimal(0)))


def _sum_by_move(rows):
    sums = defaultdict(Decimal)
    for row in rows:
        sums[row.move_id] += row.residual
    return sums
