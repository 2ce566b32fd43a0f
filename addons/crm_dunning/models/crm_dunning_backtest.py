import time

from dateutil.relativedelta import relativedelta

from odoo import api, fields, models
from odoo.exceptions import UserError
from odoo.fields import Domain
from odoo.tools import format_date

from .crm_dunning_policy_arm import PARTS, TERMS

CHUNK_SIZE = 100
# So long the user waits; the job goes on with a larger ledger.
SECONDS_AT_ONCE = 15
MONTHS = 12
KEEP_DAYS = 400


class CrmDunningBacktest(models.Model):
    """The last twelve months, as a policy would have collected them.

    Nothing is written but the result: who would have got what and when, how much of it
    after the customer had paid, how many cases for people. The past is rebuilt in
    `crm_dunning_backtest_history.py`, chunk by chunk, and replayed by the same rules
    that the daily run asks. Arming a policy asks to have read the back-test of exactly
    this version of it.
    """

    _name = "crm.dunning.backtest"
    _description = "Collections Back-test"
    _order = "id desc"

    name = fields.Char(compute="_compute_name")
    policy_id = fields.Many2one(
        "crm.dunning.policy", required=True, index=True, ondelete="cascade"
    )
    digest = fields.Char(required=True)
    is_current = fields.Boolean(
        compute="_compute_is_current",
        string="Of the Policy as It Is",
        help="Otherwise the policy was changed afterwards.",
    )
    company_id = fields.Many2one("res.company", required=True, index=True)
    currency_id = fields.Many2one(related="company_id.currency_id")
    user_id = fields.Many2one("res.users", string="By", required=True)
    scope = fields.Selection(
        [
            ("followers", "Accounts that follow the policy"),
            ("all", "All accounts, as nobody follows it yet"),
        ],
        required=True,
        string="Replayed On",
    )
    date_from = fields.Date(string="First Day", required=True)
    date_until = fields.Date(string="Last Day", required=True)
    state = fields.Selection(
        [("running", "Running"), ("done", "Done"), ("stopped", "Stopped")],
        default="running",
        required=True,
        index=True,
    )
    read_uid = fields.Many2one("res.users", string="Read By")
    read_at = fields.Datetime(string="Read On")
    last_partner_id = fields.Integer(default=0)
    payer_total = fields.Integer(string="Payers")
    payer_done = fields.Integer(string="Payers Done")
    progress = fields.Integer(compute="_compute_progress")
    line_ids = fields.One2many("crm.dunning.backtest.line", "backtest_id")

    mail_count = fields.Integer(string="Mails", compute="_compute_totals")
    account_count = fields.Integer(
        string="Accounts Written to", compute="_compute_accounts"
    )
    after_payment_count = fields.Integer(
        string="Mails after Payment",
        compute="_compute_totals",
        help="Mails for money that had come already and was matched only later.",
    )
    person_count = fields.Integer(string="Cases for People", compute="_compute_totals")
    activity_count = fields.Integer(
        string="Calls and Letters", compute="_compute_totals"
    )
    charge_count = fields.Integer(string="Charges", compute="_compute_totals")
    amount_charged = fields.Monetary(string="Charged", compute="_compute_totals")
    busiest = fields.Char(string="Busiest Day", compute="_compute_busiest")
    tones = fields.Json(compute="_compute_tones")

    # === COMPUTE METHODS === #

    @api.depends("policy_id", "date_from", "date_until")
    @api.depends_context("lang")
    def _compute_name(self):
        for backtest in self:
            backtest.name = self.env._(
                "%(policy)s, %(first)s to %(last)s",
                policy=backtest.policy_id.name,
                first=format_date(self.env, backtest.date_from),
                last=format_date(self.env, backtest.date_until),
            )

    @api.depends("digest", *(f"policy_id.{name}" for name in (*TERMS, *PARTS)))
    def _compute_is_current(self):
        for backtest in self:
            backtest.is_current = backtest.digest == backtest.policy_id._get_digest()

    @api.depends("payer_total", "payer_done", "state")
    def _compute_progress(self):
        for backtest in self:
            total = backtest.payer_total
            is_done = backtest.state == "done" or not total
            backtest.progress = 100 if is_done else 100 * backtest.payer_done // total

    @api.depends("line_ids")
    def _compute_totals(self):
        """Count by kind of action, in one query for all."""
        rows = self._count_lines(["action"], ["amount_company:sum"])
        after = self._count_lines([], [], Domain("is_after_payment", "=", True))
        late = {backtest: count for backtest, count in after}
        for backtest in self:
            mine = {
                action: (count, amount)
                for one, action, count, amount in rows
                if one == backtest
            }
            count = {action: number for action, (number, _amount) in mine.items()}
            backtest.mail_count = count.get("mail", 0)
            backtest.after_payment_count = late.get(backtest, 0)
            backtest.person_count = count.get("person", 0)
            backtest.activity_count = count.get("activity", 0) + count.get("letter", 0)
            backtest.charge_count, backtest.amount_charged = mine.get("charge", (0, 0))

    @api.depends("line_ids")
    def _compute_accounts(self):
        rows = self._count_lines(
            [], ["partner_id:count_distinct"], Domain("action", "=", "mail")
        )
        counts = {backtest: accounts for backtest, _mails, accounts in rows}
        for backtest in self:
            backtest.account_count = counts.get(backtest, 0)

    @api.depends("line_ids")
    @api.depends_context("lang")
    def _compute_busiest(self):
        rows = self._count_lines(["date:day"], [], Domain("action", "=", "mail"))
        for backtest in self:
            mine = [row for row in rows if row[0] == backtest]
            _one, day, count = max(
                mine, key=lambda row: row[2], default=(None, None, 0)
            )
            backtest.busiest = count and self.env._(
                "%(day)s, %(count)s mails",
                day=format_date(self.env, day),
                count=count,
            )

    @api.depends("line_ids")
    @api.depends_context("lang")
    def _compute_tones(self):
        """Count mails and their accounts by tone, for the form."""
        lines = self.env["crm.dunning.backtest.line"]
        names = dict(lines._fields["tone"]._description_selection(self.env))
        rows = self._count_lines(
            ["tone"], ["partner_id:count_distinct"], Domain("action", "=", "mail")
        )
        for backtest in self:
            backtest.tones = [
                {
                    "tone": tone,
                    "name": names.get(tone, ""),
                    "mails": count,
                    "accounts": accounts,
                }
                for one, tone, count, accounts in sorted(
                    rows, key=lambda row: list(names).index(row[1])
                )
                if one == backtest
            ]

    def _count_lines(self, groupby, aggregates, domain=Domain.TRUE):
        """Return rows ``(backtest, *groups, count, *aggregates)`` of all of them."""
        return self.env["crm.dunning.backtest.line"]._read_group(
            Domain("backtest_id", "in", self.ids) & domain,
            ["backtest_id", *groupby],
            ["__count", *aggregates],
        )

    # === ACTION METHODS === #

    def action_read(self):
        """Record who has read the result; arming asks for it."""
        self.ensure_one()
        self.policy_id._check_is_dunning_manager()
        self.check_access("read")
        if self.state != "done":
            raise UserError(
                self.env._(
                    "The back-test is not finished: wait for it, or run it again."
                )
            )
        # The result belongs to the flow; who read it is recorded for the person.
        self.sudo().write({"read_uid": self.env.uid, "read_at": fields.Datetime.now()})
        self.policy_id._message_log(
            body=self.env._(
                "Back-test read: %(mails)s mails, %(people)s cases for people, "
                "%(late)s mails after payment.",
                mails=self.mail_count,
                people=self.person_count,
                late=self.after_payment_count,
            )
        )
        return True

    def action_stop(self):
        """Stop a back-test that is running; what it has found is kept."""
        self.policy_id._check_is_dunning_manager()
        self.check_access("read")
        running = self.sudo().filtered(lambda one: one.state == "running")
        running.state = "stopped"
        return True

    def action_view_lines(self):
        """Open who would have got what and when."""
        return self._get_lines_action({})

    def action_view_after_payment(self):
        """Open the mails that customers would have got although they had paid."""
        return self._get_lines_action({"search_default_after_payment": 1})

    def action_view_people(self):
        """Open the cases that people would have had to work."""
        return self._get_lines_action({"search_default_person": 1})

    def _get_lines_action(self, context):
        self.ensure_one()
        action = self.env["ir.actions.act_window"]._for_xml_id(
            "crm_dunning.crm_dunning_backtest_line_action"
        )
        return {
            **action,
            "domain": [("backtest_id", "=", self.id)],
            "context": context,
            "path": False,
        }

    # === BUSINESS METHODS === #

    @api.model
    def _run_for(self, policy, company, until):
        """Replay ``policy`` in ``company``, at once or by the job, and return the row.

        :param until: last day of the replay, local date of the company
        """
        payers = self._get_payers(company, until - relativedelta(months=MONTHS))
        followers = policy._filter_followers(payers, company)
        backtest = self.create(
            {
                "policy_id": policy.id,
                "digest": policy._get_digest(),
                "company_id": company.id,
                "user_id": self.env.uid,
                "scope": "followers" if followers else "all",
                "date_from": until - relativedelta(months=MONTHS, days=-1),
                "date_until": until,
                "payer_total": len(followers or payers),
            }
        )
        deadline = time.monotonic() + SECONDS_AT_ONCE
        while backtest._replay_chunk(CHUNK_SIZE):
            if time.monotonic() > deadline:
                self.env.ref("crm_dunning.ir_cron_backtest")._trigger()
                break
        return backtest

    @api.model
    def _cron_backtest(self, chunk_size=CHUNK_SIZE):
        """Go on with the back-tests that are running, one commit a chunk.

        A killed job goes on after the last committed chunk.
        """
        self = self.sudo()
        commit_progress = self.env["ir.cron"]._commit_progress
        running = self.search([("state", "=", "running")], order="id")
        commit_progress(
            remaining=sum(one.payer_total - one.payer_done for one in running)
        )
        for backtest in running:
            backtest = backtest.try_lock_for_update(allow_referencing=True)
            while backtest.state == "running":
                done = backtest._replay_chunk(chunk_size)
                if not commit_progress(done):
                    return
                backtest = backtest.try_lock_for_update(allow_referencing=True)

    def _replay_chunk(self, chunk_size):
        """Replay the next payers.

        :return: how many, 0 when there is nobody left, which ends the back-test
        """
        self.ensure_one()
        payers = self._get_payers(
            self.company_id, self.date_from, self.last_partner_id, chunk_size
        )
        if not payers:
            self.state = "done"
            return 0
        chosen = payers
        if self.scope == "followers":
            chosen = self.policy_id._filter_followers(payers, self.company_id)
        self.env["crm.dunning.backtest.line"].create(self._replay(chosen))
        self.write(
            {
                "last_partner_id": payers[-1].id,
                "payer_done": self.payer_done + len(chosen),
            }
        )
        return len(payers)

    @api.autovacuum
    def _gc_backtests(self):
        """Forget back-tests of more than a year ago."""
        oldest = fields.Datetime.subtract(fields.Datetime.now(), days=KEEP_DAYS)
        self.search([("create_date", "<", oldest)], limit=20).unlink()


class CrmDunningPolicy(models.Model):
    _inherit = "crm.dunning.policy"

    backtest_ids = fields.One2many("crm.dunning.backtest", "policy_id")
    backtest_count = fields.Integer(compute="_compute_backtest_count")
    is_backtest_read = fields.Boolean(compute="_compute_is_backtest_read")

    # === COMPUTE METHODS === #

    @api.depends("backtest_ids")
    def _compute_backtest_count(self):
        counts = dict(
            self.env["crm.dunning.backtest"]._read_group(
                [("policy_id", "in", self.ids)], ["policy_id"], ["__count"]
            )
        )
        for policy in self:
            policy.backtest_count = counts.get(policy._origin, 0)

    @api.depends("backtest_ids.read_at", *TERMS, *PARTS)
    @api.depends_context("company")
    def _compute_is_backtest_read(self):
        for policy in self:
            policy.is_backtest_read = bool(policy._origin._get_read_backtest())

    # === ACTION METHODS === #

    def action_backtest(self):
        """Replay the policy on the last twelve months and show what it would have done.

        A policy for all companies is replayed in the company that the user works in.
        """
        self.ensure_one()
        self._check_is_dunning_manager()
        company = self.company_id or self.env.company
        backtests = self.env["crm.dunning.backtest"]
        until = fields.Date.context_today(self.with_context(tz=company.billing_tz))
        # The replay reads the whole ledger of the company and writes its own rows.
        backtest = backtests.sudo()._run_for(self.sudo(), company, until)
        return {
            "type": "ir.actions.act_window",
            "res_model": backtests._name,
            "res_id": backtest.id,
            "views": [(False, "form")],
        }

    def action_view_backtests(self):
        """Open the back-tests of this policy."""
        self.ensure_one()
        action = self.env["ir.actions.act_window"]._for_xml_id(
            "crm_dunning.crm_dunning_backtest_action"
        )
        return {**action, "domain": [("policy_id", "=", self.id)], "path": False}

    def action_view_recovery(self):
        """Open what this policy has brought in."""
        self.ensure_one()
        action = self.env["ir.actions.act_window"]._for_xml_id(
            "crm_dunning.crm_dunning_recovery_report_action"
        )
        return {**action, "domain": [("policy_id", "=", self.id)], "path": False}

    # === BUSINESS METHODS === #

    def _get_read_backtest(self):
        """Return the back-test of this very version that somebody has read, if any."""
        if not self:
            return self.env["crm.dunning.backtest"]
        self.ensure_one()
        # Whoever read it, in the company at hand.
        return (
            self.env["crm.dunning.backtest"]
            .sudo()
            .search(
                [
                    ("policy_id", "=", self.id),
                    ("company_id", "=", (self.company_id or self.env.company).id),
                    ("digest", "=", self._get_digest()),
                    ("state", "=", "done"),
                    ("read_uid", "!=", False),
                ],
                limit=1,
            )
        )

    def _get_backtest_problems(self):
        """Return what keeps the policy from being armed as to its back-test."""
        if self._get_read_backtest():
            return []
        return [
            self.env._(
                "nobody has read its back-test as it is now: run the back-test, look "
                "at it and press “I have read it”"
            )
        ]

    def _filter_followers(self, payers, company):
        """Return the payers that would follow this policy in ``company``."""
        self.ensure_one()
        policies = payers._get_dunning_policies(company)
        return payers.filtered(lambda payer: policies[payer.id] == self)
