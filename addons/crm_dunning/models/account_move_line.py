from collections import defaultdict
from datetime import date
from decimal import Decimal
from typing import NamedTuple

from odoo import api, models
from odoo.tools import SQL


class OpenInstalment(NamedTuple):
    """One receivable line of a posted invoice with something open on it.

    :param residual: open amount in the invoice's currency, exact
    :param total: what the instalment was at first, in the same currency
    """

    line_id: int
    move_id: int
    partner_id: int
    company_id: int
    currency_id: int
    due: date
    invoice_date: date
    seller_id: int | None
    residual: Decimal
    total: Decimal
    is_retention: bool
    no_followup: bool


class AccountMoveLine(models.Model):
    """The instalment: each receivable line has a due date and a residual of its own."""

    _inherit = "account.move.line"

    # What may be reminded; paid lines leave it, so it stays as small as what is open.
    _dunning_open_idx = models.Index(
        "(date_maturity, move_id) WHERE display_type = 'payment_term'"
        " AND parent_state = 'posted' AND reconciled IS NOT TRUE"
    )

    @api.model
    def _get_dunning_open_condition(self):
        """Return in SQL which lines (``line``) of invoices (``move``) are open."""
        return SQL(
            "line.display_type = 'payment_term' AND line.parent_state = 'posted'"
            " AND line.reconciled IS NOT TRUE AND line.amount_residual_currency > 0"
            " AND move.move_type = 'out_invoice'"
        )

    @api.model
    def _get_open_instalments(self, move_ids=None, partner_ids=None, company_ids=None):
        """Return what is open of these invoices, or of these payers, oldest first.

        Amounts are residuals in the currency of the invoice (billing rules, 8.2); an
        invoice with instalments has several rows. One query.

        :param move_ids: ids of invoices, or
        :param partner_ids: ids of paying accounts (commercial entities)
        :param company_ids: with ``partner_ids``: of these companies only
        :return: ``{move id: [OpenInstalment]}``
        """
        self.flush_model()
        self.env["account.move"].flush_model()
        chosen = [SQL("TRUE")]
        if move_ids is not None:
            chosen.append(SQL("move.id = ANY(%s)", list(move_ids)))
        if partner_ids is not None:
            chosen.append(
                SQL("move.commercial_partner_id = ANY(%s)", list(partner_ids))
            )
        if company_ids is not None:
            chosen.append(SQL("move.company_id = ANY(%s)", list(company_ids)))
        rows = self.env.execute_query(
            SQL(
                """
                SELECT line.id, move.id, move.commercial_partner_id, move.company_id,
                       move.currency_id,
                       COALESCE(line.date_maturity, move.invoice_date_due, move.date),
                       COALESCE(move.invoice_date, move.date),
                       move.invoice_user_id,
                       line.amount_residual_currency, line.amount_currency,
                       line.billing_is_retention IS TRUE, line.no_followup IS TRUE
                  FROM account_move_line line
                  JOIN account_move move ON move.id = line.move_id
                 WHERE %s AND %s
              ORDER BY line.date_maturity, line.id
                """,
                self._get_dunning_open_condition(),
                SQL(" AND ").join(chosen),
            )
        )
        found = defaultdict(list)
        for *keys, residual, total, is_retention, no_followup in rows:
            instalment = OpenInstalment(
                *keys,
                Decimal(str(residual)),
                Decimal(str(total)),
                is_retention,
                no_followup,
            )
            found[instalment.move_id].append(instalment)
        return found
