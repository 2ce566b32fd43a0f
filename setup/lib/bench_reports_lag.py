"""P15: collections lag of the invoices of 10,000 agreements in 24 months.

The upper half drives, the lower half (from IN ODOO on) runs inside an Odoo process. The
floor is the same question as plain SQL, asked in the same run.
"""

import json

from . import databases, paths
from .meter import Meter, measure_least

AGREEMENTS, MONTHS = 10_000, 24
OPEN = 40_000
PAID = AGREEMENTS * MONTHS - OPEN


def lag():
    """P15: days late and to terms by month; what was owed each month, with DSO."""
    found = _measure()
    what = "collections lag by month (floor: plain SQL)"
    yield from _figures(found["lag"], what, goal=0.5)
    what = "owed by month with DSO and CEI (floor: each month end in plain SQL)"
    yield from _figures(found["owed"], what, goal=0.5, goal_of="ratio")


def _figures(found, what, **goal):
    yield {
        "n": OPEN + PAID,
        "what": what,
        "value": found["seconds"],
        "floor": found["floor"],
        "unit": "s",
        **goal,
    }
    yield {
        "n": OPEN + PAID,
        "what": "the same",
        "value": found["queries"],
        "floor": 1,
        "unit": "queries",
        "goal": 8,
    }


def _measure():
    code = f"""
import json, sys
sys.path.insert(0, {str(paths.SETUP)!r})
from lib import bench_reports_lag
print(json.dumps(bench_reports_lag.measure(env, {OPEN}, {PAID}, {AGREEMENTS})))
"""
    with databases.temporary(databases.layer(demo=False), "bench") as name:
        output = databases.shell(name, code)
    return json.loads(output.splitlines()[-1])


# === IN ODOO === #

ROUNDS = 5  # of which the least counts
RECEIVABLE = """
    SELECT id FROM account_account WHERE account_type = 'asset_receivable'
"""
LAG = f"""
    SELECT DATE_TRUNC('month', part.max_date::timestamp)::date,
           SUM(part.amount * GREATEST(part.max_date - debit.date_maturity, 0))
               / SUM(part.amount),
           SUM(part.amount * (part.max_date - debit.date_maturity)) / SUM(part.amount)
      FROM account_partial_reconcile part
      JOIN account_move_line debit ON debit.id = part.debit_move_id
      JOIN account_move invoice ON invoice.id = debit.move_id
       AND invoice.move_type = 'out_invoice'
      JOIN account_move_line credit ON credit.id = part.credit_move_id
      JOIN account_journal journal ON journal.id = credit.journal_id
       AND journal.type IN ('bank', 'cash', 'credit')
     WHERE part.max_date BETWEEN %(first)s AND %(last)s
       AND debit.account_id IN ({RECEIVABLE})
  GROUP BY 1 ORDER BY 1
"""
# What was owed on a day, and of it what was not due.
OWED = f"""
    SELECT SUM(amount), SUM(amount) FILTER (WHERE amount > 0 AND due >= %(day)s)
      FROM (SELECT line.balance - COALESCE(debit.amount, 0)
                       + COALESCE(credit.amount, 0) AS amount,
                   COALESCE(line.date_maturity, line.date) AS due
              FROM account_move_line line
         LEFT JOIN (SELECT debit_move_id AS line_id, SUM(amount) AS amount
                      FROM account_partial_reconcile WHERE max_date <= %(day)s
                  GROUP BY 1) debit ON debit.line_id = line.id
         LEFT JOIN (SELECT credit_move_id AS line_id, SUM(amount) AS amount
                      FROM account_partial_reconcile WHERE max_date <= %(day)s
                  GROUP BY 1) credit ON credit.line_id = line.id
             WHERE line.parent_state = 'posted' AND line.date <= %(day)s
               AND line.account_id IN ({RECEIVABLE})) item
"""


def measure(env, open_items, paid_items, customers):
    """Return seconds, queries and floors of the two reports."""
    from dateutil.relativedelta import relativedelta

    from .bench_ledger import create_ledger
    from .bench_reports import create_readers

    create_ledger(env, open_items, paid_items, customers)
    env = create_readers(env)["accountant"]
    first = env.cr.now().date().replace(day=1) - relativedelta(months=MONTHS)
    ends = [first + relativedelta(months=n + 1, days=-1) for n in range(MONTHS)]
    domain = [("date", ">=", first.isoformat()), ("date", "<=", ends[-1].isoformat())]
    return {
        "lag": _measure_lag(env, domain, first, ends[-1]),
        "owed": _measure_owed(env, domain, ends),
    }


def _measure_lag(env, domain, first, last):
    report = env["crm.billing.collection.report"]
    names = ["days_late:avg", "days_to_terms:avg"]

    def read():
        return report._read_group(domain, ["date:month"], names)

    def read_floor():
        env.cr.execute(LAG, {"first": first, "last": last})
        return env.cr.fetchall()

    return _measure_one(env, read, read_floor)


def _measure_owed(env, domain, ends):
    report = env["crm.billing.receivable.report"]
    names = ["closing:sum", "not_due:sum", "dso:avg", "cei:avg"]

    def read():
        return report._read_group(domain, ["date:month"], names)

    def read_floor():
        rows = []
        for day in ends:
            env.cr.execute(OWED, {"day": day})
            rows.append((day.replace(day=1), *env.cr.fetchone()))
        return rows

    return _measure_one(env, read, read_floor)


def _measure_one(env, read, read_floor):
    _check_same(read(), read_floor())
    ours, floor = (
        measure_least(env, read, ROUNDS),
        measure_least(env, read_floor, ROUNDS),
    )
    env.invalidate_all()
    with Meter(env, commit=False) as meter:
        read()
    return {"seconds": ours, "floor": floor, "queries": meter.queries}


def _check_same(ours, theirs):
    """Both must say the same, or one of them is fast for nothing."""
    found = [(row[0], *(round(float(one or 0), 4) for one in row[1:3])) for row in ours]
    expected = [
        (row[0], *(round(float(one or 0), 4) for one in row[1:])) for row in theirs
    ]
    assert found == expected, "the report is not what plain SQL says"
