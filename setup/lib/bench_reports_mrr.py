"""P15: movements of recurring revenue of 10,000 agreements in 24 months.

The upper half drives, the lower half (from IN ODOO on) runs inside an Odoo process. The
floor is the same question as plain SQL, asked in the same run: one currency, amounts by
the cent, no rights.
"""

import json

from . import databases, paths
from .meter import Meter, measure_least

AGREEMENTS = 10_000


def movements():
    """P15: movements by month and kind, and months from opening to closing."""
    found = _measure()
    yield from _figures(found["movements"], "movements by month and kind", 0.5)
    what = "from opening to closing by month, with retention"
    yield from _figures(found["months"], what, 0.5)
    yield from _figures(found["cohorts"], "cohorts by month and age", 0.5)


def _figures(found, what, goal):
    yield {
        "n": AGREEMENTS,
        "what": f"{what} (floor: movements in plain SQL)",
        "value": found["seconds"],
        "floor": found["floor"],
        "unit": "s",
        "goal": goal,
    }
    yield {
        "n": AGREEMENTS,
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
from lib import bench_reports_mrr
print(json.dumps(bench_reports_mrr.measure(env, {AGREEMENTS})))
"""
    with databases.temporary(databases.layer(demo=False), "bench") as name:
        output = databases.shell(name, code)
    return json.loads(output.splitlines()[-1])


# === IN ODOO === #

VERSIONS = 3  # lines of an agreement that follow each other
FOREIGN = 20  # one agreement of so many is in another currency
FLOWS = ("new", "expansion", "reactivation", "contraction", "churn")
FLOOR = """
    WITH event AS (
        SELECT agreement.partner_id, event.day, SUM(event.delta) AS delta
          FROM crm_billing_agreement_line line
          JOIN crm_billing_agreement agreement ON agreement.id = line.agreement_id
          JOIN res_company company ON company.id = agreement.company_id
    CROSS JOIN LATERAL (VALUES
               (line.start_date, ROUND(line.price_unit, 2)),
               (line.end_date + 1, -ROUND(line.price_unit, 2))) event (day, delta)
         WHERE agreement.state = 'running' AND event.day <= CURRENT_DATE
           AND agreement.currency_id = company.currency_id
      GROUP BY agreement.partner_id, event.day),
    running AS (
        SELECT partner_id, day, delta,
               SUM(delta) OVER (PARTITION BY partner_id ORDER BY day) AS value,
               MIN(day) OVER (PARTITION BY partner_id) AS first
          FROM event)
    SELECT DATE_TRUNC('month', day)::date AS month,
           CASE WHEN value = delta THEN CASE WHEN day = first THEN 'new'
                                             ELSE 'reactivation' END
                WHEN value = 0 THEN 'churn'
                WHEN delta < 0 THEN 'contraction'
                ELSE 'expansion' END AS kind,
           SUM(delta)
      FROM running
     WHERE delta != 0
  GROUP BY 1, 2
"""


def measure(env, count):
    """Return seconds, queries and the floor of the three reports."""
    from .bench_reports import create_readers

    create_history(env, count)
    env = create_readers(env)["accountant"]
    movements = env["crm.billing.revenue.report"]
    months = env["crm.billing.revenue.month.report"]
    cohorts = env["crm.billing.revenue.cohort.report"]
    names = ("opening", *FLOWS, "currency", "closing")
    sums = [f"{name}:sum" for name in names]
    ratios = ["net_retention:avg", "gross_retention:avg"]

    def read_floor():
        env.cr.execute(FLOOR)
        return env.cr.fetchall()

    def read_movements(domain=()):
        return movements._read_group(
            list(domain), ["date:month", "kind"], ["amount:sum"]
        )

    _check_same(env, read_movements, read_floor)
    floor = measure_least(env, read_floor)
    reports = {
        "movements": read_movements,
        "months": lambda: months._read_group([], ["date:month"], [*sums, *ratios]),
        "cohorts": lambda: cohorts._read_group(
            [], ["cohort:month", "age"], ["retention:avg"]
        ),
    }
    return {
        name: {**_measure_report(env, read), "floor": floor}
        for name, read in reports.items()
    }


def _measure_report(env, read):
    env.invalidate_all()
    with Meter(env, commit=False) as meter:
        read()
    return {"seconds": measure_least(env, read), "queries": meter.queries}


def _check_same(env, read_movements, read_floor):
    """Stop if the report and the plain question differ: then one of them is wrong."""
    home = env.company.currency_id
    ours = {
        (day, kind): round(amount, 2)
        for day, kind, amount in read_movements(
            [("currency_id", "=", home.id), ("kind", "!=", "currency")]
        )
    }
    theirs = {(day, kind): round(float(sum_), 2) for day, kind, sum_ in read_floor()}
    if ours != theirs:
        raise ValueError("the report and plain SQL say different things")


def create_history(env, count):
    """Write agreements of two years: they grow, shrink, leave and come back."""
    from .bench_cloning import create_agreements

    first = env["crm.billing.agreement.line"].search([], order="id desc", limit=1).id
    create_agreements(env, count, lines=VERSIONS)
    # The one they were copied from has no past.
    env.cr.execute(
        "UPDATE crm_billing_agreement SET state = 'draft' WHERE state = 'cancelled'"
    )
    env.cr.execute(
        """
        WITH version AS (
            SELECT line.id, line.agreement_id AS number,
                   ROW_NUMBER() OVER (PARTITION BY line.agreement_id ORDER BY line.id)
                       ::int - 1 AS position,
                   CURRENT_DATE - 730 + MOD(line.agreement_id * 37, 360) AS first
              FROM crm_billing_agreement_line line
              JOIN crm_billing_agreement agreement ON agreement.id = line.agreement_id
             WHERE line.id > %(first)s AND agreement.state = 'running')
        UPDATE crm_billing_agreement_line line
           SET start_date = version.first + version.position * 150
                   + CASE WHEN version.position = 2 AND MOD(version.number, 16) = 0
                          THEN 45 ELSE 0 END,
               end_date = CASE WHEN version.position < 2
                                    OR MOD(version.number, 4) = 0
                               THEN version.first + version.position * 150 + 149
                                   + CASE WHEN version.position = 2
                                          THEN 60 ELSE 0 END
                           END,
               price_unit = 100 + MOD(version.number * 13 + version.position * 31, 90)
                   + 0.25
          FROM version WHERE version.id = line.id
        """,
        {"first": first or 0},
    )
    env.cr.execute(
        """
        UPDATE crm_billing_agreement agreement
           SET start_date = line.start_date
          FROM (SELECT agreement_id, MIN(start_date) AS start_date
                  FROM crm_billing_agreement_line GROUP BY agreement_id) line
         WHERE line.agreement_id = agreement.id AND agreement.state = 'running'
        """
    )
    _make_foreign(env)
    env.cr.commit()
    for table in ("crm_billing_agreement", "crm_billing_agreement_line"):
        env.cr.execute(f"ANALYZE {table}")
    env.invalidate_all()


def _make_foreign(env):
    """Give some agreements another currency, whose rate moves each month."""
    money = env.ref("base.EUR")
    if money == env.company.currency_id:
        money = env.ref("base.USD")
    money.active = True
    env["res.currency.rate"].create(
        [
            {
                "name": env.cr.now().date().replace(day=1, year=year, month=month),
                "currency_id": money.id,
                "company_id": env.company.id,
                "rate": 0.85 + (month * 5 % 7) / 100,
            }
            for year in range(env.cr.now().year - 2, env.cr.now().year)
            for month in range(1, 13)
        ]
    )
    env.flush_all()
    for table in ("crm_billing_agreement", "crm_billing_agreement_line"):
        key = "id" if table == "crm_billing_agreement" else "agreement_id"
        env.cr.execute(
            f"UPDATE {table} SET currency_id = %s WHERE MOD({key}, %s) = 0",
            [money.id, FOREIGN],
        )
