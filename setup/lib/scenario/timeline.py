"""Operation "timeline": agreements, then one event after the other, then the papers."""

from datetime import time

from . import agreements, document, events
from .clock import to_instant

OPENING = time()  # agreements are signed before anything happens on their first day


def play(stage, inputs):
    """Return the actual document of a timeline."""
    story = inputs.get("events") or []
    account = inputs.get("account") or {}
    stage.set_account(_get_opening(account, inputs), account)
    cast = Cast(stage)
    cast.start_all(_get_opening(account, inputs), inputs.get("agreements") or [])
    for position, event in enumerate(story):
        cast.play(position, event)
    return document.build(cast)


def _get_opening(account, inputs):
    """Return the first instant that anybody mentions: then the agreements are made."""
    zone = account.get("timezone") or "UTC"
    instants = [
        to_instant(terms["start"], zone, OPENING)
        for agreement in inputs.get("agreements") or []
        for terms in (agreement, *agreement.get("lines", ()))
        if terms.get("start")
    ]
    instants += [to_instant(event["at"], zone) for event in inputs.get("events") or []]
    return min(instants)


class Cast:
    """The agreements of the story and what has happened to them so far."""

    def __init__(self, stage):
        self.stage = stage
        self.agreements = {}  # id in the story: id in Odoo
        self.lines = {}  # (agreement, line): id of the first line in Odoo
        self.products = {}  # the same: position of its product
        self.refused = []
        self.reviewed = []  # what the review of drafts marked red
        self.made_per_run = []
        self.notes = []  # (position of the event, id of the ledger row)
        self.changes = {}  # id of the change: position of its event
        self.used = 0  # events of usage that brought no id of their own
        self.now = None
        self.position = 0  # of the event that happens now

    def start_all(self, opening, stories):
        for number, story in enumerate(stories):
            name = story.get("id") or str(number)
            with self.stage.at(opening) as env:
                agreement, lines = agreements.start(
                    self.stage, env, story, len(self.products)
                )
                self.agreements[name] = agreement.id
                for key, line in lines.items():
                    self.products[name, key] = len(self.products)
                    self.lines[name, key] = line.id
        self.now = opening

    def play(self, position, event):
        """Let one event happen; what Odoo refuses is noted, the story goes on."""
        from odoo.exceptions import UserError

        self.position = position
        self.now = self.stage.to_instant(event["at"])
        try:
            getattr(events, f"play_{event['type']}")(self, event)
        except UserError as refusal:
            self.refused.append((position, str(refusal)))
        self._collect_notes(position)

    def _collect_notes(self, position):
        with self.stage.at(self.now, person=False) as env:
            known = {row for _position, row in self.notes}
            rows = env["crm.billing.period"].search(
                [("agreement_id", "in", [*self.agreements.values()])], order="id"
            )
            self.notes += [
                (position, row.id)
                for row in rows
                if row.id not in known and _is_noted(row)
            ]

    # === WHAT THERE IS === #

    def get_agreements(self, env):
        return env["crm.billing.agreement"].browse(self.agreements.values())

    def find_moves(self, env):
        """Return the invoices and credit notes of the account, as they were made."""
        return env["account.move"].search(
            [
                ("commercial_partner_id", "=", self.stage.get_account(env).id),
                ("move_type", "in", ("out_invoice", "out_refund")),
                ("state", "!=", "cancel"),
            ],
            order="id",
        )

    def get_notes(self, env):
        """Return what the ledger noted without an invoice line, and when.

        What a change noted belongs to the change, whenever it was found out.
        """
        rows = env["crm.billing.period"]
        found = [(position, rows.browse(row).exists()) for position, row in self.notes]
        notes = dict.fromkeys(
            (self.changes.get(row.change_id.id, position), row.note)
            for position, row in found
            if row and _is_noted(row)
        )
        return [{"event": position, "note": note} for position, note in notes]

    # === WHO IS MEANT === #

    def find_agreement(self, env, event):
        """Return the agreement an event names, the only one if it names none.

        :raise ValueError: there is no such agreement, or more than one
        """
        named = event.get("agreement")
        if named is None and event.get("line") is not None:
            owners = {name for name, line in self.lines if line == event["line"]}
            named = owners.pop() if len(owners) == 1 else None
        if named is None and len(self.agreements) == 1:
            named = next(iter(self.agreements))
        if named not in self.agreements:
            raise ValueError(f"{event['type']} names no agreement: {named!r}")
        return named, env["crm.billing.agreement"].browse(self.agreements[named])

    def find_lines(self, env, event):
        """Return the lines an event names, as they run now: all, if it names none."""
        name, _agreement = self.find_agreement(env, event)
        wanted = event.get("line")
        found = [
            line
            for (owner, key), line in self.lines.items()
            if owner == name and wanted in (None, key)
        ]
        if not found:
            raise ValueError(f"{event['type']} names no line: {wanted!r}")
        lines = env["crm.billing.agreement.line"].browse(found)
        return lines.browse(_last(line).id for line in lines)


def _is_noted(row):
    """Return whether a ledger row says in words why there is no invoice line.

    A row that only says which other row pays for its days is no such note.
    """
    return row.note and row.is_covered and row.kind != "recurring"


def _last(line):
    while line.successor_id:
        line = line.successor_id
    return line
