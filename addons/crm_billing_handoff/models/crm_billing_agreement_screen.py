from datetime import datetime

import pytz

from odoo import api, fields, models
from odoo.exceptions import UserError
from odoo.tools import format_date


class CrmBillingAgreement(models.Model):
    """What the form tells beside the values: where they come from, what waits."""

    _inherit = "crm.billing.agreement"

    payer_hint = fields.Char(compute="_compute_hints", compute_sudo=True)
    payment_term_hint = fields.Char(compute="_compute_hints", compute_sudo=True)
    fiscal_position_hint = fields.Char(compute="_compute_hints", compute_sudo=True)
    po_hint = fields.Char(compute="_compute_hints", compute_sudo=True)
    tz_hint = fields.Char(compute="_compute_tz_hint")
    draft_count = fields.Integer(compute="_compute_move_counts", compute_sudo=True)
    invoice_count = fields.Integer(compute="_compute_move_counts", compute_sudo=True)
    caught_up_count = fields.Integer(
        compute="_compute_move_counts",
        compute_sudo=True,
        help="Drafts of periods that should have been billed earlier.",
    )
    ledger_count = fields.Integer(compute="_compute_ledger_count")
    usage_count = fields.Integer(compute="_compute_usage_count", compute_sudo=True)
    has_usage = fields.Boolean(compute="_compute_methods")
    has_milestones = fields.Boolean(compute="_compute_methods")

    # === COMPUTE METHODS === #

    @api.depends("name", "partner_id.name")
    @api.depends_context("billing_show_account")
    def _compute_display_name(self):
        """Add the account where a number alone says too little, as in a calendar."""
        result = super()._compute_display_name()
        if self.env.context.get("billing_show_account"):
            for agreement in self:
                account = agreement.partner_id.name
                agreement.display_name = f"{agreement.display_name} · {account}"
        return result

    @api.depends("partner_id", "bill_to_id", "payment_term_id", "fiscal_position_id")
    @api.depends("po_number", "company_id", "payer_id")
    @api.depends_context("lang")
    def _compute_hints(self):
        """Say whose each value is, and what the account has otherwise (idea 4)."""
        today = fields.Date.context_today(self)
        for agreement in self:
            account = agreement.partner_id.with_company(agreement.company_id)
            position = account._get_billing_fiscal_position(
                agreement.company_id, account, today
            )
            pairs = {
                "payer_hint": (agreement.bill_to_id, account._get_payer()),
                "payment_term_hint": (
                    agreement.payment_term_id,
                    account.property_payment_term_id,
                ),
                "fiscal_position_hint": (agreement.fiscal_position_id, position),
            }
            for name, (own, theirs) in pairs.items():
                agreement[name] = agreement._get_hint(
                    own and own.display_name, theirs and theirs.display_name
                )
            agreement.po_hint = agreement._get_hint(
                agreement.po_number, account.po_number
            )

    def _get_hint(self, own, theirs):
        """Return where a value comes from, in words."""
        if not own:
            return self.env._(
                "%(value)s, follows the account", value=theirs or self.env._("None")
            )
        if own == theirs:
            return self.env._("own value, the account has the same")
        return self.env._(
            "own value, the account has %(value)s",
            value=theirs or self.env._("none"),
        )

    @api.depends("billing_tz", "next_invoice_date")
    @api.depends_context("tz", "uid")
    def _compute_tz_hint(self):
        """Name the zone of the billing day where it is not the reader's (D8)."""
        now = pytz.utc.localize(fields.Datetime.now())
        mine = self.env.tz
        for agreement in self:
            zone = pytz.timezone(agreement.billing_tz or "UTC")
            if zone.zone == mine.zone or agreement._has_same_clock(zone, mine):
                agreement.tz_hint = False
                continue
            local = now.astimezone(zone)
            agreement.tz_hint = self.env._(
                "in %(zone)s, where it is %(day)s, %(time)s",
                zone=zone.zone,
                day=format_date(self.env, local.date()),
                time=local.strftime("%H:%M"),
            )

    @api.model
    def _has_same_clock(self, zone, other):
        """Return whether two zones show the same time all the year round."""
        year = fields.Date.today().year
        instants = [
            datetime(year, month, 15, tzinfo=pytz.utc) for month in (1, 4, 7, 10)
        ]
        return all(
            instant.astimezone(zone).utcoffset()
            == instant.astimezone(other).utcoffset()
            for instant in instants
        )

    @api.depends("move_ids.state", "move_ids.invoice_date")
    def _compute_move_counts(self):
        for agreement in self:
            moves = agreement.move_ids
            drafts = moves.filtered(lambda move: move.state == "draft")
            agreement.draft_count = len(drafts)
            agreement.invoice_count = len(moves)
            late = drafts.filtered(lambda move, a=agreement: a._is_late(move))
            agreement.caught_up_count = len(late) if len(late) > 1 else 0

    def _is_late(self, move):
        """Return whether a draft bills what was due before the day it was made."""
        self.ensure_one()
        periods = move.invoice_line_ids.billing_period_ids.filtered(
            lambda period: (
                period.agreement_id == self and period.kind in ("recurring", "usage")
            )
        )
        made = self._get_today(move.create_date) if move.create_date else None
        days = [
            period.date_from if period.line_id.timing == "advance" else period.date_to
            for period in periods
        ]
        return bool(days) and bool(made) and min(days) < made

    @api.depends("period_ids")
    def _compute_ledger_count(self):
        counts = dict(
            self.env["crm.billing.period"]._read_group(
                [("agreement_id", "in", self.ids)], ["agreement_id"], ["__count"]
            )
        )
        for agreement in self:
            agreement.ledger_count = counts.get(agreement._origin, 0)

    @api.depends("line_ids.meter_id")
    def _compute_usage_count(self):
        counts = dict(
            self.env["crm.billing.usage"]._read_group(
                [("line_id", "in", self.line_ids.ids)], ["line_id"], ["__count"]
            )
        )
        for agreement in self:
            agreement.usage_count = sum(
                counts.get(line._origin, 0) for line in agreement.line_ids
            )

    @api.depends("line_ids.billing_method")
    def _compute_methods(self):
        """Say which tabs and columns the form needs."""
        for agreement in self:
            methods = set(agreement.line_ids.mapped("billing_method"))
            agreement.has_usage = "usage" in methods
            agreement.has_milestones = "milestone" in methods

    # === ACTION METHODS === #

    def action_view_usage(self):
        """Open the events that the lines of the agreement are billed for."""
        self.ensure_one()
        action = self.env["ir.actions.act_window"]._for_xml_id(
            "crm_billing_handoff.crm_billing_usage_action"
        )
        return {
            **action,
            "domain": [("line_id", "in", self.line_ids.ids)],
            "context": {},
            "path": False,
        }

    def action_view_drafts(self):
        """Open the drafts of the agreement, for the review."""
        self.ensure_one()
        action = self.env["ir.actions.act_window"]._for_xml_id(
            "crm_billing_handoff.account_move_action_to_review"
        )
        drafts = self.move_ids.filtered(lambda move: move.state == "draft")
        return {**action, "domain": [("id", "in", drafts.ids)], "path": False}

    def action_view_ledger(self):
        """Open the ledger rows of the agreement."""
        self.ensure_one()
        action = self.env["ir.actions.act_window"]._for_xml_id(
            "crm_billing_handoff.crm_billing_period_action"
        )
        return {
            **action,
            "domain": [("agreement_id", "=", self.id)],
            "context": {"billing_one_agreement": True},
            "path": False,
        }

    def action_view_lead(self):
        """Open the deal that the agreement comes from."""
        return self._get_window(self.lead_id)

    def action_view_order(self):
        """Open the quotation that the agreement comes from."""
        return self._get_window(self.order_id)

    def action_view_events(self):
        """Open the audit log of the agreement."""
        self.ensure_one()
        action = self.env["ir.actions.act_window"]._for_xml_id(
            "crm_billing_handoff.crm_billing_event_action"
        )
        return {
            **action,
            "domain": [("agreement_id", "=", self.id)],
            "path": False,
        }

    def _get_window(self, record):
        self.ensure_one()
        if not record:
            raise UserError(self.env._("This agreement was typed by hand."))
        return {
            "type": "ir.actions.act_window",
            "res_model": record._name,
            "res_id": record.id,
            "views": [(False, "form")],
        }


class AccountMove(models.Model):
    _inherit = "account.move"

    billing_agreement_names = fields.Char(
        string="Agreement",
        compute="_compute_billing_agreement_names",
        compute_sudo=True,
    )
    has_billing_period = fields.Boolean(
        compute="_compute_billing_agreement_names", compute_sudo=True
    )
    # Core's form counts payments, which Sales cannot read, so that a salesperson could
    # not open an invoice of his own deal. The number alone says nothing.
    payment_count = fields.Integer(compute_sudo=True)

    @api.depends("agreement_ids")
    def _compute_billing_agreement_names(self):
        for move in self:
            move.billing_agreement_names = ", ".join(move.agreement_ids.mapped("name"))
            move.has_billing_period = any(
                line.billing_date_from for line in move.invoice_line_ids
            )

    def action_view_agreements(self):
        """Open what the invoice bills."""
        self.ensure_one()
        agreements = self.agreement_ids
        action = self.env["ir.actions.act_window"]._for_xml_id(
            "crm_billing_handoff.crm_billing_agreement_action"
        )
        if len(agreements) == 1:
            return {
                **action,
                "res_id": agreements.id,
                "views": [(False, "form")],
                "path": False,
            }
        return {**action, "domain": [("id", "in", agreements.ids)], "path": False}


class AccountMoveLine(models.Model):
    _inherit = "account.move.line"

    billing_last_day = fields.Date(
        string="Service To",
        compute="_compute_billing_last_day",
        help="The last day of service, included.",
    )
    has_billing_explanation = fields.Boolean(
        compute="_compute_has_billing_explanation", compute_sudo=True
    )

    @api.depends("billing_date_to")
    def _compute_billing_last_day(self):
        for line in self:
            after = line.billing_date_to
            line.billing_last_day = after and fields.Date.subtract(after, days=1)

    @api.depends("billing_period_ids")
    def _compute_has_billing_explanation(self):
        for line in self:
            line.has_billing_explanation = bool(line.billing_period_ids)

    def _get_service_text(self):
        """Return the days of service for the PDF, where the description lost them."""
        self.ensure_one()
        if not self.billing_date_from or not self.billing_date_to:
            return ""
        days = [
            format_date(self.env, day)
            for day in (self.billing_date_from, self.billing_last_day)
        ]
        if all(day in (self.name or "") for day in days):
            return ""
        return " – ".join(dict.fromkeys(days))
