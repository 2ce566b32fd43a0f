from collections import Counter
from decimal import Decimal

from odoo import api, models
from odoo.fields import Domain

from .crm_billing_report_mixin import ACCOUNT, TieOut

# Kinds of which each event of the log is one touch, and nothing else is.
LOGGED = ("disputed", "held", "not_billed", "not_sent", "not_won", "waived")
MOST_DOCUMENTS = 200


class CrmBillingTouchReport(models.Model):
    """The proof: what log and ledger have by their own lists is counted once."""

    _inherit = "crm.billing.touch.report"

    @api.model
    def _get_tie_outs(self, domain):
        """Override: credits against the credit notes, decisions against the audit log.

        Other kinds are found by order and have no list of their own. Filters that the
        lists do not know are left out of the proof; it says so.
        """
        domain = Domain(domain)
        names = {one.field_expr for one in domain.iter_conditions()}
        return [
            self._prove_credits(domain, names <= {"company_id", "partner_id"}),
            self._prove_log(domain, names <= {"company_id"}),
        ]

    def _prove_credits(self, domain, is_known):
        chosen = domain if is_known else Domain.TRUE
        own = self.search(chosen & Domain("kind", "=", "credit"))
        paths = {
            "company_id": "company_id",
            "partner_id": f"reversed_entry_id.{ACCOUNT}",
        }
        # Whoever reads the report is told what it is compared with.
        refunds = self.env["account.move"].sudo()
        refunds = refunds.search(
            Domain("move_type", "=", "out_refund")
            & Domain("state", "=", "posted")
            & Domain("reversed_entry_id", "!=", False)
            & Domain("company_id", "in", self.env.companies.ids)
            & chosen.map_conditions(
                lambda one: Domain(paths[one.field_expr], one.operator, one.value)
            )
        )
        planned = self.env["crm.billing.event"].sudo()
        planned = planned.search(
            [("move_id", "in", refunds.ids), ("action", "=", "billed")]
        )
        by_hand = refunds - planned.move_id
        _ = self.env._
        return self._compare(
            _("Credits") if is_known else _("Credits without these filters"),
            _("credit notes that no plan made"),
            by_hand,
            own,
        )

    def _prove_log(self, domain, is_known):
        chosen = domain if is_known else Domain.TRUE
        own = self.search(chosen & Domain("kind", "in", LOGGED))
        events = self.env["crm.billing.event"].sudo()
        events = events.search(
            Domain("action", "in", LOGGED)
            & Domain("company_id", "in", self.env.companies.ids)
            & chosen
        )
        _ = self.env._
        return self._compare(
            _("Decisions") if is_known else _("Decisions without these filters"),
            _("the audit log"),
            events,
            own,
        )

    @staticmethod
    def _compare(label, ledger_label, listed, own):
        """Return the proof that each of ``listed`` is one touch, no other one is."""
        known = set(listed.ids)
        counts = Counter(row.id // 8 for row in own)
        different = [
            number
            for number in sorted({*counts, *known})
            if counts[number] != (number in known)
        ]
        return TieOut(
            label=label,
            amount=Decimal(len(own)),
            ledger_label=ledger_label,
            ledger_amount=Decimal(len(listed)),
            currency_id=False,
            documents=()
            if len(own) == len(listed)
            else (listed._name, tuple(different[:MOST_DOCUMENTS])),
        )
