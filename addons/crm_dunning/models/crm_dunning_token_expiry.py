"""Saved cards that expire before their next charge: told 30 and 7 days before (F8)."""

import logging
from datetime import timedelta

import stripe

from odoo import api, fields, models
from odoo.exceptions import UserError
from odoo.fields import Domain

from ..dunning_rules.expiry import NOTICES, get_notice

CHECKED_DAYS = 7  # what the provider said of a card is asked again after as many days
AHEAD_DAYS = 400  # so far agreements are looked ahead for the charge after the expiry
CHUNK = 100

_logger = logging.getLogger(__name__)


class PaymentToken(models.Model):
    _inherit = "payment.token"

    # === BUSINESS METHODS - CARD AT THE PROVIDER === #

    @api.model
    def _cron_token_expiry(self, now=None):
        """Learn when saved cards expire, and warn of those that will be charged later.

        :param now: instant, naive UTC
        """
        now = now or fields.Datetime.now()
        commit_progress = self.env["ir.cron"]._commit_progress
        stale = self.search(self._get_stale_domain(now))
        expiring = self.search(self._get_expiring_domain(now))
        commit_progress(remaining=len(stale) + len(expiring))
        for token in stale:
            token._check_card(now)
            if not commit_progress(1):
                return
        # A card that was looked up just now may have been renewed, or expire soon.
        for token in self.search(self._get_expiring_domain(now)):
            token._try_to_warn(now)
            if not commit_progress(1):
                return

    def _get_stale_domain(self, now):
        """Return the cards to ask about: never asked, or asked a while ago.

        A card far from its end changes at a new webhook event only.
        """
        horizon = now.date() + timedelta(days=NOTICES[0] + CHECKED_DAYS)
        return [
            ("provider_id.code", "=", "stripe"),
            ("provider_id.state", "!=", "disabled"),
            ("stripe_payment_method", "!=", False),
            "|",
            ("card_checked_at", "=", False),
            "&",
            ("card_checked_at", "<", now - timedelta(days=CHECKED_DAYS)),
            ("expires_on", "<=", horizon),
        ]

    def _get_expiring_domain(self, now):
        today = now.date()
        return self._get_chargeable_domain(today - timedelta(days=1)) & Domain(
            # A day on either side: the local date of the payer decides.
            "expires_on",
            "<=",
            today + timedelta(days=NOTICES[0] + 1),
        )

    def _check_card(self, now):
        """Ask the provider for one card; what fails is asked another night."""
        try:
            client = self.provider_id._get_stripe_client()
            method_id = self.stripe_payment_method
            self.env["ir.cron"]._commit_progress()
            method = client.v1.payment_methods.retrieve(method_id).to_dict()
        except stripe.InvalidRequestError:
            # The provider does not know it: nothing is charged, nothing expires.
            self.card_checked_at = now
        except (stripe.StripeError, UserError) as error:
            _logger.warning(
                "Card of token %s not read: %s", self.id, type(error).__name__
            )
        else:
            self._apply_method(method, now)

    # === BUSINESS METHODS - WARNING === #

    def _try_to_warn(self, now):
        """One broken card does not stop the others; it is tried again each night."""
        cases = self.env["crm.dunning.case"]
        try:
            with self.env.cr.savepoint():
                self._warn_of_expiry(now)
        except cases._get_lost_races():
            raise
        except Exception:
            # Whatever it is, it is this card's alone.
            self.env.invalidate_all()
            _logger.exception("Token %s: its expiry could not be told", self.id)

    def _warn_of_expiry(self, now):
        """Tell the customer, once 30 and once 7 days before, if a charge comes later.

        :param now: instant, naive UTC
        """
        self.ensure_one()
        payer = self.partner_id.commercial_partner_id
        company = self.company_id
        policy = payer._get_dunning_policies(company)[payer.id]
        if policy.state != "armed" or policy.charge_mode == "none":
            return
        notices = self.env["crm.dunning.notice"]
        notice = get_notice(
            self.exp_month,
            self.exp_year,
            self._get_charge_after_expiry(payer, policy),
            payer._get_dunning_today(company, now),
            notices._get_expiry_notices(self),
        )
        if notice:
            notices._send_expiry(self, payer, policy, notice, now)

    def _get_charge_after_expiry(self, payer, policy):
        """Return the local date of the first known charge after the card's last day."""
        dates = self._get_invoice_charges(payer) + self._get_agreement_charges(
            payer, policy
        )
        return min((day for day in dates if day > self.expires_on), default=None)

    def _is_charged(self, payer, named):
        """Return whether this method will be charged after its last day.

        The one that is named, whatever else was saved. Where none is named, a method of
        the payer that outlives this one has replaced it.

        :param named: method that the agreements or the account name, if any
        """
        if named:
            return named == self
        others = self.search(
            self._get_chargeable_domain(self.expires_on)
            & Domain("partner_id", "child_of", payer.id)
            & Domain("company_id", "=", self.company_id.id)
            & Domain("id", "!=", self.id)
        )
        return not any(
            not other.expires_on or other.expires_on > self.expires_on
            for other in others
        )

    def _get_invoice_charges(self, payer):
        """Return the due dates of open instalments that this method will pay."""
        lines = self.env["account.move.line"].search(
            [
                ("partner_id", "child_of", payer.id),
                ("company_id", "=", self.company_id.id),
                ("display_type", "=", "payment_term"),
                ("move_id.move_type", "=", "out_invoice"),
                ("parent_state", "=", "posted"),
                ("reconciled", "=", False),
                ("date_maturity", ">", self.expires_on),
            ]
        )
        named = payer.with_company(self.company_id).dunning_token_id
        return [
            line.date_maturity
            for line in lines
            if self._is_charged(
                payer, line.move_id.agreement_ids.dunning_token_id or named
            )
        ]

    def _get_agreement_charges(self, payer, policy):
        """Return when the coming invoices of the payer's agreements are charged."""
        agreements = self.env["crm.billing.agreement"].search(
            [
                ("payer_id", "=", payer.id),
                ("company_id", "=", self.company_id.id),
                ("state", "=", "running"),
                ("next_invoice_date", "!=", False),
            ]
        )
        named = payer.with_company(self.company_id).dunning_token_id
        found = []
        for agreement in agreements:
            if self._is_charged(payer, agreement.dunning_token_id or named):
                found += agreement._get_dunning_charge_dates(
                    self.expires_on + timedelta(days=AHEAD_DAYS), policy
                )
        return found


class CrmBillingAgreement(models.Model):
    _inherit = "crm.billing.agreement"

    def _get_dunning_charge_dates(self, until, policy):
        """Return when the invoices up to ``until`` are charged, each at the latest.

        :param until: local date of billing, included
        """
        self.ensure_one()
        try:
            papers = self.preview_invoices(until)
        except UserError:
            # It says itself what is in the way of billing; its next date is known.
            papers = [{"type": "out_invoice", "date": self.next_invoice_date}]
        dates = [
            fields.Date.to_date(paper["date"])
            for paper in papers
            if paper["type"] == "out_invoice"
        ]
        if policy.charge_mode == "posting":
            return dates
        payer = self.payer_id.with_company(self.company_id)
        lines = (self.payment_term_id or payer.property_payment_term_id).line_ids
        return [
            max((line._get_due_date(day) for line in lines), default=day)
            for day in dates
        ]


class CrmDunningNotice(models.Model):
    _inherit = "crm.dunning.notice"

    token_id = fields.Many2one(
        "payment.token", readonly=True, index="btree_not_null", ondelete="set null"
    )
    token_expires_on = fields.Date(readonly=True, help="Last day of the card.")
    expiry_days = fields.Integer(readonly=True, help="Notice before that day, in days.")

    _expiry_uniq = models.UniqueIndex(
        "(token_id, token_expires_on, expiry_days) "
        "WHERE kind = 'expiry' AND state != 'stopped'",
        "The customer was told of this expiry already.",
    )

    # === BUSINESS METHODS - EXPIRY === #

    def _get_template_key(self):
        """Override to take the text for cards that expire."""
        if self.kind == "expiry":
            return "crm_dunning.mail_template_dunning_card_expiry"
        return super()._get_template_key()

    @api.model
    def _get_expiry_notices(self, token):
        """Return the notices that were given of this expiry, as days before it."""
        return self.search(
            [
                ("token_id", "=", token.id),
                ("token_expires_on", "=", token.expires_on),
                ("kind", "=", "expiry"),
                ("state", "!=", "stopped"),
            ]
        ).mapped("expiry_days")

    @api.model
    def _send_expiry(self, token, payer, policy, days, now):
        """Queue one mail in the thread of the payer's latest invoice.

        :param days: which notice it is, 30 or 7 days before the last day
        :param now: instant, naive UTC
        :return: the notice; empty if nobody can be reached or nothing was ever invoiced
        """
        move = self.env["account.move"].search(
            [
                ("commercial_partner_id", "=", payer.id),
                ("company_id", "=", token.company_id.id),
                ("move_type", "=", "out_invoice"),
                ("state", "=", "posted"),
            ],
            order="invoice_date desc, id desc",
            limit=1,
        )
        if not move:
            return self.browse()
        values, at = self._prepare_charge_notice(move, policy, now)
        if not values:
            return self.browse()
        notice = self.create(
            {
                **values,
                "kind": "expiry",
                "amount": 0.0,
                "token_id": token.id,
                "token_expires_on": token.expires_on,
                "expiry_days": days,
            }
        )
        notice._queue_at(at, now)
        return notice

    def _get_change_card_url(self):
        """Return where the customer saves another card, after signing in."""
        return f"{self.company_id.get_base_url()}/my/payment_method"

    def _get_reason_to_stop(self, now):
        """Override to keep a warning back once the card was renewed or removed."""
        if self.kind == "expiry":
            token = self.token_id
            if not token.active or token.expires_on != self.token_expires_on:
                return self.env._("the card was replaced")
        return super()._get_reason_to_stop(now)
