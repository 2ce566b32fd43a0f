from odoo import api, fields, models
from odoo.tools import SQL

SENT = ("email", "email_outgoing", "auto_comment", "comment")


class CrmBillingTimeline(models.Model):
    """All that happened between us and an account, in one list (A11).

    Events of the log, messages on its invoices and on itself, reminders, charges and
    payments: read where they are kept, nothing is copied.
    """

    _name = "crm.billing.timeline"
    _description = "Account Timeline"
    _auto = False
    _order = "date desc, id desc"
    _rec_name = "title"
    _depends = {
        "crm.billing.event": ["action", "partner_id", "company_id", "move_id", "note"],
        "mail.message": ["date", "model", "res_id", "subject", "body", "author_id"],
        "crm.dunning.notice": [
            "partner_id",
            "state",
            "subject",
            "move_id",
            "message_id",
        ],
        "crm.dunning.attempt": ["partner_id", "state", "amount", "move_id", "message"],
        "account.partial.reconcile": ["debit_move_id", "debit_amount_currency"],
        "account.move": ["commercial_partner_id", "company_id"],
    }

    date = fields.Datetime(readonly=True)
    kind = fields.Selection(
        [
            ("event", "Event"),
            ("message", "Message"),
            ("reminder", "Reminder"),
            ("charge", "Charge"),
            ("payment", "Payment or credit"),
        ],
        readonly=True,
    )
    action = fields.Selection(selection="_get_actions", string="Event", readonly=True)
    title = fields.Char(string="What", readonly=True)
    state = fields.Char(readonly=True)
    amount = fields.Monetary(readonly=True)
    currency_id = fields.Many2one("res.currency", readonly=True)
    partner_id = fields.Many2one("res.partner", string="Account", readonly=True)
    author_id = fields.Many2one("res.partner", string="By", readonly=True)
    move_id = fields.Many2one("account.move", string="Invoice", readonly=True)
    company_id = fields.Many2one("res.company", readonly=True)

    @api.model
    def _get_actions(self):
        return (
            self.env["crm.billing.event"]
            ._fields["action"]
            ._description_selection(self.env)
        )

    @property
    def _table_query(self):
        """Return the rows; each source keeps its own numbers apart in the id."""
        parts = (
            self._select_events(),
            self._select_messages(),
            self._select_reminders(),
            self._select_charges(),
            self._select_payments(),
        )
        return SQL(" UNION ALL ").join(parts)

    def _select_events(self):
        return SQL(
            """
            SELECT event.id * 5 AS id, event.create_date AS date, 'event' AS kind,
                   event.action,
                   COALESCE(
                       event.note,
                       NULLIF(concat_ws(' → ', event.old_value, event.new_value), '')
                   ) AS title,
                   NULL AS state,
                   NULL::numeric AS amount, NULL::integer AS currency_id,
                   event.partner_id, actor.partner_id AS author_id, event.move_id,
                   event.company_id
              FROM crm_billing_event event
              JOIN res_users actor ON actor.id = event.user_id
            """
        )

    def _select_messages(self):
        """What was written in the threads of invoices and of the account.

        Two parts, so that the rows of one account are found by their indexes. Reminders
        stand in the thread, too: they are listed once, as what they are.
        """
        words = SQL(
            "COALESCE(NULLIF(message.subject, ''),"
            " left(regexp_replace(message.body, '<[^>]*>', ' ', 'g'), 200))"
        )
        return SQL(
            """
            SELECT message.id * 5 + 1, message.date, 'message', NULL, %(words)s,
                   NULL, NULL, NULL, move.commercial_partner_id,
                   message.author_id, move.id, move.company_id
              FROM mail_message message
              JOIN account_move move ON move.id = message.res_id
               AND move.move_type IN ('out_invoice', 'out_refund')
             WHERE message.model = 'account.move'
               AND message.message_type = ANY(%(sent)s)
               AND NOT EXISTS (
                   SELECT FROM crm_dunning_notice notice
                    WHERE notice.message_id = message.id
               )
         UNION ALL
            SELECT message.id * 5 + 1, message.date, 'message', NULL, %(words)s,
                   NULL, NULL, NULL, account.commercial_partner_id,
                   message.author_id, NULL, account.company_id
              FROM mail_message message
              JOIN res_partner account ON account.id = message.res_id
             WHERE message.model = 'res.partner'
               AND message.message_type = ANY(%(sent)s)
            """,
            words=words,
            sent=list(SENT),
        )

    def _select_reminders(self):
        return SQL(
            """
            SELECT notice.id * 5 + 2, notice.create_date, 'reminder', NULL,
                   notice.subject, notice.state, notice.amount, notice.currency_id,
                   notice.partner_id, NULL, notice.move_id, notice.company_id
              FROM crm_dunning_notice notice WHERE notice.kind != 'record'
            """
        )

    def _select_charges(self):
        return SQL(
            """
            SELECT attempt.id * 5 + 3,
                   COALESCE(attempt.settled_at, attempt.create_date),
                   'charge', NULL,
                   concat_ws(' · ', attempt.reference, attempt.message),
                   attempt.state, attempt.amount, attempt.currency_id,
                   attempt.partner_id, NULL, attempt.move_id, attempt.company_id
              FROM crm_dunning_attempt attempt
            """
        )

    def _select_payments(self):
        return SQL(
            """
            SELECT match.id * 5 + 4, match.create_date, 'payment', NULL,
                   credit.move_name, NULL, match.debit_amount_currency,
                   match.debit_currency_id, move.commercial_partner_id, NULL, move.id,
                   move.company_id
              FROM account_partial_reconcile match
              JOIN account_move_line debit ON debit.id = match.debit_move_id
              JOIN account_move move ON move.id = debit.move_id
               AND move.move_type = 'out_invoice'
              JOIN account_move_line credit ON credit.id = match.credit_move_id
            """
        )


class ResPartner(models.Model):
    _inherit = "res.partner"

    def action_view_billing_timeline(self):
        """Open all that happened with the account, newest first."""
        action = self.env["ir.actions.act_window"]._for_xml_id(
            "crm_dunning.crm_billing_timeline_action"
        )
        action["domain"] = [("partner_id", "in", self.commercial_partner_id.ids)]
        return action
