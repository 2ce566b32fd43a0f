"""Pay links of many invoices at once, made when the message is made (F1)."""

import uuid
from urllib.parse import urlencode

from odoo import models
from odoo.tools import SQL

from .account_move_charge import Busy


class AccountMove(models.Model):
    _inherit = "account.move"

    def _get_dunning_pay_links(self, amounts):
        """Return the pay links of what a message asks for, as core would make them.

        A link binds the amount, so it is never kept. One at a time it costs a dozen
        queries an invoice; here all of them cost a constant number.

        :param amounts: ``{move id: amount to pay}``, in the invoice's currency
        :return: ``{move id: link}`` of the invoices that can be paid online
        """
        moves = self.sudo()
        moves = moves.with_context(dunning_busy=Busy(moves._get_busy().ids)).filtered(
            lambda move: move.state == "posted" and move._has_to_be_paid()
        )
        payable = moves._get_companies_with_provider()
        moves = moves.filtered(lambda move: move.company_id in payable)
        moves._ensure_access_tokens()
        bases = {company: company.get_base_url() for company in moves.company_id}
        # One wizard for all: a record each would cost more than the links.
        wizard = self.env["payment.link.wizard"].sudo().new({"res_model": self._name})
        return {
            move.id: move._get_dunning_pay_link(
                wizard,
                bases[move.company_id],
                float(amounts.get(move.id, move.amount_residual)),
            )
            for move in moves
        }

    def _get_dunning_pay_link(self, wizard, base_url, amount):
        """Return the link that core's wizard makes, put together from its parts."""
        self.ensure_one()
        wizard.res_id = self.id
        wizard.amount = amount
        url = wizard._prepare_url(base_url, self)
        query = urlencode(wizard._prepare_query_params(self))
        joint = "&" if "?" in url else "?"
        return f"{url}{joint}{query}{wizard._prepare_anchor()}"

    def _get_companies_with_provider(self):
        """Return the companies whose customers can pay online."""
        providers = self.env["payment.provider"].sudo()
        return self.company_id.filtered(
            lambda company: providers.search_count(
                [("state", "!=", "disabled"), ("company_id", "parent_of", company.id)],
                limit=1,
            )
        )

    def _ensure_access_tokens(self):
        """Give each invoice the secret of its link, in one statement."""
        missing = self.filtered(lambda move: not move.access_token)
        if not missing:
            return
        self.env.execute_query(
            SQL(
                "UPDATE account_move SET access_token = given.token"
                "  FROM unnest(%s, %s) AS given (id, token)"
                " WHERE account_move.id = given.id"
                "   AND account_move.access_token IS NULL RETURNING account_move.id",
                missing.ids,
                [str(uuid.uuid4()) for _move in missing],
            )
        )
        missing.invalidate_recordset(["access_token"])
        self.fetch(["access_token"])
