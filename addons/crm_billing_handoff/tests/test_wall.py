from odoo.exceptions import AccessError
from odoo.fields import Command
from odoo.service.model import call_kw
from odoo.tests import Form, tagged

from ..models.res_partner_wall import WALLED_FIELDS
from .refusal_common import WallCommon


@tagged("post_install", "-at_install")
class TestWall(WallCommon):
    """What a salesperson cannot change, whatever the road."""

    def test_every_walled_field_has_a_value_in_these_tests(self):
        self.assertEqual(set(self.walled), set(WALLED_FIELDS))

    # === WRITE AND FORM === #

    def test_sales_cannot_write_a_walled_field(self):
        for name, value in self.walled.items():
            with self.subTest(name), self._assert_refused():
                self.seen.write({name: value})

    def test_refusal_names_fields_account_and_people(self):
        with self._assert_refused(
            "Fiscal Position, Paid By of Northwind is billing data: only a Billing "
            "clerk can change it. Ask one of them: .*Clerk",
        ):
            self.seen.write(
                {
                    "bill_to_id": self.parent.id,
                    "property_account_position_id": self.position.id,
                }
            )

    def test_form_shows_walled_fields_locked(self):
        with Form(self.seen) as form:
            for name in ("property_payment_term_id", "bill_to_id", "po_required"):
                with (
                    self.subTest(name),
                    self.assertRaisesRegex(AssertionError, "readonly"),
                ):
                    form[name] = self.walled[name]

    def test_client_is_told_that_walled_fields_are_readonly(self):
        fields = self.seen.fields_get(WALLED_FIELDS, ["readonly"])
        self.assertEqual(
            [name for name, info in fields.items() if not info["readonly"]], []
        )
        fields = self.account.with_user(self.clerk).fields_get(
            ["bill_to_id"], ["readonly"]
        )
        self.assertFalse(fields["bill_to_id"]["readonly"])

    def test_sales_with_contact_rights_meets_the_same_wall(self):
        for name, value in self.walled.items():
            with self.subTest(name), self._assert_refused():
                self.account.with_user(self.trusted_seller).write({name: value})

    def test_web_client_save_is_refused(self):
        with self._assert_refused():
            self.seen.web_save({"billing_hold": True}, {})

    def test_walled_value_through_the_parent_is_refused(self):
        child = self.account.billing_contact_id
        # Contacts of a contact are written as the user who began the transaction.
        self.patch(self.env.transaction, "default_env", self.seen.env)
        with self._assert_refused():
            self.seen.write(
                {"child_ids": [Command.update(child.id, {"po_required": 1})]}
            )
        with self._assert_refused():
            self.seen.write(
                {"child_ids": [Command.create({"name": "X", "tax_exempt": True})]}
            )

    # === CREATE, DEFAULTS, COPY, IMPORT, RPC === #

    def test_sales_cannot_create_with_a_walled_field(self):
        for name, value in self.walled.items():
            with self.subTest(name), self._assert_refused():
                self._as(self.seller).create({"name": "New", name: value})

    def test_default_in_the_context_is_refused(self):
        for name, value in self.walled.items():
            partners = self._as(self.seller).with_context(**{f"default_{name}": value})
            with self.subTest(name), self._assert_refused():
                partners.create({"name": "New"})

    def test_own_default_values_are_ignored(self):
        defaults = self.env["ir.default"].with_user(self.seller)
        for name in ("billing_hold", "tax_exempt", "po_required"):
            defaults.set("res.partner", name, True, user_id=True)
        defaults.set(
            "res.partner", "property_payment_term_id", self.long_terms.id, user_id=True
        )
        defaults.set("res.partner", "po_number", "PO-1", user_id=True)

        for partners in (self._as(self.seller), self._as(self.seller).sudo()):
            account = partners.create({"name": "New", "is_company": True}).sudo()

            self.assertFalse(account.billing_hold or account.tax_exempt)
            self.assertFalse(account.po_required or account.property_payment_term_id)
            self.assertEqual(account.po_number, "PO-1", "it is not walled")

    def test_default_values_of_everybody_count(self):
        self.env["ir.default"].set("res.partner", "po_required", True)
        self.env["ir.default"].with_user(self.seller).set(
            "res.partner", "po_required", False, user_id=True
        )
        account = self._as(self.seller).create({"name": "New"})
        self.assertTrue(account.po_required)

    def test_own_default_values_of_a_clerk_count(self):
        defaults = self.env["ir.default"].with_user(self.clerk)
        defaults.set("res.partner", "po_required", True, user_id=True)
        self.assertTrue(self._as(self.clerk).create({"name": "New"}).po_required)

    def test_sales_cannot_set_a_default_for_everybody(self):
        defaults = self.env["ir.default"].with_user(self.seller)
        with self.assertRaises(AccessError):
            defaults.set("res.partner", "po_required", True)

    def test_duplicate_carries_no_walled_value(self):
        self.account.write(self.walled)
        copy = self.seen.copy()
        self.assertEqual(copy.name, "Northwind (copy)")
        self.assertFalse(copy.sudo()._filtered_walled_values())
        self.assertFalse(copy.legal_name)

    def test_duplicate_with_a_walled_default_is_refused(self):
        with self._assert_refused():
            self.seen.copy({"bill_to_id": self.parent.id})

    def test_import_of_a_walled_column_is_refused_in_words(self):
        columns = {
            "property_payment_term_id/.id": str(self.long_terms.id),
            "tax_exempt": "1",
            "bill_to_id/.id": str(self.parent.id),
            "po_required": "1",
            "invoice_sending_method": "manual",
        }
        for column, value in columns.items():
            for key, row in (("name", "New"), (".id", str(self.account.id))):
                result = self._as(self.seller).load([key, column], [[row, value]])
                with self.subTest(f"{key} {column}"):
                    self.assertFalse(result["ids"])
                    self.assertIn("Ask one of them", result["messages"][0]["message"])

    def test_rpc_write_and_create_are_refused(self):
        partners = self._as(self.seller)
        with self._assert_refused():
            call_kw(partners, "write", [self.account.ids, {"tax_exempt": True}], {})
        with self._assert_refused():
            call_kw(partners, "create", [{"name": "New", "tax_exempt": True}], {})
        for context in (
            {"billing_cause": "rule"},
            {"import_file": True},
            {"su": True, "uid": 1},
            {"install_mode": True, "tracking_disable": True},
        ):
            with self.subTest(context), self._assert_refused():
                args = [self.account.ids, {"tax_exempt": True}]
                call_kw(partners, "write", args, {"context": context})

    def test_the_file_of_a_walled_field_is_walled_too(self):
        self.account.tax_exempt_certificate = "UERG"
        values = {
            "name": "Forged",
            "res_model": "res.partner",
            "res_field": "tax_exempt_certificate",
            "datas": "Rm9yZ2Vk",
        }
        files = self.env["ir.attachment"].sudo()
        file = files.search(
            [
                ("res_field", "=", values["res_field"]),
                ("res_id", "=", self.account.id),
            ]
        )
        for road in (
            lambda own: own.write({"datas": values["datas"]}),
            lambda own: own.unlink(),
            lambda own: own.create({**values, "res_id": self.parent.id}),
        ):
            with self.assertRaises(AccessError):
                road(file.with_user(self.seller).sudo(False))
        file.with_user(self.clerk).sudo(False).write({"datas": values["datas"]})

    # === WHAT IS SET ONCE === #

    def test_sales_fills_legal_name_and_vat_once(self):
        account = self._as(self.seller).create({"name": "New", "is_company": True})
        account.write({"legal_name": "New Ltd", "vat": "BE0477472701"})
        for values in (
            {"legal_name": "Other Ltd"},
            {"vat": "BE0428759497"},
            {"vat": False},
            {"legal_name": False},
        ):
            with self.subTest(values), self._assert_refused():
                account.write(values)
        account.write({"legal_name": "New Ltd", "vat": "BE 0477.472.701"})

    def test_form_lets_sales_fill_an_empty_legal_name(self):
        account = self._create_account("Fabrikam", legal_name=False)
        with Form(account.with_user(self.seller)) as form:
            form.legal_name = "Fabrikam GmbH"
            form.vat = "BE0477472701"
        self.assertEqual(account.legal_name, "Fabrikam GmbH")
        self.assertEqual(account.vat, "BE0477472701")
        with Form(account.with_user(self.seller)) as form:
            with self.assertRaisesRegex(AssertionError, "readonly"):
                form.legal_name = "Other"
            with self.assertRaisesRegex(AssertionError, "readonly"):
                form.vat = False

    def test_vat_cannot_be_changed_from_a_contact(self):
        self.account.vat = "BE0477472701"
        contact = self.account.billing_contact_id.with_user(self.seller)
        with self._assert_refused():
            contact.vat = "BE0428759497"
        with self._assert_refused():
            self._as(self.seller).create(
                {"name": "X", "parent_id": self.account.id}
            ).vat = "BE0428759497"
        self.assertEqual(self.account.vat, "BE0477472701")

    # === BANK ACCOUNTS === #

    def test_bank_accounts_are_walled(self):
        bank = self.env["res.partner.bank"].create(
            {"acc_number": "BE71096123456769", "partner_id": self.account.id}
        )
        line = {"acc_number": "BE02001234567890"}
        for seller in (self.seller, self.trusted_seller):
            banks = bank.with_user(seller)
            account = self.account.with_user(seller)
            roads = {
                "create": lambda banks=banks: banks.create(
                    {**line, "partner_id": self.account.id}
                ),
                "write": lambda banks=banks: banks.write(line),
                "unlink": lambda banks=banks: banks.unlink(),
                "copy": lambda banks=banks: banks.copy(line),
                "on the account": lambda account=account: account.write(
                    {"bank_ids": [Command.create(line)]}
                ),
                "on a new account": lambda account=account: account.create(
                    {"name": "New", "bank_ids": [Command.create(line)]}
                ),
            }
            for road, go in roads.items():
                with self.subTest(road, user=seller.name), self._assert_refused():
                    go()
            result = banks.load(
                ["acc_number", "partner_id/.id"], [["BE02", str(self.account.id)]]
            )
            self.assertIn("Ask one of them", result["messages"][0]["message"])
        bank.with_user(self.clerk).write(line)

    def test_tokens_are_walled(self):
        tokens = self.env["payment.token"].with_user(self.trusted_seller)
        for operation in ("create", "write", "unlink"):
            self.assertFalse(tokens.has_access(operation))


@tagged("post_install", "-at_install")
class TestWallOpen(WallCommon):
    """What stays possible: Sales keeps its contacts, Billing keeps the terms."""

    def test_sales_creates_contacts_and_accounts(self):
        with Form(self._as(self.seller)) as form:
            form.name = "Paul Person"
            form.email = "paul@example.com"
        contact = self._as(self.seller).create(
            {"name": "Child", "parent_id": self.account.id}
        )
        self.assertEqual(contact.property_payment_term_id, self.terms, "mirrored")
        self.assertEqual(contact.legal_name, self.account.legal_name)

    def test_sales_imports_contacts_children_included(self):
        self.account.write(self.walled)
        result = self._as(self.seller).load(
            ["name", "email", "is_company", "parent_id/.id", "legal_name", "vat"],
            [
                ["Imported", "i@example.com", "1", "", "Imported Ltd", "BE0477472701"],
                ["Child", "c@example.com", "0", str(self.account.id), "", ""],
            ],
        )
        self.assertFalse(result["messages"])
        child = self._as(self.seller).browse(result["ids"][1])
        self.assertEqual(child.commercial_partner_id, self.account)
        self.assertEqual(child.service_tier_id, self.tier, "mirrored from the account")

    def test_sales_finds_contacts_by_email(self):
        known = self.account.billing_contact_id
        partners = self._as(self.seller)
        found = partners.browse(partners.find_or_create(known.email).id)
        self.assertEqual(found, known)
        self.assertTrue(partners.find_or_create("New <new@example.com>"))
        deal = self._create_deal(self.env["res.partner"], email_from="x@example.com")
        deal.partner_name = "From a Lead"
        deal.with_user(self.seller)._handle_partner_assignment(create_missing=True)
        self.assertEqual(deal.partner_id.commercial_partner_id.name, "From a Lead")

    def test_sales_names_people_po_and_address(self):
        person = self._as(self.seller).create(
            {"name": "Approver", "parent_id": self.account.id}
        )
        with Form(self.seen) as form:
            form.billing_contact_id = person
            form.billing_approver_id = person
            form.po_number = "PO-7"
            form.po_expiry = "2030-12-31"
            form.street = "2 Side Street"
        self.assertEqual(self.account.billing_contact_id, person)
        self.assertEqual(self.account.po_number, "PO-7")
        private = self._as(self.seller).create({"name": "Private"})
        private.private_customer = True

    def test_clerk_changes_everything_without_open_documents(self):
        self.account.with_user(self.clerk).write(self.walled)
        self.account.with_user(self.clerk).write({"vat": "BE0477472701"})
        self.account.with_user(self.clerk).write({"legal_name": "Other"})

    def test_terms_with_open_documents_are_the_managers(self):
        deal = self._create_deal()
        self._create_quotation(deal, confirm=True)
        self._win_and_process(deal)
        managed = {
            "property_payment_term_id": self.long_terms.id,
            "property_account_position_id": self.position.id,
            "tax_exempt": True,
            "bill_to_id": self.parent.id,
        }
        for name, value in managed.items():
            with self.subTest(name), self._assert_refused("Billing manager.*Manager"):
                self.account.with_user(self.clerk).write({name: value})
        self.account.with_user(self.clerk).write({"vat": "BE0477472701"})
        with self._assert_refused("Billing manager.*Manager"):
            self.account.with_user(self.clerk).write({"vat": "BE0428759497"})
        self.account.with_user(self.clerk).write(
            {"property_payment_term_id": self.terms.id, "po_required": True}
        )
        self.account.with_user(self.manager).write(managed)
        self.assertEqual(self.account.bill_to_id, self.parent)
