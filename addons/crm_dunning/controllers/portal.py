"""The customer's page of an unpaid invoice, signed in or with the link of a mail."""

import uuid
from urllib.parse import quote

from odoo import http
from odoo.exceptions import AccessError, MissingError, UserError, ValidationError
from odoo.http import request

from odoo.addons.account_payment.controllers.portal import PortalAccount
from odoo.addons.payment import utils as payment_utils
from odoo.addons.payment.controllers.portal import PaymentPortal

KINDS = ("paid", "problem", "promise")


class DunningPortal(PortalAccount):
    """Where the invoice stands, how to pay it, and three answers."""

    def _invoice_get_page_view_values(self, invoice, access_token, **kwargs):
        """Override of `account` to show where the invoice stands."""
        values = super()._invoice_get_page_view_values(invoice, access_token, **kwargs)
        collections = invoice._get_portal_collections()
        if collections:
            values["collections"] = collections
            values["answer_key"] = str(uuid.uuid4())
            values["signed_in"] = not request.env.user._is_public()
            values["new_link"] = kwargs.get("new_link")
        return values

    @http.route()
    def portal_my_invoice_detail(
        self, invoice_id, payment_token=None, amount=None, access_token=None, **kw
    ):
        """Override of `account_payment`: a link that is out of date becomes a new one.

        An altered link, too; whose invoice it is is proven by the access token alone.
        """
        if amount and not self._is_good_link(invoice_id, payment_token, amount):
            try:
                invoice = self._document_check_access(
                    "account.move", invoice_id, access_token
                )
            except (AccessError, MissingError):
                return request.redirect("/my")
            url = invoice.get_portal_url(query_string="&payment=True&new_link=1")
            return request.redirect(f"{url}#portal_pay")
        return super().portal_my_invoice_detail(
            invoice_id,
            payment_token=payment_token,
            amount=amount,
            access_token=access_token,
            **kw,
        )

    def _is_good_link(self, invoice_id, payment_token, amount):
        """Return whether the amount was bound by us, and is still open."""
        if not payment_utils.check_access_token(payment_token, invoice_id, amount):
            return False
        invoice = request.env["account.move"].sudo().browse(invoice_id).exists()
        is_open = invoice.dunning_outcome == "open"
        return not is_open or not invoice._is_stale_pay_link(float(amount))

    # === PAY === #

    @http.route(
        "/my/invoices/<int:invoice_id>/pay",
        type="http",
        auth="public",
        methods=["GET"],
        website=True,
        sitemap=False,
    )
    def portal_pay_amount(self, invoice_id, access_token=None, **form):
        """Send the customer to the payment of an amount of his choice."""
        invoice = self._get_own_invoice(invoice_id, access_token)
        if not invoice:
            return request.redirect("/my")
        try:
            path = invoice._get_portal_pay_path(invoice._read_amount(form))
        except UserError as error:
            return self._show_refusal(invoice, error)
        return request.redirect(path or invoice.get_portal_url())

    # === ANSWERS === #

    @http.route(
        "/my/invoices/<int:invoice_id>/answer/<string:kind>",
        type="http",
        auth="public",
        methods=["POST"],
        website=True,
        sitemap=False,
    )
    def portal_answer(self, invoice_id, kind, access_token=None, key=None, **form):
        """Hear an answer, then show that it was heard on a page of its own."""
        invoice = self._get_own_invoice(invoice_id, access_token)
        if not invoice or kind not in KINDS:
            return request.redirect("/my")
        user = request.env.user
        if user._is_internal():
            return self._show_refusal(
                invoice,
                request.env._(
                    "This page is the customer's. Work the case in Billing instead."
                ),
            )
        by_link = user._is_public()
        person = invoice.partner_id if by_link else user.partner_id
        try:
            answer = invoice._answer(kind, key, form, person, by_link)
        except UserError as error:
            # Nothing of it is kept; the customer's words say what to do.
            request.env.cr.rollback()
            return self._show_refusal(invoice, error)
        return request.redirect(
            invoice.get_portal_url(
                suffix="/answered", query_string=f"&key={quote(answer.key)}"
            )
        )

    @http.route(
        "/my/invoices/<int:invoice_id>/answered",
        type="http",
        auth="public",
        methods=["GET"],
        website=True,
        sitemap=False,
    )
    def portal_answered(self, invoice_id, access_token=None, key=None, **_kwargs):
        """Confirm an answer; the page can be opened again and sends nothing."""
        invoice = self._get_own_invoice(invoice_id, access_token)
        answers = request.env["crm.dunning.answer"].sudo()
        answer = invoice and answers.search(
            [("move_id", "=", invoice.id), ("key", "=", invoice._read_key(key))]
        )
        if not answer:
            return request.redirect("/my/invoices")
        return request.render(
            "crm_dunning.portal_answered",
            {"invoice": invoice, "answer": answer, "page_name": "invoice"},
        )

    def _get_own_invoice(self, invoice_id, access_token):
        """Return the customer invoice of whoever asks, as superuser, else nothing.

        That there is no such invoice, or that it is somebody else's, look the same.
        """
        try:
            invoice = self._document_check_access(
                "account.move", invoice_id, access_token
            )
        except (AccessError, MissingError):
            return None
        return invoice if invoice.move_type == "out_invoice" else None

    def _show_refusal(self, invoice, reason):
        return request.render(
            "crm_dunning.portal_refused",
            {"invoice": invoice, "reason": str(reason), "page_name": "invoice"},
            status=400,
        )


class DunningPaymentMethods(PaymentPortal):
    """Saved methods: pay what has failed, choose the one that is charged."""

    @http.route()
    def payment_method(self, **kwargs):
        """Override of `payment` to show what another method is good for."""
        response = super().payment_method(**kwargs)
        person = request.env.user.partner_id
        response.qcontext["collections"] = person._get_portal_methods()
        return response

    @http.route(
        "/my/payment_method/automatic",
        type="http",
        auth="user",
        methods=["POST"],
        website=True,
        sitemap=False,
    )
    def portal_choose_method(self, token_id=None, **_kwargs):
        """Charge this saved method from now on."""
        person = request.env.user.partner_id
        try:
            person._choose_portal_method(self._cast_as_int(token_id))
        except (UserError, ValidationError):
            # It is none of the customer's own: the page shows those.
            request.env.cr.rollback()
        return request.redirect("/my/payment_method")
