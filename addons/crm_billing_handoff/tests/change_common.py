from datetime import date, datetime, time

from freezegun import freeze_time

from odoo import fields

from .agreement_common import AgreementCommon


class ChangeCommon(AgreementCommon):
    """A monthly agreement that is billed, and changes of it on a day of our choice."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.changes = cls.env["crm.billing.change"]

    def _on(self, day, hour=12):
        """Move the clock to ``hour`` UTC of a day."""
        return freeze_time(datetime.combine(day, time(hour)))

    def _bill(self, day):
        """Run the job on a day, review and post what it made."""
        with self._on(day):
            moves = self._run(day)
            moves._set_reviewed()
            return self._post(moves)

    def _create_billed(self, start, price=84.0, **values):
        """Return an agreement that runs since ``start``, its first invoice posted."""
        with self._on(start):
            agreement = self._create_agreement(
                start_date=start, price_unit=price, **values
            )
        self._bill(start)
        return agreement

    def _create_change(self, agreement, change_type, day=None, user=None, **values):
        vals = {"agreement_id": agreement.id, "change_type": change_type, **values}
        if day:
            vals["date"] = day
        return self.changes.with_user(user or self.clerk).create(vals)

    def _change(self, agreement, change_type, day, today=None, user=None, **values):
        """Look at a change and apply it on ``today``, its own day by default."""
        with self._on(today or day):
            change = self._create_change(agreement, change_type, day, user, **values)
            change.action_preview()
            change.action_apply()
            self.env.flush_all()
        return change

    def _get_rows(self, agreement, *kinds):
        """Return ``[(kind, amount)]`` of the ledger, oldest first."""
        rows = agreement.period_ids.filtered(lambda row: not kinds or row.kind in kinds)
        return [
            (row.kind, row.amount)
            for row in rows.sorted(lambda row: (row.date_from, row.id))
        ]

    def _get_printed(self, moves):
        """Return ``[(kind, subtotal)]`` of the lines of documents."""
        return [
            (line.billing_kind, line.price_subtotal)
            for line in moves.invoice_line_ids.sorted("sequence")
            if line.display_type == "product"
        ]

    def _apply_due(self, day):
        """Run the job of changes and renewals on a day."""
        with self._on(day):
            self._apply_due_at(day, 12)

    def _apply_due_at(self, day, hour):
        self.env.flush_all()
        with self.enter_registry_test_mode(), self.env.registry.cursor() as cr:
            now = datetime.combine(day, time(hour))
            self.env(cr=cr)["crm.billing.change"]._cron_apply_due(now=now)
        self.env.invalidate_all()

    def _day(self, text):
        return fields.Date.to_date(text)


NOVEMBER = date(2027, 11, 5)
CHANGE_DAY = date(2027, 11, 19)
DECEMBER = date(2027, 12, 5)
