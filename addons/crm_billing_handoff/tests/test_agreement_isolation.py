from datetime import date

from freezegun import freeze_time

from odoo.tests import tagged
from odoo.tools import mute_logger

from .agreement_common import AgreementCommon

RUN = "odoo.addons.crm_billing_handoff.models.crm_billing_agreement_run"
FIRST = date(2027, 1, 1)


@tagged("post_install", "-at_install")
@freeze_time("2027-01-01 12:00:00")
class TestAgreementIsolation(AgreementCommon):
    """One broken agreement leaves the others, and the invoice they share, intact."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.off_balance = cls.env["account.account"].create(
            {"name": "Off balance", "code": "999901", "account_type": "off_balance"}
        )
        cls.broken_product = cls._create_product(
            name="Broken", property_account_income_id=cls.off_balance.id
        )

    def _create_payer(self, name, number, broken=()):
        account = self._create_account(name)
        return self.env["crm.billing.agreement"].union(
            *(
                self._create_agreement(
                    partner_id=account.id,
                    product_id=(
                        self.broken_product if count in broken else self.product
                    ).id,
                    price_unit=10.0 + count,
                )
                for count in range(number)
            )
        )

    def test_who_shares_an_invoice_with_a_broken_agreement(self):
        """C14: fails inside create; the others of the payer are on one invoice."""
        before = self._create_payer("Before", 3)
        mixed = self._create_payer("Mixed", 4, broken=(2,))
        after = self._create_payer("After", 3)
        with mute_logger(RUN):
            invoices = self._run(FIRST)
        broken = mixed[2]
        self.assertEqual(len(invoices), 3)
        self.assertEqual(before.move_ids.agreement_ids, before)
        self.assertEqual(after.move_ids.agreement_ids, after)
        self.assertEqual((mixed - broken).move_ids.agreement_ids, mixed - broken)
        self.assertFalse(broken.move_ids)
        self.assertTrue(broken.billing_error)
        everyone = before | mixed | after
        self.assertEqual(everyone.filtered("billing_error"), broken)
        self.assertEqual(len(broken.activity_ids), 1)

    def test_a_repaired_agreement_is_billed_alone(self):
        mixed = self._create_payer("Mixed", 3, broken=(0,))
        with mute_logger(RUN):
            self._run(FIRST)
        self.off_balance.account_type = "income"
        mixed[0].action_retry()
        invoice = self._run(FIRST)
        self.assertEqual(invoice.agreement_ids, mixed[0])
        self.assertFalse(mixed.filtered("billing_error"))

    def test_several_broken_of_one_payer(self):
        mixed = self._create_payer("Mixed", 5, broken=(0, 3))
        with mute_logger(RUN):
            invoice = self._run(FIRST)
        self.assertEqual(invoice.agreement_ids, mixed[1] | mixed[2] | mixed[4])
        self.assertEqual(mixed.filtered("billing_error"), mixed[0] | mixed[3])

    def test_found_while_preparing(self):
        """The payer is archived: only its agreement waits, no batch fails."""
        good = self._create_payer("Good", 2)
        bad = self._create_payer("Bad", 1)
        bad.payer_id.action_archive()
        invoice = self._run(FIRST)
        self.assertEqual(invoice.agreement_ids, good)
        self.assertIn("archived", bad.billing_error)
        self.assertEqual(len(bad.activity_ids), 1)
        self.assertFalse(self._run(FIRST))
        self.assertEqual(len(bad.activity_ids), 1)
