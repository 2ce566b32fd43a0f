from odoo import api, fields, models

from ..dunning_rules.expiry import last_day


class PaymentToken(models.Model):
    """What is known of the card behind a saved method; never its number."""

    _inherit = "payment.token"

    exp_month = fields.Integer(string="Expiry Month", readonly=True, copy=False)
    exp_year = fields.Integer(string="Expiry Year", readonly=True, copy=False)
    card_brand = fields.Char(readonly=True, copy=False)
    card_checked_at = fields.Datetime(
        readonly=True,
        copy=False,
        help="When the provider was last asked about the card (UTC).",
    )
    card_changed_at = fields.Datetime(
        readonly=True,
        copy=False,
        help="When the bank last gave the saved card a new expiry date (UTC): a charge "
        "that was declined before may be tried once more.",
    )
    expires_on = fields.Date(
        compute="_compute_expires_on",
        store=True,
        index="btree_not_null",
        help="Last day on which the card can be charged.",
    )

    # === COMPUTE METHODS === #

    @api.depends("exp_month", "exp_year")
    def _compute_expires_on(self):
        for token in self:
            year, month = token.exp_year, token.exp_month
            is_known = 1 <= month <= 12 and year > 0
            token.expires_on = is_known and last_day(month, year)

    # === BUSINESS METHODS - CARD === #

    def _apply_method(self, method, now):
        """Take over what the provider says of the saved method.

        :param method: PaymentMethod as the provider has just shown it
        :param now: instant, naive UTC
        :return: the tokens whose card has a later expiry than before
        """
        card = method.get("card") or {}
        values = {
            "exp_month": card.get("exp_month") or 0,
            "exp_year": card.get("exp_year") or 0,
            "card_brand": card.get("brand"),
            "card_checked_at": now,
        }
        last_four = card.get("last4")
        renewed = self.browse()
        for token in self:
            before = token.expires_on
            token.write(values)
            if last_four and token.payment_details != last_four:
                token.payment_details = last_four
            if before and token.expires_on and token.expires_on > before:
                token.card_changed_at = now
                renewed |= token
        return renewed
