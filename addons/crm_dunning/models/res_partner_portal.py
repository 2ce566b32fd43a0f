"""Saved methods of a customer in the portal."""

from odoo import models
from odoo.exceptions import UserError
from odoo.fields import Domain


class ResPartner(models.Model):
    _inherit = "res.partner"

    def _get_portal_methods(self):
        """Return what the page of saved methods shows to this person.

        :return: ``failed``: invoices whose payment failed, with where to pay them;
            ``tokens``: own methods that may be charged automatically; ``chosen``
        """
        self.ensure_one()
        account = self.commercial_partner_id.sudo()
        cases = (
            self.env["crm.dunning.case"]
            .sudo()
            .search(
                [
                    ("partner_id", "=", account.id),
                    ("state", "!=", "closed"),
                    ("first_failure_at", "!=", False),
                ],
                order="date_due, id",
                limit=20,
            )
        )
        payable = cases.move_id.filtered(lambda move: move._has_to_be_paid())
        tokens = self._get_portal_tokens()
        return {
            "failed": payable,
            "tokens": tokens,
            "chosen": tokens & self._get_portal_chosen(tokens),
        }

    def _get_portal_tokens(self):
        """Return this person's own methods that are charged when invoices fall due."""
        tokens = self.env["payment.token"].sudo()
        return tokens.search(
            Domain("partner_id", "=", self.id)
            & Domain("provider_id.dunning_armed", "=", True)
            & Domain("dunning_blocked_class", "=", False),
            order="id desc",
        )

    def _get_portal_chosen(self, tokens):
        account = self.commercial_partner_id.sudo()
        chosen = self.env["payment.token"].sudo()
        for company in tokens.company_id:
            chosen |= account.with_company(company).dunning_token_id
        return chosen

    def _choose_portal_method(self, token_id):
        """Charge this method from now on; the person's own one, of one company.

        :raise UserError: it is none of this person's that can be charged
        """
        self.ensure_one()
        token = self._get_portal_tokens().filtered(lambda one: one.id == token_id)
        if not token:
            raise UserError(self.env._("Choose one of your own payment methods."))
        # Terms of payment are walled; the customer may say which own card we charge.
        account = self.commercial_partner_id.sudo().with_company(token.company_id)
        if account.dunning_token_id == token:
            return
        account.dunning_token_id = token
        account.message_post(
            body=self.env._(
                "%(person)s chose %(method)s for automatic payments in the portal.",
                person=self.display_name,
                method=token.display_name,
            ),
            author_id=self.id,
            subtype_xmlid="mail.mt_note",
        )
