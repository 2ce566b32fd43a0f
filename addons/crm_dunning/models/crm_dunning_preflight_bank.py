"""Money that has arrived but is not matched yet: nobody is asked for it twice."""

from collections import defaultdict
from decimal import Decimal

from odoo import api, models
from odoo.tools import SQL


class AccountMove(models.Model):
    _inherit = "account.move"

    # === BUSINESS METHODS - PRE-FLIGHT, THE BANK === #

    def _find_bank_matches(self, now, purpose, own_attempts):
        """What an unmatched bank line, payment or credit note probably pays.

        It has the amount of an instalment, of the invoice or of everything open, and
        names the payer or, a bank line, the invoice.
        """
        expected = self._get_expected_amounts()
        if not expected:
            return {}
        amounts = list({amount for _move_id, _key, amount in expected})
        companies = self.sudo().company_id.ids
        by_money = defaultdict(set)
        for move_id, key, amount in expected:
            by_money[key[1:], amount].add((move_id, key[0]))
        found = {}
        for company_id, currency_id, amount, payer_id in self._read_unmatched_credits(
            companies, amounts
        ):
            money = (company_id, currency_id), Decimal(str(amount))
            for move_id, owner_id in by_money[money]:
                if owner_id == payer_id:
                    found.setdefault(move_id, "credit_match")
        lines = self._read_unmatched_bank_lines(companies, amounts)
        names = self._get_payment_names() if lines else {}
        for company_id, currency_id, amount, payer_id, text in lines:
            money = (company_id, currency_id), Decimal(str(amount))
            for move_id, owner_id in by_money[money]:
                if owner_id == payer_id or any(
                    name in text for name in names.get(move_id, ())
                ):
                    found[move_id] = "bank_match"
        return found

    def _get_expected_amounts(self):
        """Return what a payment of these invoices may amount to.

        :return: set of ``(move id, (payer id, company id, currency id), amount)``
        """
        partners = self.sudo().commercial_partner_id.ids
        lines = self.env["account.move.line"]._get_open_instalments(
            partner_ids=partners, company_ids=self.sudo().company_id.ids
        )
        sums, expected, ours = defaultdict(Decimal), set(), set(self.ids)
        for move_id, rows in lines.items():
            due = [row for row in rows if not row.is_retention] or rows
            key = (due[0].partner_id, due[0].company_id, due[0].currency_id)
            total = sum(row.residual for row in due)
            sums[key] += total
            if move_id in ours:
                expected.update((move_id, key, row.residual) for row in due)
                expected.add((move_id, key, total))
        expected.update(
            [(move_id, key, sums[key]) for move_id, key, _amount in expected]
        )
        return expected

    @api.model
    def _read_unmatched_credits(self, company_ids, amounts):
        """Return ``(company, currency, amount, payer)`` of what is not applied."""
        return self.env.execute_query(
            SQL(
                """
                SELECT line.company_id, line.currency_id,
                       -line.amount_residual_currency, payer.commercial_partner_id
                  FROM account_move_line line
                  JOIN account_account account ON account.id = line.account_id
                   AND account.account_type = 'asset_receivable'
                  JOIN res_partner payer ON payer.id = line.partner_id
                 WHERE line.reconciled IS NOT TRUE AND line.parent_state = 'posted'
                   AND line.company_id = ANY(%s)
                   AND line.amount_residual_currency < 0
                   AND -line.amount_residual_currency = ANY(%s)
                """,
                list(company_ids),
                amounts,
            )
        )

    @api.model
    def _read_unmatched_bank_lines(self, company_ids, amounts):
        """Return ``(company, currency, amount, payer, text)`` of incoming money."""
        return self.env.execute_query(
            SQL(
                """
                SELECT bank.company_id,
                       COALESCE(bank.foreign_currency_id, bank.currency_id),
                       money.amount, payer.commercial_partner_id,
                       lower(concat_ws(' ', bank.payment_ref, move.ref,
                                       bank.partner_name))
                  FROM account_bank_statement_line bank
                  JOIN account_move move ON move.id = bank.move_id
             LEFT JOIN res_partner payer ON payer.id = bank.partner_id
            CROSS JOIN LATERAL (
                       SELECT CASE WHEN bank.foreign_currency_id IS NULL
                              THEN bank.amount ELSE bank.amount_currency END AS amount
                       ) money
                 WHERE bank.is_reconciled IS NOT TRUE AND move.state != 'cancel'
                   AND bank.company_id = ANY(%s) AND money.amount = ANY(%s)
                """,
                list(company_ids),
                amounts,
            )
        )

    def _get_payment_names(self):
        """Return what a payer writes to name an invoice, in lower case."""
        return {
            move.id: {
                name.lower()
                for name in (move.name, move.payment_reference)
                if name and len(name) > 3  # "7" would be in every text
            }
            for move in self.sudo()
        }

    def _find_stale_bank_data(self, now, purpose, own_attempts):
        """What waits because nobody knows what has been paid since."""
        if not self.env["crm.dunning.policy"]._has_bank_data_limit():
            return {}
        found = {}
        for company, moves in self.sudo().grouped("company_id").items():
            age = company._get_bank_data_age(now)
            policies = moves.commercial_partner_id._get_dunning_policies(company)
            for move in moves:
                policy = policies[move.commercial_partner_id.id]
                if policy and policy._is_bank_data_stale(age):
                    found[move.id] = "bank_data"
        return found


class ResCompany(models.Model):
    _inherit = "res.company"

    def _get_bank_data_age(self, now):
        """Return how many days ago bank data came in, None if none ever did.

        :param now: instant, naive UTC
        """
        self.ensure_one()
        lines = self.env["account.bank.statement.line"].sudo()
        lines.flush_model()
        rows = self.env.execute_query(
            SQL(
                "SELECT create_date FROM account_bank_statement_line"
                " WHERE company_id = %s ORDER BY id DESC LIMIT 1",
                self.id,
            )
        )
        return (now - rows[0][0]).days if rows else None


class CrmDunningPolicy(models.Model):
    _inherit = "crm.dunning.policy"

    @api.model
    def _has_bank_data_limit(self):
        found = self.sudo().search([("bank_data_limit_days", ">", 0)], limit=1)
        return bool(found)

    def _is_bank_data_stale(self, age):
        """Return whether so old bank data make the wave wait.

        :param age: days, None if no bank data ever came in
        """
        self.ensure_one()
        limit = self.bank_data_limit_days
        return limit > 0 and age is not None and age > limit
