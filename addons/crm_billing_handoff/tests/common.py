from odoo.fields import Command
from odoo.tests import TransactionCase, new_test_user


class BillingHandoffCommon(TransactionCase):
    """People by role, an account that is ready to be billed, and short verbs."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.env = cls.env["base"].with_context(tracking_disable=True).env
        cls.company = cls.env.company
        cls.home = cls.env.ref("base.be")
        cls.company.country_id = cls.company.country_id or cls.home
        cls.home = cls.company.account_fiscal_country_id
        groups = {
            "seller": "sales_team.group_sale_salesman",
            "other_seller": "sales_team.group_sale_salesman",
            "clerk": "crm_billing_handoff.group_billing_user",
            "manager": "crm_billing_handoff.group_billing_manager",
            "accountant": "account.group_account_invoice",
        }
        cls.users = {
            role: new_test_user(
                cls.env,
                login=f"billing_{role}",
                name=role.replace("_", " ").title(),
                groups=f"base.group_user,{group}",
                email=f"{role}@example.com",
            )
            for role, group in groups.items()
        }
        cls.seller, cls.clerk = cls.users["seller"], cls.users["clerk"]
        cls.manager = cls.users["manager"]
        cls.company.billing_responsible_id = cls.clerk
        cls.terms = cls.env.ref("account.account_payment_term_30days")
        cls.tax = cls.env["account.tax"].create(
            {"name": "Test 10%", "amount": 10.0, "type_tax_use": "sale"}
        )
        cls.product = cls._create_product()
        cls.account = cls._create_account("Northwind")
        cls.won_stage = cls.env["crm.stage"].search([("is_won", "=", True)], limit=1)
        cls.open_stage = cls.env["crm.stage"].search([("is_won", "=", False)], limit=1)

    # === RECORDS === #

    @classmethod
    def _create_product(cls, **values):
        return cls.env["product.product"].create(
            {
                "name": "Consulting day",
                "type": "service",
                "invoice_policy": "order",
                "list_price": 100.0,
                "taxes_id": [Command.set(cls.tax.ids)],
                **values,
            }
        )

    @classmethod
    def _create_account(cls, name, **values):
        """Return a company with a full address and an accounts payable contact."""
        account = cls.env["res.partner"].create(
            {
                "name": name,
                "is_company": True,
                "legal_name": f"{name} Trading Ltd",
                "street": "1 Main Street",
                "city": "Springfield",
                "country_id": cls.home.id,
                "property_payment_term_id": cls.terms.id,
                "user_id": cls.seller.id,
            }
        )
        account.billing_contact_id = cls.env["res.partner"].create(
            {
                "name": f"{name} Payable",
                "parent_id": account.id,
                "email": f"ap@{name.lower().replace(' ', '')}.example.com",
            }
        )
        account.write(values)
        return account

    @classmethod
    def _create_deal(cls, account=None, user=None, **values):
        account = cls.account if account is None else account
        return cls.env["crm.lead"].create(
            {
                "name": f"Deal with {account.name or 'nobody'}",
                "type": "opportunity",
                "partner_id": account.id,
                "user_id": (user or cls.seller).id,
                "stage_id": cls.open_stage.id,
                **values,
            }
        )

    @classmethod
    def _create_quotation(
        cls, deal, price=100.0, quantity=1.0, confirm=False, **values
    ):
        line = {
            "product_id": (values.pop("product", None) or cls.product).id,
            "product_uom_qty": quantity,
            "price_unit": price,
            "discount": values.pop("discount", 0.0),
        }
        order = cls.env["sale.order"].create(
            {
                "partner_id": deal.partner_id.id,
                "opportunity_id": deal.id,
                "user_id": deal.user_id.id,
                "order_line": [Command.create(line)],
                **values,
            }
        )
        if confirm:
            order.action_confirm()
        return order

    # === VERBS === #

    def _win(self, deals, user=None):
        """Win as the salesperson, and return the handoffs."""
        deals = deals.with_user(user or self.seller)
        deals.write({"stage_id": self.won_stage.id})
        self.env.flush_all()
        return deals.sudo().billing_handoff_ids

    def _win_and_process(self, deals, user=None):
        handoffs = self._win(deals, user)
        handoffs._process_or_bisect()
        return handoffs

    def _wake(self):
        """Run what happens at the end of a transaction."""
        self.env.flush_all()
        self.env.cr.precommit.run()

    def _run_job(self):
        """Run the handoff job as the scheduler does."""
        with self.enter_registry_test_mode():
            self.env.ref(
                "crm_billing_handoff.ir_cron_process_handoffs"
            ).method_direct_trigger()

    def _pay(self, move, amount=None):
        """Register a payment of ``amount``, all of it by default."""
        wizard = (
            self.env["account.payment.register"]
            .with_context(active_model="account.move", active_ids=move.ids)
            .create({"amount": amount or move.amount_residual})
        )
        return wizard._create_payments()
