"""Which saved method is charged, and which never again."""

from datetime import timedelta

from odoo import api, fields, models
from odoo.exceptions import ValidationError
from odoo.fields import Domain

# Whose decline is over when the customer has saved another method.
WAITS_FOR_METHOD = ("new_method", "blocked", "lost_stolen", "revoked", "sepa_dead")


class PaymentToken(models.Model):
    _inherit = "payment.token"

    dunning_blocked_class = fields.Char(
        string="Never Charged Again",
        readonly=True,
        copy=False,
        groups="account.group_account_invoice",
        help="Class of the decline after which this method is not charged any more.",
    )
    dunning_blocked_at = fields.Datetime(
        readonly=True, copy=False, groups="account.group_account_invoice"
    )
    card_fingerprint = fields.Char(
        readonly=True,
        copy=False,
        index="btree_not_null",
        groups="base.group_system",
        help="The same for the same card, whoever saved it and how often.",
    )

    # === CRUD METHODS === #

    @api.model_create_multi
    def create(self, vals_list):
        """Override of `payment` to try what waited for another method."""
        tokens = super().create(vals_list)
        tokens.sudo()._resume_charging()
        return tokens

    # === BUSINESS METHODS - LOCKS === #

    def _block(self, decline_class, now):
        """Never charge this method again, nor the same card saved another time."""
        alike = self.sudo()._get_same_card()
        alike.filtered(lambda token: not token.dunning_blocked_class).write(
            {"dunning_blocked_class": decline_class, "dunning_blocked_at": now}
        )

    def _get_same_card(self):
        """Return these methods and all others that are the same card or account."""
        prints = list(filter(None, self.sudo().mapped("card_fingerprint")))
        if not prints:
            return self
        return self | self.with_context(active_test=False).sudo().search(
            [
                ("provider_id", "in", self.provider_id.ids),
                ("card_fingerprint", "in", prints),
            ]
        )

    def _resume_charging(self):
        """Plan a try at once for cases that waited for a new method of these payers."""
        payers = self.partner_id.commercial_partner_id
        cases = self.env["crm.dunning.case"].search(
            [
                ("partner_id", "in", payers.ids),
                ("company_id", "child_of", self.company_id.ids),
                ("state", "in", ("automatic", "retrying")),
                ("decline_class", "in", WAITS_FOR_METHOD),
            ]
        )
        cases = cases.filtered(
            lambda case: (
                case.policy_id.state == "armed" and case.policy_id.charge_mode != "none"
            )
        )
        if not cases:
            return
        # A few minutes: who saves a card on the pay page pays with it in that moment.
        at = fields.Datetime.now() + timedelta(minutes=30)
        cases.write({"next_try_at": at, "state": "retrying"})
        self.env["crm.dunning.attempt"]._trigger_job("charge", at)

    # === BUSINESS METHODS - CHOICE === #

    @api.model
    def _get_chargeable_domain(self, today):
        """Return the domain of methods that may be charged without their owner."""
        return (
            Domain("active", "=", True)
            & Domain("dunning_blocked_class", "=", False)
            & Domain("provider_id.state", "in", ("enabled", "test"))
            & Domain("provider_id.capture_manually", "=", False)
            & Domain("payment_method_id.active", "=", True)
            & (Domain("expires_on", "=", False) | Domain("expires_on", ">=", today))
            & (
                Domain("provider_id.code", "!=", "stripe")
                | Domain("stripe_payment_method", "!=", False)
            )
        )

    def _fits(self, move):
        """Return whether this method can pay that invoice."""
        self.ensure_one()
        company, currency = move.company_id, move.currency_id
        offered = self.provider_id.available_currency_ids
        accepted = self.payment_method_id.supported_currency_ids
        is_debit = self.payment_method_id.code == "sepa_direct_debit"
        return (
            self.company_id in company.parent_ids
            and (not offered or currency in offered)
            and (not accepted or currency in accepted)
            and (not is_debit or currency.name == "EUR")
        )


class AccountMove(models.Model):
    _inherit = "account.move"

    # === BUSINESS METHODS - METHOD === #

    def _search_dunning_tokens(self):
        """Return the methods of these payers that may be charged, newest first."""
        tokens = self.env["payment.token"].sudo()
        return tokens.search(
            Domain("partner_id", "child_of", self.commercial_partner_id.ids)
            & tokens._get_chargeable_domain(fields.Date.today()),
            order="id desc",
        )

    def _get_dunning_token(self):
        """Return the saved method that this invoice is charged with."""
        self.ensure_one()
        return self._get_dunning_tokens()[self]

    def _get_dunning_tokens(self):
        """Return the saved method that each invoice is charged with.

        The one that its agreements name, else the account, else the newest usable one
        of the account; where one is named, another is never taken.

        :return: ``{move: token}``, an empty token where there is none
        """
        usable = self._search_dunning_tokens().grouped(
            lambda token: token.partner_id.commercial_partner_id
        )
        none = self.env["payment.token"].sudo()
        found = {}
        for move in self.sudo():
            payer = move.commercial_partner_id
            fitting = usable.get(payer, none).filtered(
                lambda token, move=move: token._fits(move)
            )
            named = move.agreement_ids.dunning_token_id
            named = named or payer.with_company(move.company_id).dunning_token_id
            if named:
                fitting = fitting & named if len(named) == 1 else none
            found[move] = fitting[:1]
        return {move: found[move.sudo()] for move in self}


class ResPartner(models.Model):
    _inherit = "res.partner"

    dunning_token_id = fields.Many2one(
        "payment.token",
        string="Method to Charge",
        company_dependent=True,
        copy=False,
        help="Empty: the method that was saved last.",
    )

    @api.model
    def _get_walled_fields(self):
        return (*super()._get_walled_fields(), "dunning_token_id")

    @api.model
    def _get_internal_fields(self):
        return (*super()._get_internal_fields(), "dunning_token_id")

    @api.constrains("dunning_token_id")
    def _check_dunning_token(self):
        for partner in self:
            token = partner.sudo().dunning_token_id
            payer = token.partner_id.commercial_partner_id
            if token and payer != partner.commercial_partner_id:
                raise ValidationError(
                    self.env._(
                        "The saved method belongs to another account than %(account)s.",
                        account=partner.display_name,
                    )
                )


class CrmBillingAgreement(models.Model):
    _inherit = "crm.billing.agreement"

    dunning_token_id = fields.Many2one(
        "payment.token",
        string="Method to Charge",
        copy=False,
        check_company=True,
        help="Invoices of this agreement are charged with it; empty: the method of the "
        "account.",
    )

    @api.constrains("dunning_token_id", "partner_id", "bill_to_id")
    def _check_dunning_token(self):
        for agreement in self:
            token = agreement.sudo().dunning_token_id
            payer = token.partner_id.commercial_partner_id
            if token and payer != agreement.payer_id.commercial_partner_id:
                raise ValidationError(
                    self.env._(
                        "The saved method belongs to another account than the one that "
                        "pays for %(agreement)s.",
                        agreement=agreement.display_name,
                    )
                )
