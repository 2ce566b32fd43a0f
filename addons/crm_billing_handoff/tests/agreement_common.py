from datetime import date, datetime, time

from odoo.fields import Command

from .common import BillingHandoffCommon


class AgreementCommon(BillingHandoffCommon):
    """Agreements of one line, and runs at a day of our choice."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.company.billing_catch_up_limit = 0
        cls.monthly = cls._create_plan()
        cls.tomorrow = date(2027, 1, 2)

    @classmethod
    def _create_plan(cls, **values):
        return cls.env["crm.billing.plan"].create({"name": "Test plan", **values})

    @classmethod
    def _create_agreement(cls, start=True, lines=None, **values):
        """Return an agreement of the account; line values may be given beside it.

        :param lines: list of line values; default: one flat line
        """
        names = cls.env["crm.billing.agreement.line"]._fields
        own = {
            name: values.pop(name)
            for name in list(values)
            if name in names
            and (
                name not in cls.env["crm.billing.agreement"]._fields
                or name in ("plan_id",)
            )
        }
        own = {"product_id": cls.product.id, "plan_id": cls.monthly.id, **own}
        agreement = cls.env["crm.billing.agreement"].create(
            {
                "partner_id": cls.account.id,
                "start_date": date(2027, 1, 1),
                "user_id": cls.seller.id,
                "line_ids": [
                    Command.create({**own, **line}) for line in (lines or [{}])
                ],
                **values,
            }
        )
        if start:
            agreement.action_start()
            cls.env.flush_all()
            agreement.invalidate_recordset()
        return agreement

    def _run(self, day, hour=12):
        """Run the billing job at ``hour`` UTC of ``day``; return the new documents."""
        known = self.env["account.move"].search([]).ids
        now = datetime.combine(day, time(hour))
        self.env.flush_all()
        with self.enter_registry_test_mode(), self.env.registry.cursor() as cr:
            self.env(cr=cr)["crm.billing.agreement"]._cron_invoice_due(now=now)
        self.env.invalidate_all()
        return self.env["account.move"].search([("id", "not in", known)], order="id")

    def _post(self, moves):
        moves.filtered(lambda move: move.state == "draft").action_post()
        return moves
