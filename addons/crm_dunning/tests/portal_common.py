from datetime import timedelta

from lxml import html

from odoo import fields
from odoo.http import Request
from odoo.tests import HttpCase, new_test_user

from .common import DunningCommon


class PortalMixin:
    """A customer with a portal login, pages and forms as a browser sends them."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.env["ir.config_parameter"].set_param(
            "account_payment.enable_portal_payment", True
        )
        cls.customer = new_test_user(
            cls.env,
            login="dunning_customer",
            password="dunning_customer",
            groups="base.group_portal",
            name="Carla Customer",
            email="carla@example.com",
        )
        cls.customer.partner_id.parent_id = cls.account
        cls.stranger = new_test_user(
            cls.env,
            login="dunning_stranger",
            password="dunning_stranger",
            groups="base.group_portal",
        )
        cls.today = fields.Date.today()
        cls.invoice = cls._create_invoice(due=cls.today - timedelta(days=4))
        cls.foreign = cls._create_invoice(account=cls._create_account("Contoso"))

    def setUp(self):
        super().setUp()
        self.authenticate(None, None)

    def _page(self, invoice=None, token=True, path="", **query):
        """Return ``(answer, parsed page)`` of an invoice's page."""
        invoice = invoice or self.invoice
        if token is True:
            query["access_token"] = invoice._portal_ensure_token()
        elif token:
            query["access_token"] = token
        answer = self.url_open(
            f"/my/invoices/{invoice.id}{path}", params=query, timeout=60
        )
        return answer, html.fromstring(answer.text)

    def _post(self, kind, invoice=None, token=True, key=None, csrf=None, **form):
        """Send one of the forms of the page; return the answer of the server."""
        invoice = invoice or self.invoice
        _answer, page = self._page(token=True)
        found = page.xpath("//section[contains(@class, 'o_dunning_portal')]//form")
        mine = [one for one in found if f"/answer/{kind}" in one.get("action", "")]
        values = dict(mine[0].form_values()) if mine else {}
        values.setdefault("csrf_token", Request.csrf_token(self))
        if token is True:
            values["access_token"] = invoice._portal_ensure_token()
        else:
            values.pop("access_token", None)
            if token:
                values["access_token"] = token
        values["key"] = key or values.get("key") or "key"
        if csrf is not None:
            values["csrf_token"] = csrf
        return self.url_open(
            f"/my/invoices/{invoice.id}/answer/{kind}",
            data=values | form,
            timeout=60,
        )

    def _get_answers(self, invoice=None):
        return self.env["crm.dunning.answer"].search(
            [("move_id", "=", (invoice or self.invoice).id)]
        )

    def _get_words(self, page, path="//section[contains(@class, 'o_dunning_portal')]"):
        """Return the words of a part of a page, in one line."""
        return " ".join(
            " ".join(one.text_content() for one in page.xpath(path)).split()
        )


class PortalCommon(PortalMixin, HttpCase, DunningCommon):
    """Without a payment provider."""
