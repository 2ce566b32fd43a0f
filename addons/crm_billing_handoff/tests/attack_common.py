from odoo.exceptions import UserError
from odoo.fields import Command
from odoo.service.model import call_kw

from .change_common import NOVEMBER, ChangeCommon
from .refusal_common import RefusalCommon
from .usage_common import UsageCommon

REFUSED = UserError  # AccessError and ValidationError are such


class ClientMixin:
    """Calls as a client sends them."""

    def _call(self, user, record, method, *args, context=None, **kwargs):
        """Call as a client does, and write at once what it left to be written."""
        model = record.with_user(user).with_context(**context or {})
        args = [record.ids, *args] if record else list(args)
        result = call_kw(model, method, args, {**kwargs, "context": context or {}})
        self.env.flush_all()
        return result


class AttackCommon(ClientMixin, ChangeCommon, UsageCommon, RefusalCommon):
    """A second company, and calls as a client sends them."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.accountant = cls.users["accountant"]
        cls.other_seller = cls.users["other_seller"]
        cls.elsewhere = cls.env["res.company"].create({"name": "Elsewhere"})

    def _create_foreign(self, **values):
        """Return a running agreement of a company that nobody of ours works in."""
        product = self._create_product(taxes_id=False)
        return (
            self.env["crm.billing.agreement"]
            .with_company(self.elsewhere)
            .create(
                {
                    "partner_id": self.account.id,
                    "company_id": self.elsewhere.id,
                    "start_date": NOVEMBER,
                    "line_ids": [
                        Command.create(
                            {
                                "product_id": product.id,
                                "plan_id": self.monthly.id,
                                "tax_ids": False,
                                **values,
                            }
                        )
                    ],
                }
            )
        )
