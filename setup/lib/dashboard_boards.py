"""What the dashboards show: one for the owner of the business, one for each rep."""

from .dashboards import Board, Card, Chart, Filter, Source, Table

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
LEAK = _report("leak.report")
MOVEMENT = _report("revenue.report", "date")
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
    source=MOVEMENT,
    measure="amount",
    group_by=("date:month", "kind"),
    stacked=True,
    series=("New", "Expansion", "Contraction", "Churn"),
    sample={
        "May": (300, 120, -60, 0),
        "June": (250, 100, 0, -100),
        "July": (400, 150, -100, 0),
        "August": (500, 0, -50, 0),
        "September": (200, 150, 0, -400),
        "October": (700, 250, -100, 0),
    },
)
billed_chart = Chart(
    title="Billed by month",
    kind="bar",
    source=STATUS,
    measure="amount_billed",
    group_by=("date:month", "status"),
    stacked=True,
    series=("Paid", "Sent", "Overdue"),
    sample={
        "May": (21500, 0, 0),
        "June": (23800, 0, 400),
        "July": (22100, 0, 1900),
        "August": (24300, 1200, 2600),
        "September": (19700, 6400, 3300),
        "October": (9800, 17200, 0),
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

OWNER = Board(
    name="billing",
    filters=(PERIOD, ACCOUNT, SALESPERSON),
    cards=(
        Card("Receivables", AGING, "total", "as of the last day", 63200),
        Card("Overdue", AGING, "overdue", "past the due date", 21700),
        Card("MRR", MONTH, "closing", "a month, before tax", 10150),
        Card(
            "Net Retention",
            MONTH,
            "net_retention",
            "of the period",
            1.04,
            format="0.0%",
        ),
        Card("At Risk", LEAK, "amount", "not billed, not sent", 10550, AT_RISK),
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
        Card("Billed", STATUS, "amount_billed", "in the period", 48200),
        Card("Collected", STATUS, "amount_collected", "of it", 36100),
        Card("Overdue", AGING, "overdue", "of my accounts", 7400),
        Card("MRR", MONTH, "closing", "of my accounts", 4300),
        Card("At Risk", LEAK, "amount", "not billed, not sent", 2900, AT_RISK),
    ),
    charts=(billed_chart, aging_chart, revenue_chart, movement_chart),
    tables=(overdue_table, leak_table),
)

BOARDS = (OWNER, REP)
