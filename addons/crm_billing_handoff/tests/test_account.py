from odoo.exceptions import AccessError, UserError, ValidationError
from odoo.fields import Command
from odoo.tests import new_test_user, tagged

from .refusal_common import RefusalCommon


@tagged("post_install", "-at_install")
class TestAccount(RefusalCommon):
    """Who belongs to an account, and who may pay for it."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.payer = cls._create_account("Contoso")
        cls.clerk_account = cls.account.with_user(cls.clerk)

    # === PEOPLE === #

    def test_people_are_contacts_of_the_account_or_its_payer(self):
        stranger = self.payer.billing_contact_id
        for name in ("billing_contact_id", "billing_approver_id"):
            with (
                self.subTest(name),
                self._assert_refused(
                    "Contoso Payable is not a contact of Northwind", ValidationError
                ),
            ):
                self.account.with_user(self.seller)[name] = stranger
        self.clerk_account.bill_to_id = self.payer
        self.account.with_user(self.seller).billing_contact_id = stranger
        self.assertEqual(self.account._get_billing_address(), stranger)
        with self._assert_refused("name somebody else there", ValidationError):
            self.clerk_account.bill_to_id = False

    def test_a_named_person_does_not_leave_the_account(self):
        person = self.account.billing_contact_id
        for user in (self.seller, self.clerk):
            with self.subTest(user.name), self.assertRaises(UserError):
                person.with_user(user).parent_id = self.payer

    # === PAYER === #

    def _assert_cannot_pay(self, payer, why, account=None):
        account = account or self.clerk_account
        with self._assert_refused(why, ValidationError):
            account.bill_to_id = payer

    def test_an_account_does_not_pay_for_itself(self):
        self._assert_cannot_pay(self.account, "does not pay for itself")
        self._assert_cannot_pay(self.account.billing_contact_id, "for itself")

    def test_payers_make_no_loop_and_no_chain(self):
        third = self._create_account("Third")
        self.clerk_account.bill_to_id = self.payer
        self._assert_cannot_pay(
            self.account, "is itself paid by Contoso", self.payer.with_user(self.clerk)
        )
        self._assert_cannot_pay(
            third, "Contoso pays for Northwind itself", self.payer.with_user(self.clerk)
        )
        self._assert_cannot_pay(
            self.account, "itself paid by Contoso", third.with_user(self.clerk)
        )

    def test_a_contact_is_no_payer(self):
        self._assert_cannot_pay(
            self.payer.billing_contact_id, "is a contact of Contoso, not an account"
        )

    def test_an_archived_payer_is_refused(self):
        self.payer.active = False
        self._assert_cannot_pay(self.payer, "is archived")

    def test_a_payer_is_not_archived_while_it_pays(self):
        self.clerk_account.bill_to_id = self.payer
        with self._assert_refused(
            "Northwind cannot be paid by Contoso: Contoso is archived", ValidationError
        ):
            self.payer.with_user(self.clerk).active = False
        with self._assert_refused("Contoso is archived", ValidationError):
            self.payer.with_user(self.seller).write({"active": False})

    def test_a_payer_of_another_company_is_refused(self):
        other = self.env["res.company"].create({"name": "Other Company"})
        self.payer.company_id = other
        self._assert_cannot_pay(
            self.payer, "belongs to Other Company only", self.account
        )
        self.payer.company_id = False
        self.account.bill_to_id = self.payer
        with self._assert_refused("belongs to Other Company only", ValidationError):
            self.payer.company_id = other

    def test_a_payer_does_not_become_a_contact(self):
        self.clerk_account.bill_to_id = self.payer
        with self._assert_refused("not an account|for itself", ValidationError):
            self.payer.write({"is_company": False, "parent_id": self.account.id})

    def test_contacts_of_a_payer_can_be_archived(self):
        self.clerk_account.bill_to_id = self.payer
        contact = self.env["res.partner"].create(
            {"name": "Mover", "parent_id": self.account.id}
        )
        contact.with_user(self.seller).parent_id = self.payer
        contact.with_user(self.seller).action_archive()
        self.assertFalse(contact.active)


@tagged("post_install", "-at_install")
class TestMove(RefusalCommon):
    """Moving an account under another one takes over its terms: not for Sales."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.rich = cls._create_account(
            "Rich", tax_exempt=True, tax_exempt_reason="Charity"
        )
        cls.bare = cls.env["res.partner"].create({"name": "Bare", "is_company": True})

    def _move(self, partner, user=None, **values):
        values = values or {"is_company": False, "parent_id": self.rich.id}
        partner.with_user(user or self.seller).write(values)

    def _as_seller(self):
        return self.env["res.partner"].with_user(self.seller)

    def _assert_kept(self, partner, **values):
        with self._assert_refused("only a Billing clerk can move it.*Clerk"):
            self._move(partner, **values)

    def test_sales_moves_an_account_without_billing_data(self):
        self._move(self.bare)
        self.assertEqual(self.bare.commercial_partner_id, self.rich)

    def test_sales_cannot_move_an_account_with_walled_values(self):
        self._assert_kept(self.account)
        self.bare.tax_exempt = True
        self._assert_kept(self.bare)

    def test_walled_values_of_another_company_count(self):
        other = self.env["res.company"].create({"name": "Other Company"})
        self.bare.with_company(other).property_payment_term_id = self.terms
        self._assert_kept(self.bare)

    def test_sales_cannot_move_an_account_with_documents_or_banks(self):
        invoice = self.env["account.move"].create(
            {"move_type": "out_invoice", "partner_id": self.bare.id}
        )
        self._assert_kept(self.bare)
        invoice.unlink()
        self.env["res.partner.bank"].create(
            {"acc_number": "BE71096123456769", "partner_id": self.bare.id}
        )
        self._assert_kept(self.bare)

    def test_documents_of_a_contact_keep_the_account_where_it_is(self):
        contact = self.env["res.partner"].create(
            {"name": "Contact", "parent_id": self.bare.id}
        )
        self.env["account.move"].create(
            {"move_type": "out_invoice", "partner_id": contact.id}
        )
        self._assert_kept(self.bare)
        self._assert_kept(contact, parent_id=self.rich.id)

    def test_sales_cannot_move_it_from_the_other_side(self):
        # Contacts of a contact are written as the user who began the transaction.
        seller_env = self.env(user=self.seller)
        self.patch(self.env.transaction, "default_env", seller_env)
        private = self._create_account("Private", is_company=False)
        with self._assert_refused("Clerk"):
            self.rich.with_user(self.seller).write(
                {"child_ids": [Command.link(private.id)]}
            )
        with self._assert_refused("Clerk"):
            self._as_seller().create(
                {"name": "Shell", "child_ids": [Command.link(private.id)]}
            )
        self.account.with_user(self.seller).parent_id = self.rich
        self.assertEqual(
            self.account.commercial_partner_id, self.account, "grouped, not moved"
        )
        with self._assert_refused("Clerk"):
            self._move(self.account, company_type="person", parent_id=self.rich.id)
        with self._assert_refused("commercial_partner_id"):
            self._move(self.account, commercial_partner_id=self.rich.id)

    def test_a_contact_may_move_and_leaves_the_terms_behind(self):
        contact = self.env["res.partner"].create(
            {"name": "Contact", "parent_id": self.rich.id}
        )
        self.assertTrue(contact.tax_exempt, "mirrored")

        self._move(contact, parent_id=False)

        self.assertEqual(contact.commercial_partner_id, contact)
        self.assertFalse(contact._filtered_walled_values())
        self.assertFalse(contact.billing_contact_id)

    def test_a_contact_that_becomes_a_company_leaves_the_terms_behind(self):
        contact = (
            self.env["res.partner"]
            .with_user(self.seller)
            .create({"name": "Contact", "parent_id": self.rich.id})
        )
        contact.is_company = True
        self.assertFalse(contact.sudo()._filtered_walled_values())

    def test_a_contact_may_change_its_account(self):
        contact = self.env["res.partner"].create(
            {"name": "Contact", "parent_id": self.rich.id}
        )
        self._move(contact, parent_id=self.account.id)
        self.assertEqual(contact.commercial_partner_id, self.account)

    def test_a_clerk_moves_everything_and_it_is_logged(self):
        self._move(self.bare, self.clerk)
        event = self.env["crm.billing.event"].search([], limit=1)
        self.assertRecordValues(
            event,
            [
                {
                    "action": "moved",
                    "partner_id": self.bare.id,
                    "old_value": "Bare",
                    "new_value": "Rich, Bare",
                    "user_id": self.clerk.id,
                }
            ],
        )

    def test_sales_cannot_delete_a_billed_account(self):
        seller = new_test_user(
            self.env,
            login="billing_deleting_seller",
            groups="sales_team.group_sale_salesman,base.group_partner_manager",
        )
        with self._assert_refused("Clerk"):
            self.account.with_user(seller).unlink()
        self.bare.with_user(seller).unlink()


@tagged("post_install", "-at_install")
class TestMerge(RefusalCommon):
    """Merging repoints everything by SQL: billing accounts are the managers'."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.merging_seller = new_test_user(
            cls.env,
            login="billing_merging_seller",
            groups="sales_team.group_sale_salesman,base.group_partner_manager",
        )
        cls.account.email = "same@example.com"
        cls.twin = cls.env["res.partner"].create(
            {"name": "Northwind", "is_company": True, "email": "same@example.com"}
        )

    def _merge(self, user, partners=None, dst=None):
        partners = partners or (self.account | self.twin)
        wizard = (
            self.env["base.partner.merge.automatic.wizard"]
            .with_user(user)
            .create(
                {
                    "partner_ids": [Command.set(partners.ids)],
                    "dst_partner_id": (dst or partners[0]).id,
                }
            )
        )
        wizard.action_merge()

    def test_sales_cannot_merge_a_billing_account(self):
        for partners in (self.account | self.twin, self.twin | self.account):
            with self._assert_refused("only a Billing manager can merge it.*Manager"):
                self._merge(self.merging_seller, partners)
        with self.assertRaises(AccessError):
            self._merge(self.seller)
        wizard = self.env["base.partner.merge.automatic.wizard"]
        with self._assert_refused("Billing manager"):
            wizard.with_user(self.merging_seller)._merge(
                (self.account | self.twin).ids, extra_checks=False
            )

    def test_a_clerk_cannot_merge_a_billing_account(self):
        with self._assert_refused("Billing manager"):
            self._merge(self.clerk)

    def test_sales_with_contact_rights_merges_plain_contacts(self):
        other = self.twin.copy({"name": "Twin"})
        self._merge(self.merging_seller, self.twin | other)
        self.assertFalse(other.exists())

    def test_a_manager_merges_and_it_is_logged(self):
        self.twin.property_account_position_id = self.env[
            "account.fiscal.position"
        ].create({"name": "Abroad"})
        bank = self.env["res.partner.bank"].create(
            {"acc_number": "BE71096123456769", "partner_id": self.twin.id}
        )
        twin_id = self.twin.id

        self._merge(self.manager)

        self.assertFalse(self.twin.exists())
        self.assertEqual(bank.partner_id, self.account)
        events = self.env["crm.billing.event"].search(
            [("partner_id", "=", self.account.id), ("user_id", "=", self.manager.id)]
        )
        moved = events.filtered(lambda event: event.action == "moved")
        self.assertEqual(moved.old_value, f"Northwind (ID {twin_id})")
        filled = events.filtered(
            lambda event: event.field_name == "property_account_position_id"
        )
        self.assertEqual((filled.old_value, filled.new_value), (False, "Abroad"))

    def test_two_tax_numbers_are_two_customers(self):
        self.account.vat = "BE0477472701"
        self.twin.vat = "BE 0477.472.701"
        self.twin.flush_recordset()
        self._merge(self.manager)
        third = self.env["res.partner"].create(
            {"name": "N", "email": "same@example.com", "vat": "BE0428759497"}
        )
        with self._assert_refused("different tax numbers", UserError):
            self._merge(self.manager, self.account | third)

    def test_an_account_is_not_merged_with_its_payer(self):
        self.account.bill_to_id = self.twin
        with self._assert_refused("pays for one of the others", UserError):
            self._merge(self.manager)

    def test_a_merge_that_leaves_a_wrong_payer_is_refused(self):
        paid = self._create_account("Paid", bill_to_id=self.twin.id)
        paying = self._create_account("Paying")
        self.account.bill_to_id = paying
        with self._assert_refused("Northwind pays for Paid itself", UserError):
            self._merge(self.manager)
        self.assertEqual(paid.bill_to_id, self.twin)
