"""What a dashboard is made of."""

from dataclasses import dataclass, field

PERCENT, WHOLE = "1", "2"
FORMATS = {PERCENT: "0.0%", WHOLE: "0"}


@dataclass(frozen=True)
class Filter:
    """A global filter: over a period, or over records of a model."""

    key: str
    label: str
    kind: str
    model: str | None = None
    default: object = None


@dataclass(frozen=True)
class Source:
    """A report: which of its fields each global filter looks at."""

    model: str
    menu: str
    fields: dict


@dataclass(frozen=True)
class Card:
    """One large number, and a small one below it that says more.

    ``beside`` is ``(source, measure)`` of the small one, ``note`` its unit in words;
    ``sample`` has an example of both.
    """

    title: str
    source: Source
    measure: str
    beside: tuple
    note: str
    sample: tuple
    domain: list = field(default_factory=list)
    format: str | None = None


@dataclass(frozen=True)
class Chart:
    """A chart; ``sample`` is ``{label: (figure, …)}``, a figure for each series.

    With several ``measures`` each is a series of its own colour, by month; otherwise
    the second of ``group_by`` makes the series, in colours of Odoo's choice.
    """

    title: str
    kind: str
    source: Source
    group_by: tuple
    sample: dict
    measure: str | None = None
    measures: tuple = ()
    colors: tuple = ()
    series: tuple = ("",)
    domain: list = field(default_factory=list)
    stacked: bool = False
    order: str | None = None


@dataclass(frozen=True)
class Table:
    """The largest groups of a report, with up to two measures."""

    title: str
    source: Source
    group_by: str
    measures: tuple
    sample: tuple
    domain: list = field(default_factory=list)
    rows: int = 10


@dataclass(frozen=True)
class Board:
    name: str
    filters: tuple
    cards: tuple
    charts: tuple
    tables: tuple
