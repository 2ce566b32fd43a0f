"""What the dashboards show: one for the owner of the business, one for each rep."""

from dataclasses import replace

from .dashboard_parts import PERCENT, Board, Card, Chart, Filter, Source, Table

PERIOD = Filter("period", "Period", "date", default="year_to_date")
ACCOUNT = Filter("account", "Account", "relation", "res.partner")
SALESPERSON = Filter("user", "Salesperson", "relation", "res.users")
MYSELF = Filter(
    "user",
    "Salesperson",
    "relation",
    "res.users",
    default={"operator": "in", "ids": "current_user"},
)
COMMON = {"account": "partner_id", "user": "user_id"}


def _report(name, period=None):
    """Return a report of ours; ``period`` is the field that the dates filter."""
    fields = {**COMMON, "period": period} if period else COMMON
    menu = f"crm_billing_reports.crm_billing_{name.replace('.', '_')}_menu"
    return Source(f"crm.billing.{name}", menu, fields)


AGING = _report("aging.report", "as_of")
OVERDUE = _report("overdue.report", "as_of")
STATUS = _report("status.report", "date")
COLLECTION = _report("collection.report", "date")
LEAK = _report("leak.report")
MONTH = _report("revenue.month.report", "date")
RECEIVABLE = _report("receivable.report", "date")
FORECAST = _report("forecast.report")

AT_RISK = [["is_waived", "=", False]]

# Example figures of a business that grows; only an empty database shows them.
MONTHS = ("May", "June", "July", "August", "September", "October")
GROWTH = (8200, 8450, 8900, 9350, 9300, 10150)
AGES = ("Not due", "1–30 days", "31–60 days", "61–90 days", "91–120 days")
OPEN = (41500, 12400, 6100, 2300, 900)

aging_chart = Chart(
    title="Receivables by age",
    kind="bar",
    source=AGING,
    measure="total",
    group_by=("bucket",),
    sample={age: (amount,) for age, amount in zip(AGES, OPEN, strict=True)},
)
revenue_chart = Chart(
    title="Monthly recurring revenue",
    kind="line",
    source=MONTH,
    measure="closing",
    group_by=("date:month",),
    sample={month: (mrr,) for month, mrr in zip(MONTHS, GROWTH, strict=True)},
)
movement_chart = Chart(
    title="What moved recurring revenue",
    kind="bar",
    source=MONTH,
    measures=(
        "new",
        "expansion",
        "reactivation",
        "contraction",
        "churn",
        "currency",
    ),
    colors=("#43A047", "#9CCC65", "#26A69A", "#FFB74D", "#E53935", "#9E9E9E"),
    group_by=("date:month",),
    stacked=True,
    series=(
        "New",
        "Expansion",
        "Reactivation",
        "Contraction",
        "Churn",
        "Currency Effect",
    ),
    sample={
        "May": (300, 120, 0, -60, 0, 0),
        "June": (250, 100, 0, 0, -100, 0),
        "July": (400, 150, 0, -100, 0, 0),
        "August": (500, 0, 0, -50, 0, 0),
        "September": (200, 150, 0, 0, -400, 0),
        "October": (700, 250, 0, -100, 0, 0),
    },
)
billed_chart = Chart(
    title="Billed, and what became of it",
    kind="bar",
    source=STATUS,
    measures=("amount_billed", "amount_collected", "amount_overdue"),
    colors=("#90CAF9", "#43A047", "#E53935"),
    group_by=("date:month",),
    series=("Billed", "Collected", "Overdue"),
    sample={
        "May": (21500, 21500, 0),
        "June": (24200, 23800, 400),
        "July": (24000, 22100, 1900),
        "August": (28100, 24300, 2600),
        "September": (29400, 19700, 3300),
        "October": (27000, 9800, 0),
    },
)
days_chart = Chart(
    title="Days sales outstanding",
    kind="line",
    source=RECEIVABLE,
    measure="dso",
    group_by=("date:month",),
    sample={
        month: (days,)
        for month, days in zip(MONTHS, (41, 43, 39, 37, 35, 33), strict=True)
    },
)
cash_chart = Chart(
    title="Money expected",
    kind="bar",
    source=FORECAST,
    measure="cash",
    group_by=("date:month",),
    sample={
        month: (cash,)
        for month, cash in zip(
            ("November", "December", "January"), (26400, 24100, 22800), strict=True
        )
    },
)

overdue_table = Table(
    title="Overdue by account",
    source=OVERDUE,
    group_by="partner_id",
    measures=("amount_company", "days"),
    sample=(
        ("Account", "Overdue", "Oldest, days"),
        ("Harborview Hotels", 8300, 47),
        ("Cedar & Sons", 6150, 22),
        ("Northfield Clinics", 4400, 64),
        ("Summit Outfitters", 2850, 9),
    ),
)
leak_table = Table(
    title="Revenue at risk",
    source=LEAK,
    group_by="kind",
    measures=("amount", "age"),
    domain=AT_RISK,
    sample=(
        ("Leak", "Amount", "Days"),
        ("Won, not handed off", 5200, 6),
        ("Due, not invoiced", 3900, 12),
        ("Posted, not sent", 1450, 3),
    ),
)

receivables_card = Card(
    "Receivables", AGING, "total", (AGING, "not_due"), "not due", (63200, 41500)
)
overdue_card = Card(
    "Overdue", AGING, "overdue", (OVERDUE, "days"), "days, the oldest", (21700, 64)
)
mrr_card = Card("MRR", MONTH, "closing", (MONTH, "arr"), "a year", (10150, 121800))
risk_card = Card(
    "At Risk", LEAK, "amount", (LEAK, "age"), "days, the oldest", (10550, 12), AT_RISK
)

OWNER = Board(
    name="billing",
    filters=(PERIOD, ACCOUNT, SALESPERSON),
    cards=(
        receivables_card,
        overdue_card,
        mrr_card,
        Card(
            "Net Retention",
            MONTH,
            "net_retention",
            (MONTH, "gross_retention"),
            "gross",
            (1.04, 0.97),
            format=PERCENT,
        ),
        risk_card,
    ),
    charts=(
        revenue_chart,
        movement_chart,
        aging_chart,
        days_chart,
        billed_chart,
        cash_chart,
    ),
    tables=(overdue_table, leak_table),
)

REP = Board(
    name="billing_rep",
    filters=(PERIOD, ACCOUNT, MYSELF),
    cards=(
        Card(
            "Billed",
            STATUS,
            "amount_billed",
            (STATUS, "amount_open"),
            "open",
            (48200, 10600),
        ),
        Card(
            "Collected",
            STATUS,
            "amount_collected",
            (COLLECTION, "days_late"),
            "days late",
            (36100, 4.2),
        ),
        replace(overdue_card, sample=(7400, 47)),
        replace(mrr_card, sample=(4300, 51600)),
        replace(risk_card, sample=(2900, 6)),
    ),
    charts=(billed_chart, aging_chart, revenue_chart, movement_chart),
    tables=(overdue_table, leak_table),
)

BOARDS = (OWNER, REP)
