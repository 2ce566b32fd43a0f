from decimal import Decimal

from odoo import api, fields, models
from odoo.tools import format_amount

from ..billing_rules.review import Amounts, Term, judge_amounts, judge_term, source_of


class AccountMove(models.Model):
    """The checklist of a draft: what it bills beside what was agreed (B3, B4, C1)."""

    _inherit = "account.move"

    def _prefetch_for_review(self):
        """Read for the whole list what each checklist compares."""
        lines = self.sudo().invoice_line_ids
        orders = lines.sale_line_ids.order_id
        order_lines = orders.order_line
        orders.partner_invoice_id.mapped("commercial_partner_id")
        (lines.tax_ids | order_lines.tax_ids).mapped("name")
        order_lines.product_id.mapped("invoice_policy")
        order_lines.invoice_lines.mapped("parent_state")
        self._prefetch_agreements_for_review()
        for company, moves in self.grouped("company_id").items():
            accounts = moves.sudo().opportunity_ids.partner_id.commercial_partner_id
            accounts |= moves.sudo().agreement_ids.partner_id
            accounts |= moves.sudo().commercial_partner_id
            accounts.with_company(company).mapped("property_payment_term_id")

    def _get_checklist(self, usual, twin):
        """Return the rows of the review: draft, quotation, account, verdict, source."""
        self.ensure_one()
        orders = self.sudo().invoice_line_ids.sale_line_ids.order_id
        return [
            *self._check_quotation(orders),
            *self._check_terms(orders),
            self._check_taxes(orders),
            *self._check_amounts(orders, usual),
            self._check_twin(twin),
        ]

    def _check_quotation(self, orders):
        """Point out a draft that was made from the amounts of a deal alone."""
        agreements = self.sudo().agreement_ids
        from_amounts = agreements.filtered(
            lambda agreement: agreement.lead_id and not agreement.order_id
        )
        if agreements:
            is_odd = from_amounts and not self.billing_is_later
        else:
            is_odd = self.opportunity_ids and not orders
        if is_odd:
            yield {
                "code": "quotation",
                "name": self.env._("Lines"),
                "status": "missing",
                "draft": self.env._("from the expected revenue"),
                "quotation": self.env._("none"),
                "account": "",
                "source": self._format_source("deal"),
            }

    def _check_terms(self, orders):
        """Compare payer, recipient, terms, fiscal position and PO (B3, B4)."""
        _ = self.env._
        account = self._get_billing_account()
        payer = self.commercial_partner_id
        order = orders[:1]
        own = self._get_own_terms()
        position = account.sudo()._get_billing_fiscal_position(
            self.company_id, self.partner_shipping_id, self._get_taxing_date()
        )
        # An exemption comes and goes by date, whatever the quotation said.
        is_exempt = self._is_billed_exempt()
        rows = [
            (
                "payer",
                _("Paid by"),
                payer,
                order.partner_invoice_id.commercial_partner_id,
                account._get_payer(),
            ),
            (
                "recipient",
                _("Accounts payable"),
                self.partner_id,
                payer.browse(),
                payer._get_billing_address(),
            ),
            (
                "terms",
                _("Payment terms"),
                self.invoice_payment_term_id,
                order.payment_term_id,
                account.property_payment_term_id,
            ),
            (
                "fiscal_position",
                _("Fiscal position"),
                self.fiscal_position_id,
                position.browse() if is_exempt else order.fiscal_position_id,
                position,
            ),
            (
                "po",
                _("PO"),
                (self._is_ref_a_po() and self.ref) or "",
                order.client_order_ref or "",
                account.po_number or "",
            ),
        ]
        for code, label, draft, quoted, given in rows:
            quoted = own.get(code) or quoted
            if own.get(code) and self.billing_is_later:
                given = quoted  # the account's was looked at with the first invoice
            term = Term(code, draft, quoted, given)
            status = judge_term(term)
            if status == "missing" and not (code == "po" and account.po_required):
                status = "ok"
            yield {
                "code": code,
                "name": label,
                "status": status,
                "draft": self._format_term(draft),
                "quotation": self._format_term(quoted),
                "account": self._format_term(given),
                "source": self._format_source(
                    "agreement" if draft and own.get(code) == draft else source_of(term)
                ),
            }

    def _get_own_terms(self):
        """Return what the agreement says otherwise than the account."""
        agreement = self._get_reviewed_agreement()
        return {
            "payer": agreement.bill_to_id.commercial_partner_id,
            "terms": agreement.payment_term_id,
            "fiscal_position": agreement.fiscal_position_id,
            "po": agreement.po_number,
        }

    def _check_taxes(self, orders):
        """Compare each line's taxes with the quotation and the exemption.

        An exemption counts if it is valid on the invoice date (billing rules, 10.4).
        """
        _ = self.env._
        account = self._get_billing_account()
        today = self.invoice_date or fields.Date.context_today(self)
        expiry = account.tax_exempt_expiry
        is_exempt = account.tax_exempt and (not expiry or expiry >= today)
        lines = self.sudo().invoice_line_ids.filtered(
            lambda line: line.display_type == "product"
        )
        status, note = "ok", ""
        for line in lines:
            agreed = self._get_agreed_taxes(line)
            if agreed is not None and line.tax_ids != agreed:
                status, note = "differs", ", ".join(agreed.mapped("name")) or _("none")
            elif not line.tax_ids and not is_exempt:
                status, note = "missing", _("a line has no tax")
            elif is_exempt and any(line.tax_ids.mapped("amount")):
                status = "differs"
        return {
            "code": "tax",
            "name": _("Taxes"),
            "status": status,
            "draft": ", ".join(lines.tax_ids.mapped("name")) or _("none"),
            "quotation": note if status == "differs" else "",
            "account": (account.tax_exempt_reason or _("exempt"))
            if is_exempt
            else (note if status == "missing" else ""),
            "source": self._format_source("quotation" if orders else "account"),
        }

    def _check_amounts(self, orders, usual):
        """Compare amount and discount with the quotation and the account's habit."""
        _ = self.env._
        lines = self.sudo().invoice_line_ids.filtered(
            lambda line: line.display_type == "product"
        )
        agreed_lines = lines.sale_line_ids
        agreed = self._get_agreed_amount(orders) if orders else None
        if self.agreement_ids:
            agreed_lines = agreed_lines.browse()
            agreed = Decimal(str(self.amount_untaxed)) - self._get_ledger_difference()
        amounts = Amounts(
            draft=Decimal(str(self.amount_untaxed)),
            agreed=agreed,
            usual=usual and self._to_draft_currency(usual),
            discount=Decimal(str(max(lines.mapped("discount"), default=0))),
            agreed_discount=Decimal(
                str(max(agreed_lines.mapped("discount"), default=0))
            )
            if agreed_lines
            else None,
            discount_limit=Decimal(
                0
                if self.billing_is_later
                else str(self.company_id.billing_discount_limit)
            ),
        )
        verdicts = judge_amounts(amounts)
        remarks = {
            "zero": _("nothing is charged"),
            "unusual": _("ten times the usual amount of this account"),
            "limit": _("above the limit of %(limit)s %%", limit=amounts.discount_limit),
            "missing": _("an agreed discount is missing"),
        }
        money = self.currency_id
        source = "quotation" if orders else "deal"
        source = self._format_source("agreement" if self.agreement_ids else source)
        yield {
            "code": "amount",
            "name": _("Amount before tax"),
            "status": verdicts["amount"],
            "draft": format_amount(self.env, self.amount_untaxed, money),
            "quotation": ""
            if agreed is None
            else format_amount(self.env, float(agreed), money),
            "account": remarks.get(verdicts["amount"], ""),
            "source": source,
        }
        yield {
            "code": "discount",
            "name": _("Discount"),
            "status": verdicts["discount"],
            "draft": f"{float(amounts.discount):g} %",
            "quotation": ""
            if amounts.agreed_discount is None
            else f"{float(amounts.agreed_discount):g} %",
            "account": remarks.get(verdicts["discount"], ""),
            "source": source,
        }

    def _to_draft_currency(self, amount):
        money = self.company_currency_id._convert(
            float(amount),
            self.currency_id,
            self.company_id,
            self.invoice_date or fields.Date.context_today(self),
        )
        return Decimal(str(money))

    def _check_twin(self, twin):
        return {
            "code": "duplicate",
            "name": self.env._("Duplicate"),
            "status": "duplicate" if twin else "ok",
            "draft": self.env._("like %(invoice)s", invoice=twin.display_name)
            if twin
            else self.env._("none found"),
            "quotation": "",
            "account": "",
            "source": "",
        }

    def _get_agreed_amount(self, orders):
        """Return what the quotation leaves to this invoice, before tax.

        The order without what its other invoices bill, down payments included, and
        without what is invoiced only once it is delivered. What a down payment itself
        asks for is agreed elsewhere.
        """
        billed = self.invoice_line_ids.filtered(
            lambda line: line.display_type == "product"
        )
        if billed and all(billed.mapped("is_downpayment")):
            return Decimal(str(self.amount_untaxed))
        total = Decimal(0)
        for line in orders.order_line.filtered(lambda line: not line.display_type):
            elsewhere = line.invoice_lines.filtered(
                lambda invoiced: (
                    invoiced.move_id != self._origin
                    and invoiced.parent_state != "cancel"
                )
            )
            if line.is_downpayment:
                total -= sum(
                    Decimal(str(-invoiced.amount_currency)) for invoiced in elsewhere
                )
                continue
            quantity = line.product_uom_qty
            if line.product_id.invoice_policy == "delivery":
                quantity = line.qty_delivered
            others = sum(
                invoiced.product_uom_id._compute_quantity(
                    invoiced.quantity, line.product_uom_id
                )
                * (-1 if invoiced.move_type == "out_refund" else 1)
                for invoiced in elsewhere
            )
            if line.product_uom_qty:
                share = (quantity - others) / line.product_uom_qty
                amount = line.currency_id.round(line.price_subtotal * share)
                total += Decimal(str(amount))
        return total

    @api.model
    def _format_term(self, value):
        return value if isinstance(value, str) else (value.display_name or "")

    @api.model
    def _format_source(self, source):
        labels = {
            "quotation": self.env._("quotation"),
            "account": self.env._("account"),
            "manual": self.env._("by hand"),
            "deal": self.env._("deal"),
            "agreement": self.env._("agreement"),
        }
        return labels.get(source, "")

    def _get_usual_amounts(self):
        """Return ``{(account, company): Decimal}``: the average posted invoice.

        Before tax, in the company's currency.
        """
        groups = self.sudo()._read_group(
            [
                ("commercial_partner_id", "in", self.commercial_partner_id.ids),
                ("company_id", "in", self.company_id.ids),
                ("move_type", "=", "out_invoice"),
                ("state", "=", "posted"),
            ],
            ["commercial_partner_id", "company_id"],
            ["amount_untaxed_signed:avg"],
        )
        return {
            (account, company): Decimal(str(average))
            for account, company, average in groups
        }

    def _get_twins(self):
        """Return ``{draft: invoice}`` with the same account and amount this month."""
        candidates = self.sudo().search(
            [
                ("commercial_partner_id", "in", self.commercial_partner_id.ids),
                ("company_id", "in", self.company_id.ids),
                ("amount_total", "in", self.mapped("amount_total")),
                ("move_type", "=", "out_invoice"),
                ("state", "!=", "cancel"),
                ("create_date", ">=", "today -31d"),
            ]
        )
        by_key = candidates.grouped(
            lambda move: (
                move.company_id,
                move.commercial_partner_id,
                move.currency_id,
                move.amount_total,
            )
        )
        twins = {}
        for move in self:
            key = (
                move.company_id,
                move.commercial_partner_id,
                move.currency_id,
                move.amount_total,
            )
            others = by_key.get(key, self.browse()) - move._origin
            if move.agreement_ids:
                # The ledger keeps agreements from billing one period twice.
                others = others.filtered(lambda other: not other.agreement_ids)
            if others and move.amount_total:
                twins[move] = others[0]
        return twins
