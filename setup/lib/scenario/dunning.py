"""Operation "dunning": a policy, unpaid instalments, payments, and runs over them.

Each instalment is an invoice of its own, posted, due on its day. A run is the reminder
job followed by the job that lets the mails leave; what it did is read from the ledger
of messages, the cases and the task of the policy's owner.
"""

import contextlib
from datetime import time, timedelta
from decimal import Decimal
from unittest.mock import Mock, patch

from .clock import naive, to_date
from .money import text, to_float

SHIPPED = [(-5, "mail"), (2, "mail"), (9, "mail"), (18, "person")]
ACTIONS = {"mail": "mail", "human": "person", "person": "person"}
AGE = timedelta(days=60)  # of an invoice when it falls due
MORNING = time(6)  # money moves before the run of the day
LISTED = ("listed", "known")


def play(stage, inputs):
    """Return what the runs did, messages per currency and the stage after each."""
    book = Book(stage, inputs)
    book.open()
    for run in sorted(book.runs, key=lambda run: run["date"]):
        book.receive_until(run["date"])
        book.run(run)
    return {
        "actions": book.actions,
        "attempts": book.attempts,
        "stages": book.stages,
    }


class Book:
    """The invoices of the story, and what was done about them so far."""

    def __init__(self, stage, inputs):
        self.stage, self.inputs = stage, inputs
        self.runs = [
            run if isinstance(run, dict) else {"date": run} for run in inputs["runs"]
        ]
        self.stories = inputs["instalments"]
        self.money = self._sort_money(inputs.get("payments") or [])
        self.moves = {}  # name in the story: id of the invoice
        self.transactions = {}  # position of a payment: id of its transaction
        self.policy = None
        self.last_notice = 0
        self.handed_over = set()
        self.actions, self.stages, self.attempts = [], [], {}

    @staticmethod
    def _sort_money(payments):
        """Return ``[(date, position, payment, whether it ends)]`` in order of time."""
        found = [
            (payment["date"], position, payment, False)
            for position, payment in enumerate(payments)
        ]
        found += [
            (payment["until"], position, payment, True)
            for position, payment in enumerate(payments)
            if payment.get("until")
        ]
        return sorted(found, key=lambda entry: (entry[0][:10], entry[3], entry[1]))

    # === BEFORE IT BEGINS === #

    def open(self):
        """Arm the policy and post the invoices, before anything can happen."""
        days = [to_date(one["due"]) for one in self.stories]
        days += [to_date(run["date"]) for run in self.runs]
        opening = self.stage.to_instant((min(days) - AGE).isoformat())
        self.stage.set_account(opening, {"timezone": self.inputs.get("timezone")})
        with self.stage.at(opening, person=False) as env:
            self.policy = self._create_policy(env).id
            for currency in self._get_currencies(env):
                self.attempts[currency.name] = 0
            for position, story in enumerate(self.stories):
                move = self._create_invoice(env, story)
                self.moves[self._get_name(position)] = move.id

    def _get_name(self, position):
        named = self.stories[position].get("id")
        return position if named is None else named

    def _get_currencies(self, env):
        names = dict.fromkeys(story.get("currency") for story in self.stories)
        return [self.stage.get_currency(env, name) for name in names]

    def _create_policy(self, env):
        steps = self.inputs.get("policy")
        steps = (
            SHIPPED
            if steps is None
            else [(int(step["offset"]), ACTIONS[step["action"]]) for step in steps]
        )
        thresholds = self.inputs.get("thresholds") or {}
        return env["crm.dunning.policy"].create(
            {
                "name": "Scenario policy",
                "company_id": self.stage.get_company(env).id,
                "sequence": -1,
                "state": "armed",
                "hour_from": 0.0,
                "hour_to": 24.0,
                "weekdays_only": False,
                "charge_mode": "none",
                "bank_data_limit_days": self.inputs.get("bank_data_limit_days") or 0,
                "step_ids": [
                    (0, 0, {"name": f"{action} {days}", "days": days, "action": action})
                    for days, action in steps
                ],
                "threshold_ids": [
                    (
                        0,
                        0,
                        {
                            "currency_id": self.stage.get_currency(env, name).id,
                            "amount": to_float(amount, "threshold"),
                        },
                    )
                    for name, amount in thresholds.items()
                ],
            }
        )

    def _create_invoice(self, env, story):
        due = to_date(story["due"])
        line = {
            "product_id": self.stage.get_product(env, 0).id,
            "price_unit": to_float(story["amount"], "amount"),
            "tax_ids": [(5, 0, 0)],
        }
        move = env["account.move"].create(
            {
                "move_type": "out_invoice",
                "partner_id": self.stage.get_account(env).id,
                "currency_id": self.stage.get_currency(env, story.get("currency")).id,
                "invoice_date": due - AGE,
                "invoice_payment_term_id": False,
                "invoice_date_due": due,
                "invoice_line_ids": [(0, 0, line)],
            }
        )
        move.action_post()
        return move

    # === MONEY === #

    def receive_until(self, date):
        """Let everything arrive or fail that is dated up to the day of a run."""
        while self.money and self.money[0][0][:10] <= date[:10]:
            day, position, payment, is_end = self.money.pop(0)
            instant = self.stage.to_instant(day, at=MORNING)
            with self.stage.at(instant, person=False) as env:
                if is_end:
                    self._fail(env, position)
                elif payment.get("state", "done") == "processing":
                    self.transactions[position] = self._begin(env, payment).id
                else:
                    self._pay(env, payment)

    def _find_move(self, env, payment):
        """Return the invoice of a payment, named by id or position."""
        named = payment["instalment"]
        if named not in self.moves:
            named = self._get_name(int(named))
        return env["account.move"].browse(self.moves[named])

    def _pay(self, env, payment):
        move = self._find_move(env, payment)
        wizard = env["account.payment.register"].with_context(
            active_model="account.move", active_ids=move.ids
        )
        amount = to_float(payment["amount"], "amount")
        wizard.create({"amount": amount})._create_payments()

    def _begin(self, env, payment):
        """Start an online payment whose outcome the provider does not know yet."""
        move = self._find_move(env, payment)
        transaction = env["payment.transaction"].create(
            {
                "provider_id": env.ref("payment.payment_provider_stripe").id,
                "payment_method_id": env.ref("payment.payment_method_card").id,
                "reference": f"{move.name}-{payment['date']}",
                "operation": "online_redirect",
                "partner_id": move.partner_id.id,
                "amount": to_float(payment["amount"], "amount"),
                "currency_id": move.currency_id.id,
                "invoice_ids": [(6, 0, move.ids)],
            }
        )
        transaction._set_pending()
        return transaction

    def _fail(self, env, position):
        """The payment is not under way any more; what it did not pay is still open."""
        transaction = env["payment.transaction"].browse(self.transactions[position])
        transaction._set_canceled()

    # === RUNS === #

    def run(self, run):
        """Let the jobs run, and read what they did."""
        self._import_bank_data(run)
        now = self.stage.to_instant(run["date"])
        day = to_date(run["date"], self.stage.zone).isoformat()
        with self.stage.at(now, person=False) as env:
            told = self._get_task(env)
            env["crm.dunning.case"]._cron_follow_up(now=naive(now))
        with self.stage.at(now, person=False) as env:
            with mail_server(env):
                env["mail.mail"].process_email_queue()
        with self.stage.at(now, person=False) as env:
            if self._get_task(env) - told:
                self.actions.append({"date": day, "action": "owner_told"})
            self._read_messages(env, day)
            self._read_hand_overs(env, day)
            self.stages.append({"date": day, "stage": self._read_stage(env, now)})

    def _import_bank_data(self, run):
        """Enter a bank statement as many days ago as the story says, else today."""
        if not self.inputs.get("bank_data_limit_days"):
            return
        age = timedelta(days=int(run.get("bank_data_age_days") or 0))
        with self.stage.at(self.stage.to_instant(run["date"]) - age, False) as env:
            journal = env["account.journal"].search([("type", "=", "bank")], limit=1)
            env["account.bank.statement.line"].create(
                {
                    "journal_id": journal.id,
                    "date": to_date(run["date"]) - age,
                    "payment_ref": "Bank charges",
                    "amount": -1.0,
                }
            )

    def _get_task(self, env):
        policy = env["crm.dunning.policy"].browse(self.policy)
        return policy._get_wave_activity(self.stage.get_company(env))

    def _read_messages(self, env, day):
        notices = env["crm.dunning.notice"].search(
            [("id", ">", self.last_notice)], order="id"
        )
        self.last_notice = max(notices.ids, default=self.last_notice)
        sent = notices.filtered(lambda notice: notice.state == "sent")
        for notice in sent.sorted(lambda notice: self._get_rank(notice.currency_id)):
            lines = notice.line_ids.filtered(lambda line: line.kind in LISTED)
            self.attempts[notice.currency_id.name] += 1
            self._add("mail", day, notice.currency_id, notice.stage, lines)

    def _read_hand_overs(self, env, day):
        """A person gets what is overdue in a currency, once it was taken over."""
        cases = env["crm.dunning.case"].search(
            [("state", "=", "person"), ("id", "not in", [*self.handed_over])]
        )
        self.handed_over |= set(cases.ids)
        for currency, group in sorted(
            cases.grouped("currency_id").items(), key=lambda one: self._get_rank(one[0])
        ):
            rows = env["account.move.line"].search(
                [
                    ("move_id", "in", [*self.moves.values()]),
                    ("currency_id", "=", currency.id),
                    ("display_type", "=", "payment_term"),
                    ("reconciled", "=", False),
                    ("date_maturity", "<", day),
                ]
            )
            self._add("human", day, currency, max(group.mapped("stage")), rows)

    def _get_rank(self, currency):
        """Return the place of a currency in the story: in that order it is told."""
        return list(self.attempts).index(currency.name)

    def _add(self, action, day, currency, stage, lines):
        amounts = self._get_amounts(lines)
        self.actions.append(
            {
                "date": day,
                "action": action,
                "stage": stage,
                "amount": text(sum(amounts.values()), currency.decimal_places),
                "currency": currency.name,
                "listed": list(amounts),
            }
        )

    def _get_amounts(self, lines):
        """Return ``{name in the story: amount}``, the oldest first."""
        names = {move: name for name, move in self.moves.items()}
        is_ledger = lines._name == "crm.dunning.notice.line"
        field, due = (
            ("amount", "date_due")
            if is_ledger
            else ("amount_residual_currency", "date_maturity")
        )
        return {
            names[line.move_id.id]: Decimal(str(line[field]))
            for line in lines.sorted(lambda line: (line[due], line.move_id.id))
        }

    def _read_stage(self, env, now):
        """Return the account's stage as the next run would find it."""
        payer = self.stage.get_account(env).commercial_partner_id
        found = env["crm.dunning.case"]._decide_follow_up(naive(now), payer.ids)
        stages = [one.decision.stage for one in found]
        return max((stage for stage in stages if stage is not None), default=None)


@contextlib.contextmanager
def mail_server(env):
    """Take every mail that leaves, as a server would that nobody has set up here."""
    server = env.registry["ir.mail_server"]
    session = Mock(from_filter=False, smtp_from=False)
    with (
        patch.object(server, "_disable_send", lambda *args: False),
        patch.object(server, "_connect__", lambda *args, **options: session),
    ):
        yield session.send_message
