from collections import defaultdict

from odoo import fields, models
from odoo.exceptions import UserError

YEARS_AHEAD = 10


class CrmBillingAgreement(models.Model):
    """What would be invoiced, without writing anything."""

    _inherit = "crm.billing.agreement"

    def preview_invoices(self, until):
        """Return what :meth:`generate_invoices` would make, oldest first.

        Taxes are core's own computation; nothing is written. What is not known yet,
        such as usage that has not been reported, counts as it is today.

        :param until: local date of each account, included
        :return: list of dicts: ``date``, ``billing_date``, ``type``, ``partner_id``,
            ``currency_id``, ``agreement_ids``, ``lines``, ``untaxed``, ``tax`` and
            ``total`` (document currency, credit notes positive as on the document)
        :raise UserError: something cannot be billed; the message says why
        """
        self.check_access("read")
        until = self._check_until(until)
        agreements = self.sudo().filtered(lambda agreement: agreement.state != "draft")
        agreements = agreements.with_context(billing_look_ahead=True)
        papers, errors, _held = agreements._plan_papers(until=until)
        for error in errors.values():
            raise error
        return self._preview_papers(papers)

    def _check_until(self, until):
        """Return a day up to which is billed, as a date.

        :raise UserError: it lies so far ahead that nobody means it
        """
        until = fields.Date.to_date(until)
        today = fields.Date.context_today(self)
        if until and until > fields.Date.add(today, years=YEARS_AHEAD):
            raise UserError(
                self.env._(
                    "Choose a day of the next %(years)s years.", years=YEARS_AHEAD
                )
            )
        return until

    def _preview_papers(self, papers):
        cache = defaultdict(dict)
        return [
            self._preview_paper(paper, cache) for paper in papers if not paper.is_noted
        ]

    def _preview_paper(self, paper, cache):
        header = paper.header
        currency = self.env["res.currency"].browse(header["currency_id"])
        company = self.env["res.company"].browse(header["company_id"])
        cache["position"] = {
            "id": self.env["account.fiscal.position"].browse(
                header["fiscal_position_id"]
            )
        }
        printed = [
            (row, row.line._prepare_move_line(row, paper, cache, self.env.lang))
            for row in paper.rows
        ]
        totals = self._get_preview_totals(
            [vals for _row, vals in printed], header, currency, company
        )
        return {
            "date": header["invoice_date"],
            "billing_date": min(document.billing_date for document in paper.documents),
            "type": header["move_type"],
            "partner_id": header["partner_id"],
            "currency_id": header["currency_id"],
            "agreement_ids": [document.agreement.id for document in paper.documents],
            "lines": [
                {
                    "line_id": row.line.id,
                    "name": vals["name"],
                    "kind": row.vals["kind"],
                    "date_from": row.vals["date_from"],
                    "date_to": row.vals["date_to"],
                    "factor": row.vals.get("factor"),
                    "quantity": vals["quantity"],
                    "price_unit": vals["price_unit"],
                    "discount": vals["discount"],
                    "amount": float(row.amount),
                }
                for row, vals in printed
            ],
            **totals,
        }

    def _get_preview_totals(self, vals_list, header, currency, company):
        """Return untaxed, tax and total of planned lines by core's tax computation."""
        taxes = self.env["account.tax"]
        partner = self.env["res.partner"].browse(header["partner_id"])
        is_refund = header["move_type"] == "out_refund"
        base_lines = [
            taxes._prepare_base_line_for_taxes_computation(
                {},
                product_id=self.env["product.product"].browse(vals["product_id"]),
                tax_ids=taxes.browse(vals["tax_ids"][0][2]),
                quantity=vals["quantity"],
                price_unit=vals["price_unit"],
                discount=vals["discount"],
                currency_id=currency,
                partner_id=partner,
                is_refund=is_refund,
            )
            for vals in vals_list
        ]
        taxes._add_tax_details_in_base_lines(base_lines, company)
        taxes._round_base_lines_tax_details(base_lines, company)
        summary = taxes._get_tax_totals_summary(base_lines, currency, company)
        return {
            "untaxed": summary["base_amount_currency"],
            "tax": summary["tax_amount_currency"],
            "total": summary["total_amount_currency"],
        }
