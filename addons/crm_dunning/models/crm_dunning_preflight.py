"""What is in the way of a message or a charge, in the second before it leaves (G2)."""

import pytz

from odoo import api, models
from odoo.tools import SQL

from .crm_dunning_attempt import LIVE_STATES

# A mail speaks to the customer; a charge takes money; a person charges knowingly, also
# while the case is with a person.
PURPOSES = ("mail", "charge", "person")
PAID_STATES = ("paid", "in_payment", "reversed")


class AccountMove(models.Model):
    """Pre-flight: reasons not to remind or charge, read for many invoices at once."""

    _inherit = "account.move"

    # === BUSINESS METHODS - PRE-FLIGHT === #

    def _get_dunning_blocks(self, now, purpose="mail", own_attempts=None):
        """Return why these invoices must not be reminded or charged at ``now``.

        Read from the database, never from cache, in a number of queries that does not
        depend on the number of invoices (billing rules, 9.3; payments: nothing is
        charged while anything of it is unknown).

        :param now: instant, naive UTC
        :param purpose: ``mail``; ``charge``; ``person``: a charge that a person wants,
            for which a case that is with a person is no obstacle
        :param own_attempts: attempts of the caller, which are no obstacle to itself
        :return: ``{move: reason}`` of those that are blocked, reasons as in
            :meth:`_get_dunning_block_labels`
        """
        if purpose not in PURPOSES:
            raise ValueError(f"There is no pre-flight for {purpose!r}")
        if not self:
            return {}
        self.env.flush_all()
        reasons = {}
        for find in (
            self._find_settled,
            self._find_in_flight,
            self._find_stopped,
            self._find_bank_matches,
            self._find_stale_bank_data,
        ):
            for move_id, reason in find(now, purpose, own_attempts).items():
                reasons.setdefault(move_id, reason)
        if purpose == "mail":
            for move_id, reason in self._find_not_to_mail(now).items():
                reasons.setdefault(move_id, reason)
        return {move: reasons[move.id] for move in self if move.id in reasons}

    @api.model
    def _get_dunning_block_labels(self):
        """Return the reasons in words, for logs and screens."""
        _ = self.env._
        return {
            "paid": _("nothing is open"),
            "not_posted": _("the invoice is not posted"),
            "blocked": _("the invoice is blocked for payment"),
            "no_followup": _("it is excluded from follow-ups"),
            "retention": _("only the retention is open, and it is not released"),
            "in_flight": _("a payment is under way"),
            "disputed": _("the customer disputes it"),
            "promised": _("the customer promised to pay, and the day has not come"),
            "held": _("it is on hold"),
            "with_person": _("a person works on the case"),
            "bank_match": _("an unmatched bank line looks like the payment"),
            "credit_match": _("an unmatched payment or credit has this amount"),
            "bank_data": _("the bank data are too old"),
            "automatic": _("it is paid automatically, and no charge has failed"),
            "archived": _("the account is archived"),
            "internal": _("the account is one of our own companies"),
        }

    def _find_settled(self, now, purpose, own_attempts):
        """What is paid, not posted, retained, blocked or excluded."""
        rows = self.env.execute_query(
            SQL(
                """
                SELECT move.id, move.state, move.payment_state,
                       move.dunning_dispute_state,
                       COALESCE(bool_or(line.is_open), FALSE),
                       COALESCE(bool_or(line.is_open AND NOT line.is_retained), FALSE),
                       COALESCE(bool_or(line.is_open AND NOT line.is_retained
                                        AND NOT line.is_excluded), FALSE)
                  FROM account_move move
             LEFT JOIN LATERAL (
                       SELECT reconciled IS NOT TRUE
                              AND amount_residual_currency > 0 AS is_open,
                              billing_is_retention IS TRUE AS is_retained,
                              no_followup IS TRUE AS is_excluded
                         FROM account_move_line
                        WHERE move_id = move.id AND display_type = 'payment_term'
                       ) line ON TRUE
                 WHERE move.id = ANY(%s)
              GROUP BY move.id
                """,
                self.ids,
            )
        )
        found = {}
        for (
            move_id,
            state,
            payment_state,
            dispute,
            is_open,
            is_due,
            is_followed,
        ) in rows:
            if state != "posted":
                found[move_id] = "not_posted"
            elif dispute == "open":
                found[move_id] = "disputed"
            elif payment_state in PAID_STATES or not is_open:
                found[move_id] = "paid"
            elif payment_state == "blocked":
                found[move_id] = "blocked"
            elif not is_due:
                found[move_id] = "retention"
            elif purpose == "mail" and not is_followed:
                found[move_id] = "no_followup"
        return found

    def _find_in_flight(self, now, purpose, own_attempts):
        """What a payment or charge is under way for, known or not known yet."""
        own = own_attempts or self.env["crm.dunning.attempt"]
        rows = self.env.execute_query(
            SQL(
                """
                SELECT link.invoice_id
                  FROM account_invoice_transaction_rel link
                  JOIN payment_transaction tx ON tx.id = link.transaction_id
                  JOIN payment_provider provider ON provider.id = tx.provider_id
                 WHERE link.invoice_id = ANY(%(ids)s) AND tx.operation != 'refund'
                   AND (tx.state IN ('pending', 'authorized')
                        -- A wire transfer that was only announced is not under way.
                        AND provider.code NOT IN ('none', 'custom')
                        -- Paid at the provider, not yet in the books.
                        OR tx.state = 'done' AND tx.is_post_processed IS NOT TRUE
                        -- Nobody knows whether the customer's card was charged.
                        OR tx.outcome_unknown AND tx.token_id IS NOT NULL)
                   AND tx.id != ALL(%(own_transactions)s)
             UNION ALL
                SELECT move_id FROM crm_dunning_attempt
                 WHERE move_id = ANY(%(ids)s) AND kind = 'charge'
                   AND state = ANY(%(live)s) AND id != ALL(%(own)s)
                """,
                ids=self.ids,
                live=list(LIVE_STATES),
                own=own.ids,
                own_transactions=own.transaction_id.ids,
            )
        )
        return {move_id: "in_flight" for [move_id] in rows}

    def _find_stopped(self, now, purpose, own_attempts):
        """What a case or the account says: dispute, promise, hold, person."""
        rows = self.env.execute_query(
            SQL(
                """
                SELECT one.move_id, one.state, one.promise_date, one.hold_until,
                       account.billing_tz, company.billing_tz
                  FROM crm_dunning_case one
                  JOIN res_company company ON company.id = one.company_id
                  JOIN account_move move ON move.id = one.move_id
                  JOIN res_partner account ON account.id = move.commercial_partner_id
                 WHERE one.move_id = ANY(%s) AND one.state != 'closed'
                """,
                self.ids,
            )
        )
        found = self._find_held_accounts(now)
        for move_id, state, promised, until, account_tz, company_tz in rows:
            today = _local_date(now, account_tz or company_tz)
            if state == "dispute":
                found[move_id] = "disputed"
            elif state == "verifying":
                found.setdefault(move_id, "in_flight")
            elif promised and promised >= today:
                found.setdefault(move_id, "promised")
            elif state == "hold" and (not until or until >= today):
                found.setdefault(move_id, "held")
            elif state == "person" and purpose != "person":
                found.setdefault(move_id, "with_person")
        return found

    def _find_held_accounts(self, now):
        found = {}
        for company, moves in self.sudo().grouped("company_id").items():
            accounts = moves.commercial_partner_id.with_company(company)
            accounts.fetch(["dunning_hold_until", "billing_tz"])
            held = accounts.filtered(
                lambda account, company=company: (
                    account.dunning_hold_until
                    and account.dunning_hold_until
                    >= _local_date(now, account.billing_tz or company.billing_tz)
                )
            )
            for move in moves:
                if move.commercial_partner_id in held:
                    found[move.id] = "held"
        return found

    def _find_not_to_mail(self, now):
        """Whom nobody writes to: archived, our own, a person's, paying by itself.

        A person who has one case of an account has all that is said to it (9.4).
        """
        self.env["res.company"].flush_model(["partner_id"])
        rows = self.env.execute_query(
            SQL(
                """
                SELECT move.id, account.active,
                       EXISTS (SELECT FROM res_company
                                WHERE partner_id = account.id),
                       EXISTS (SELECT FROM crm_dunning_case person
                                WHERE person.partner_id = account.id
                                  AND person.company_id = move.company_id
                                  AND person.state != 'closed'
                                  AND person.taken_over_at IS NOT NULL)
                  FROM account_move move
                  JOIN res_partner account ON account.id = move.commercial_partner_id
                 WHERE move.id = ANY(%s)
                """,
                self.ids,
            )
        )
        found = {
            move_id: "internal" if is_own else "archived"
            for move_id, is_active, is_own, _has_person in rows
            if is_own or not is_active
        }
        found |= {move.id: "automatic" for move in self._filtered_automatic()}
        for move_id, _is_active, _is_own, has_person in rows:
            if has_person:
                found.setdefault(move_id, "with_person")
        return found

    def _filtered_automatic(self):
        """Return the invoices that are charged by themselves and did not fail yet."""
        sudo = self.sudo()
        if not self.env["crm.dunning.policy"]._has_charging():
            return self.browse()
        policies = {}
        for company, moves in sudo.grouped("company_id").items():
            payers = moves.commercial_partner_id
            for partner_id, policy in payers._get_dunning_policies(company).items():
                policies[partner_id, company.id] = policy
        charged = sudo.filtered(
            lambda move: (
                (policy := policies[move.commercial_partner_id.id, move.company_id.id])
                and policy.state == "armed"
                and policy.charge_mode != "none"
            )
        )
        if not charged:
            return self.browse()
        failed = (
            self.env["crm.dunning.case"]
            .sudo()
            .search(
                [
                    ("move_id", "in", charged.ids),
                    ("state", "!=", "closed"),
                    ("first_failure_at", "!=", False),
                ]
            )
        )
        charged -= failed.move_id
        return charged._filtered_with_method().with_env(self.env)

    def _filtered_with_method(self):
        """Return the invoices whose payer has a saved method that can be charged."""
        tokens = self._get_dunning_tokens()
        return self.filtered(lambda move: tokens[move])


class CrmDunningPolicy(models.Model):
    _inherit = "crm.dunning.policy"

    @api.model
    def _has_charging(self):
        """Return whether any policy charges by itself at all."""
        domain = [("charge_mode", "!=", "none"), ("state", "=", "armed")]
        return bool(self.sudo().search_count(domain, limit=1))


def _local_date(now, tz):
    return pytz.utc.localize(now).astimezone(pytz.timezone(tz or "UTC")).date()
