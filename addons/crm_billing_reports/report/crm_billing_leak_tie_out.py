from datetime import timedelta
from decimal import Decimal

import pytz

from odoo import api, fields, models
from odoo.fields import Domain

from .crm_billing_report_mixin import ACCOUNT, TieOut

# Filters that the ledger knows as well, by their name on an invoice.
MOVE_FIELDS = {
    "company_id": "company_id",
    "partner_id": ACCOUNT,
    "user_id": "invoice_user_id",
    "team_id": "team_id",
}
WAIVING = ("is_waived", "waiver_id", "amount_waived")
INVOICES = ("draft", "unsent", "bounced")


class CrmBillingLeakReport(models.Model):
    """The proof: invoices in the radar are those of the ledger that never arrived."""

    _inherit = "crm.billing.leak.report"

    @api.model
    def _get_tie_outs(self, domain):
        """Override: drafts and undelivered invoices, waived ones included.

        Filters that the ledger does not know are left out of the proof; it says so.
        """
        domain = Domain(domain).map_conditions(
            lambda leaf: Domain.TRUE if leaf.field_expr in WAIVING else leaf
        )
        is_known = all(
            leaf.field_expr in MOVE_FIELDS for leaf in domain.iter_conditions()
        )
        chosen = domain if is_known else Domain.TRUE
        leaks = self.search(chosen & Domain("kind", "in", INVOICES))
        moves = self._find_leaking_moves(chosen)
        return [
            self._prove(
                leaks.filtered(lambda leak, own=company: leak.company_id == own),
                moves.filtered(lambda move, own=company: move.company_id == own),
                company,
                is_known,
            )
            for company in self._get_proved(leaks.company_id | moves.company_id)
        ]

    def _prove(self, leaks, moves, company, is_known):
        _ = self.env._
        label = _("Invoices at risk, with waived ones")
        if not is_known:
            label = _("Invoices at risk, with waived ones, without these filters")
        if len(self.env.companies) > 1:
            label = f"{company.name}: {label}"
        shown = leaks.move_id
        different = tuple(((shown | moves) - (shown & moves)).ids)
        return TieOut(
            label=label,
            amount=sum(
                (_exact(leak.amount) + _exact(leak.amount_waived) for leak in leaks),
                Decimal(0),
            ),
            ledger_label=_("drafts and invoices not delivered"),
            ledger_amount=sum(map(self._get_open_untaxed, moves), Decimal(0)),
            currency_id=company.currency_id.id,
            documents=("account.move", different) if different else (),
        )

    # === BUSINESS METHODS - THE LEDGER === #

    def _find_leaking_moves(self, domain):
        """Return what lies too long or did not arrive, as the ledger has it."""
        found = self.env["account.move"].search(
            Domain("move_type", "=", "out_invoice")
            & Domain("company_id", "in", self.env.companies.ids)
            & (
                Domain("state", "=", "draft")
                | (
                    Domain("state", "=", "posted")
                    & Domain("payment_state", "in", ("not_paid", "partial"))
                    & Domain("is_move_sent", "=", False)
                )
            )
            & domain.map_conditions(
                lambda leaf: Domain(
                    MOVE_FIELDS[leaf.field_expr], leaf.operator, leaf.value
                )
            )
        )
        now = pytz.utc.localize(fields.Datetime.now())
        return found.filtered(lambda move: self._is_leaking(move, now))

    def _is_leaking(self, move, now):
        """Return whether the patience of the company is over, where the account is."""
        company = move.company_id
        account = move.commercial_partner_id.commercial_partner_id
        zone = account.billing_tz or company.billing_tz or "UTC"
        today = now.astimezone(pytz.timezone(zone)).date()
        if move.state == "draft":
            days = company.billing_leak_draft_days
            since = max(
                move.invoice_date or move.create_date.date(), move.create_date.date()
            )
            waits = move.auto_post != "no" and move.date > now.date()
            return not waits and since + timedelta(days=days) <= today
        days = 0 if move.dunning_undelivered else company.billing_leak_unsent_days
        return (
            move.amount_residual > 0
            and move.invoice_date + timedelta(days=days) <= today
        )

    def _get_open_untaxed(self, move):
        """Return what is open of an invoice, before tax, company currency."""
        untaxed = _exact(move.amount_untaxed_signed)
        if move.state == "draft":
            return untaxed
        share = _exact(move.amount_residual) / _exact(move.amount_total)
        currency = move.company_currency_id
        return _exact(currency.round(float(untaxed * share)))


def _exact(amount):
    return Decimal(str(amount or 0))
