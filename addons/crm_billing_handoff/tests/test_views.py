from lxml import etree

from odoo.exceptions import AccessError
from odoo.fields import Command
from odoo.tests import tagged
from odoo.tools.safe_eval import safe_eval

from .common import BillingHandoffCommon

MODULE = "crm_billing_handoff"
ROLES = ("seller", "clerk", "manager", "accountant")


@tagged("post_install", "-at_install")
class TestViews(BillingHandoffCommon):
    """Each role opens what its menus offer, as the web client does it."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        group = cls._create_account("Globex")
        site = cls._create_account(
            "Globex Site", parent_id=group.id, bill_to_id=group.id
        )
        blocked = cls._create_account("Acme", po_required=True)
        deals = cls.env["crm.lead"]
        for account in (cls.account, site, blocked):
            deal = cls._create_deal(account, expected_revenue=100.0)
            cls._create_quotation(deal)
            deals |= deal
        cls.recurring = cls._create_deal(group)
        hosting = cls._create_product(
            name="Hosting",
            billing_method="flat",
            billing_plan_id=cls.env.ref("crm_billing_handoff.plan_monthly").id,
        )
        cls._create_quotation(cls.recurring, product=hosting)
        deals |= cls.recurring
        deals.action_set_won()
        deals.billing_handoff_ids._process_or_bisect()
        cls.deals = deals
        cls.draft = deals[0].billing_move_ids
        cls.agreement = cls._create_agreement(cls.account)
        cls.agreement.generate_invoices()

    @classmethod
    def _create_agreement(cls, account):
        """Return a running agreement that has billed its first month."""
        agreement = cls.env["crm.billing.agreement"].create(
            {
                "partner_id": account.id,
                "user_id": cls.seller.id,
                "plan_id": cls.env.ref(f"{MODULE}.plan_monthly").id,
                "line_ids": [
                    Command.create({"product_id": cls.product.id, "price_unit": 50.0})
                ],
            }
        )
        agreement.action_start()
        return agreement

    def test_menus_of_each_role(self):
        expected = {"seller": {"Handoffs", "Accounts", "Audit Log"}}
        expected["seller"] |= {"Agreements", "Lines", "Ledger", "Changes"}
        expected["seller"] |= {"Milestones", "Usage", "Meters"}
        expected["accountant"] = expected["seller"] | {
            "To Review",
            "To Do",
            "Rehearsal",
            "Deliveries",
            "Health",
        }
        expected["clerk"] = expected["accountant"] | {
            "Price Revisions",
            "Enter Usage",
            "Import Usage",
            "Sources",
            "Webhooks",
        }
        expected["manager"] = expected["clerk"] | {
            "Set-up",
            "Readiness Rules",
            "Billing Plans",
            "Service Tiers",
        }
        for role, names in expected.items():
            with self.subTest(role=role):
                menus = self._get_menus(self.users[role])
                self.assertEqual({menu.name for menu in menus}, names)

    def test_every_menu_opens(self):
        for role in ROLES:
            user = self.users[role]
            for menu in self._get_menus(user):
                with self.subTest(role=role, menu=menu.name):
                    self._open_action(menu.action._get_action_dict(), user)

    def test_forms_of_other_apps_open(self):
        """The tabs and buttons that we add to deals, accounts, orders and invoices."""
        records = {
            self.deals: ROLES[:3],
            self.deals.partner_id: ROLES,
            self.deals.order_ids: ("seller",),
            self.draft: ROLES[1:],
            self.agreement.move_ids: ROLES[1:],
        }
        for record, roles in records.items():
            for role in roles:
                with self.subTest(role=role, model=record._name):
                    views = [(False, "list"), (False, "form"), (False, "search")]
                    self._open_views(record, views, self.users[role])

    def test_agreements_open_in_every_view(self):
        """Also for the salesperson, who reads and presses nothing."""
        views = ("form", "list", "kanban", "calendar", "pivot", "graph", "search")
        records = {
            self.agreement: views,
            self.agreement.line_ids: ("form", "list", "search"),
            self.agreement.period_ids: ("form", "list", "pivot", "search"),
        }
        for record, kinds in records.items():
            for role in ROLES:
                with self.subTest(role=role, model=record._name):
                    self._open_views(
                        record, [(False, kind) for kind in kinds], self.users[role]
                    )
        arch = self.agreement.with_user(self.seller).get_views([[False, "form"]], {})
        header = etree.fromstring(arch["views"]["form"]["arch"]).find("header")
        self.assertFalse(header.findall("button"))

    def test_buttons_of_agreements_lead_somewhere(self):
        agreement, move = self.agreement, self.agreement.move_ids
        readers = [
            agreement.action_view_moves,
            agreement.action_view_ledger,
            agreement.action_view_events,
            agreement.action_view_changes,
            agreement.action_view_usage,
            agreement.period_ids.action_explain,
        ]
        billing = [
            *readers,
            agreement.action_view_drafts,
            move.action_view_agreements,
            move.invoice_line_ids.action_explain_billing,
        ]
        buttons = {"accountant": billing, "clerk": billing, "manager": billing}
        for role, methods in {"seller": readers[1:], **buttons}.items():
            user = self.users[role]
            for method in methods:
                with self.subTest(role=role, button=method.__name__):
                    record = method.__self__.with_user(user)
                    self._open_action(getattr(record, method.__name__)(), user)

    def test_buttons_lead_somewhere(self):
        """Every window that a button of ours opens can be read by who presses it."""
        account, deal = self.deals[0].partner_id, self.deals[0]
        recurring = self.recurring
        agreement_buttons = [
            recurring.action_view_billing_agreements,
            recurring.order_ids.action_view_billing_agreements,
            recurring.partner_id.action_view_billing_agreements,
            recurring.billing_handoff_id.action_view_agreement,
        ]
        buttons = {
            "seller": [
                *agreement_buttons,
                deal.action_view_billing_handoff,
                deal.action_view_billing_moves,
                account.action_view_billing_handoffs,
                account.action_view_billing_events,
                deal.billing_handoff_id.action_view_lead,
                deal.order_ids.action_view_billing_handoff,
            ],
            "clerk": [
                agreement_buttons[2],
                agreement_buttons[3],
                recurring.billing_agreement_ids.action_view_moves,
                account.action_view_billing_handoffs,
                account.action_view_billing_events,
                account.action_view_billing_payments,
                account.action_new_billing_invoice,
                deal.billing_handoff_id.action_view_lead,
                deal.billing_handoff_id.action_view_moves,
                self.draft.action_view_opportunities,
                self.draft.action_billing_edit,
            ],
        }
        buttons["manager"] = buttons["clerk"]
        for role, methods in buttons.items():
            user = self.users[role]
            for method in methods:
                with self.subTest(role=role, button=method.__name__):
                    record = method.__self__.with_user(user)
                    self._open_action(getattr(record, method.__name__)(), user)

    def test_walled_fields_are_readonly_for_sales(self):
        fields = self.env["res.partner"].with_user(self.seller).fields_get()
        for name in ("property_payment_term_id", "bill_to_id", "tax_exempt"):
            self.assertTrue(fields[name]["readonly"], name)
        for name in ("billing_contact_id", "po_number", "legal_name"):
            self.assertFalse(fields[name]["readonly"], name)

    def test_setup_is_kept_by_a_manager(self):
        setup = self.env["crm.billing.setup"].with_user(self.manager)
        setup.create({"billing_tz": "Europe/Brussels"})
        self.assertRecordValues(
            self.company,
            [
                {
                    "billing_tz": "Europe/Brussels",
                    "billing_responsible_id": self.clerk.id,
                }
            ],
        )
        with self.assertRaises(AccessError):
            setup.with_user(self.clerk).create({"billing_tz": "Europe/Paris"})

    # === AS THE WEB CLIENT === #

    def _get_menus(self, user):
        """Return our menus with an action that ``user`` sees."""
        menus = self.env["ir.ui.menu"].with_user(user)
        visible = menus.browse(menus._visible_menu_ids()).sudo()
        ours = visible.filtered(
            lambda menu: (
                menu._get_external_ids()[menu.id][:1]
                and menu._get_external_ids()[menu.id][0].startswith(f"{MODULE}.")
            )
        )
        return ours.filtered("action")

    def _open_action(self, action, user):
        model = self.env[action["res_model"]].with_user(user)
        model = model.with_context(**self._get_context(action))
        views = action.get("views") or [
            (False, kind) for kind in action["view_mode"].split(",")
        ]
        if not any(kind == "search" for _view, kind in views):
            search_view = action.get("search_view_id") or [False]
            views = [*views, (search_view and search_view[0], "search")]
        if action.get("res_id"):
            records = model.browse(action["res_id"])
        else:
            domain = action.get("domain") or []
            if isinstance(domain, str):
                domain = self._eval(domain, user)
            records = model.sudo().search(domain, limit=5)
            records = records.sudo(False)._filtered_access("read")
            model.search_count(domain)
        self._open_views(records or model, views, user)

    def _get_context(self, action):
        context = action.get("context") or {}
        return (
            self._eval(context, self.env.user) if isinstance(context, str) else context
        )

    def _eval(self, expression, user):
        names = {"uid": user.id, "active_id": self.account.id}
        return safe_eval(expression, names)

    def _open_views(self, records, views, user):
        """Load the views and read ``records`` with the specification of each."""
        model = records.with_user(user)
        result = model.get_views([[view, kind] for view, kind in views], {})
        fields = {
            name: description["fields"]
            for name, description in result["models"].items()
        }
        for kind, view in result["views"].items():
            if kind in ("search", "pivot", "graph"):
                continue
            arch = etree.fromstring(view["arch"])
            specification = self._get_specification(arch, fields, model._name)
            self.env.invalidate_all()  # as each call of the client starts
            if model.ids:
                model.web_read(specification)
                model.web_search_read([("id", "in", model.ids)], specification)
            elif kind == "form" and model.has_access("create"):
                model.onchange({}, [], specification)

    def _get_specification(self, arch, fields, model):
        """Return what the client reads for a view, lists in it included."""
        specification = {}
        for node in self._get_field_nodes(arch):
            name = node.get("name")
            kind = fields[model][name]["type"]
            spec = specification.setdefault(name, {})
            if kind in ("many2one", "reference"):
                spec["fields"] = {"display_name": {}}
            elif kind in ("one2many", "many2many"):
                relation = fields[model][name]["relation"]
                inner = spec.setdefault("fields", {})
                for child in node.iterchildren("list", "kanban", "form"):
                    inner |= self._get_specification(child, fields, relation)
                if node.get("widget") == "many2many_tags":
                    inner["display_name"] = {}
        return specification

    def _get_field_nodes(self, arch):
        """Yield the fields of a view, not those of the views inside a field."""
        for node in arch.iterchildren(tag=etree.Element):
            if node.tag == "field":
                yield node
            else:
                yield from self._get_field_nodes(node)
