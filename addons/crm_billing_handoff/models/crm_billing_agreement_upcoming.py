from dateutil.relativedelta import relativedelta

from odoo import fields, models
from odoo.exceptions import UserError
from odoo.tools import format_date

from .crm_billing_agreement_preview import YEARS_AHEAD

# Months looked ahead, one after the other, until enough documents are found.
HORIZONS = (1, 3, 12, 36, 120)
MOST = 120


class CrmBillingAgreement(models.Model):
    """The next documents of one agreement, for the form."""

    _inherit = "crm.billing.agreement"

    def get_upcoming_invoices(self, count=6):
        """Return the next documents, as the engine would make them; writes nothing.

        :param int count: how many, at most 120
        :return: ``{"documents": [...], "has_more": bool, "message": str}``, amounts and
            dates as text in the reader's language
        """
        self.ensure_one()
        self.check_access("read")
        count = max(1, min(int(count), MOST))
        papers, message = [], self._get_no_upcoming()
        if not message:
            try:
                papers = self._look_ahead(count)
            except UserError as error:
                message = str(error)
        if not papers and not message:
            message = self.env._("Nothing more will be billed.")
        return {
            "documents": [self._describe_upcoming(paper) for paper in papers[:count]],
            "has_more": len(papers) > count,
            "message": message,
        }

    def _get_no_upcoming(self):
        """Return why nothing is to come, in words."""
        _ = self.env._
        return {
            "draft": _("Start the agreement to see what it will bill."),
            "paused": _("The agreement is paused: nothing is billed until it resumes."),
            "cancelled": _("The agreement was cancelled."),
        }.get(self.state, "")

    def _look_ahead(self, count):
        """Preview further and further until there are more than ``count`` documents."""
        papers = []
        start = max(self._get_today(), self.next_invoice_date or self._get_today())
        last = fields.Date.add(fields.Date.context_today(self), years=YEARS_AHEAD)
        for months in HORIZONS:
            until = min(start + relativedelta(months=months), last)
            papers = self._read_ahead(
                until, lambda agreement, until=until: agreement.preview_invoices(until)
            )
            if len(papers) > count:
                break
        return papers

    def _read_ahead(self, until, read):
        """Return ``read(self)`` as it will be when scheduled changes are applied.

        They are applied in a savepoint that is always rolled back: nothing is kept.

        :param until: last day (local) of the changes that count
        :param read: function of the agreements; returns no record that is new
        """
        scheduled = (
            self.env["crm.billing.change"]
            .sudo()
            .search(
                [
                    ("agreement_id", "in", self.ids),
                    ("state", "=", "scheduled"),
                    ("date", "<=", until),
                ]
            )
        )
        if not scheduled:
            return read(self)
        silent = self.with_context(tracking_disable=True, mail_notrack=True)
        with self.env.cr.savepoint() as savepoint:
            for agreement in silent.sudo() & scheduled.agreement_id:
                agreement._apply_scheduled_changes(until)
            result = read(silent)
            savepoint.rollback()
        self.env.invalidate_all(flush=False)
        return result

    def _describe_upcoming(self, paper):
        currency = self.currency_id
        sign = -1 if paper["type"] == "out_refund" else 1
        names = [line["name"].split("\n")[0] for line in paper["lines"]]
        return {
            "date": fields.Date.to_string(paper["billing_date"]),
            "day": format_date(self.env, paper["billing_date"]),
            "is_refund": sign < 0,
            "summary": ", ".join(dict.fromkeys(names)),
            "untaxed": currency.format(sign * paper["untaxed"]),
            "tax": currency.format(sign * paper["tax"]),
            "total": currency.format(sign * paper["total"]),
            "lines": [
                {"name": line["name"], "amount": currency.format(line["amount"])}
                for line in paper["lines"]
            ],
        }
