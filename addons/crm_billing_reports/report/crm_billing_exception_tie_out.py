from collections import Counter

from odoo import api, models
from odoo.fields import Domain
from odoo.tools import SQL

from .crm_billing_exception_proof import MOST_DOCUMENTS
from .crm_billing_report_mixin import ACCOUNT


class CrmBillingExceptionReport(models.Model):
    _inherit = "crm.billing.exception.report"

    _ledger_paths = {"company_id": "company_id", "partner_id": ACCOUNT}


class CrmBillingExceptionChangeReport(models.Model):
    """The proof of the changes: each applied revision and each event of the log."""

    _inherit = "crm.billing.exception.change.report"

    @api.model
    def _get_tie_outs(self, domain):
        """Override: changes against revisions and the audit log, of the companies.

        The log knows no filter of this list; where there is one, the proof says so.
        """
        domain = Domain(domain)
        is_known = all(
            one.field_expr == "company_id" for one in domain.iter_conditions()
        )
        chosen = domain if is_known else Domain.TRUE
        companies = self.env.companies.filtered_domain(
            chosen.map_conditions(lambda one: Domain("id", one.operator, one.value))
        )
        # Whoever reads the report is told what it is compared with.
        revisions = self.env["crm.billing.price.revision"].sudo()
        revisions = revisions.search(
            [("state", "=", "applied"), ("company_id", "in", companies.ids)]
        )
        events = self.env["crm.billing.event"].sudo()
        logged = Domain("action", "=", "armed") | (
            Domain("action", "=", "updated") & Domain("old_value", "!=", False)
        )
        own = events.search(logged & Domain("company_id", "in", companies.ids))
        of_all = events.search(logged & Domain("company_id", "=", False))
        shown = self.search(chosen)
        proof = self.env["crm.billing.exception.proof"]
        return [
            proof._count(
                self.env._("Changes")
                if is_known
                else self.env._("Changes without these filters"),
                len(shown),
                self.env._("applied revisions and what the log has"),
                len(revisions) + len(own) + len(of_all) * len(companies),
                lambda: self._find_lost(shown, revisions, own | of_all, companies),
            )
        ]

    @api.model
    def _find_lost(self, shown, revisions, events, companies):
        """Return the revisions that are no change of the list, or else the events."""
        rows = self.env.execute_query(
            SQL(
                "SELECT change.kind = 'revision', change.source_id, change.company_id"
                " FROM (%s) change WHERE change.company_id = ANY(%s)",
                self._select_changes(),
                companies.ids,
            )
        )
        counts = Counter((is_revision, source) for is_revision, source, _id in rows)
        seen = set(shown.revision_id.ids)
        lost = [
            one for one in revisions.ids if one not in seen or counts[True, one] != 1
        ]
        if lost:
            return (revisions._name, tuple(lost[:MOST_DOCUMENTS]))
        lost = [
            event.id
            for event in events.sorted("id")
            if counts[False, event.id] != (1 if event.company_id else len(companies))
        ]
        return (events._name, tuple(lost[:MOST_DOCUMENTS]))
