from odoo import api, fields, models
from odoo.exceptions import AccessError, UserError

from odoo.addons.crm_billing_handoff.models.crm_billing_event import Cause

from .crm_dunning_case_person import GROUP_MANAGER

# The customer accepts online: under the context key ``dunning_acceptance``. A call from
# outside can name the key, but cannot carry this very object.
ACCEPTANCE = Cause("acceptance")
ALLOWANCE = ("dunning_allowed_uid", "dunning_allowed_at", "dunning_allow_reason")
PAYERS = {"partner_id", "partner_invoice_id"}
ACTIVITY_ORDER = "mail.mail_activity_data_todo"


class SaleOrder(models.Model):
    """A quotation for an account that owes: shown, and by policy not confirmed (H4).

    What the customer accepts online is never lost: it is confirmed, and its salesperson
    is told.
    """

    _name = "sale.order"
    _inherit = ["sale.order", "crm.dunning.overdue.mixin"]

    # Customers read their own orders, not what we think of them.
    dunning_overdue_note = fields.Char(
        compute="_compute_dunning_overdue", groups="base.group_user"
    )
    dunning_overdue_level = fields.Selection(
        [("warn", "Warn"), ("block", "Block")],
        compute="_compute_dunning_overdue",
        groups="base.group_user",
    )
    dunning_case_ids = fields.Many2many(
        "crm.dunning.case",
        compute="_compute_dunning_overdue",
        groups="base.group_user",
    )
    dunning_allowed_uid = fields.Many2one(
        "res.users",
        string="Allowed By",
        readonly=True,
        copy=False,
        groups="base.group_user",
    )
    dunning_allowed_at = fields.Datetime(
        readonly=True, copy=False, groups="base.group_user"
    )
    dunning_allow_reason = fields.Char(
        string="Allowed Because", readonly=True, copy=False, groups="base.group_user"
    )

    # === COMPUTE METHODS === #

    @api.depends("partner_id", "partner_invoice_id", "state", "company_id")
    @api.depends_context("uid")
    def _compute_dunning_overdue(self):
        quotations = self.filtered(lambda order: order.state in ("draft", "sent"))
        found = quotations._get_overdue(fields.Datetime.now())
        for order in self:
            rows = [row for row in found.get(order, []) if row[1].level]
            levels = {overdue.level for _account, overdue in rows}
            order.dunning_overdue_level = next(
                (level for level in ("block", "warn") if level in levels), False
            )
            order.dunning_overdue_note = (
                order._describe_all_overdue(rows, order.company_id) if rows else False
            )
            order.dunning_case_ids = order._get_readable_cases(rows)

    def _get_overdue_accounts(self):
        return {
            order: (
                order.company_id or order.env.company,
                order.partner_id.commercial_partner_id._origin
                | order.partner_invoice_id.commercial_partner_id._origin,
            )
            for order in self
        }

    # === CRUD METHODS === #

    @api.model_create_multi
    def create(self, vals_list):
        orders = super().create(vals_list)
        orders.filtered(lambda order: order.state == "sale")._check_overdue()
        return orders

    def write(self, vals):
        """Override to look at what the account owes, however an order is confirmed.

        An order that moves to another account is looked at anew: what was allowed was
        allowed for the first one.
        """
        if vals.get("state") == "sale":
            new = self.filtered(lambda order: order.state != "sale")
            new._check_overdue()
        if not PAYERS & vals.keys():
            return super().write(vals)
        before = {order: order._get_payers() for order in self}
        result = super().write(vals)
        moved = self.filtered(lambda order: order._get_payers() - before[order])
        allowed = moved.sudo().filtered("dunning_allowed_at")
        allowed.write(dict.fromkeys(ALLOWANCE, False))
        moved.filtered(lambda order: order.state == "sale")._check_overdue()
        return result

    def _get_payers(self):
        people = self.sudo().partner_id | self.sudo().partner_invoice_id
        return people.commercial_partner_id

    def _validate_order(self):
        """Override of `sale`: what a customer accepts online is not refused."""
        accepted = self.with_context(dunning_acceptance=ACCEPTANCE)
        return super(SaleOrder, accepted)._validate_order()

    # === ACTION METHODS === #

    def action_allow_overdue(self, reason=None):
        """Let these quotations be confirmed although the account owes.

        :param reason: why; asked for where it is missing
        :raise AccessError: the user is no billing manager
        """
        if not self.env.su and not self.env.user.has_group(GROUP_MANAGER):
            raise AccessError(
                self.env._("Ask a billing manager to allow orders of such accounts.")
            )
        self.check_access("read")
        if not (reason or "").strip():
            return self._ask_why_allowed()
        # A billing manager need not be a salesperson of the order.
        self.sudo().write(
            {
                "dunning_allowed_uid": self.env.uid,
                "dunning_allowed_at": fields.Datetime.now(),
                "dunning_allow_reason": reason.strip(),
            }
        )
        self._log_overdue("order_allowed", reason.strip())
        return True

    def _ask_why_allowed(self):
        return {
            "type": "ir.actions.act_window",
            "name": self.env._("Allow although overdue"),
            "res_model": "crm.dunning.order.wizard",
            "view_mode": "form",
            "target": "new",
            "context": {"default_order_ids": self.ids},
        }

    def action_view_dunning_cases(self):
        """Open the cases of the account that the user may see."""
        return self.dunning_case_ids._get_case_action()

    # === BUSINESS METHODS === #

    def _check_overdue(self):
        """Refuse to confirm where the policy says so; log what is confirmed anyway.

        :raise UserError: the account owes, and nobody has allowed the order
        """
        found = self._get_overdue(fields.Datetime.now())
        for order, rows in found.items():
            rows = [row for row in rows if row[1].level]
            if not rows:
                continue
            note = order._describe_all_overdue(rows, order.company_id)
            is_blocked = any(overdue.level == "block" for _account, overdue in rows)
            is_accepted = self.env.context.get("dunning_acceptance") is ACCEPTANCE
            if is_blocked and not order.dunning_allowed_at and not is_accepted:
                raise UserError(order._get_block_reason(note))
            order._log_overdue("order_overdue", note)
            order._message_log(
                body=self.env._("Confirmed although: %(note)s", note=note)
            )
            if is_accepted:
                order._tell_acceptance(note)

    def _get_block_reason(self, note):
        self.ensure_one()
        return self.env._(
            "%(note)s %(order)s cannot be confirmed before it has paid. A billing "
            "manager can allow it on the quotation, with a reason.",
            note=note,
            order=self.name,
        )

    def _tell_acceptance(self, note):
        """Ask the salesperson what to do about an order of an account that owes."""
        self.ensure_one()
        order = self.sudo()
        owner = order.user_id.filtered("active")
        order.activity_schedule(
            ACTIVITY_ORDER,
            user_id=(owner or order.company_id._get_billing_responsible()).id,
            summary=self.env._("Accepted online by an account that owes"),
            note=note,
        )

    def _log_overdue(self, action, note):
        self.env["crm.billing.event"]._log(
            [
                {
                    "action": action,
                    "partner_id": order.partner_id.commercial_partner_id.id,
                    "company_id": order.company_id.id,
                    "lead_id": order.sudo().opportunity_id.id,
                    "note": f"{order.name}: {note}",
                }
                for order in self
            ]
        )


class PaymentTransaction(models.Model):
    _inherit = "payment.transaction"

    def _check_amount_and_confirm_order(self):
        """Override of `sale`: what a customer pays online is not refused."""
        accepted = self.with_context(dunning_acceptance=ACCEPTANCE)
        return super(PaymentTransaction, accepted)._check_amount_and_confirm_order()
