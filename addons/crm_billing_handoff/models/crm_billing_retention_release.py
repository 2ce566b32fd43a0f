from decimal import Decimal

from odoo import api, fields, models
from odoo.exceptions import UserError
from odoo.fields import Command

from odoo.addons.account.models.account_move import BYPASS_LOCK_CHECK

from ..billing_rules.allocation import round_money


class CrmBillingRetentionRelease(models.Model):
    """One release: what a customer retained is asked for from a date on.

    The receivable instalment of the invoice follows from these rows, also after the
    invoice was reset to draft and posted again.
    """

    _name = "crm.billing.retention.release"
    _description = "Release of a Retention"
    _order = "id desc"
    _rec_name = "date"

    move_id = fields.Many2one(
        "account.move", string="Invoice", required=True, index=True, ondelete="cascade"
    )
    company_id = fields.Many2one(
        related="move_id.company_id", store=True, precompute=True, index=True
    )
    currency_id = fields.Many2one(
        related="move_id.currency_id", store=True, precompute=True
    )
    amount = fields.Monetary(required=True)
    date = fields.Date(required=True, string="Released On")
    date_due = fields.Date(
        required=True, help="The release date and the terms of the invoice."
    )
    user_id = fields.Many2one("res.users", required=True, string="Released By")

    _amount_positive = models.Constraint(
        "CHECK (amount > 0)", "A release has a positive amount."
    )

    # === BUSINESS METHODS === #

    @api.model
    def _release(self, vals_list):
        """Write releases, and divide the receivable instalments accordingly.

        What was paid or matched stays matched. The sums of the entry stay as they are,
        so that a closed period does not stand in the way.
        """
        moves = self.env["account.move"].browse(vals["move_id"] for vals in vals_list)
        # Clerks release; the rows and posted entries are written by the flow.
        moves = moves.sudo().with_context(
            bypass_lock_check=BYPASS_LOCK_CHECK, skip_readonly_check=True
        )
        matched = {move: move._get_retained_counterparts() for move in moves}
        with moves._check_balanced({"records": moves}):
            with moves._sync_dynamic_lines({"records": moves}):
                releases = self.sudo().create(vals_list)
        for move, counterparts in matched.items():
            move._match_again(counterparts)
        releases._note_release()
        return releases.sudo(False)

    def _note_release(self):
        bodies, events = {}, []
        for release in self:
            text = self.env._(
                "Retention released: %(amount)s, due on %(day)s.",
                amount=release.currency_id.format(release.amount),
                day=release.date_due,
            )
            bodies.setdefault(release.move_id.id, text)
            events.append(
                {
                    **release.move_id._prepare_billing_event("retention_released"),
                    "note": text,
                }
            )
        self.move_id._message_log_batch(bodies=bodies)
        self.env["crm.billing.event"]._log(events)


class AccountMove(models.Model):
    _inherit = "account.move"

    # === ACTION METHODS === #

    def action_release_retention(self, amount=None, date=None):
        """Release what the customers retained of posted invoices; for billing clerks.

        The released part is due at the release date plus the terms of the invoice.
        Invoices without an open retention are left as they are.

        :param amount: in the currency of the invoice, oldest invoice first; all of it
            by default
        :param date: the day from which the terms run; today by default
        :return: the releases
        :raise UserError: the amount is not positive or above what is still retained
        """
        self._check_is_biller()
        self.check_access("write")
        posted = self.filtered(
            lambda move: move.state == "posted" and move.billing_retention_open
        ).sorted(lambda move: (move.invoice_date, move.id))
        posted._check_release_amount(amount)
        left, vals_list = amount, []
        for move in posted:
            part = move.billing_retention_open
            if amount is not None:
                part = min(part, left)
                left = move.currency_id.round(left - part)
            if part:
                vals_list.append(move._prepare_release(part, date))
        return self.env["crm.billing.retention.release"]._release(vals_list)

    def action_open_retention_release(self):
        """Ask how much is released, and when."""
        self._check_is_biller()
        return {
            "type": "ir.actions.act_window",
            "name": self.env._("Release Retention"),
            "res_model": "crm.billing.retention.wizard",
            "view_mode": "form",
            "target": "new",
            "context": {"default_move_ids": [Command.set(self.ids)]},
        }

    # === BUSINESS METHODS === #

    def _check_release_amount(self, amount):
        if amount is None:
            return
        if len(self.currency_id) > 1:
            raise UserError(
                self.env._(
                    "These invoices have several currencies: release them one by one, "
                    "or all of what is retained."
                )
            )
        money, retained = self.currency_id, sum(self.mapped("billing_retention_open"))
        step = Decimal(str(money.rounding or 0.01))
        exact = Decimal(str(amount))
        if exact <= 0 or exact != round_money(exact, step):
            raise UserError(
                self.env._("Enter a positive amount that the currency can express.")
            )
        if exact > round_money(Decimal(str(retained)), step):
            raise UserError(
                self.env._(
                    "Only %(retained)s is still retained. Enter at most this amount.",
                    retained=money.format(retained) if money else "0",
                )
            )

    def _prepare_release(self, amount, date):
        """Return the values of a release of ``amount`` on ``date``."""
        self.ensure_one()
        if self.inalterable_hash and amount != self.billing_retention_open:
            raise UserError(
                self.env._(
                    "%(invoice)s is sealed in its journal: its instalments cannot be "
                    "divided. Release all of the retention at once.",
                    invoice=self.name,
                )
            )
        day = fields.Date.to_date(date) or self._get_release_day()
        return {
            "move_id": self.id,
            "amount": amount,
            "date": day,
            "date_due": self._get_release_due_date(day),
            "user_id": self.env.uid,
        }

    def _get_release_day(self):
        """Return the local date of the account."""
        account = self._get_billing_account().sudo()
        zone = account.billing_tz or self.company_id.billing_tz or "UTC"
        return fields.Date.context_today(self.with_context(tz=zone))

    def _get_release_due_date(self, day):
        """Return ``day`` plus the terms; of several instalments the last one's date."""
        terms = self.invoice_payment_term_id
        dates = [line._get_due_date(day) for line in terms.line_ids]
        return max(dates, default=day)

    def _get_retained_counterparts(self):
        """Return what is matched with the retained instalments already."""
        lines = self._get_retained_lines()
        return (
            lines.matched_credit_ids.credit_move_id
            | lines.matched_debit_ids.debit_move_id
        )

    def _match_again(self, counterparts):
        """Match what dividing an instalment has set free."""
        free = counterparts.filtered(lambda line: not line.reconciled)
        if not free:
            return
        lines = self.line_ids.filtered(
            lambda line: line.display_type == "payment_term" and not line.reconciled
        )
        lines = lines.sorted("date_maturity")
        (lines | free).reconcile()


class CrmBillingEvent(models.Model):
    _inherit = "crm.billing.event"

    action = fields.Selection(
        selection_add=[("retention_released", "Retention released")],
        ondelete={"retention_released": "cascade"},
    )
