from odoo import models
from odoo.exceptions import AccessError


class ResPartnerBank(models.Model):
    _inherit = "res.partner.bank"

    def _check_access(self, operation):
        """Override of `base` to keep salespeople away from bank accounts (5.7 c).

        *Contact / Creation* lets its members write them; a salesperson who holds it
        must not, unless Billing or Invoicing is theirs too.
        """
        user = self.env.user
        if (
            operation != "read"
            and not self.env.su
            and user.has_group("sales_team.group_sale_salesman")
            and not user.has_group("account.group_account_invoice")
        ):
            return self, lambda: AccessError(
                self.env._(
                    "Bank accounts are billing data: only a billing clerk can change "
                    "them. Ask one of them: %(people)s.",
                    people=self.env["res.partner"]._get_people_of_group(
                        "crm_billing_handoff.group_billing_user"
                    ),
                )
            )
        return super()._check_access(operation)
