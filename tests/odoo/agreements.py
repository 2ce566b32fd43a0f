"""Agreements in an office: made in numbers, billed by the job, counted."""

import contextlib
from collections import namedtuple

from lib.paths import SETUP

LANES = [
    "crm_billing_handoff.ir_cron_invoice_agreements",
    "crm_billing_handoff.ir_cron_invoice_agreements_2",
]
CLONE = f"""
import sys
sys.path.insert(0, {str(SETUP)!r})
from lib.bench_cloning import create_agreements
print(create_agreements(env, {{count}}))
"""
# What became of an agreement: its invoices, its ledger rows, why it was not billed.
Billed = namedtuple("Billed", "invoices rows error")
ONCE = Billed(1, 1, None)
NOT_YET = Billed(0, 0, None)
BILLED = """
    SELECT id,
           (SELECT count(*) FROM account_move_crm_billing_agreement_rel
             WHERE agreement_id = agreement.id),
           (SELECT count(*) FROM crm_billing_period
             WHERE agreement_id = agreement.id AND move_line_id IS NOT NULL),
           billing_error
      FROM crm_billing_agreement agreement WHERE id = ANY(%s) ORDER BY id
"""


class Agreements:
    """The agreements of an office, whose job bills when a test says so."""

    def __init__(self, office):
        self.office = office
        lanes = [office._get_id(*lane.split(".")) for lane in LANES]
        self.lanes = lanes
        office.execute("UPDATE ir_cron SET active = id = ANY(%s)", lanes)
        office.execute("UPDATE ir_cron SET nextcall = now() + interval '1 day'")
        [self.plan] = office.admin("crm.billing.plan", "create", [{"name": "Monthly"}])

    def create(self, count=1, accounts=None, start=True, **values):
        """Create running agreements, each of another account unless some are given.

        :return: their ids
        """
        office = self.office
        accounts = accounts or [
            office.create_account(f"Customer {number}")[0] for number in range(count)
        ]
        line = {"product_id": office.product, "plan_id": self.plan, "price_unit": 100}
        line |= values.pop("line", {})
        agreements = office.admin(
            "crm.billing.agreement",
            "create",
            [
                {"partner_id": account, "line_ids": [(0, 0, line)], **values}
                for account in accounts
            ],
        )
        if start:
            office.admin("crm.billing.agreement", "action_start", agreements)
        return agreements

    def create_many(self, odoo_shell, database, count):
        """Create many as copies of one, in a process of their own."""
        output = odoo_shell(database, CLONE.format(count=count))
        first = int(output.splitlines()[-1])
        return list(range(first + 1, first + count + 1))

    def set_job(self, chunk_size=100, now=None):
        """Have the job commit after each ``chunk_size``, and believe it is ``now``."""
        instant = now and f"datetime.datetime{now.timetuple()[:6]}"
        code = f"model._cron_invoice_due(now={instant}, chunk_size={chunk_size})"
        self.office.admin("ir.cron", "write", self.lanes, {"code": code})

    def run(self, lane=0, **options):
        self.office.run_job(self.lanes[lane], **options)

    @contextlib.contextmanager
    def due_for_workers(self):
        """Let cron workers take the job up as soon as they look."""
        self.office.execute(
            "UPDATE ir_cron SET nextcall = now() AT TIME ZONE 'utc' WHERE id = %s",
            self.lanes[0],
        )
        yield
        self.office.execute("UPDATE ir_cron SET nextcall = now() + interval '1 day'")

    def get_billed(self, agreements):
        """Return ``{agreement id: Billed}``."""
        rows = self.office.query(BILLED, list(agreements))
        return {key: Billed(*billed) for key, *billed in rows}

    def are_billed_once(self, agreements):
        return set(self.get_billed(agreements).values()) == {ONCE}

    def get_invoices(self, agreement):
        """Return ``[(service from, until)]`` of the lines, in the order of bills."""
        return self.office.query(
            "SELECT billing_date_from, billing_date_to FROM account_move_line line"
            "  JOIN crm_billing_agreement_line own ON own.id = billing_line_id"
            " WHERE own.agreement_id = %s ORDER BY move_id",
            agreement,
        )

    def get_tasks(self, agreements):
        """Return ``[number of open tasks]``, an agreement each that has any."""
        rows = self.office.query(
            "SELECT count(*) FROM mail_activity WHERE active"
            " AND res_model = 'crm.billing.agreement' AND res_id = ANY(%s)"
            " GROUP BY res_id",
            list(agreements),
        )
        return [count for [count] in rows]
