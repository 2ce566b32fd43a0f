"""Payouts from Stripe: each with the movements that it consists of."""

import logging
from datetime import timedelta

import stripe

from odoo import api, fields, models
from odoo.exceptions import AccessError, UserError

from ..dunning_rules.payout_file import classify
from .crm_dunning_dispute import to_major
from .crm_dunning_provider_event import EPOCH, to_datetime

FETCHED_DAYS = 45
MATCHED_DAYS = 90  # red lines of younger payouts are looked at again each night

_logger = logging.getLogger(__name__)


class CrmDunningPayout(models.Model):
    _inherit = "crm.dunning.payout"

    # === ACTION METHODS === #

    @api.model
    def action_fetch(self):
        """Ask the providers of the current companies for payouts, now.

        :raise UserError: there is none to ask, or it does not answer
        """
        self._check_accountant()
        # Accountants cannot read the keys of a provider.
        providers = (
            self.env["payment.provider"]
            .sudo()
            .search(
                [
                    ("code", "=", "stripe"),
                    ("state", "!=", "disabled"),
                    ("company_id", "in", self.env.companies.ids),
                ]
            )
        )
        if not providers:
            raise UserError(
                self.env._("There is no active Stripe account. Import a file instead.")
            )
        try:
            for provider in providers:
                self.sudo()._fetch(provider, fields.Datetime.now())
        except stripe.StripeError as error:
            raise UserError(
                self.env._(
                    "Stripe does not list its payouts now (%(error)s). Try again "
                    "later, or import a file.",
                    error=type(error).__name__,
                )
            ) from error
        return self.env["ir.actions.act_window"]._for_xml_id(
            "crm_dunning.crm_dunning_payout_action"
        )

    def action_match(self):
        """Look again for the payments of what is not matched."""
        self._check_accountant()
        self.check_access("read")
        # Accountants read what the provider said, the flow writes it.
        self.sudo().line_ids._match()

    def _check_accountant(self):
        if not self.env.user.has_group("account.group_account_invoice"):
            raise AccessError(self.env._("Payouts are the work of accounting."))

    # === BUSINESS METHODS - FETCHING === #

    @api.model
    def _cron_fetch_payouts(self, now=None):
        """Read new payouts of each Stripe account, and match what is still red."""
        now = now or fields.Datetime.now()
        providers = self.env["payment.provider"].search(
            [("code", "=", "stripe"), ("state", "!=", "disabled")]
        )
        commit_progress = self.env["ir.cron"]._commit_progress
        commit_progress(remaining=len(providers))
        for provider in providers:
            try:
                with self.env.cr.savepoint():
                    self._fetch(provider, now)
            except (stripe.StripeError, UserError) as error:
                _logger.warning(
                    "Payouts of provider %s not read: %s",
                    provider.id,
                    type(error).__name__,
                )
            if not commit_progress(1):
                return
        red = [
            ("unmatched_count", ">", 0),
            ("date", ">=", now - timedelta(MATCHED_DAYS)),
        ]
        self.search(red).line_ids._match()

    @api.model
    def _fetch(self, provider, now):
        """Store the payouts of the last weeks; known ones are brought up to date.

        :raise stripe.StripeError: Stripe cannot be reached or refuses
        """
        since = now - timedelta(days=FETCHED_DAYS)
        client = provider._get_stripe_client()
        found = client.v1.payouts.list(
            {
                "limit": 100,
                "created": {"gte": int((since - EPOCH).total_seconds())},
            }
        )
        for item in found.auto_paging_iter():
            values = item.to_dict()
            payout = self._store_payout(provider, values)
            if not payout.line_ids and values.get("automatic", True):
                payout._store_lines(self._list_movements(client, payout.payout_ref))

    def _list_movements(self, client, payout_ref):
        movements = client.v1.balance_transactions.list(
            {"payout": payout_ref, "limit": 100, "expand": ["data.source"]}
        )
        return [movement.to_dict() for movement in movements.auto_paging_iter()]

    def _store_payout(self, provider, values):
        """Return the payout, created or with its present state."""
        payout = self.search(
            [
                ("company_id", "=", provider.company_id.id),
                ("payout_ref", "=", values["id"]),
            ],
            limit=1,
        )
        known = dict(self._fields["state"].selection)
        state = values["status"] if values["status"] in known else "pending"
        if payout:
            if payout.state != state:
                payout.state = state
            return payout
        currency = self._find_currency(values["currency"])
        return self.create(
            {
                "payout_ref": values["id"],
                "provider_id": provider.id,
                "company_id": provider.company_id.id,
                "date": to_datetime(values["arrival_date"]).date(),
                "state": state,
                "source": "provider",
                "currency_id": currency.id,
                "amount": to_major(values["amount"], currency),
            }
        )

    @api.model
    def _find_currency(self, code):
        """Return a currency, archived ones included.

        :raise UserError: Odoo does not know it
        """
        currencies = self.env["res.currency"].with_context(active_test=False)
        currency = currencies.search([("name", "=", code.upper())], limit=1)
        if not currency:
            raise UserError(
                self.env._("Currency %(code)s is not known.", code=code.upper())
            )
        return currency

    # === BUSINESS METHODS - LINES === #

    def _store_lines(self, movements):
        """Store the movements of a payout but itself, and match them."""
        vals_list = [
            self._prepare_line(movement)
            for movement in movements
            if self._classify(movement) != "payout"
        ]
        self.env["crm.dunning.payout.line"].create(vals_list)._match()

    def _classify(self, movement):
        """Return the kind of a movement; its category says more than its type."""
        return classify(movement.get("reporting_category") or movement["type"])

    def _prepare_line(self, movement):
        self.ensure_one()
        source = movement.get("source")
        source = source if isinstance(source, dict) else {"id": source}
        return {
            "payout_id": self.id,
            "movement_ref": movement["id"],
            "kind": self._classify(movement),
            "description": movement.get("description"),
            "gross": to_major(movement["amount"], self.currency_id),
            "fee": to_major(movement["fee"], self.currency_id),
            "net": to_major(movement["net"], self.currency_id),
            "source_ref": source.get("id"),
            "payment_ref": self._get_id(source.get("payment_intent")),
            **self._prepare_paid(source, movement["amount"]),
        }

    def _prepare_paid(self, source, amount):
        """Return what the customer paid, where that was another currency."""
        code = source.get("currency")
        if not code or code.upper() == self.currency_id.name:
            return {}
        currency = self._find_currency(code)
        paid = to_major(source["amount"], currency)
        return {
            "paid_currency_id": currency.id,
            "paid_amount": -paid if amount < 0 else paid,
        }

    def _get_id(self, item):
        return item["id"] if isinstance(item, dict) else item
