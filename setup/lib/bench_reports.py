"""P12, P13, P14: aging of 200,000 open items in a ledger of 1.2 million.

Read by those who do: an accountant, and a salesperson who has each tenth account, so
that access rules count. The floor of the latter asks for the same: own accounts and
invoices of own.

The upper half drives, the lower half (from IN ODOO on) runs inside an Odoo process. The
floor is the same question as plain SQL, asked in the same run.
"""

import json
import resource
import tempfile
import time

from . import databases, paths
from .meter import Meter, measure_least

OPEN, PAID, CUSTOMERS = 200_000, 200_000, 10_000

_results = {}


def aging_today():
    """P12: aging by account, today."""
    yield from _aging("today", 0.5)


def aging_before():
    """P13: the same as of a day a year ago."""
    yield from _aging("before", 2)


def details():
    """P14: the 200,000 open items one by one."""
    found = _measure()
    for role, page in found["page"].items():
        yield {
            "n": OPEN,
            "what": f"open items: the first page of 80, {role} (floor: plain SQL)",
            "value": page["seconds"],
            "floor": page["floor"],
            "unit": "s",
            "goal": 0.3,
        }
    yield {
        "n": OPEN,
        "what": "open items: all of them as a CSV file, streamed (floor: plain COPY)",
        "value": found["export"]["seconds"],
        "floor": found["export"]["floor"],
        "unit": "s",
        "goal": 5,
    }
    yield {
        "n": OPEN,
        "what": "the same again, when each document has its external id",
        "value": found["export"]["again"],
        "floor": found["export"]["floor"],
        "unit": "s",
        "goal": 5,
    }
    yield {
        "n": OPEN,
        "what": "the same: memory above that of a page",
        "value": found["export"]["megabytes"],
        "floor": 0,
        "unit": "MB",
        "goal": 64,
    }


def _aging(day, goal):
    what = {"today": "aging by account, today", "before": "aging as of a year ago"}[day]
    for role, found in _measure()[day].items():
        yield {
            "n": OPEN,
            "what": f"{what}, {role} (floor: plain SQL)",
            "value": found["seconds"],
            "floor": found["floor"],
            "unit": "s",
            "goal": 1.5,
            "goal_of": "ratio",
        }
        yield {
            "n": OPEN,
            "what": "the same, in all",
            "value": found["seconds"],
            "floor": 0,
            "unit": "s",
            "goal": goal,
        }
        yield {
            "n": OPEN,
            "what": "the same",
            "value": found["queries"],
            "floor": 0,
            "unit": "queries",
            "goal": 8,
        }


def _measure():
    if not _results:
        code = f"""
import json, sys
sys.path.insert(0, {str(paths.SETUP)!r})
from lib import bench_reports
print(json.dumps(bench_reports.measure(env, {OPEN}, {PAID}, {CUSTOMERS})))
"""
        with databases.temporary(databases.layer(demo=False), "bench") as name:
            output = databases.shell(name, code)
        _results.update(json.loads(output.splitlines()[-1]))
    return _results


# === IN ODOO === #

ROUNDS = 3  # of an export, of which the least counts
BUCKETS = (
    "not_due",
    "bucket_1_30",
    "bucket_31_60",
    "bucket_61_90",
    "bucket_91_120",
    "bucket_over_120",
    "unapplied",
    "retention",
)


def measure(env, open_items, paid_items, customers):
    """Return seconds, queries and floors of aging, and of its details."""
    from .bench_ledger import create_ledger

    create_ledger(env, open_items, paid_items, customers)
    today = env.cr.now().date()
    before = today.replace(year=today.year - 1)
    readers = create_readers(env)
    return {
        "today": {
            role: _measure_aging(own, today, _OPEN_NOW) for role, own in readers.items()
        },
        "before": {
            role: _measure_aging(own, before, _OPEN_THEN)
            for role, own in readers.items()
        },
        "page": {
            role: {
                "seconds": measure_least(own, lambda own=own: _read_page(own)),
                "floor": measure_least(own, lambda own=own: _read_page_floor(own)),
            }
            for role, own in readers.items()
        },
        "export": _measure_export(readers["accountant"], open_items),
    }


def create_readers(env):
    """Return ``{role: environment}`` of an accountant, and of a salesperson who has
    each tenth of the accounts."""
    groups = {
        "accountant": "account.group_account_invoice",
        "salesperson": "sales_team.group_sale_salesman",
    }
    users = {
        role: env["res.users"].create(
            {
                "name": role,
                "login": f"bench-{role}",
                "group_ids": [
                    (4, env.ref(name).id) for name in (group, "base.group_allow_export")
                ],
            }
        )
        for role, group in groups.items()
    }
    env.flush_all()
    env.cr.execute(
        "UPDATE res_partner SET user_id = %s WHERE id %% 10 = 0 AND is_company",
        [users["salesperson"].id],
    )
    env.cr.execute("ANALYZE res_partner")
    env.cr.commit()
    return {role: env(user=user) for role, user in users.items()}


def _get_floor_values(env, day):
    """Return what plain SQL is asked with; only own accounts for the salesperson."""
    is_sales = not env.user.has_group("account.group_account_invoice")
    return {
        "day": day,
        "company": env.company.id,
        "seller": env.uid if is_sales else None,
    }


def _measure_aging(env, day, floor):
    report = env["crm.billing.aging.report"]
    sums = [f"{name}:sum" for name in (*BUCKETS, "total")]
    domain = [("as_of", "=", day.isoformat())]

    def read():
        return report._read_group(domain, ["partner_id"], sums)

    def read_floor():
        env.cr.execute(floor, _get_floor_values(env, day))
        return env.cr.fetchall()

    ours, theirs = measure_least(env, read), measure_least(env, read_floor)
    _check_same(read(), read_floor())
    env.invalidate_all()
    with Meter(env, commit=False) as meter:
        read()
    return {"seconds": ours, "floor": theirs, "queries": meter.queries}


def _check_same(ours, theirs):
    """Both must say the same, or one of them is fast for nothing."""
    found = {account.id: round(row[-1], 2) for account, *row in ours}
    expected = {account: round(float(total), 2) for account, *_columns, total in theirs}
    assert found == expected, "the report is not what plain SQL says"


_COLUMNS = """
    partner_id,
    SUM(CASE WHEN amount > 0 AND late <= 0 THEN amount END),
    SUM(CASE WHEN amount > 0 AND late BETWEEN 1 AND 30 THEN amount END),
    SUM(CASE WHEN amount > 0 AND late BETWEEN 31 AND 60 THEN amount END),
    SUM(CASE WHEN amount > 0 AND late BETWEEN 61 AND 90 THEN amount END),
    SUM(CASE WHEN amount > 0 AND late BETWEEN 91 AND 120 THEN amount END),
    SUM(CASE WHEN amount > 0 AND late > 120 THEN amount END),
    SUM(CASE WHEN amount < 0 THEN amount END),
    SUM(amount)
"""
_RECEIVABLE = """
    line.parent_state = 'posted' AND line.company_id = %(company)s
    AND line.date <= %(day)s
    AND (%(seller)s IS NULL
         OR line.partner_id IN (SELECT id FROM res_partner WHERE user_id = %(seller)s)
         OR line.move_id IN (
            SELECT id FROM account_move WHERE invoice_user_id = %(seller)s))
    AND line.account_id IN (
        SELECT id FROM account_account WHERE account_type = 'asset_receivable')
"""
# What is open now, as it is stored.
_OPEN_NOW = f"""
    SELECT {_COLUMNS} FROM (
        SELECT line.partner_id, line.amount_residual AS amount,
               %(day)s - COALESCE(line.date_maturity, line.date) AS late
          FROM account_move_line line
         WHERE line.reconciled IS NOT TRUE AND {_RECEIVABLE}) item
     WHERE amount != 0 GROUP BY partner_id
"""
# What was open then: each item of the ledger less what was matched up to the day.
_OPEN_THEN = f"""
    SELECT {_COLUMNS} FROM (
        SELECT line.partner_id,
               line.balance - COALESCE(debit.amount, 0) + COALESCE(credit.amount, 0)
                   AS amount,
               %(day)s - COALESCE(line.date_maturity, line.date) AS late
          FROM account_move_line line
     LEFT JOIN (SELECT debit_move_id AS line_id, SUM(amount) AS amount
                  FROM account_partial_reconcile WHERE max_date <= %(day)s
              GROUP BY 1) debit ON debit.line_id = line.id
     LEFT JOIN (SELECT credit_move_id AS line_id, SUM(amount) AS amount
                  FROM account_partial_reconcile WHERE max_date <= %(day)s
              GROUP BY 1) credit ON credit.line_id = line.id
         WHERE {_RECEIVABLE}) item
     WHERE amount != 0 GROUP BY partner_id
"""
# What is open, one by one, with the names that a list shows.
_DETAILS = f"""
    SELECT move.id AS move_id, move.name AS number, partner.id AS partner_id,
           partner.complete_name, line.date, COALESCE(line.date_maturity, line.date)
               AS due,
           %(day)s - COALESCE(line.date_maturity, line.date) AS late,
           line.amount_residual, line.amount_residual_currency, currency.name
      FROM account_move_line line
      JOIN account_move move ON move.id = line.move_id
      JOIN res_partner partner ON partner.id = line.partner_id
      JOIN res_currency currency ON currency.id = line.currency_id
     WHERE line.reconciled IS NOT TRUE AND {_RECEIVABLE}
"""


def _read_page(env):
    fields = ("move_id", "partner_id", "date_due", "days", "total", "amount_currency")
    specification = {
        name: {"fields": {"display_name": {}}} if name.endswith("_id") else {}
        for name in fields
    }
    return env["crm.billing.aging.report"].web_search_read(
        [], specification, limit=80, order="date_due, id"
    )


def _read_page_floor(env):
    env.cr.execute(
        f"{_DETAILS} ORDER BY due, line.id LIMIT 80",
        _get_floor_values(env, env.cr.now().date()),
    )
    return env.cr.fetchall()


def _measure_export(env, open_items):
    """Return what the whole list takes as a file: seconds, peak memory (MB).

    The first time each document gets the external id that the file names.
    """
    megabytes = _get_peak()
    seconds = _time_export(env, open_items)
    megabytes = _get_peak() - megabytes
    again = min(_time_export(env, open_items) for _round in range(ROUNDS - 1))
    floor = min(_time_copy(env, open_items) for _round in range(ROUNDS))
    return {
        "seconds": seconds,
        "again": again,
        "floor": floor,
        "megabytes": megabytes,
    }


def _time_export(env, open_items):
    from odoo.addons.crm_billing_reports.models.crm_billing_report_export import (
        ExportOptions,
    )

    started = time.monotonic()
    _name, _type, chunks = env["crm.billing.report.export"]._export(
        "crm.billing.aging.report", ExportOptions(domain=[])
    )
    lines = sum(chunk.count(b"\n") for chunk in chunks)
    seconds = time.monotonic() - started
    assert lines > open_items, f"{lines} lines"
    return seconds


def _time_copy(env, open_items):
    """Return the seconds of the plain list, as PostgreSQL itself writes it."""
    asked = env.cr.mogrify(
        f"COPY ({_DETAILS} ORDER BY due, line.id) TO STDOUT (FORMAT csv)",
        _get_floor_values(env, env.cr.now().date()),
    )
    started = time.monotonic()
    with tempfile.TemporaryFile() as file:
        env.cr.copy_expert(asked.decode(), file)
        file.seek(0)
        lines = sum(1 for _line in file)
    assert lines >= open_items, f"{lines} lines"
    return time.monotonic() - started


def _get_peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
