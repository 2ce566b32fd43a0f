"""What can happen in a timeline, each done as Billing does it."""

from . import prices
from .agreements import get_plan
from .clock import is_instant, naive
from .money import to_float
from .stage import percent


def play_run(cast, event):
    """The scheduler runs, then a person posts the drafts."""
    before = _find_documents(cast)
    with cast.stage.at(cast.now, person=False) as env:
        env["crm.billing.agreement"]._cron_invoice_due(now=naive(cast.now))
    cast.made_per_run.append(len(_find_documents(cast)) - len(before))
    _post_drafts(cast)


def play_payment(cast, event):
    """Money arrives and closes the oldest open invoices; what is over stays open."""
    with cast.stage.at(cast.now) as env:
        rest = to_float(event["amount"], "amount")
        account = cast.stage.get_account(env)
        currency = cast.stage.get_company(env).currency_id
        for invoice in _find_open_invoices(env, account):
            part = min(rest, invoice.amount_residual)
            if currency.is_zero(part):
                break
            wizard = env["account.payment.register"].with_context(
                active_model="account.move", active_ids=invoice.ids
            )
            wizard.create({"amount": part})._create_payments()
            rest = currency.round(rest - part)
        if not currency.is_zero(rest):
            _receive(env, account, rest)


def _receive(env, account, amount):
    """Enter money that no invoice waits for."""
    payment = env["account.payment"].create(
        {
            "payment_type": "inbound",
            "partner_type": "customer",
            "partner_id": account.id,
            "amount": amount,
        }
    )
    payment.action_post()


def play_usage(cast, event):
    with cast.stage.at(cast.now) as env:
        line = cast.find_lines(env, event)
        line = line.filtered(lambda line: line.billing_method == "usage")[:1]
        cast.used += 1
        account = cast.stage.get_account(env)
        name = event.get("id") or f"event-{cast.used}"
        usage = (name, cast.now, event["quantity"])
        [answer] = prices.record(env, line.meter_id, account, [usage])
        if answer["status"] == "refused":
            cast.refused.append((cast.position, answer["reason"]))


def play_tax_rate(cast, event):
    """The account's tax changes from now on."""
    with cast.stage.at(cast.now, person=False) as env:
        cast.stage.set_tax(env, _read_one(event, "tax_rate", "rate", "to"))


def play_list_price(cast, event):
    """The price list changes; what was agreed does not."""
    with cast.stage.at(cast.now, person=False) as env:
        price = to_float(_read_one(event, "price", "list_price", "to"), "price")
        cast.find_lines(env, event).product_id.list_price = price


def _read_one(event, *names):
    """Return the value of an event that has only one, whatever it is called."""
    for name in names:
        if event.get(name) is not None:
            return event[name]
    raise ValueError(f"{event['type']} has no {names[0]}")


def play_move_invoice_date(cast, event):
    """An accountant moves the accounting date of the invoice of a period."""
    with cast.stage.at(cast.now, person=False) as env:
        line = env["account.move.line"].search(
            [
                ("billing_line_id.agreement_id", "in", [*cast.agreements.values()]),
                ("billing_date_from", "=", event["period_start"]),
                ("move_id.state", "!=", "cancel"),
            ],
            order="id",
            limit=1,
        )
        if not line:
            raise ValueError(f"no invoice has a line from {event['period_start']}")
        move = line.move_id
        was_posted = move.state == "posted"
        if was_posted:
            move.button_draft()
        move.date = event["to"]
        if was_posted:
            move.action_post()


# === CHANGES === #

FIELDS = {"price": "price_unit", "quantity": "quantity", "discount": "discount"}


def play_change(cast, event):
    """A person changes price, quantity or discount, and applies it at once.

    Each is a change of its own; of one day the last wins, with the terms of both.
    """
    with cast.stage.at(cast.now) as env:
        lines = _find_recurring(cast, env, event)
        steps = [
            (kind, _read_term(kind, event[kind]))
            for kind in FIELDS
            if event.get(kind) is not None
        ]
        steps = [
            (kind, value) for kind, value in steps if _differs(lines, kind, value)
        ] or steps[:1]
        for number, (kind, value) in enumerate(steps, 1):
            values = {FIELDS[kind]: value}
            if number < len(steps):
                values["proration_timing"] = _put_off(lines)
            _apply(cast, env, event, kind, lines, values)
    _post_drafts(cast)


def _read_term(kind, value):
    return percent(value) if kind == "discount" else to_float(value, kind)


def _differs(lines, kind, value):
    return any(
        line[line._get_price_field() if kind == "price" else kind] != value
        for line in lines
    )


def _put_off(lines):
    """Return a timing that invoices nothing before the last step of an event."""
    timings = set(lines.mapped("proration_timing"))
    return "next" if "now" in timings else False


def play_change_interval(cast, event):
    """A person chooses another billing cycle; the day is its new anchor."""
    with cast.stage.at(cast.now) as env:
        for line in _find_recurring(cast, env, event):
            terms = {
                "interval": event["interval"],
                "timing": line.timing,
                "basis": line.proration_basis,
                "proration_timing": line.proration_timing,
            }
            values = {"plan_id": get_plan(env, terms).id}
            if event.get("price") is not None:
                values["price_unit"] = to_float(event["price"], "price")
            _apply(cast, env, event, "interval", line, values)
    _post_drafts(cast)


def play_cancel(cast, event):
    """A person cancels; ``last_day`` counts unless the period decides.

    Where no agreement is named, the customer leaves: all of them end.
    """
    policy = event.get("policy") or "end_of_period"
    values = {"policy": policy}
    if policy != "end_of_period" and event.get("last_day"):
        values["date"] = cast.stage.to_date(event["last_day"])
    named = event.get("agreement") or event.get("line")
    for agreement in [None] if named else cast.agreements:
        which = event if named else {**event, "agreement": agreement}
        with cast.stage.at(cast.now) as env:
            lines = cast.find_lines(env, which) if event.get("line") else None
            _apply(cast, env, which, "cancel", lines, values)
    _post_drafts(cast)


def _find_recurring(cast, env, event):
    return cast.find_lines(env, event).filtered(
        lambda line: line.billing_method in ("flat", "usage")
    )


def _apply(cast, env, event, kind, lines, values):
    """Create a change as a person would, look at what it does, apply it."""
    _name, agreement = cast.find_agreement(env, event)
    values = {
        "agreement_id": agreement.id,
        "change_type": kind,
        "date": cast.stage.to_date(event["at"]),
        "effective_at": naive(cast.now) if is_instant(event["at"]) else False,
        "line_ids": [(6, 0, lines.ids)] if lines else False,
        **values,
    }
    change = env["crm.billing.change"].create(values)
    change.action_preview()
    change.action_apply()
    cast.changes[change.id] = cast.position


# === PAPERS === #


def _find_documents(cast):
    with cast.stage.at(cast.now, person=False) as env:
        return cast.find_moves(env).ids


def _find_open_invoices(env, account):
    return env["account.move"].search(
        [
            ("commercial_partner_id", "=", account.id),
            ("move_type", "=", "out_invoice"),
            ("state", "=", "posted"),
            ("amount_residual", ">", 0),
        ],
        order="invoice_date, id",
    )


def _post_drafts(cast):
    """Review and post every draft, as a person who has nothing to object."""
    with cast.stage.at(cast.now) as env:
        drafts = cast.find_moves(env).filtered(lambda move: move.state == "draft")
        odd = drafts.filtered("is_billing_review").filtered("billing_difference_count")
        for draft in odd:
            cast.reviewed += _get_differences(draft)
            draft.billing_review_note = "As the story tells it"
        odd.action_billing_review()
        if drafts:
            drafts.sorted("id").action_post()


def _get_differences(draft):
    """Return what the review marks red."""
    return [
        f"{item['name']}: {item['draft']} ({item['account'] or item['quotation']})"
        for item in draft.billing_checklist
        if item["status"] != "ok"
    ]
