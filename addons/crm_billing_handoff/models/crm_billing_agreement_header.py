from odoo import models
from odoo.exceptions import UserError
from odoo.fields import Domain


class CrmBillingAgreement(models.Model):
    """The head of an invoice: payer, terms, fiscal position, dates, journal."""

    _inherit = "crm.billing.agreement"

    # === BUSINESS METHODS - VALUES === #

    def _prepare_invoice(self, billing_date, today, cache):
        """Return the values of an invoice without its lines.

        Payer, terms, fiscal position and PO follow the account unless the agreement
        has its own; all are looked up anew for each invoice (10.4).
        """
        self.ensure_one()
        account = self.partner_id.with_company(self.company_id)
        invoice_date = self._get_invoice_date(billing_date, today, cache)
        terms = self.payment_term_id or account.property_payment_term_id
        position = self._get_fiscal_position(invoice_date, cache)
        return {
            "move_type": "out_invoice",
            "company_id": self.company_id.id,
            "journal_id": self._get_journal(cache).id,
            "currency_id": self.currency_id.id,
            "partner_id": self._get_address(cache).id,
            "partner_shipping_id": self._get_delivery(cache),
            "invoice_date": invoice_date,
            "date": invoice_date,
            "invoice_payment_term_id": terms.id,
            "fiscal_position_id": position.id,
            "ref": self.po_number or account.po_number or False,
            "invoice_origin": self.name,
            "invoice_user_id": self.user_id.id or self.env.uid,
            "team_id": self.team_id.id,
        }

    def _prepare_credit_note(self, origin, today, cache):
        """Return the values of a credit note that names the invoice it credits."""
        header = self._prepare_invoice(today, today, cache)
        header |= {
            "move_type": "out_refund",
            "reversed_entry_id": origin.id,
            "invoice_payment_term_id": False,
        }
        if origin:
            header |= {
                "partner_id": origin.partner_id.id,
                "fiscal_position_id": origin.fiscal_position_id.id,
                "journal_id": origin.journal_id.id,
                "ref": origin.name,
            }
        return header

    def _get_invoice_date(self, billing_date, today, cache):
        """Return the later of billing date and today (1.7), or the billing date.

        Where the plan says so the billing date stays, unless books are locked then.
        """
        modes = set(self.line_ids.plan_id.mapped("invoice_date_mode"))
        if billing_date >= today or modes != {"billing_date"}:
            return max(billing_date, today)
        key = ("lock", self.company_id.id, billing_date)
        if key not in cache["locks"]:
            cache["locks"][key] = self.company_id._get_violated_lock_dates(
                billing_date, True, self._get_journal(cache)
            )
        return today if cache["locks"][key] else billing_date

    def _get_journal(self, cache):
        if self.journal_id:
            return self.journal_id
        key = (self.company_id.id, self.currency_id.id)
        if key not in cache["journals"]:
            journals = self.env["account.journal"]
            found = journals.search(
                Domain("type", "=", "sale")
                & Domain(journals._check_company_domain(self.company_id))
            )
            own = found.filtered(
                lambda journal: journal.currency_id == self.currency_id
            )
            journal = (own or found)[:1]
            if not journal:
                raise UserError(
                    self.env._(
                        "%(company)s has no sales journal. Set up its accounting.",
                        company=self.company_id.name,
                    )
                )
            cache["journals"][key] = journal
        return cache["journals"][key]

    def _get_address(self, cache):
        key = self.payer_id.id
        if key not in cache["addresses"]:
            cache["addresses"][key] = self.payer_id._get_billing_address()
        return cache["addresses"][key]

    def _get_delivery(self, cache):
        key = self.partner_id.id
        if key not in cache["deliveries"]:
            address = self.partner_id.address_get(["delivery"])
            cache["deliveries"][key] = address["delivery"]
        return cache["deliveries"][key]

    def _get_fiscal_position(self, invoice_date, cache):
        """Return the fiscal position valid on the invoice date (10.4)."""
        if self.fiscal_position_id:
            return self.fiscal_position_id
        delivery = self._get_delivery(cache)
        key = (self.partner_id.id, self.company_id.id, delivery, invoice_date)
        if key not in cache["positions"]:
            cache["positions"][key] = self.partner_id._get_billing_fiscal_position(
                self.company_id,
                self.partner_id.browse(delivery),
                invoice_date,
                cache["choices"],
            )
        return cache["positions"][key]
