from datetime import timedelta
from decimal import Decimal

from odoo import api, models
from odoo.exceptions import UserError
from odoo.fields import Domain

# Under the context key ``billing_counting``: only counted, not billed, so that nothing
# has to be refused. A call from outside can name the key, but cannot carry this object.
COUNTED = object()
# Milestones that are done are leaks of their own.
ELSEWHERE = ("milestone", "deposit_recovery")
# Of more agreements than this only the MRR is told: the radar must open when the job
# that bills has stood still for the whole book.
MOST = 1000


class CrmBillingAgreement(models.Model):
    """What an agreement owes that should have been billed, as the engine counts it."""

    _inherit = "crm.billing.agreement"

    def _check_billable(self):
        """Override of `crm_billing_handoff` to count what is on hold, too."""
        if self.env.context.get("billing_counting") is COUNTED:
            return None
        return super()._check_billable()

    @api.model
    def _get_unbilled_amounts(self, now):
        """Return ``{agreement id: (amount, is estimated)}`` of what is overdue.

        Of the companies that the user has chosen: no other is shown.

        Amounts are those that the engine would bill on the account's today, before
        tax, in the currency of the agreement, without milestones. Kept for the
        transaction as long as nothing is billed: one screen asks several times.

        :param now: instant, naive UTC
        """
        agreements = self.sudo().with_context(active_test=False)
        found = agreements.search(
            Domain("company_id", "in", self.env.companies.ids)
            & Domain("state", "in", ("running", "paused"))
            & Domain("next_invoice_date", "<=", now.date() + timedelta(days=1)),
            order="next_invoice_date, id",
        )
        found = found.filtered(
            lambda one: one.next_invoice_date < one._get_today(now) or one._is_stuck()
        )
        key = ("crm_billing_leak", now.date(), *found._get_unbilled_marks())
        cache = self.env.cr.cache
        if key not in cache:
            cache[key] = found[:MOST]._count_unbilled(now)
            cache[key].update(
                (one.id, (Decimal(str(one.mrr)), True)) for one in found[MOST:]
            )
        return cache[key]

    def _is_stuck(self):
        """Return whether the run passes the agreement over until a person acts."""
        return bool(self.billing_error or self.is_catch_up_held)

    def _get_unbilled_marks(self):
        """Return what changes when something of the agreements is billed or changed."""
        return [(one.id, one.next_invoice_date, one.mrr) for one in self]

    def _count_unbilled(self, now):
        """Return ``{agreement id: (amount, is estimated)}``; writes nothing."""
        counted = self.with_context(
            billing_look_ahead=True, billing_counting=COUNTED, active_test=False
        )
        try:
            papers, errors, _held = counted._plan_papers(now)
        except (UserError, ValueError):
            # Something that the planning reads for all at once is broken.
            return {one.id: (Decimal(str(one.mrr)), True) for one in self}
        amounts = {one.id: (Decimal(str(one.mrr)), True) for one in errors}
        for paper in papers:
            for document in paper.documents:
                known, is_estimated = amounts.get(
                    document.agreement.id, (Decimal(0), False)
                )
                rows = (
                    row for row in document.rows if row.vals["kind"] not in ELSEWHERE
                )
                total = sum((row.amount for row in rows), known)
                amounts[document.agreement.id] = (total, is_estimated)
        return amounts
