from collections import defaultdict

from odoo import fields, models
from odoo.exceptions import UserError

from .crm_billing_agreement_due import Document
from .crm_billing_agreement_invoice import Paper
from .crm_billing_change_plan import DAY


class CrmBillingAgreement(models.Model):
    _inherit = "crm.billing.agreement"

    def action_start(self):
        """Override to schedule the ends of the discounts that lines start with."""
        drafts = self.filtered(lambda agreement: agreement.state == "draft")
        result = super().action_start()
        drafts.sudo()._schedule_discount_ends()
        return result

    def action_draft(self):
        """Override to withdraw the ends of discounts: a start plans them anew."""
        result = super().action_draft()
        self.sudo().change_ids.filtered(
            lambda change: (
                change.state == "scheduled"
                and change.change_type == "discount"
                and not change.discount
                and not change.origin_id
            )
        ).state = "cancelled"
        return result

    def _schedule_discount_ends(self):
        changes = self.env["crm.billing.change"]
        changes.create(
            [
                {
                    "agreement_id": line.agreement_id.id,
                    "change_type": "discount",
                    "line_ids": [fields.Command.set(line.ids)],
                    "date": line.discount_last_day + DAY,
                    "discount": 0.0,
                    "state": "scheduled",
                }
                for line in self.line_ids
                if line.discount and line._is_recurring() and line._has_discount_end()
            ]
        )

    def _withdraw_changes_after(self, day):
        """Withdraw what was scheduled for days without service."""
        self.change_ids.filtered(
            lambda change: change.state == "scheduled" and change.date > day
        ).state = "cancelled"

    def _expects_any_invoice(self):
        """Return whether something else will be billed that rows can ride on."""
        self.ensure_one()
        facts = self.line_ids._read_coverage()
        return any(line._get_next_date(facts) for line in self.line_ids)

    def _settle_now(self, rows=None, day=None):
        """Invoice ledger rows that wait, on their own invoice or credit note (S8).

        What is negative in sum is one credit note, if it credits one invoice.

        :param rows: default: all rows of the agreement that wait
        :param day: local date of the change; the document is dated then or today
        :return: the drafts, posted where the agreement says so
        :raise UserError: what is credited is still a draft
        """
        self.ensure_one()
        if rows is None:
            rows = self._get_pending_periods().get(self, self.period_ids.browse())
        self._check_origins_posted(rows)
        today = self._get_today()
        papers = self._plan_settlement(rows, max(day or today, today), today)
        moves = self._make_papers(papers)
        moves._follow_invoice_mode()
        return moves

    def _plan_settlement(self, rows, day, today):
        cache = defaultdict(dict)
        dues = [row._to_due() for row in rows]
        document = Document(self, day, sorted(dues, key=self._get_row_order))
        origins = rows.debit_id.move_id
        if sum(due.amount for due in dues) < 0 and len(origins) == 1:
            header = self._prepare_credit_note(origins, day, cache)
            return [Paper(header, [document], is_refund=True)]
        return [paper for _key, paper in self._to_papers(document, day, cache)]

    def _check_origins_posted(self, rows):
        drafts = rows.debit_id.move_id.filtered(lambda move: move.state != "posted")
        if drafts:
            raise UserError(
                self.env._(
                    "%(draft)s, which bills these days, is still a draft. Post it "
                    "first, or delete it: then only what is used is billed.",
                    draft=", ".join(drafts.mapped("display_name")),
                )
            )

    def _get_position_today(self):
        """Return the fiscal position that an invoice of today would have."""
        self.ensure_one()
        agreement = self._origin.sudo()
        return agreement.fiscal_position_id or (
            agreement.partner_id._get_billing_fiscal_position(
                agreement.company_id, agreement.partner_id, agreement._get_today()
            )
        )
