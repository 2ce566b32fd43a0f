from contextlib import contextmanager
from types import SimpleNamespace
from unittest.mock import patch

from odoo.fields import Command

from odoo.addons.base.models import res_users as base_users

from ..report_rules import books_file
from .common import ReportsCommon

FRESH = 10**12  # an identity that was checked, and stays so


class BooksCommon(ReportsCommon):
    """Books elsewhere that know one product and one tax, and take what is of 2026."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.manager.group_ids += cls.env.ref("base.group_allow_export")
        cls.system = cls._create_system("QuickBooks")

    @classmethod
    def _create_system(cls, name, **values):
        system = cls.env["crm.billing.system"].create(
            {
                "name": name,
                "company_id": cls.company.id,
                "user_id": cls.manager.id,
                "start_date": "2026-01-01",
                "no_tax_code": "NON",
                **values,
            }
        )
        for record, label in ((cls.product, "Consulting"), (cls.tax, "TAX")):
            cls._map(system, record, label)
        return system

    @classmethod
    def _map(cls, system, record, label, **values):
        return cls.env["crm.billing.system.map"].create(
            {
                "system_id": system.id,
                "model": record._name,
                "res_id": record.id,
                "external_name": label,
                **values,
            }
        )

    @classmethod
    def _create_batch(cls, system=None, until="2026-12-31"):
        batch = cls.env["crm.billing.export.batch"].with_user(cls.manager)
        return batch.create({"system_id": (system or cls.system).id, "date_to": until})

    @contextmanager
    def _at_the_keyboard(self, checked=True):
        """Act in a browser session, with the identity checked a moment ago or not."""
        session = {"identity-check-last": FRESH if checked else 0}
        request = SimpleNamespace(session=session)
        with patch.object(base_users, "request", request):
            yield

    def _collect(self, system=None):
        """Return a new batch, collected and checked."""
        batch = self._create_batch(system)
        batch.action_collect()
        return batch

    def _hand_out(self, batch, checked=True):
        with self._at_the_keyboard(checked):
            return batch.action_hand_out()

    def _deliver(self, system=None):
        """Return a batch that was collected and handed out."""
        batch = self._collect(system)
        self._hand_out(batch)
        self.assertEqual(batch.state, "handed_out")
        return batch

    def _read_file(self, batch, kind):
        """Return ``[{heading: text}]`` of the first file of a kind."""
        file = batch.sudo().attachment_ids.filtered(lambda one: kind in one.name)[:1]
        headings, rows = books_file.read_csv(file.raw)
        return [dict(zip(headings, row, strict=True)) for row in rows]

    def _get_line(self, batch, record):
        return batch.line_ids.filtered(
            lambda line: (line.model, line.res_id) == (record._name, record.id)
        )

    def _run_cron(self, name):
        with self.enter_registry_test_mode():
            self.env.ref(f"crm_billing_reports.{name}").method_direct_trigger()

    def _get_row(self, record, system=None):
        rows = self.env["crm.billing.crosswalk"]._get_rows(
            system or self.system, record._name, record.ids
        )
        return rows.get(record.id)

    def _create_taxed(self, day, lines, move_type="out_invoice", **values):
        """Return a posted document of ``lines``: (quantity, price, taxes)."""
        move = self.env["account.move"].create(
            {
                "move_type": move_type,
                "partner_id": self.account.id,
                "invoice_date": day,
                "invoice_payment_term_id": False,
                "invoice_date_due": day,
                "invoice_line_ids": [
                    Command.create(
                        {
                            "product_id": self.product.id,
                            "quantity": quantity,
                            "price_unit": price,
                            "tax_ids": [Command.set(taxes.ids)],
                        }
                    )
                    for quantity, price, taxes in lines
                ],
                **values,
            }
        )
        move.action_post()
        return move
