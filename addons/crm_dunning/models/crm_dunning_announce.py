"""Charges are announced: amount, date and method, some days before (F2)."""

import datetime

from odoo import api, fields, models
from odoo.tools import split_every

from .crm_dunning_attempt_job import CHARGED_DAYS
from .crm_dunning_follow_up import CHUNK_SIZE


class CrmDunningCase(models.Model):
    _inherit = "crm.dunning.case"

    # === BUSINESS METHODS - ANNOUNCEMENTS === #

    @api.model
    def _announce_charges(self, now):
        """Announce the charges that are due soon, one commit a chunk of invoices.

        Only under an armed policy that charges on the due date, for payers with a saved
        method that can be charged; each instalment once.

        :param now: instant, naive UTC
        """
        for move_ids in split_every(CHUNK_SIZE, self._find_to_announce(now), list):
            self.env["ir.cron"]._commit_progress()
            moves = self.env["account.move"].browse(move_ids)
            payers = self._lock_payers(moves.commercial_partner_id.ids)
            ours = moves.filtered_domain([("commercial_partner_id", "in", payers)])
            ours._announce_charge(now)

    @api.model
    def _find_to_announce(self, now):
        """Return ids of invoices with an instalment that is charged soon."""
        policies = self.env["crm.dunning.policy"].search(
            [
                ("state", "=", "armed"),
                ("charge_mode", "=", "due"),
                ("announce_days", ">", 0),
            ]
        )
        if not policies:
            return []
        # Local dates of the world are a day around that of UTC.
        today = now.date()
        first = today - datetime.timedelta(days=CHARGED_DAYS + 1)
        lines = self.env["account.move.line"].search(
            [
                ("display_type", "=", "payment_term"),
                ("parent_state", "=", "posted"),
                ("reconciled", "=", False),
                ("move_id.move_type", "=", "out_invoice"),
                ("date_maturity", ">=", first),
                (
                    "date_maturity",
                    "<=",
                    today
                    + datetime.timedelta(
                        days=max(policies.mapped("announce_days")) + 1
                    ),
                ),
            ]
        )
        known = self.env["crm.dunning.notice.line"].search(
            [("line_id", "in", lines.ids), ("kind", "=", "announced")]
        )
        return (lines - known.line_id).move_id.ids


class AccountMove(models.Model):
    _inherit = "account.move"

    # === BUSINESS METHODS - ANNOUNCEMENTS === #

    def _announce_charge(self, now):
        """Announce what of these invoices is charged within the days of the policy.

        :param now: instant, naive UTC
        """
        cases = self.env["crm.dunning.case"]
        blocks = self._get_dunning_blocks(now, "charge")
        free = self.sudo() - self.browse(move.id for move in blocks).sudo()
        coming = free._filtered_charge_coming(now)
        rows = self.env["account.move.line"]._get_open_instalments(coming.ids)
        for move in coming:
            try:
                with self.env.cr.savepoint():
                    move._announce_one_charge(rows[move.id], now)
            except cases._get_lost_races():
                raise
            except Exception as error:
                # Whatever one invoice breaks must not stop the others.
                self.env.invalidate_all()
                payer_id = move.commercial_partner_id.id
                cases._set_follow_up_error(now, payer_id, error)

    def _announce_one_charge(self, rows, now):
        """Announce the next charge; what nobody hears of is a person's, not charged.

        :param rows: open instalments
        """
        self.ensure_one()
        notices = self.env["crm.dunning.notice"].sudo()
        token = self._get_dunning_token()
        policy = self._get_charging_policy()
        due = self._filter_to_announce(rows, policy, now)
        if not due or not token.provider_id.dunning_armed:
            return
        values, at = notices._prepare_charge_notice(self, policy, now)
        if not values:
            case = self.env["crm.dunning.case"]._open_for(self)
            case._take_over("bounce", note=self.env._("No address takes mail."))
            return
        # Whoever hears of it late has as many days as everybody else.
        first = fields.Date.add(values["date"], days=policy.announce_days)
        notice = notices.create(
            {
                **values,
                "kind": "announcement",
                "charge_on": max(due[0].due, first),
                "method_name": token.display_name,
                "amount": float(sum(row.residual for row in due)),
            }
        )
        notice._name_instalments(due, "announced")
        notice._queue_at(at, now)

    def _get_charging_policy(self):
        """Return the policy that charges this invoice by itself, if one does."""
        self.ensure_one()
        payer = self.commercial_partner_id
        policy = payer._get_dunning_policies(self.company_id)[payer.id]
        return policy.filtered(
            lambda one: one.state == "armed" and one.charge_mode != "none"
        )

    def _filter_to_announce(self, rows, policy, now):
        """Return the instalments of the next charge that are not announced yet."""
        self.ensure_one()
        today = self.commercial_partner_id._get_dunning_today(self.company_id, now)
        until = today + datetime.timedelta(days=policy.announce_days)
        known = self.env["crm.dunning.notice.line"].search(
            [("move_id", "=", self.id), ("kind", "=", "announced")]
        )
        due = [
            row
            for row in rows
            if row.due <= until
            and not row.is_retention
            and row.line_id not in known.line_id.ids
        ]
        return [row for row in due if row.due == due[0].due]
