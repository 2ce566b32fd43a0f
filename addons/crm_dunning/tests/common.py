from datetime import timedelta

from odoo import fields
from odoo.fields import Command

from odoo.addons.crm_billing_handoff.tests.common import BillingHandoffCommon

from .stripe_common import ProviderMixin


class DunningCommon(ProviderMixin, BillingHandoffCommon):
    """Posted invoices of a given age, an armed policy with the shipped days."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.currency = cls.company.currency_id
        cls.policy = cls._create_policy()

    # === RECORDS === #

    @classmethod
    def _create_policy(cls, steps=None, state="armed", **values):
        """Return a policy without quiet hours, by default −5, +2, +9 and person at +18.

        :param steps: ``[(days, action)]`` or dicts of values
        """
        steps = steps or [(-5, "mail"), (2, "mail"), (9, "mail"), (18, "person")]
        steps = [
            step
            if isinstance(step, dict)
            else {"days": step[0], "action": step[1], "name": f"{step[1]} {step[0]:+}"}
            for step in steps
        ]
        return cls.env["crm.dunning.policy"].create(
            {
                "name": "Test policy",
                "company_id": cls.company.id,
                "sequence": 0,
                "state": state,
                "hour_from": 0.0,
                "hour_to": 24.0,
                "weekdays_only": False,
                "owner_id": cls.clerk.id,
                "step_ids": [Command.create(step) for step in steps],
                **values,
            }
        )

    @classmethod
    def _create_invoice(cls, account=None, amount=100.0, due=None, post=True, **values):
        """Return an invoice of ``amount`` (tax-free) due on ``due`` (today)."""
        due = fields.Date.to_date(due) or fields.Date.today()
        move = cls.env["account.move"].create(
            {
                "move_type": "out_invoice",
                "partner_id": (account or cls.account)._get_billing_address().id,
                "invoice_date": due - timedelta(days=30),
                "invoice_date_due": due,
                "invoice_payment_term_id": False,
                "invoice_user_id": cls.seller.id,
                "invoice_line_ids": [
                    Command.create(
                        {
                            "product_id": cls.product.id,
                            "price_unit": amount,
                            "tax_ids": [Command.clear()],
                        }
                    )
                ],
                **values,
            }
        )
        if post:
            move.action_post()
        return move

    def _get_case(self, move):
        return move.dunning_case_ids.filtered(lambda case: case.state != "closed")
