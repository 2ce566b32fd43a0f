"""Tests inside Odoo against the local Stripe."""

from odoo.fields import Command
from odoo.tests import common

from .stripe_double import LocalStripe

API_KEY = "sk_test_local"
WEBHOOK_SECRET = "whsec_local"
METHODS = {"card": "card", "sepa_debit": "sepa_direct_debit"}  # Stripe: Odoo


class ProviderMixin:
    """A Stripe provider in test mode, with keys that nobody answers by itself."""

    @classmethod
    def _create_stripe_provider(cls, company=None, **values):
        """Return the Stripe provider of the test company, in test mode."""
        company = company or cls.env.company
        provider = cls.env["payment.provider"].search(
            [("code", "=", "stripe"), ("company_id", "=", company.id)], limit=1
        )
        if not provider:
            shipped = cls.env.ref("payment.payment_provider_stripe")
            provider = shipped.copy({"company_id": company.id})
        methods = cls.env["payment.method"]
        for name in METHODS.values():
            methods += cls.env.ref(f"payment.payment_method_{name}")
        provider.write(
            {
                "state": "test",
                "is_published": True,
                "allow_tokenization": True,
                "stripe_publishable_key": "pk_test_local",
                "stripe_secret_key": API_KEY,
                "stripe_webhook_secret": WEBHOOK_SECRET,
                "payment_method_ids": [Command.link(method.id) for method in methods],
                **values,
            }
        )
        methods.active = True
        return provider


class StripeMixin(ProviderMixin):
    """``cls.stripe``: a local Stripe in a thread, and a provider that talks to it.

    Put it before the test class: ``class TestCharge(StripeMixin, DunningCommon)``.
    ``self.stripe.fault(…)``, ``.advance(…)``, ``.decline_with(…)``: see
    ``stripe_double/control.py``. Each test starts with what the class has set up, on
    real time and without faults.
    """

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.stripe = LocalStripe()
        cls.addClassCleanup(cls.stripe.stop)
        cls.env["ir.config_parameter"].set_param(
            "crm_dunning.stripe_api_base", cls.stripe.url
        )
        cls.provider = cls._create_stripe_provider()

    def setUp(self):
        super().setUp()
        if "_stripe_is_kept" not in vars(type(self)):
            self.stripe.keep()
            type(self)._stripe_is_kept = True
        self.stripe.reset()

    @classmethod
    def _request_handler(cls, session, request, /, **kwargs):
        """Override of Odoo's guard to leave the time limits of our requests alone.

        It lets requests to the loopback through, but none may time out within 10 s.
        """
        if request.url.startswith(f"{cls.stripe.url}/"):
            return common._super_send(session, request, **kwargs)
        return super()._request_handler(session, request, **kwargs)

    # === RECORDS === #

    @classmethod
    def _create_token(cls, partner, method="pm_card_visa", number=None):
        """Return a token of ``partner``; ``method`` says how charging it ends.

        :param method: a test payment method of Stripe (``stripe_double/cards.py``)
        :param number: another card number: equal ones share a fingerprint
        """
        saved = cls.stripe.saved_method(method, number=number, name=partner.name)
        method = cls.stripe.get(saved["payment_method"])
        return cls.env["payment.token"].create(
            {
                "provider_id": cls.provider.id,
                "partner_id": partner.id,
                "payment_method_id": cls.env.ref(
                    f"payment.payment_method_{METHODS[method['type']]}"
                ).id,
                "provider_ref": saved["customer"],
                "stripe_payment_method": method["id"],
                "stripe_mandate": saved["mandate"],
                "payment_details": method[method["type"]]["last4"],
            }
        )
