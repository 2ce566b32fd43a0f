from odoo import api, fields, models
from odoo.fields import Command

# Lines that take back what another line charged keep its taxes (billing rules, 10.4).
TAKING_BACK = ("credit", "deposit_recovery")


class AccountMove(models.Model):
    """A draft carries the exemption that is valid on its invoice date (E2, E4)."""

    _inherit = "account.move"

    billing_exempt_reason = fields.Char(
        string="Exempt Because",
        compute="_compute_billing_exempt_reason",
        store=True,
        readonly=False,
        copy=False,
        help="Printed on the invoice.",
    )

    # === COMPUTE METHODS === #

    @api.depends("fiscal_position_id", "partner_id")
    def _compute_billing_exempt_reason(self):
        for move in self:
            reason = move.billing_exempt_reason
            if move.state == "draft" and move.is_sale_document():
                reason = move._is_billed_exempt() and move._get_exempt_reason()
            move.billing_exempt_reason = reason

    # === CRUD METHODS === #

    def write(self, vals):
        """Override of `account` to follow an exemption to another invoice date."""
        result = super().write(vals)
        if "invoice_date" in vals:
            self._apply_billing_exemption()
        return result

    def _post(self, soft=True):
        """Override of `account`: a draft without a date gets the one of today."""
        self._apply_billing_exemption()
        return super()._post(soft)

    # === BUSINESS METHODS === #

    def _is_billed_exempt(self):
        """Return whether the fiscal position is the one of exempt accounts."""
        self.ensure_one()
        exempt = self.company_id.sudo().billing_exempt_position_id
        return bool(exempt) and self.fiscal_position_id == exempt

    def _get_exempt_reason(self):
        account = self._get_billing_account().sudo()
        return account.tax_exempt_reason or self.env._("Exempt from tax")

    def _apply_billing_exemption(self):
        """Give drafts of Billing the taxes of their date, if an exemption decides them.

        Other fiscal positions are taken when the draft is made; what a person chooses
        on a draft stays.
        """
        cache = {}
        for move in self:
            if not move._follows_exemption():
                continue
            day = move._get_taxing_date()
            account = move._get_billing_account().sudo()
            if account._is_tax_exempt_on(day) != move._is_billed_exempt():
                position = account._get_billing_fiscal_position(
                    move.company_id, move.sudo().partner_shipping_id, day, cache
                )
                move._change_fiscal_position(position)

    def _follows_exemption(self):
        move = self.sudo()
        return (
            move.state == "draft"
            and move.move_type == "out_invoice"
            and (move.is_billing_review or bool(move.agreement_ids))
            and not move.agreement_ids.fiscal_position_id
        )

    def _get_taxing_date(self):
        """Return the invoice date, for a draft without one the local date of now."""
        if self.invoice_date:
            return self.invoice_date
        account = self._get_billing_account().sudo()
        zone = account.billing_tz or self.company_id.billing_tz or "UTC"
        now = self.with_context(tz=zone)
        return fields.Date.context_today(now)

    def _change_fiscal_position(self, position):
        """Map the lines anew from the taxes that they have without any position."""
        # Whoever posts may not read agreement or order.
        move = self.sudo()
        is_exempt = position == move.company_id.billing_exempt_position_id
        lines = move.invoice_line_ids.filtered(
            lambda line: (
                line.display_type == "product" and line.billing_kind not in TAKING_BACK
            )
        )
        move.write(
            {
                "fiscal_position_id": position.id,
                "billing_exempt_reason": is_exempt and move._get_exempt_reason(),
                "invoice_line_ids": [
                    Command.update(
                        line.id,
                        {
                            "tax_ids": [
                                Command.set(
                                    position.map_tax(line._get_unmapped_taxes()).ids
                                )
                            ]
                        },
                    )
                    for line in lines
                ],
            }
        )
        move._message_log(
            body=self.env._(
                "Taxes follow the invoice date: fiscal position %(position)s.",
                position=position.name or self.env._("none"),
            )
        )


class AccountMoveLine(models.Model):
    _inherit = "account.move.line"

    def _get_unmapped_taxes(self):
        """Return the taxes before any fiscal position: agreed, else the product's."""
        self.ensure_one()
        if self.billing_line_id:
            return self.billing_line_id.tax_ids
        order_line = self.sale_line_ids[:1]
        if order_line:
            return order_line._get_unmapped_taxes()
        taxes = self.product_id.taxes_id._filter_taxes_by_company(self.company_id)
        return taxes or self.tax_ids
