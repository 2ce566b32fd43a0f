from datetime import timedelta

from odoo import api, fields, models
from odoo.exceptions import AccessError, UserError

from .crm_billing_agreement_line import RECURRING
from .crm_billing_period import COVERING

# Periods that a strip shows before today; more, but not more than this, when asked for.
PAST, PAST_LIMIT = 24, 1500


class CrmBillingAgreement(models.Model):
    """The coverage map: which periods of each line are billed, missing, to come."""

    _inherit = "crm.billing.agreement"

    def get_coverage_map(self, past=PAST):
        """Return one strip per chain of lines, read from the ledger; writes nothing.

        :param int past: how many periods before today, at most 1500
        :return: ``{"strips": [...], "missing": count, "rights": {...}}``, ready to be
            shown: dates and amounts are texts in the reader's language
        """
        self.ensure_one()
        self.check_access("read")
        # Whoever reads the agreement sees the numbers of its invoices, as on the deal.
        agreement = self.sudo()
        today = agreement._get_today(fields.Datetime.now())
        past = max(1, min(int(past), PAST_LIMIT))
        strips = [
            chain._get_coverage_strip(today, past)
            for chain in agreement._get_coverage_chains()
        ]
        return {
            "strips": strips,
            "missing": sum(strip["missing"] for strip in strips),
            "rights": {
                "bill": self.env.user.has_group(
                    "crm_billing_handoff.group_billing_user"
                ),
                "waive": self.env.user.has_group(
                    "crm_billing_handoff.group_billing_manager"
                ),
            },
        }

    def _get_coverage_chains(self):
        """Return each line with those that replaced or repeat it, oldest first."""
        chains = {}
        for line in self.line_ids.sorted(lambda line: (line.sequence, line.id)):
            root = line
            while root.predecessor_id and root.predecessor_id != line:
                root = root.predecessor_id
            chains.setdefault(root, self.line_ids.browse())
            chains[root] |= line
        return [
            chain.sorted(lambda line: (line._get_coverage_start(), line.id))
            for chain in chains.values()
        ]

    # === ACTION METHODS === #

    def bill_missing(self, until):
        """Make the drafts of what is due up to a local date, oldest first.

        :param until: date or its text, the billing date of the newest to bill
        :return: ids of the drafts
        :raise UserError: the agreement cannot be billed; says why
        """
        self.ensure_one()
        return self.generate_invoices(until=fields.Date.to_date(until)).ids

    def waive_period(self, line_id, date_from, date_to, reason):
        """Cover days of a line without an invoice, for good, with a reason.

        :param line_id: id of a line of this agreement
        :param date_from: first day, local
        :param date_to: first day that is not waived
        :raise AccessError: the user is no billing manager
        :raise UserError: no reason, days outside the service, or billed already
        """
        self.ensure_one()
        self._check_can_waive()
        date_from, date_to = map(fields.Date.to_date, (date_from, date_to))
        line = self.line_ids.filtered(lambda line: line.id == line_id)
        reason = (reason or "").strip()
        self._check_waivable(line, date_from, date_to, reason)
        # The ledger is written by the flow; the right was checked above.
        period = (
            self.env["crm.billing.period"]
            .sudo()
            .create(
                {
                    "line_id": line.id,
                    "date_from": date_from,
                    "date_to": date_to,
                    "kind": "usage" if line.billing_method == "usage" else "recurring",
                    "amount": 0.0,
                    "is_covered": True,
                    "note": self.env._("Waived: %(reason)s", reason=reason),
                }
            )
        )
        text = f"{line.name}, {period.display_name}: {reason}"
        self._log_event("waived", note=text)
        self.message_post(body=self.env._("Waived: %(text)s", text=text))
        return period.id

    @api.model
    def _check_can_waive(self):
        if not self.env.user.has_group("crm_billing_handoff.group_billing_manager"):
            raise AccessError(
                self.env._(
                    "Waiving what a customer owes needs a billing manager. Ask one, "
                    "or bill the period."
                )
            )

    def _check_waivable(self, line, date_from, date_to, reason):
        self.check_access("write")
        if not reason:
            raise UserError(self.env._("Say why the period is not billed."))
        if not line or line.billing_method not in RECURRING or not line.anchor_date:
            raise UserError(
                self.env._(
                    "Only periods of flat and usage lines of a started agreement can "
                    "be waived."
                )
            )
        end = line._get_end()
        if not line.start_date <= date_from < date_to or (end and date_to > end):
            raise UserError(
                self.env._(
                    "%(line)s does not serve all days from %(start)s to %(end)s.",
                    line=line.name,
                    start=date_from,
                    end=date_to - timedelta(days=1),
                )
            )
        billed = line.sudo().period_ids.filtered(
            lambda period: (
                period.kind in COVERING
                and period.date_from < date_to
                and date_from < period.date_to
            )
        )
        if billed:
            raise UserError(
                self.env._(
                    "%(days)s of these days are billed already. Credit the invoice "
                    "instead of waiving them.",
                    days=", ".join(billed.mapped("display_name")),
                )
            )


class CrmBillingEvent(models.Model):
    _inherit = "crm.billing.event"

    action = fields.Selection(
        selection_add=[("waived", "Period waived")], ondelete={"waived": "cascade"}
    )
