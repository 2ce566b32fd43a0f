"""People at work in real servers, for tests in which several transactions meet.

Everything goes through the door that the web client uses, so that each call is a
transaction of its own, retried as Odoo retries it. Nothing here needs odoo.
"""

import contextlib
import functools
import time
from collections import namedtuple
from concurrent.futures import ThreadPoolExecutor

from lib.session import Refused, Session

JOB = "crm_billing_handoff.ir_cron_process_handoffs"
SELLER = "sales_team.group_sale_salesman"
SALES_LEADER = "sales_team.group_sale_salesman_all_leads"
CLERK = "crm_billing_handoff.group_billing_user"

# What became of a deal: its handoffs, its invoices, and what it shows.
Bill = namedtuple("Bill", "handoffs invoices billing_state")
QUEUED = Bill("pending", None, "waiting")
ONE_DRAFT = Bill("done", "draft", "draft")
BILLS = """
    SELECT lead.name,
           (SELECT string_agg(state, ' ') FROM crm_billing_handoff
             WHERE lead_id = lead.id),
           (SELECT string_agg(state, ' ') FROM account_move
              JOIN account_move_crm_lead_rel ON move_id = account_move.id
             WHERE lead_id = lead.id),
           lead.billing_state
      FROM crm_lead lead WHERE lead.id = ANY(%s) ORDER BY lead.id
"""


class Office:
    """A company whose people work at one server or several on the same database."""

    def __init__(self, connection, *servers):
        connection.autocommit = True
        self.cursor = connection.cursor()
        self.servers = servers
        self.admin = Session(servers[0], "admin")
        self.home = self._get_id("base", "us")
        company = self.admin("res.company", "search", [])[0]
        self.admin("res.company", "write", company, {"country_id": self.home})
        self.product = self._create_product("Consulting day")
        self.won_stage = self._get_stage(is_won=True)

    @functools.cached_property
    def account(self):
        return self.create_account("Northwind")[0]

    # === PEOPLE === #

    def hire(self, login, group, server=0):
        """Return the session of a new user at the server of that number."""
        groups = [self._get_id(*name.split(".")) for name in ("base.group_user", group)]
        values = {"name": login, "login": login, "password": login}
        self.admin("res.users", "create", {**values, "group_ids": groups})
        return Session(self.servers[server], login)

    # === RECORDS === #

    def create_account(self, name):
        """Create a company that is ready to be billed.

        :return: its id and the id of who receives its invoices
        """
        account = self.create_customer(name)
        payable = {"name": f"{name} Payable", "parent_id": account}
        payable |= {"email": "payable@example.com"}
        [payable] = self.admin("res.partner", "create", [payable])
        self.admin("res.partner", "write", account, {"billing_contact_id": payable})
        return account, payable

    def create_customer(self, name):
        """Create a company as Odoo knows it, nobody named who receives invoices."""
        values = {"name": name, "is_company": True, "country_id": self.home}
        values |= {"street": "1 Main Street", "city": "Springfield"}
        return self.admin("res.partner", "create", [values])[0]

    def create_deals(self, seller, *names, product=None, account=None):
        """Create opportunities with a quotation each, as the salesperson.

        :return: their ids
        """
        account = account or self.account
        deals = seller(
            "crm.lead",
            "create",
            [
                {"name": name, "type": "opportunity", "partner_id": account}
                for name in names
            ],
        )
        line = {"product_id": product or self.product, "price_unit": 100}
        seller(
            "sale.order",
            "create",
            [
                {
                    "partner_id": account,
                    "opportunity_id": deal,
                    "order_line": [(0, 0, line)],
                }
                for deal in deals
            ],
        )
        return deals

    def create_broken_product(self, code="999900"):
        """Create a product that no invoice can hold: its account is off balance.

        :return: its id and the id of that account
        """
        values = {"name": "Off balance", "code": code}
        values |= {"account_type": "off_balance"}
        [account] = self.admin("account.account", "create", [values])
        values = {"property_account_income_id": account}
        return self._create_product("Broken product", **values), account

    def _create_product(self, name, **values):
        values |= {"name": name, "type": "service", "invoice_policy": "order"}
        values |= {"taxes_id": [(6, 0, [])]}
        return self.admin("product.product", "create", [values])[0]

    def _get_stage(self, is_won):
        domain = [("is_won", "=", is_won)]
        return self.admin("crm.stage", "search", domain, limit=1)[0]

    def _get_id(self, module, name):
        domain = [("module", "=", module), ("name", "=", name)]
        [found] = self.admin("ir.model.data", "search_read", domain, ["res_id"])
        return found["res_id"]

    # === VERBS === #

    def win(self, seller, deals):
        seller("crm.lead", "write", deals, {"stage_id": self.won_stage})

    def invoice(self, deal):
        """Confirm the quotation of the deal and invoice it, without our addons.

        :return: the id of the draft
        """
        orders = self.admin("sale.order", "search", [("opportunity_id", "=", deal)])
        self.admin("sale.order", "action_confirm", orders)
        [wizard] = self.admin(
            "sale.advance.payment.inv",
            "create",
            [{"advance_payment_method": "delivered", "sale_order_ids": orders}],
        )
        self.admin("sale.advance.payment.inv", "create_invoices", [wizard])
        domain = [("invoice_origin", "!=", False)]
        return self.admin("account.move", "search", domain, limit=1, order="id desc")[0]

    def run_job(self, lane=None, session=None):
        """Run the job in the server of the session, as its cron thread does.

        :param lane: the id of another scheduled action on the same method
        :raise Refused: the job failed
        """
        lane = lane or self._get_id(*JOB.split("."))
        result = (session or self.admin)("ir.cron", "method_direct_trigger", [lane])
        if result is not True:
            raise Refused(result)

    def slice_job(self, size):
        """Have the job commit after each ``size`` deals."""
        code = f"model._cron_process(chunk_size={size})"
        self.admin("ir.cron", "write", self._get_id(*JOB.split(".")), {"code": code})

    def create_lane(self, name, size):
        """Create a second scheduled action that works on the same queue."""
        model = self._get_id("crm_billing_handoff", "model_crm_billing_handoff")
        values = {"name": name, "model_id": model, "state": "code"}
        values |= {"user_id": self._get_id("base", "user_root")}
        values |= {"code": f"model._cron_process(chunk_size={size})"}
        values |= {"interval_number": 1, "interval_type": "days"}
        return self.admin("ir.cron", "create", [values])[0]

    # === QUESTIONS === #

    def query(self, sql, *parameters):
        self.cursor.execute(sql, parameters or None)
        return self.cursor.fetchall()

    def execute(self, sql, *parameters):
        """Change what no user can, behind the back of the servers."""
        self.cursor.execute(sql, parameters)

    def get_handoffs(self, deals):
        sql = "SELECT id FROM crm_billing_handoff WHERE lead_id = ANY(%s) ORDER BY id"
        return [handoff for [handoff] in self.query(sql, list(deals))]

    def get_bills(self, deals):
        """Return ``{name of the deal: Bill}``."""
        return {name: Bill(*bill) for name, *bill in self.query(BILLS, list(deals))}

    def get_bill(self, deal):
        [bill] = self.get_bills([deal]).values()
        return bill

    def count_invoices(self):
        return self.query("SELECT count(*) FROM account_move")[0][0]

    def count_waiting(self):
        """Return how many transactions wait for somebody else to let go."""
        return self.query(
            "SELECT count(*) FROM pg_stat_activity"
            " WHERE datname = current_database() AND wait_event_type = 'Lock'"
        )[0][0]

    # === GATES === #

    @contextlib.contextmanager
    def gate(self, event):
        """Stop every transaction at ``event`` until ``open`` is called.

        :param event: when and for what, as in ``CREATE TRIGGER``; after a row, or
            before a statement, where no row is locked yet
        """
        self.cursor.execute("SELECT pg_advisory_lock(19)")
        self.cursor.execute(
            "CREATE OR REPLACE FUNCTION stop_at_gate() RETURNS trigger AS $$"
            " BEGIN PERFORM pg_advisory_xact_lock_shared(19); RETURN NULL; END"
            " $$ LANGUAGE plpgsql"
        )
        table = event.split(" ON ")[1].split()[0]
        self.cursor.execute(
            f"CREATE TRIGGER gate {event} EXECUTE FUNCTION stop_at_gate()"
        )

        def open_gate():
            self.cursor.execute("SELECT pg_advisory_unlock_all()")

        try:
            yield open_gate
        finally:
            open_gate()
            self.cursor.execute(f"DROP TRIGGER gate ON {table}")

    def meet(self, event, *calls):
        """Let all calls arrive at ``event``, then let them go on at once.

        :return: what they return
        :raise Refused: one of them failed
        """
        with ThreadPoolExecutor(len(calls)) as pool, self.gate(event) as open_gate:
            running = [pool.submit(call) for call in calls]
            until(
                lambda: (
                    self.count_waiting() == len(calls)
                    or any(call.done() for call in running)
                )
            )
            assert self.count_waiting() == len(calls), [
                call.exception() for call in running if call.done()
            ]
            open_gate()
            return [call.result() for call in running]


def until(question, seconds=60, meanwhile=None):
    """Ask again and again until the answer is yes, or the deadline has passed.

    :param meanwhile: called before each question
    """
    deadline = time.monotonic() + seconds
    while True:
        if meanwhile:
            meanwhile()
        if answer := question():
            return answer
        assert time.monotonic() < deadline, "It has not happened in time"
        time.sleep(0.1)
