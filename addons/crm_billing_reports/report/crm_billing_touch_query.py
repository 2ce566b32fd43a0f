import json

from odoo import SUPERUSER_ID, models
from odoo.tools import SQL

# What the log calls it → the kind of touch, where the action alone says it.
KIND_BY_ACTION = {
    "blocked": "blocked",
    "overridden": "overridden",
    "not_sent": "not_sent",
    "not_billed": "not_billed",
    "held": "held",
    "not_won": "not_won",
    "waived": "waived",
    "disputed": "disputed",
}
SENT_LAYOUT = "mail.mail_notification_layout_with_responsible_signature"


class CrmBillingTouchReport(models.Model):
    """The SQL of the touches: each source in a part, then whose they are."""

    _inherit = "crm.billing.touch.report"
    _depends = {
        "account.move": [
            "commercial_partner_id",
            "company_id",
            "invoice_date",
            "invoice_user_id",
            "is_billing_review",
            "move_type",
            "opportunity_ids",
            "posted_before",
            "ref",
            "reversed_entry_id",
            "state",
            "team_id",
        ],
        "account.move.line": ["move_id"],
        "account.partial.reconcile": ["credit_move_id", "debit_move_id"],
        "crm.billing.agreement": ["lead_id"],
        "crm.billing.event": [
            "action",
            "agreement_id",
            "company_id",
            "field_name",
            "handoff_id",
            "lead_id",
            "move_id",
            "note",
            "partner_id",
            "source",
            "user_id",
        ],
        "crm.billing.handoff": ["account_id", "lead_id", "state", "team_id", "user_id"],
        "crm.billing.touch.cost": ["company_id", "kind", "minutes"],
        "crm.dunning.notice": ["message_id"],
        "mail.message": ["email_layout_xmlid", "message_type", "model", "res_id"],
        "mail.tracking.value": ["field_id", "new_value_char", "old_value_char"],
        "res.company": ["billing_tz", "currency_id"],
        "res.partner": [
            "billing_tz",
            "commercial_partner_id",
            "service_tier_id",
            "user_id",
        ],
        "res.users": ["share"],
    }

    @property
    def _table_query(self):
        """Return the rows; each source keeps its own numbers apart in the id."""
        touches = SQL(" UNION ALL ").join(
            (
                self._select_events(),
                self._select_edits(),
                self._select_resends(),
                self._select_credits(),
                self._select_matches(),
                self._select_state_changes(),
            )
        )
        return SQL(
            """
            SELECT touch.id, touch.kind, touch.cause, local.date,
                   COALESCE(move.invoice_date, local.date) AS month_date,
                   touch.by_id, handoff.id AS handoff_id, deal.lead_id,
                   touch.agreement_id, touch.move_id,
                   company.id AS company_id,
                   account.id AS partner_id,
                   COALESCE(handoff.user_id, move.invoice_user_id, account.user_id)
                       AS user_id,
                   COALESCE(handoff.team_id, move.team_id) AS team_id,
                   account.service_tier_id,
                   COALESCE(move.currency_id, company.currency_id) AS currency_id,
                   company.currency_id AS company_currency_id,
                   1 AS touch_count,
                   cost.minutes,
                   cost.minutes / 60.0 AS hours
              FROM (%(touches)s) touch
         LEFT JOIN account_move move ON move.id = touch.move_id
         LEFT JOIN crm_billing_agreement agreement ON agreement.id = touch.agreement_id
        CROSS JOIN LATERAL (
                   SELECT COALESCE(
                       touch.lead_id,
                       agreement.lead_id,
                       (SELECT MIN(link.lead_id) FROM account_move_crm_lead_rel link
                         WHERE link.move_id = touch.move_id)) AS lead_id) deal
         LEFT JOIN crm_billing_handoff handoff ON handoff.id = COALESCE(
                   touch.handoff_id,
                   (SELECT MAX(live.id) FROM crm_billing_handoff live
                     WHERE live.lead_id = deal.lead_id AND live.state != 'cancelled'))
         LEFT JOIN res_partner named ON named.id = touch.partner_id
         LEFT JOIN res_partner known ON known.id = COALESCE(
                   named.id, handoff.account_id, move.commercial_partner_id)
         LEFT JOIN res_partner account ON account.id = known.commercial_partner_id
              JOIN res_company company ON company.id = COALESCE(
                   touch.company_id, handoff.company_id, move.company_id)
         LEFT JOIN LATERAL (
                   SELECT price.minutes FROM crm_billing_touch_cost price
                    WHERE price.kind = touch.kind
                      AND (price.company_id = company.id OR price.company_id IS NULL)
                 ORDER BY price.company_id NULLS LAST LIMIT 1) cost ON TRUE
        CROSS JOIN LATERAL (
                   SELECT (touch.moment AT TIME ZONE 'UTC' AT TIME ZONE COALESCE(
                       account.billing_tz, company.billing_tz, 'UTC'))::date AS date
                   ) local
             WHERE %(scope)s
            """,
            touches=touches,
            scope=self._get_scope(),
        )

    def _get_scope(self):
        """Return which touches are read: all, or those that concern some deals.

        Handoffs in the context narrow what each source reads; whose touch it is in the
        end is for the domain to say.
        """
        ids = self.env.context.get("billing_touch_handoffs")
        if not isinstance(ids, (list, tuple)):
            return SQL("TRUE")
        # A client may send anything under this key.
        known = [one for one in ids if isinstance(one, int) and 0 < one < 2**31]
        handoffs = self.env["crm.billing.handoff"].sudo().browse(known).exists()
        deals = handoffs.lead_id
        agreements = self.env["crm.billing.agreement"].sudo()
        agreements = agreements.with_context(active_test=False).search(
            [("lead_id", "in", deals.ids)]
        )
        return SQL(
            "(touch.handoff_id = ANY(%s) OR touch.lead_id = ANY(%s)"
            " OR touch.agreement_id = ANY(%s) OR touch.move_id = ANY(%s))",
            handoffs.ids,
            deals.ids,
            agreements.ids,
            deals.billing_move_ids.ids,
        )

    # === THE AUDIT LOG === #

    def _select_events(self):
        """Return what the log names, and what it tells by its order.

        A draft reviewed twice in a row was changed in between; a handoff that was done
        and is blocked has lost its last draft, unless that one stands there cancelled:
        then the chatter of it counts.
        """
        return SQL(
            """
            SELECT event.id * 8 AS id, found.kind, event.note AS cause,
                   event.create_date AS moment, event.user_id AS by_id, event.move_id,
                   event.handoff_id, event.lead_id, event.agreement_id,
                   event.partner_id, event.company_id
              FROM crm_billing_event event
         LEFT JOIN account_move move ON move.id = event.move_id
        CROSS JOIN LATERAL (
                   SELECT CASE
                       WHEN event.action = 'blocked'
                            AND %(before_in_handoff)s IN ('drafted', 'already_billed')
                       THEN CASE WHEN move.state = 'cancel'
                                      AND move.posted_before IS NOT TRUE
                                 THEN NULL ELSE 'cancelled_draft' END
                       WHEN event.action = 'reviewed'
                       THEN CASE WHEN %(before_on_move)s = 'reviewed' THEN 'correction'
                                 WHEN event.note IS NOT NULL THEN 'overridden' END
                       WHEN event.action = 'sent'
                       THEN CASE WHEN %(sent_before)s THEN 'resend' END
                       ELSE %(kind_by_action)s::jsonb ->> event.action
                   END AS kind) found
             WHERE event.action = ANY(%(actions)s) AND found.kind IS NOT NULL
            """,
            before_in_handoff=self._select_event_before(
                "handoff_id",
                ["drafted", "already_billed", "blocked", "released", "cancelled"],
            ),
            before_on_move=self._select_event_before("move_id", ["reviewed", "posted"]),
            sent_before=SQL(
                "%s IS NOT NULL", self._select_event_before("move_id", ["sent"])
            ),
            kind_by_action=json.dumps(KIND_BY_ACTION),
            actions=[*KIND_BY_ACTION, "reviewed", "sent"],
        )

    def _select_event_before(self, link, actions):
        """Return in SQL the last of ``actions`` before ``event`` on its record."""
        return SQL(
            """
            (SELECT earlier.action FROM crm_billing_event earlier
              WHERE earlier.%(link)s = event.%(link)s
                AND earlier.id < event.id
                AND earlier.action = ANY(%(actions)s)
           ORDER BY earlier.id DESC LIMIT 1)
            """,
            link=SQL.identifier(link),
            actions=actions,
        )

    def _select_edits(self):
        """Return what persons changed on an account between a win and its first bill.

        Later changes are the account's life, not the handoff's fault.
        """
        return SQL(
            """
            SELECT event.id * 8 + 1, 'edit',
                   COALESCE((SELECT COALESCE(label.field_description ->> %(lang)s,
                                             label.field_description ->> 'en_US')
                               FROM ir_model_fields label
                              WHERE label.model = 'res.partner'
                                AND label.name = event.field_name), event.field_name),
                   event.create_date, event.user_id, NULL, waiting.id, waiting.lead_id,
                   NULL, event.partner_id, waiting.company_id
              FROM crm_billing_event event
              JOIN LATERAL (
                   SELECT handoff.id, handoff.lead_id, handoff.company_id
                     FROM crm_billing_handoff handoff
                    WHERE handoff.account_id = event.partner_id
                      AND handoff.state != 'cancelled'
                      AND handoff.create_date < event.create_date
                      AND NOT EXISTS (
                          SELECT FROM crm_billing_event billed
                           WHERE billed.handoff_id = handoff.id
                             AND billed.action = 'posted'
                             AND billed.id < event.id)
                 ORDER BY handoff.id DESC LIMIT 1) waiting ON TRUE
             WHERE event.action = 'changed' AND event.source = 'person'
            """,
            lang=self.env.lang or "en_US",
        )

    # === THE LEDGERS === #

    def _select_resends(self):
        """Return mails of hand-made invoices after the first one: no log has them."""
        return SQL(
            """
            SELECT mail.id * 8 + 2, 'resend', NULL, mail.date, mail.create_uid,
                   mail.res_id, NULL, NULL, NULL, NULL, NULL
              FROM (SELECT message.id, message.date, message.create_uid, message.res_id,
                           ROW_NUMBER() OVER (
                               PARTITION BY message.res_id ORDER BY message.id) AS rank
                      FROM mail_message message
                      JOIN account_move move ON move.id = message.res_id
                       AND move.move_type = 'out_invoice'
                       AND move.is_billing_review IS NOT TRUE
                     WHERE message.model = 'account.move'
                       AND message.message_type = 'comment'
                       AND message.email_layout_xmlid = %(layout)s
                       AND EXISTS (SELECT FROM message_attachment_rel attached
                                    WHERE attached.message_id = message.id)) mail
             WHERE mail.rank > 1
            """,
            layout=SENT_LAYOUT,
        )

    def _select_credits(self):
        """Return invoices that somebody credited, with the reason of the reversal.

        What the engine credits as planned is in the log as billed.
        """
        return SQL(
            """
            SELECT refund.id * 8 + 3, 'credit',
                   NULLIF(TRIM(SPLIT_PART(refund.ref, origin.name || ', ', 2)), ''),
                   refund.create_date, refund.create_uid, origin.id, NULL, NULL, NULL,
                   NULL, NULL
              FROM account_move refund
              JOIN account_move origin ON origin.id = refund.reversed_entry_id
             WHERE refund.move_type = 'out_refund' AND refund.state = 'posted'
               AND NOT EXISTS (
                   SELECT FROM crm_billing_event planned
                    WHERE planned.move_id = refund.id AND planned.action = 'billed')
            """
        )

    def _select_matches(self):
        """Return matchings that a person made of two entries that stood before.

        A payment is matched in the transaction that registers it, a credit note in the
        one that reverses, credits of an agreement in the one that posts its invoice;
        ``create_date`` is the same throughout a transaction.
        """
        return SQL(
            """
            SELECT MIN(part.id) * 8 + 4, 'match', NULL, part.create_date,
                   part.create_uid, invoice.id, NULL, NULL, NULL, NULL, NULL
              FROM account_partial_reconcile part
              JOIN res_users person ON person.id = part.create_uid
               AND person.share IS NOT TRUE AND person.id != %(root)s
              JOIN account_move_line debit ON debit.id = part.debit_move_id
              JOIN account_move invoice ON invoice.id = debit.move_id
               AND invoice.move_type = 'out_invoice'
              JOIN account_move_line credit ON credit.id = part.credit_move_id
              JOIN account_move other ON other.id = credit.move_id
             WHERE part.create_date > invoice.create_date
               AND part.create_date > other.create_date
               AND other.reversed_entry_id IS DISTINCT FROM invoice.id
               AND NOT EXISTS (
                   SELECT FROM crm_billing_event posted
                    WHERE posted.move_id = invoice.id AND posted.action = 'posted'
                      AND posted.create_date = part.create_date)
          GROUP BY invoice.id, part.create_date, part.create_uid
            """,
            root=SUPERUSER_ID,
        )

    def _select_state_changes(self):
        """Return invoices that persons set back to draft, and drafts they cancelled.

        The chatter keeps the words of the state, in the language of who did it.
        """
        return SQL(
            """
              SELECT change.id * 8 + 5,
                     CASE WHEN change.new_value_char IN (%(draft)s) THEN 'correction'
                          ELSE 'cancelled_draft' END,
                     NULL, message.create_date, message.create_uid, move.id,
                     NULL, NULL, NULL, NULL, NULL
                FROM mail_tracking_value change
                JOIN mail_message message ON message.id = change.mail_message_id
                 AND message.model = 'account.move'
                JOIN account_move move ON move.id = message.res_id
                 AND move.move_type = 'out_invoice'
                JOIN res_users person ON person.id = message.create_uid
                 AND person.share IS NOT TRUE AND person.id != %(root)s
               WHERE change.field_id IN (
                     SELECT id FROM ir_model_fields
                      WHERE model = 'account.move' AND name = 'state')
                 AND ((change.old_value_char IN (%(posted)s)
                       AND change.new_value_char IN (%(draft)s))
                   OR (change.new_value_char IN (%(cancel)s)
                       AND move.posted_before IS NOT TRUE))
            """,
            draft=self._select_labels("draft"),
            posted=self._select_labels("posted"),
            cancel=self._select_labels("cancel"),
            root=SUPERUSER_ID,
        )

    def _select_labels(self, state):
        """Return in SQL what the state of an invoice is called in each language."""
        return SQL(
            """
            SELECT label.value
              FROM ir_model_fields_selection choice
              JOIN ir_model_fields field ON field.id = choice.field_id
               AND field.model = 'account.move' AND field.name = 'state'
        CROSS JOIN LATERAL JSONB_EACH_TEXT(choice.name) label
             WHERE choice.value = %s
            """,
            state,
        )
