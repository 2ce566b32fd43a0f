"""Operation "mrr_movements": agreements that change, and the revenue movements of them.

Versions of a price follow each other by real changes, each on its own day; what is
billed once or measured runs beside them. Nothing is invoiced: revenue is read from what
is agreed.
"""

from datetime import timedelta

from . import agreements
from .clock import to_date
from .money import number, text
from .timeline import Cast

RECURRING, ONE_OFF, OVERAGE = "recurring", "one_off", "usage_overage"
SERVICE = "service"  # the line whose versions follow each other
DEFAULTS = {"price": "0", "quantity": "1", "discount": "0"}
DAY = timedelta(days=1)
# Of one day: what starts, what changes, what is cancelled.
STARTED, CHANGED, CANCELLED = range(3)


def play(stage, inputs):
    """Return the movements of the account, and its revenue on the days asked for."""
    stories = [
        story for told in inputs["agreements"] for story in Story.split(stage, told)
    ]
    days = [day for story in stories for day in story.get_days()]
    asked = {day: to_date(day, stage.zone) for day in inputs.get("ask") or ()}
    cast = Cast(stage)
    stage.set_account(stage.to_instant(min(days).isoformat()), {})
    plan = [(*step, story) for story in stories for step in story.plan()]
    for day, rank, event, story in sorted(plan, key=lambda step: step[:2]):
        if rank == STARTED:
            cast.start_all(stage.to_instant(day.isoformat()), [event])
        else:
            cast.play(0, {**event, "agreement": story.id, "at": day.isoformat()})
    if cast.refused:
        raise ValueError(cast.refused[0][1])
    last = max([*days, *asked.values()]) + DAY
    with stage.at(stage.to_instant(last.isoformat())) as env:
        return {
            "movements": _read_movements(stage, env, last),
            "mrr_on": {name: _read_mrr(stage, env, day) for name, day in asked.items()},
        }


def _read_movements(stage, env, last):
    rows = env["crm.billing.revenue.report"].search(
        [
            ("partner_id", "=", stage.get_account(env).id),
            ("kind", "!=", "currency"),
            ("as_of", "=", last),
        ],
        order="date, id",
    )
    return [
        {"date": row.date.isoformat(), "kind": row.kind, "amount": text(row.amount)}
        for row in rows
    ]


def _read_mrr(stage, env, day):
    months = env["crm.billing.revenue.month.report"]
    domain = [("partner_id", "=", stage.get_account(env).id), ("as_of", "=", day)]
    [[closing]] = months._read_group(domain, [], ["closing:sum"])
    return text(closing or 0.0)


class Story:
    """One agreement: versions of a price that follow each other, and what is beside."""

    def __init__(self, stage, name, versions, last_day, requested):
        self.stage, self.id = stage, name
        self.versions = sorted(
            (
                one
                for one in versions
                if _get_kind(one) == RECURRING
                and (not last_day or one["from"] <= last_day)
            ),
            key=lambda one: one["from"],
        )
        self.others = [one for one in versions if _get_kind(one) != RECURRING]
        self.last_day, self.requested = last_day, requested

    @classmethod
    def split(cls, stage, told):
        """Return the stories of an agreement: one more after each end of a version."""
        versions = sorted(told["versions"], key=lambda one: one["from"])
        parts = [[]]
        for version in versions:
            parts[-1].append(version)
            if version.get("last_day"):
                parts.append([])
        found = []
        for place, part in enumerate(part for part in parts if part):
            last_day = part[-1].get("last_day") or told.get("last_day")
            requested = part[-1].get("cancel_requested") or told.get("cancel_requested")
            name = f"{told.get('id') or id(told)}.{place}"
            found.append(cls(stage, name, part, last_day, requested))
        return found

    def plan(self):
        """Return ``[(day, rank, what happens)]``, oldest first."""
        first = self._date(min(one["from"] for one in [*self.versions, *self.others]))
        plan = [(first, STARTED, self._get_start(first))]
        for before, version in zip(self.versions, self.versions[1:], strict=False):
            day = self._date(version["from"])
            plan += [(day, CHANGED, event) for event in _get_changes(before, version)]
        if self.last_day:
            # Asked for earlier, it changes nothing before the day after the last one.
            day = self._date(self.requested or self.last_day)
            event = {"type": "cancel", "policy": "none", "last_day": self.last_day}
            plan.append((day, CANCELLED, event))
        return plan

    def get_days(self):
        """Return the days of the plan, and the last one of service."""
        days = [day for day, _rank, _event in self.plan()]
        return days + ([self._date(self.last_day)] if self.last_day else [])

    def _date(self, value):
        return to_date(value, self.stage.zone)

    def _get_start(self, first):
        lines = [{"id": SERVICE, **self._get_line(one)} for one in self.versions[:1]]
        lines += [self._get_line(one) for one in self.others]
        return {"id": self.id, "start": first.isoformat(), "lines": lines}

    def _get_line(self, version):
        """Return a line as agreements are told: overage is measured from zero on."""
        line = {
            "start": version["from"],
            "price": version.get("price"),
            "quantity": version.get("quantity"),
            "discount": version.get("discount"),
            "interval": version.get("interval"),
        }
        kind = _get_kind(version)
        if kind == ONE_OFF:
            line["method"] = "one_off"
        elif kind == OVERAGE:
            line["model"] = {"kind": "per_unit", "price": version.get("price")}
        return line


def _get_kind(version):
    """Return the kind of a version.

    :raise ValueError: there is no such kind
    """
    kind = version.get("kind") or RECURRING
    if kind not in (RECURRING, ONE_OFF, OVERAGE):
        raise ValueError(f"unknown kind of a version: {kind!r}")
    return kind


def _get_changes(before, version):
    """Yield the events that make the terms of ``before`` those of ``version``."""
    old, new = (
        {name: one.get(name) or default for name, default in DEFAULTS.items()}
        for one in (before, version)
    )
    unit = agreements.read_interval(version.get("interval"))
    if unit != agreements.read_interval(before.get("interval")):
        yield {
            "type": "change_interval",
            "line": SERVICE,
            "interval": version.get("interval") or {"unit": "month"},
            "price": new["price"],
        }
        old["price"] = new["price"]
    changed = {
        name: value
        for name, value in new.items()
        if number(value, name) != number(old[name], name)
    }
    if changed:
        yield {"type": "change", "line": SERVICE, **changed}
