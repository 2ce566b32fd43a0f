"""The two doors of Stripe: ours, and core's with a lock on it."""

import logging

from werkzeug.exceptions import Forbidden

from odoo import SUPERUSER_ID, http
from odoo.http import request

from odoo.addons.payment_stripe.controllers.main import StripeController

from ..models.crm_dunning_provider_event import read_body

LARGEST_BODY = 512 * 1024  # bytes; Stripe's events stay far below
SIGNATURE = "Stripe-Signature"

_logger = logging.getLogger(__name__)


def _answer(status, text=""):
    return request.make_response(text, status=status)


class CrmDunningWebhook(http.Controller):
    @http.route(
        "/billing/stripe/webhook/<int:provider_id>",
        type="http",
        auth="public",
        methods=["POST"],
        csrf=False,
        save_session=False,
        max_content_length=LARGEST_BODY,
    )
    def receive_event(self, provider_id, **_kwargs):
        """Note a signed event of Stripe; what it says is looked up there later.

        200 when it is noted, was noted before or is none of ours; 400 for anything
        without a good signature, without saying what is wrong with it, and for what is
        no event; 413 above the size limit, which is checked before anything is read.
        """
        body = request.httprequest.get_data()
        if len(body) > LARGEST_BODY:
            return _answer(413)
        env = request.env(user=SUPERUSER_ID)
        provider = env["payment.provider"].browse(provider_id).exists()
        header = request.httprequest.headers.get(SIGNATURE, "")
        if not provider._is_signed_event(body, header):
            return _answer(400)
        event = read_body(body)
        if not event:
            return _answer(400)
        env["crm.dunning.provider.event"]._receive(provider, [event], "webhook")
        return _answer(200)


class StripeWebhook(StripeController):
    @http.route(max_content_length=LARGEST_BODY)
    def stripe_webhook(self):
        """Override of `payment_stripe` to believe no body where invoices are paid.

        Without a secret core believes any unsigned request. Whatever concerns an
        invoice goes the way of our own route: signature, inbox, and a second look at
        the object. Payments of anything else stay with core, their signature checked
        more strictly (see :meth:`_verify_signature`).
        """
        body = request.httprequest.get_data()
        if len(body) > LARGEST_BODY:
            return _answer(413)
        content = read_body(body, strict=False)
        if not content:
            return _answer(400)
        env = request.env(user=SUPERUSER_ID)
        inbox = env["crm.dunning.provider.event"]
        header = request.httprequest.headers.get(SIGNATURE, "")
        signer = env["payment.provider"]._find_signer(body, header)
        transaction = inbox._find_core_transaction(content)
        if transaction and not inbox._concerns_invoices(transaction):
            return super().stripe_webhook()
        if transaction.provider_id._is_signed_event(body, header):
            signer = transaction.provider_id  # of companies that share an account
        event = read_body(body)
        if not signer or not event:
            # No detail: whether there is such a payment is nobody's business.
            _logger.warning("Refused an event at core's Stripe route: no signature.")
            return _answer(403)
        inbox._receive(signer, [event], "core")
        return request.make_json_response("")

    def _verify_signature(self, tx_sudo):
        """Override of `payment_stripe` for secrets that rotate and clocks that err.

        Core takes the last of several signatures, any time in the future, and every
        body where no secret is set; the last is left to core for what is no invoice.
        """
        provider = tx_sudo.provider_id
        header = request.httprequest.headers.get(SIGNATURE, "")
        if not header or not provider._get_webhook_secrets():
            try:
                return super()._verify_signature(tx_sudo)
            except KeyError:  # core reads a header that is not there
                raise Forbidden() from None
        if not provider._is_signed_event(request.httprequest.get_data(), header):
            _logger.warning("Refused an event at core's Stripe route: bad signature.")
            raise Forbidden()
        return None
