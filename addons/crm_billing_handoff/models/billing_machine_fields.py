"""Fields that the flow writes and nobody else: states, links and review stamps.

``readonly=True`` locks a field in the form only: over RPC, by import or with a default
value anybody with write access could set it, and so fake a review, hide an invoice from
its deal or take a deal out of the queue.
"""

from odoo import api, fields, models
from odoo.exceptions import AccessError, UserError, ValidationError

from .crm_billing_event import Cause
from .crm_billing_period import COVERING
from .crm_billing_price_model import PRICE_FIELDS

# Under the context key ``billing_flow``: core code that we call as the user may go on.
# A call from outside can name the key, but cannot carry this very object.
FLOW = Cause("flow")

LEAD_FIELDS = (
    "billing_handoff_ids",
    "billing_move_ids",
    "billing_agreement_ids",
    "billing_next_date",
    "billing_state",
    "billing_payment_blocked",
    "billing_currency_id",
    "billing_amount_invoiced",
    "billing_amount_due",
    "billing_as_of",
)
HANDOFF_FIELDS = (
    "lead_id",
    "company_id",
    "state",
    "user_id",
    "team_id",
    "account_id",
    "payer_id",
    "payer_source",
    "order_ids",
    "move_ids",
    "agreement_id",
    "missing",
    "billing_error",
    "to_recheck",
    "is_held",
    "won_date",
    "expected_revenue",
    "billing_state",
)
MOVE_FIELDS = (
    "opportunity_ids",
    "agreement_ids",
    "is_billing_refund",
    "billing_reviewed_uid",
    "billing_reviewed_at",
    "billing_review_digest",
    "billing_retention_amount",
    "billing_release_ids",
    "agreement_ids",
    "is_billing_refund",
)
# What is billed already: without it an order would be invoiced a second time.
ORDER_LINE_FIELDS = (
    "invoice_lines",
    "qty_invoiced",
    "billing_line_ids",
    "is_billing_taken_over",
)
AGREEMENT_FIELDS = (
    "state",
    "payer_id",
    "billing_tz",
    "lead_id",
    "order_id",
    "period_ids",
    "move_ids",
    "next_invoice_date",
    "next_run_at",
    "mrr",
    "is_catch_up_held",
    "catch_up_confirmed_until",
    "catch_up_count",
    "billing_error",
    "cancel_date",
    "predecessor_id",
    "successor_ids",
)
AGREEMENT_LINE_FIELDS = (
    "predecessor_id",
    "successor_id",
    "end_reason",
    "sale_line_id",
    "period_ids",
    "start_at",
    "end_at",
    "change_id",
    "paused_end_date",
    "deposit_date",
)
# What an invoice line bills: without it its days would be due a second time.
MOVE_LINE_FIELDS = (
    "billing_line_id",
    "billing_period_ids",
    "billing_date_from",
    "billing_date_to",
    "billing_kind",
)
PAYMENT_FIELDS = ("billing_change_id", "billing_refund_key", "billing_refund_move_id")
# Of an agreement that has billed; its end is moved by a change, see `_check_end`.
FROZEN_AGREEMENT_FIELDS = {
    "partner_id",
    "start_date",
    "billed_until",
    "trial_days",
    "trial_anchor",
}
MILESTONE_FIELDS = (
    "company_id",
    "currency_id",
    "partner_id",
    "seller_id",
    "amount",
    "is_settled",
    "done_date",
    "done_uid",
    "state",
    "period_ids",
)
# What was billed stays provable: a change ends the line and starts another one.
FROZEN_LINE_FIELDS = {
    "agreement_id",
    "product_id",
    "billing_method",
    "quantity",
    "price_unit",
    "price_plan_unit",
    "price_plan_count",
    "discount",
    "plan_id",
    "interval_unit",
    "interval_count",
    "timing",
    "proration_basis",
    "start_date",
    "end_date",
    "anchor_date",
    "anchor_day",
    "discount_last_day",
    "meter_id",
    "tier_ids",
    *PRICE_FIELDS,
}


class CrmBillingMachineFields(models.AbstractModel):
    """Mixin: the fields of :meth:`_get_machine_fields` are the flow's alone."""

    _name = "crm.billing.machine.fields"
    _description = "Fields Written by the Billing Flow"

    @api.model
    def _get_machine_fields(self):
        return ()

    @api.model
    def _is_billing_flow(self):
        return self.env.su or self.env.context.get("billing_flow") is FLOW

    @api.model
    def _has_field_access(self, field, operation):
        """Override of `base` to keep hands off what the flow writes."""
        if (
            operation == "write"
            and field.name in self._get_machine_fields()
            and not self._is_billing_flow()
        ):
            return False
        return super()._has_field_access(field, operation)

    @api.model
    def _check_field_access(self, field, operation):
        """Override of `base` to say why a field cannot be written."""
        if (
            operation == "write"
            and field.name in self._get_machine_fields()
            and not self._is_billing_flow()
        ):
            raise AccessError(
                self.env._(
                    "%(field)s of %(model)s follows from the billing flow and is not "
                    "written by hand. Change what it follows from: the deal, the "
                    "quotation, the account or the invoice.",
                    field=field.get_description(self.env, ["string"])["string"],
                    model=self._description,
                )
            )
        return super()._check_field_access(field, operation)


class CrmLead(models.Model):
    _name = "crm.lead"
    _inherit = ["crm.lead", "crm.billing.machine.fields"]

    @api.model
    def _get_machine_fields(self):
        return LEAD_FIELDS

    def _merge_opportunity(self, *args, **kwargs):
        """Override of `crm` to let a merge carry the invoices of all merged deals."""
        return super(CrmLead, self.with_context(billing_flow=FLOW))._merge_opportunity(
            *args, **kwargs
        )


class CrmBillingHandoff(models.Model):
    _name = "crm.billing.handoff"
    _inherit = ["crm.billing.handoff", "crm.billing.machine.fields"]

    @api.model
    def _get_machine_fields(self):
        return HANDOFF_FIELDS

    @api.constrains("bill_to_id")
    def _check_bill_to(self):
        """A3: who pays is an active account; check_company looks at its company."""
        for handoff in self:
            payer = handoff.bill_to_id
            if payer and not payer.active:
                raise ValidationError(
                    self.env._(
                        "%(payer)s is archived and cannot pay for %(deal)s. Choose the "
                        "account that really pays.",
                        payer=payer.display_name,
                        deal=handoff.display_name,
                    )
                )

    def _check_can_process(self):
        """Override to keep also Billing to the companies it works in.

        The flow goes on as superuser: nothing after this looks at the record rules.
        """
        result = super()._check_can_process()
        self.check_access("read")
        return result


class AccountMove(models.Model):
    _name = "account.move"
    _inherit = ["account.move", "crm.billing.machine.fields"]

    @api.model
    def _get_machine_fields(self):
        return MOVE_FIELDS

    @api.model_create_multi
    def create(self, vals_list):
        """Override of `account` to link the deals with the hand of the flow.

        An accountant credits invoices of deals without being able to read them.
        """
        if self.env.su or not self._is_billing_flow():
            return super().create(vals_list)
        vals_list = [dict(vals) for vals in vals_list]
        names = ("opportunity_ids", "agreement_ids")
        links = [
            {name: vals.pop(name) for name in names if vals.get(name)}
            for vals in vals_list
        ]
        moves = super().create(vals_list)
        for move, link in zip(moves.sudo(), links, strict=True):
            if link:
                move.write(link)
        return moves

    def write(self, vals):
        """Override of `account` to keep a draft in the review once it is there."""
        if not vals.get("is_billing_review", True) and not self._is_billing_flow():
            if any(self.mapped("is_billing_review")):
                raise AccessError(
                    self.env._(
                        "A draft of Billing does not leave the review by hand. Correct "
                        "it, or delete it."
                    )
                )
        return super().write(vals)

    def _reverse_moves(self, default_values_list=None, cancel=False):
        """Override of `account` to let a credit note carry the deal."""
        flow = self.with_context(billing_flow=FLOW)
        return super(AccountMove, flow)._reverse_moves(default_values_list, cancel)

    def _set_reviewed(self):
        """Stamp the review, with the hand of the flow and the name of the person."""
        return super(AccountMove, self.with_context(billing_flow=FLOW))._set_reviewed()


class SaleOrderLine(models.Model):
    _name = "sale.order.line"
    _inherit = ["sale.order.line", "crm.billing.machine.fields"]

    @api.model
    def _get_machine_fields(self):
        return ORDER_LINE_FIELDS


class CrmBillingAgreement(models.Model):
    _name = "crm.billing.agreement"
    _inherit = ["crm.billing.agreement", "crm.billing.machine.fields"]

    @api.model
    def _get_machine_fields(self):
        return AGREEMENT_FIELDS

    def write(self, vals):
        """Override to keep what the billed periods were counted from."""
        frozen = {*FROZEN_AGREEMENT_FIELDS, "end_date"} & set(vals)
        if frozen and not self._is_billing_flow():
            self.filtered("period_ids")._check_frozen(vals, frozen)
        return super().write(vals)

    def _check_frozen(self, vals, names):
        for agreement in self:
            changed = [
                name
                for name in sorted(names)
                if agreement._fields[name].convert_to_write(agreement[name], agreement)
                != self._to_write(name, vals[name])
            ]
            if changed == ["end_date"] and agreement._is_end_free(vals["end_date"]):
                continue
            if changed:
                raise UserError(
                    self.env._(
                        "%(agreement)s has billed: %(fields)s is not overwritten. Use "
                        "“Change”, which shows credit and charge first.",
                        agreement=agreement.name,
                        fields=", ".join(
                            agreement._fields[name].get_description(
                                self.env, ["string"]
                            )["string"]
                            for name in changed
                        ),
                    )
                )

    def _to_write(self, name, value):
        is_day = self._fields[name].type == "date"
        return fields.Date.to_date(value) or False if is_day else value

    def _is_end_free(self, day):
        """Return whether nothing that is billed lies after ``day``."""
        covering = self.period_ids.filtered(lambda row: row.kind in COVERING)
        last = max(covering.mapped("date_to"), default=None)
        return (
            not day
            or not last
            or fields.Date.add(fields.Date.to_date(day), days=1) >= last
        )

    def action_start(self):
        """Override to start with the hand of the flow and the name of the person."""
        flow = self.with_context(billing_flow=FLOW)
        return super(CrmBillingAgreement, flow).action_start()

    def action_draft(self):
        """Override to go back with the hand of the flow and the name of the person."""
        flow = self.with_context(billing_flow=FLOW)
        return super(CrmBillingAgreement, flow).action_draft()


class CrmBillingAgreementLine(models.Model):
    _name = "crm.billing.agreement.line"
    _inherit = ["crm.billing.agreement.line", "crm.billing.machine.fields"]

    @api.model
    def _get_machine_fields(self):
        return AGREEMENT_LINE_FIELDS

    @api.model
    def _get_frozen_fields(self):
        """Return the fields that no hand changes once the line has billed."""
        return FROZEN_LINE_FIELDS

    def write(self, vals):
        """Override to leave changes of what has billed to the change of plan."""
        frozen = self._get_frozen_fields() & set(vals)
        if frozen and not self._is_billing_flow():
            billed = self.filtered("period_ids")
            if billed:
                raise UserError(
                    self.env._(
                        "%(lines)s has been billed: its terms are not overwritten. "
                        "Use “Change”, which shows credit and charge first.",
                        lines=", ".join(billed.mapped("name")),
                    )
                )
        return super().write(vals)


class CrmBillingMilestone(models.Model):
    _name = "crm.billing.milestone"
    _inherit = ["crm.billing.milestone", "crm.billing.machine.fields"]

    @api.model
    def _get_machine_fields(self):
        return MILESTONE_FIELDS


class AccountMoveLine(models.Model):
    _name = "account.move.line"
    _inherit = ["account.move.line", "crm.billing.machine.fields"]

    @api.model
    def _get_machine_fields(self):
        return MOVE_LINE_FIELDS

    def write(self, vals):
        """Override of `account`: what is retained of a posted invoice is released.

        Core writes these terms with the hand of whoever edits a draft.
        """
        retention = {"billing_is_retention", "billing_release_id"} & vals.keys()
        if (
            retention
            and not self._is_billing_flow()
            and any(line.parent_state == "posted" for line in self)
        ):
            raise AccessError(
                self.env._(
                    "A retention becomes due with “Release retention” on the invoice."
                )
            )
        return super().write(vals)


class AccountPayment(models.Model):
    _name = "account.payment"
    _inherit = ["account.payment", "crm.billing.machine.fields"]

    @api.model
    def _get_machine_fields(self):
        return PAYMENT_FIELDS
