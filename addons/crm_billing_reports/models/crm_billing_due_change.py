from odoo import api, fields, models
from odoo.tools import SQL


class CrmBillingDueChange(models.Model):
    """A due date that was moved after its entry had been posted.

    Reports as of a day before ``date`` show ``due_before``, so that none of the past
    changes. Written by the ledger itself, by nobody's hand.
    """

    _name = "crm.billing.due.change"
    _description = "Due Date Change"
    _order = "date desc, id desc"
    _rec_name = "line_id"

    line_id = fields.Many2one(
        "account.move.line",
        string="Instalment",
        required=True,
        readonly=True,
        ondelete="cascade",
    )
    move_id = fields.Many2one(
        related="line_id.move_id", store=True, string="Document", index=True
    )
    company_id = fields.Many2one(related="line_id.company_id", store=True, index=True)
    date = fields.Date(
        string="Changed On",
        required=True,
        readonly=True,
        help="Local date of the company; the new due date counts from this day on.",
    )
    due_before = fields.Date(
        required=True,
        readonly=True,
        help="Where there was none, the date of the entry.",
    )
    due_after = fields.Date(required=True, readonly=True)
    user_id = fields.Many2one(
        "res.users",
        string="Changed By",
        required=True,
        readonly=True,
        default=lambda self: self.env.user,
    )

    _line_date_idx = models.Index("(line_id, date, id)")

    # === BUSINESS METHODS === #

    @api.model
    def _record(self, before):
        """Record what became of the due dates ``{line: date}``."""
        rows = [
            {
                "line_id": line.id,
                "date": self._get_day(line.company_id),
                "due_before": due,
                "due_after": line.date_maturity or line.date,
            }
            for line, due in before.items()
            if (line.date_maturity or line.date) != due
        ]
        if rows:
            self.sudo().create(rows)

    @api.model
    def _get_day(self, company):
        """Return the local date of ``company``."""
        local = self.with_context(tz=company.sudo().billing_tz or "UTC")
        return fields.Date.context_today(local)

    # === QUERY === #

    @api.model
    def _select_before(self, as_of):
        """Return the due date that each instalment moved since had on ``as_of``."""
        return SQL(
            """
            SELECT DISTINCT ON (line_id) line_id, due_before
              FROM crm_billing_due_change
             WHERE date > %s
          ORDER BY line_id, date, id
            """,
            as_of,
        )

    @api.model
    def _select_first(self, line, as_of):
        """Return the due date of one instalment on ``as_of``, none if it is not moved
        since; both are SQL."""
        return SQL(
            """
            SELECT due_before
              FROM crm_billing_due_change
             WHERE line_id = %s AND date > %s
          ORDER BY date, id
             LIMIT 1
            """,
            line,
            as_of,
        )
