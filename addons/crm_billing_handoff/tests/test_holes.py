from odoo.exceptions import AccessError, UserError
from odoo.fields import Command
from odoo.tests import tagged

from .refusal_common import AccessCommon


@tagged("post_install", "-at_install")
class TestReviewHoles(AccessCommon):
    """Ways around the review that the ledger's own rights leave open."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.company.billing_review_required = True

    def test_a_typed_transaction_is_no_payment(self):
        provider = self.env["payment.provider"].create({"name": "T", "code": "none"})
        methods = self.env["payment.method"].with_context(active_test=False)
        self.env["payment.transaction"].with_user(self.accountant).create(
            {
                "provider_id": provider.id,
                "payment_method_id": methods.search([], limit=1).id,
                "reference": "typed",
                "amount": 1.0,
                "currency_id": self.company.currency_id.id,
                "partner_id": self.account.id,
                "state": "done",
                "invoice_ids": [Command.link(self.draft.id)],
            }
        )
        with self.assertRaises(UserError):
            self.draft.with_user(self.accountant).action_post()

    def test_another_bank_account_needs_another_review(self):
        bank = self.env["res.partner.bank"].create(
            {
                "acc_number": "BE71096123456769",
                "partner_id": self.company.partner_id.id,
                "allow_out_payment": True,
            }
        )
        self.draft.with_user(self.clerk).action_billing_review()
        self.draft.with_user(self.accountant).partner_bank_id = bank
        with self.assertRaises(UserError):
            self.draft.with_user(self.accountant).action_post()

    def test_setup_keeps_to_the_managers_companies(self):
        other = self.env["res.company"].create({"name": "Other"})
        setups = self.env["crm.billing.setup"].with_user(self.manager)
        with self.assertRaises(AccessError):
            setups.create({"company_id": other.id, "billing_tz": "Europe/Paris"})
        own = setups.create({"billing_tz": "Europe/Paris"})
        with self.assertRaises(AccessError):
            own.company_id = other

    def test_invoices_of_another_company_are_no_twins(self):
        other = self.env["res.company"].create(
            {"name": "Other", "country_id": self.home.id}
        )
        self.env["account.chart.template"].try_loading(
            "generic_coa", company=other, install_demo=False
        )
        self.env["account.move"].with_company(other).create(
            {
                "move_type": "out_invoice",
                "partner_id": self.draft.partner_id.id,
                "invoice_line_ids": [
                    Command.create(
                        {
                            "name": "Same",
                            "price_unit": self.draft.amount_total,
                            "tax_ids": [],
                        }
                    )
                ],
            }
        )
        self.assertFalse(self.draft._get_twins())
