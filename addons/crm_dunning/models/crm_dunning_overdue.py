"""What an account owes past its due date, as the sales side sees it (H4)."""

from collections import defaultdict
from dataclasses import dataclass, field
from decimal import Decimal

from odoo import models
from odoo.tools import SQL, formatLang


@dataclass
class Overdue:
    """What one account owes one company past due, and what that stops.

    :param amount: company currency, as booked; without retention and disputes
    :param days: age of the oldest instalment on the account's local date
    :param level: ``warn``, ``block`` or None
    """

    amount: Decimal = Decimal(0)
    days: int = 0
    level: str | None = None
    is_held: bool = False
    case_ids: list = field(default_factory=list)


class ResPartner(models.Model):
    _inherit = "res.partner"

    # === BUSINESS METHODS - OVERDUE === #

    def _get_dunning_overdue(self, company, now):
        """Return ``{account id: Overdue}`` of those that owe or are on credit hold.

        A constant number of queries. Only an armed policy blocks; a dry run warns.

        :param now: instant, naive UTC
        """
        # Sales hears that an account owes, whoever may read the journal items.
        accounts = self.sudo().commercial_partner_id
        found = defaultdict(Overdue)
        for account_id, due, amount, case_id in accounts._read_overdue(company):
            account = self.browse(account_id).sudo()
            days = (account._get_dunning_today(company, now) - due).days
            if days > 0:
                overdue = found[account_id]
                overdue.amount += Decimal(str(amount))
                overdue.days = max(overdue.days, days)
                overdue.case_ids += [case_id] if case_id else []
        cases = self.env["crm.dunning.case"]
        for account_id, company_id in cases._read_credit_holds(("all", "orders")):
            if company_id == company.id and account_id in accounts.ids:
                found[account_id].is_held = True
        accounts.browse(found)._add_overdue_levels(company, found)
        return dict(found)

    def _add_overdue_levels(self, company, found):
        policies = self._get_dunning_policies(company)
        for account_id, overdue in found.items():
            policy = policies[account_id]
            if overdue.is_held:
                overdue.level = "block"
            elif policy and overdue.days >= max(policy.sales_block_days, 1):
                is_armed = policy.state == "armed"
                wanted = policy.sales_block
                if wanted == "block" and not is_armed:
                    wanted = "warn"
                overdue.level = wanted if wanted != "none" else None

    def _read_overdue(self, company):
        """Return ``(account, due date, amount in company currency, case)`` rows."""
        if not self:
            return []
        self.env.flush_all()
        return self.env.execute_query(
            SQL(
                """
                SELECT move.commercial_partner_id, line.date_maturity,
                       line.amount_residual, one.id
                  FROM account_move_line line
                  JOIN account_move move ON move.id = line.move_id
             LEFT JOIN crm_dunning_case one
                    ON one.move_id = move.id AND one.state != 'closed'
                 WHERE move.commercial_partner_id = ANY(%(accounts)s)
                   AND move.company_id = %(company)s
                   AND line.date_maturity IS NOT NULL
                   AND line.billing_is_retention IS NOT TRUE
                   AND COALESCE(one.state, '') != 'dispute'
                   AND %(is_open)s
              ORDER BY line.date_maturity, line.id
                """,
                accounts=self.ids,
                company=company.id,
                is_open=self.env["account.move.line"]._get_dunning_open_condition(),
            )
        )

    def _describe_overdue(self, overdue, company):
        """Return one sentence for banners, logs and refusals."""
        self.ensure_one()
        _ = self.env._
        account = self.sudo().commercial_partner_id
        if not overdue.days:
            return _("%(account)s is on credit hold.", account=account.display_name)
        amount = formatLang(
            self.env, float(overdue.amount), currency_obj=company.currency_id
        )
        text = _(
            "%(account)s owes %(amount)s past due, the oldest since %(days)s days.",
            account=account.display_name,
            amount=amount,
            days=overdue.days,
        )
        if overdue.is_held:
            text = f"{text} {_('It is on credit hold.')}"
        return text


class CrmDunningOverdueMixin(models.AbstractModel):
    """Mixin of what is sold to an account: says what the account owes."""

    _name = "crm.dunning.overdue.mixin"
    _description = "Shows What the Account Owes"

    def _get_overdue_accounts(self):
        """Return ``{record: (company, accounts)}``: who buys and who pays."""
        raise NotImplementedError

    def _get_overdue(self, now):
        """Return ``{record: [(account, Overdue)]}`` of those whose account owes.

        :param now: instant, naive UTC
        """
        wanted = self._get_overdue_accounts()
        by_company = defaultdict(self.env["res.partner"].browse)
        for company, accounts in wanted.values():
            by_company[company] |= accounts
        known = {
            company: accounts._get_dunning_overdue(company, now)
            for company, accounts in by_company.items()
        }
        return {
            record: rows
            for record, (company, accounts) in wanted.items()
            if (
                rows := [
                    (account, known[company][account.id])
                    for account in accounts
                    if account.id in known[company]
                ]
            )
        }

    def _describe_all_overdue(self, rows, company):
        return " ".join(
            account._describe_overdue(overdue, company) for account, overdue in rows
        )

    def _get_readable_cases(self, rows):
        """Return the cases behind what is overdue that the user may see."""
        ids = [case_id for _account, overdue in rows for case_id in overdue.case_ids]
        cases = self.env["crm.dunning.case"].browse(dict.fromkeys(ids))
        return cases._filtered_access("read")
