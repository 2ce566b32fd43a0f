"""The tone of a message, by the step or by how the payer has paid so far (idea 22)."""

from collections import defaultdict

from odoo import api, models
from odoo.tools import SQL

from ..dunning_rules.tone import PayerHistory, choose


class CrmDunningCase(models.Model):
    _inherit = "crm.dunning.case"

    # === BUSINESS METHODS - TONE === #

    @api.model
    def _choose_tones(self, conversations):
        """Set tone and reason of each conversation that says something."""
        speaking = [one for one in conversations if one.decision.step]
        by_behaviour = [one for one in speaking if one.policy.tone_mode == "behaviour"]
        histories = self._read_payer_histories(by_behaviour) if by_behaviour else {}
        for one in speaking:
            one.tone = one.decision.step.tone
            if one.key[:2] in histories:
                tone = choose(histories[one.key[:2]], one.tone)
                one.tone = tone.name
                one.tone_reason = self._describe_tone(tone)

    @api.model
    def _describe_tone(self, tone):
        _ = self.env._
        return {
            "first_overdue": _("Overdue for the first time"),
            "punctual": _(
                "Paid %(paid)s invoices, %(late)s of them late", **_plain(tone.facts)
            ),
            "serial_late": _(
                "%(late)s of %(paid)s invoices paid late, by %(median_days)s days",
                **_plain(tone.facts),
            ),
            "step": _("As the step says"),
        }[tone.reason]

    @api.model
    def _read_payer_histories(self, conversations):
        """Return ``{(payer id, company id): PayerHistory}``.

        Days late of a paid instalment: the last payment matched with it less its due
        date (billing rules, 8.6); credit notes are no payments. Reminded instalments
        that are still open count as overdue before.
        """
        payers = list({one.payer.id for one in conversations})
        rows = self.env.execute_query(
            SQL(
                """
                SELECT move.commercial_partner_id, move.company_id,
                       paid.last_day - line.date_maturity
                  FROM account_move_line line
                  JOIN account_move move ON move.id = line.move_id
                  JOIN LATERAL (
                       SELECT max(part.max_date) AS last_day
                         FROM account_partial_reconcile part
                         JOIN account_move_line credit
                           ON credit.id = part.credit_move_id
                         JOIN account_move source ON source.id = credit.move_id
                        WHERE part.debit_move_id = line.id
                          AND source.move_type != 'out_refund') paid ON TRUE
                 WHERE move.commercial_partner_id = ANY(%s)
                   AND move.move_type = 'out_invoice' AND move.state = 'posted'
                   AND line.display_type = 'payment_term' AND line.reconciled
                   AND paid.last_day IS NOT NULL
              ORDER BY paid.last_day
                """,
                payers,
            )
        )
        late = defaultdict(list)
        for *key, days in rows:
            late[tuple(key)].append(days)
        reminded = self._read_reminded_before(payers)
        return {
            one.key[:2]: PayerHistory(
                days_late=tuple(late[one.key[:2]]),
                overdue_before=sum(days > 0 for days in late[one.key[:2]])
                + reminded.get(one.key[:2], 0),
            )
            for one in conversations
        }

    @api.model
    def _read_reminded_before(self, payer_ids):
        rows = self.env.execute_query(
            SQL(
                """
                SELECT notice.partner_id, notice.company_id,
                       count(DISTINCT line.move_id)
                  FROM crm_dunning_notice_line line
                  JOIN crm_dunning_notice notice ON notice.id = line.notice_id
                 WHERE notice.partner_id = ANY(%s) AND line.days > 0
                   AND line.kind IN ('listed', 'done')
              GROUP BY notice.partner_id, notice.company_id
                """,
                list(payer_ids),
            )
        )
        return {tuple(key): count for *key, count in rows}


def _plain(facts):
    return {name: str(value) for name, value in facts.items()}
