from contextlib import contextmanager

from odoo.exceptions import AccessError
from odoo.tests import new_test_user

from .common import BillingHandoffCommon

WHO_CAN = "Ask one of them: .*Clerk"


class RefusalCommon(BillingHandoffCommon):
    @contextmanager
    def _assert_refused(self, words=WHO_CAN, error=AccessError):
        """Expect ``error`` in ``words``, and leave nothing of the attempt behind."""
        with self.assertRaises(error) as caught:
            yield
        self.assertRegex(str(caught.exception), words)


class WallCommon(RefusalCommon):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.parent = cls._create_account("Contoso")
        cls.long_terms = cls.env.ref("account.account_payment_term_end_following_month")
        cls.position = cls.env["account.fiscal.position"].create({"name": "Abroad"})
        cls.plan = cls.env["crm.billing.plan"].create({"name": "Every month"})
        cls.tier = cls.env["crm.billing.service.tier"].create({"name": "Gold"})
        cls.method_line = cls.env["account.payment.method.line"].search(
            [("payment_type", "=", "inbound")], limit=1
        )
        # A value for each walled field, as a client would send it.
        cls.walled = {
            "property_payment_term_id": cls.long_terms.id,
            "property_account_position_id": cls.position.id,
            "tax_exempt": True,
            "tax_exempt_reason": "Charity",
            "tax_exempt_certificate": "UERG",
            "tax_exempt_expiry": "2030-01-01",
            "bill_to_id": cls.parent.id,
            "billing_plan_id": cls.plan.id,
            "po_required": True,
            "po_amount_limit": 500.0,
            "billing_hold": True,
            "service_tier_id": cls.tier.id,
            "invoice_sending_method": "manual",
            "credit_limit": 1000.0,
            "use_partner_credit_limit": True,
            "property_inbound_payment_method_line_id": cls.method_line.id,
        }
        cls.trusted_seller = new_test_user(
            cls.env,
            login="billing_trusted_seller",
            name="Trusted Seller",
            groups="base.group_user,sales_team.group_sale_salesman,"
            "base.group_partner_manager",
        )
        cls.seen = cls.account.with_user(cls.seller)

    def _as(self, user):
        return self.env["res.partner"].with_user(user)


class AccessCommon(RefusalCommon):
    """Two won deals with drafts, of two salespeople."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.other_seller = cls.users["other_seller"]
        cls.accountant = cls.users["accountant"]
        cls.portal = new_test_user(
            cls.env, login="billing_portal", groups="base.group_portal"
        )
        cls.public = cls.env.ref("base.public_user")
        cls.foreign_account = cls._create_account(
            "Contoso", user_id=cls.other_seller.id
        )
        cls.deal, cls.order = cls._create_won_deal(cls.account, cls.seller)
        cls.foreign_deal, cls.foreign_order = cls._create_won_deal(
            cls.foreign_account, cls.other_seller
        )
        cls.handoff = cls.deal.billing_handoff_ids
        cls.foreign_handoff = cls.foreign_deal.billing_handoff_ids
        (cls.handoff | cls.foreign_handoff)._process_or_bisect()
        cls.draft = cls.handoff.move_ids
        cls.foreign_draft = cls.foreign_handoff.move_ids

    @classmethod
    def _create_won_deal(cls, account, user):
        deal = cls._create_deal(account, user)
        order = cls._create_quotation(deal, confirm=True)
        deal.with_user(user).stage_id = cls.won_stage
        cls.env.flush_all()
        return deal, order
