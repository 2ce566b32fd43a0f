from odoo.tests import tagged

from .access_common import AccessCommon


@tagged("post_install", "-at_install")
class TestAccountsAgree(AccessCommon):
    """All reports show the account of today, not that of the day of the invoice"""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.holding = cls._create_account("Northwind Holding")

    @classmethod
    def _bill_all(cls):
        cls.contact = cls.env["res.partner"].create(
            {"name": "Accounts Payable", "parent_id": cls.account.id}
        )
        cls._create_dated(cls._ago(50), 70.0, cls._ago(45), account=cls.contact)
        return super()._bill_all()

    def _count_rows(self, account):
        """Return ``{report: rows of the account}`` of the reports that have any."""
        self.env.flush_all()
        self.env.invalidate_all()
        found = {}
        for name in self._get_reports():
            report = self.env[name].with_user(self.manager)
            rows = report.search_count([("partner_id", "=", account.id)])
            if rows:
                found[name] = rows
        return found

    def _assert_ties(self, account):
        for name in self._get_reports():
            report = self.env[name].with_user(self.manager)
            for proof in report.get_tie_outs([("partner_id", "=", account.id)]):
                with self.subTest(report=name, proof=proof["label"]):
                    self.assertEqual(proof["difference"], 0)

    def test_an_account_that_becomes_part_of_another(self):
        before = self._count_rows(self.account)
        self.assertGreaterEqual(len(before), 12, before)
        self.account.write({"is_company": False, "parent_id": self.holding.id})
        self.assertEqual(self.account.commercial_partner_id, self.holding)
        self.assertEqual(self._count_rows(self.account), {})
        self.assertEqual(self._count_rows(self.holding), before)
        self._assert_ties(self.holding)

    def test_a_merged_account(self):
        before = self._count_rows(self.foreign)
        wizard = self.env["base.partner.merge.automatic.wizard"].create({})
        wizard._merge((self.foreign | self.holding).ids, self.holding)
        self.assertFalse(self.foreign.exists())
        self.assertEqual(self._count_rows(self.holding), before)
        self._assert_ties(self.holding)

    def test_a_contact_that_changes_its_employer_takes_no_debt_along(self):
        before = self._count_rows(self.account)
        self.contact.parent_id = self.holding
        self.assertEqual(self._count_rows(self.holding), {})
        self.assertEqual(self._count_rows(self.account), before)
        self._assert_ties(self.account)
