"""The demo's time-lapse: for one customer a day passes every 20 seconds.

The customer says so in its name. Only its own rows grow older, in the database of the
demo; what happens to them is done by the scheduled actions at work everywhere else, at
the local Stripe, and by the person named in the output. A card without money is
charged, retried and reminded, goes to a person, and pays once it is covered again. Then
the next invoice begins.
"""

import contextlib
import threading

from . import databases, say
from .session import Refused, Session

DAY = 20  # seconds
CUSTOMER = "crm_dunning.res_partner_timelapse"
TOKEN = "crm_dunning.payment_token_timelapse"
FIRST = "crm_dunning.account_move_timelapse"
# Tables with a row for each thing that happened to the customer, and how to find them.
TABLES = {
    "account_move": "commercial_partner_id = {partner}",
    "account_move_line": "partner_id = {partner}",
    "crm_dunning_case": "partner_id = {partner}",
    "crm_dunning_attempt": "partner_id = {partner}",
    "crm_dunning_notice": "partner_id = {partner}",
    "crm_dunning_notice_line": "move_id IN (SELECT id FROM account_move"
    " WHERE commercial_partner_id = {partner})",
    "mail_mail": "mail_message_id IN (SELECT id FROM mail_message WHERE model ="
    " 'account.move' AND res_id IN (SELECT id FROM account_move"
    " WHERE commercial_partner_id = {partner}))",
    "payment_transaction": "partner_id IN (SELECT id FROM res_partner"
    " WHERE commercial_partner_id = {partner})",
}
LONGEST = 30  # days of one story


class Timelapse(threading.Thread):
    """Let days pass for the customer inside the block; nothing if it is not there.

    :param running: the server, with a cron thread
    :param stripe: the local Stripe that it charges at
    :param day: seconds that a day lasts
    :param tell: what is called with each line of the story
    """

    def __init__(self, running, stripe, day=DAY, tell=say.step):
        super().__init__(daemon=True)
        self._running, self._stripe, self._tell = running, stripe, tell
        self._day = day
        self._over = threading.Event()

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *exception):
        self.stop()

    def stop(self):
        self._over.set()
        self.join(timeout=10)

    def run(self):
        with contextlib.suppress(OSError, say.Trouble, Refused):
            self._tell_stories()

    def _tell_stories(self):
        partner, token = self._find(CUSTOMER), self._find(TOKEN)
        invoice = self._find(FIRST)
        self._clerk = Session(self._running, "clara") if invoice else None
        columns = self._columns()
        while invoice and not self._over.is_set():
            is_covered = False
            for day in range(LONGEST):
                self._wake()
                if self._over.wait(self._day):
                    return
                seen = self._look(invoice)
                self._say(day, seen)
                if seen["payment_state"] in ("paid", "in_payment"):
                    break
                if seen["state"] == "person" and not is_covered:
                    self._cover(token)
                    self._clerk("crm.dunning.case", "action_retry", [seen["case"]])
                    self._tell("time-lapse: the account is covered; Clara retries")
                    is_covered = True
                self._age(partner, columns)
            invoice = self._begin_again(partner, token, invoice)

    # === WHAT HAPPENS === #

    def _look(self, invoice):
        """Return what the invoice and its case say."""
        rows = self._query(
            "SELECT m.payment_state, COALESCE(c.id, 0), COALESCE(c.state, ''),"
            " (SELECT count(*) FROM crm_dunning_attempt a WHERE a.move_id = m.id),"
            " (SELECT count(DISTINCT notice_id) FROM crm_dunning_notice_line n"
            "  WHERE n.move_id = m.id)"
            " FROM account_move m LEFT JOIN crm_dunning_case c ON c.move_id = m.id"
            f" WHERE m.id = {invoice} ORDER BY c.id DESC LIMIT 1"
        )
        state, case, case_state, tries, mails = rows[0]
        return {
            "payment_state": state,
            "case": int(case),
            "state": case_state,
            "tries": tries,
            "mails": mails,
        }

    def _say(self, day, seen):
        state = seen["state"] or "no case"
        self._tell(
            f"time-lapse, day {day}: {seen['payment_state']}, {state}, "
            f"{seen['tries']} charges, {seen['mails']} mails"
        )

    def _cover(self, token):
        method = self._query(
            f"SELECT stripe_payment_method FROM payment_token WHERE id = {token}"
        )[0][0]
        self._stripe.succeed_with(method)

    def _begin_again(self, partner, token, invoice):
        """Bill the customer anew, with a card that has no money again."""
        self._query(
            "UPDATE payment_token SET stripe_payment_method ="
            " split_part(stripe_payment_method, '.', 1) || '.' || 'again' || "
            f"extract(epoch FROM now())::bigint WHERE id = {token}"
        )
        customer, method = self._query(
            "SELECT provider_ref, stripe_payment_method FROM payment_token"
            f" WHERE id = {token}"
        )[0]
        self._stripe.adopt(customer, method)
        copied = self._clerk("account.move", "copy", [invoice])
        [copied] = copied if isinstance(copied, list) else [copied]
        today = self._query("SELECT now()::date")[0][0]
        values = {"invoice_date": today, "invoice_date_due": today}
        values["invoice_payment_term_id"] = False
        self._clerk("account.move", "write", [copied], values)
        self._clerk("account.move", "action_post", [copied])
        self._tell("time-lapse: the next invoice")
        return copied

    # === TIME === #

    def _columns(self):
        """Return ``{table: [(column, type)]}`` of what is a date or a time."""
        rows = self._query(
            "SELECT table_name, column_name, data_type FROM information_schema.columns"
            " WHERE data_type IN ('date', 'timestamp without time zone')"
            f" AND table_name IN ({', '.join(repr(name) for name in TABLES)})"
        )
        found = {}
        for table, column, kind in rows:
            found.setdefault(table, []).append((column, kind))
        return found

    def _age(self, partner, columns):
        """Make everything that is known of the customer a day older."""
        for table, condition in TABLES.items():
            changes = ", ".join(
                f"{column} = {column} - "
                + ("1" if kind == "date" else "interval '1 day'")
                for column, kind in columns.get(table, [])
            )
            if changes:
                where = condition.format(partner=partner)
                self._query(f"UPDATE {table} SET {changes} WHERE {where}")

    def _wake(self):
        """Let the scheduled actions of collections, and the mails, go now."""
        self._query(
            "UPDATE ir_cron SET nextcall = now() AT TIME ZONE 'UTC' WHERE id IN"
            " (SELECT res_id FROM ir_model_data WHERE model = 'ir.cron' AND"
            "  (module = 'crm_dunning' OR name = 'ir_cron_mail_scheduler_action'))"
        )
        self._running.wake_crons()

    # === TOOLS === #

    def _query(self, sql):
        return databases.query(sql, self._running.database)

    def _find(self, xmlid):
        module, name = xmlid.split(".")
        rows = self._query(
            "SELECT res_id FROM ir_model_data"
            f" WHERE module = '{module}' AND name = '{name}'"
        )
        return int(rows[0][0]) if rows else None
