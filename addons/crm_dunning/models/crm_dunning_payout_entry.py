"""The draft entry of a payout: outstanding receipts against bank and fees."""

from odoo import Command, models
from odoo.exceptions import UserError

from odoo.addons.crm_billing_handoff.models.billing_machine_fields import FLOW


class CrmDunningPayout(models.Model):
    _inherit = "crm.dunning.payout"

    # === ACTION METHODS === #

    def action_create_entry(self):
        """Draft the entry of each payout, once; posting it is the accountant's.

        :return: the action that shows the entries
        :raise UserError: a payout is not paid, or the company's accounts are not set
        """
        self._check_accountant()
        self.check_access("read")
        for payout in self:
            payout._create_entry()
        self.invalidate_recordset(["entry_id", "entry_state"])
        action = self.env["ir.actions.act_window"]._for_xml_id(
            "account.action_move_journal_line"
        )
        action["domain"] = [("dunning_payout_id", "in", self.ids)]
        action["context"] = {}
        if len(self) == 1:
            action["views"] = [(False, "form")]
            action["res_id"] = self.entry_id.id
        return action

    # === BUSINESS METHODS - ENTRY === #

    def _create_entry(self):
        """Return the entry of the payout, drafted now if there is none."""
        self.ensure_one()
        self._check_can_draft()
        # The row is the accountant's to read; locking it keeps a second click waiting.
        self.sudo().lock_for_update()
        self.invalidate_recordset(["entry_id"])
        if self.entry_id:
            return self.entry_id
        entries = self.env["account.move"].with_context(billing_flow=FLOW)
        return entries.create(self._prepare_entry()).with_env(self.env)

    def _check_can_draft(self):
        if self.state != "paid" or not self.line_ids:
            raise UserError(
                self.env._(
                    "%(payout)s has not been paid with known lines: there is nothing "
                    "to book yet.",
                    payout=self.payout_ref,
                )
            )
        missing = [
            self.company_id._fields[name].get_description(self.env, ["string"])[
                "string"
            ]
            for name in (
                "dunning_payout_journal_id",
                "dunning_payout_account_id",
                "dunning_fee_account_id",
            )
            if not self.company_id[name]
        ]
        if missing:
            raise UserError(
                self.env._(
                    "Set in the billing settings of %(company)s first: %(missing)s.",
                    company=self.company_id.name,
                    missing=", ".join(missing),
                )
            )

    def _prepare_entry(self):
        """Return the values of the draft; its lines balance in company currency."""
        company = self.company_id
        lines = [
            *(
                line._prepare_entry_line()
                for line in self.line_ids
                # Fees of their own are booked with those beside a payment.
                if line.kind != "fee" and not self.currency_id.is_zero(line.gross)
            ),
            *self._prepare_fee(),
            *self._prepare_bank(),
        ]
        lines += self._prepare_rest(lines)
        return {
            "move_type": "entry",
            "company_id": company.id,
            "journal_id": company.dunning_payout_journal_id.id,
            "date": self.date,
            "ref": self.payout_ref,
            "dunning_payout_id": self.id,
            "line_ids": [Command.create(line) for line in lines],
        }

    def _prepare_fee(self):
        fee = self.fee
        if self.currency_id.is_zero(fee):
            return []
        name = self.env._("Fees of %(payout)s", payout=self.payout_ref)
        account = self.company_id.dunning_fee_account_id
        return [self._prepare_amount(account, fee, name)]

    def _prepare_bank(self):
        """Return what reached the bank, and what the lines do not explain of it."""
        account = self.company_id.dunning_payout_account_id
        lines = [self._prepare_amount(account, self.amount, self.payout_ref)]
        if not self.currency_id.is_zero(self.difference):
            name = self.env._("Not explained by the lines")
            lines.append(
                self._prepare_amount(self._get_suspense(), -self.difference, name)
            )
        return lines

    def _prepare_rest(self, lines):
        """Return what exchange rates left between the payments and the payout."""
        company = self.company_id
        rest = company.currency_id.round(sum(line["balance"] for line in lines))
        if company.currency_id.is_zero(rest):
            return []
        is_gain = rest > 0
        account = (
            company.income_currency_exchange_account_id
            if is_gain
            else company.expense_currency_exchange_account_id
        )
        if not account:
            raise UserError(
                self.env._(
                    "Set the accounts for exchange differences of %(company)s first.",
                    company=company.name,
                )
            )
        return [
            {
                "account_id": account.id,
                "name": self.env._("Exchange difference"),
                "currency_id": company.currency_id.id,
                "amount_currency": -rest,
                "balance": -rest,
            }
        ]

    def _prepare_amount(self, account, amount, name, **values):
        """Return an entry line in the payout's currency, a debit is positive."""
        company = self.company_id
        return {
            "account_id": account.id,
            "name": name,
            "currency_id": self.currency_id.id,
            "amount_currency": amount,
            "balance": self.currency_id._convert(
                amount, company.currency_id, company, self.date
            ),
            **values,
        }

    def _get_suspense(self):
        """Return the account for what is not matched.

        :raise UserError: there is none
        """
        journal = self.company_id.dunning_payout_journal_id
        account = (
            journal.suspense_account_id
            or self.company_id.account_journal_suspense_account_id
        )
        if not account:
            raise UserError(
                self.env._(
                    "Set a suspense account on journal %(name)s.", name=journal.name
                )
            )
        return account


class CrmDunningPayoutLine(models.Model):
    _inherit = "crm.dunning.payout.line"

    # === BUSINESS METHODS - ENTRY === #

    def _prepare_entry_line(self):
        """Return the entry line that clears this movement.

        A payment clears its outstanding receipt, in the payment's own currency. A
        dispute gives the claim on the customer back. The rest waits in suspense.
        """
        self.ensure_one()
        payout, link = self.payout_id, {"dunning_payout_line_id": self.id}
        name = self.description or self.movement_ref
        if self.is_matched and self.kind == "dispute":
            account = self.partner_id.with_company(
                self.company_id
            ).property_account_receivable_id
            return payout._prepare_amount(
                account, -self.gross, name, partner_id=self.partner_id.id, **link
            )
        receipt = self._get_receipt()
        if not receipt:
            label = self.env._("Not matched: %(name)s", name=name)
            return payout._prepare_amount(
                payout._get_suspense(), -self.gross, label, **link
            )
        return {
            "account_id": receipt.account_id.id,
            "partner_id": receipt.partner_id.id,
            "name": name,
            "currency_id": receipt.currency_id.id,
            "amount_currency": -receipt.amount_residual_currency,
            "balance": -receipt.amount_residual,
            **link,
        }

    def _get_receipt(self):
        """Return the outstanding line of the payment that the payout clears."""
        if not self.is_matched:
            return self.env["account.move.line"]
        liquidity, _counterpart, _writeoff = self.payment_id._seek_for_lines()
        return liquidity.filtered(
            lambda line: (
                line.account_id.reconcile
                # What a bank line has taken in part is not cleared a second time.
                and not line.reconciled
                and line.amount_residual_currency == line.amount_currency
            )
        )[:1]
