"""What can happen in a timeline, each done as Billing does it."""

from . import prices
from .agreements import read_interval
from .clock import naive
from .money import to_float
from .stage import percent


def play_run(cast, event):
    """The scheduler runs, then a person posts the drafts."""
    before = _find_documents(cast)
    with cast.stage.at(cast.now, person=False) as env:
        env["crm.billing.agreement"]._cron_invoice_due(now=naive(cast.now))
    _post_drafts(cast)
    cast.made_per_run.append(len(_find_documents(cast)) - len(before))


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
        prices.record(env, line.meter_id, account, [usage])


def play_tax_rate(cast, event):
    """The account's tax changes from now on."""
    with cast.stage.at(cast.now, person=False) as env:
        cast.stage.set_tax(env, event.get("tax_rate", event.get("rate")))


def play_list_price(cast, event):
    """The price list changes; what was agreed does not."""
    with cast.stage.at(cast.now, person=False) as env:
        for line in cast.find_lines(env, event):
            line.product_id.list_price = to_float(event["price"], "price")


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


def play_change(cast, event):
    """A person changes price, quantity or discount, and applies it at once."""
    terms = {}
    if event.get("price") is not None:
        terms["price_unit"] = to_float(event["price"], "price")
    if event.get("quantity") is not None:
        terms["quantity"] = to_float(event["quantity"], "quantity")
    if event.get("discount") is not None:
        terms["discount"] = percent(event["discount"])
    _change(cast, event, terms)


def play_change_interval(cast, event):
    unit, count = read_interval(event["interval"])
    terms = {"interval_unit": unit, "interval_count": count}
    if event.get("price") is not None:
        terms["price_unit"] = to_float(event["price"], "price")
    _change(cast, event, terms)


def _change(cast, event, terms):
    raise NotImplementedError


def play_cancel(cast, event):
    raise NotImplementedError


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
    """Post every draft, as a person who has nothing to object."""
    with cast.stage.at(cast.now) as env:
        drafts = cast.find_moves(env).filtered(lambda move: move.state == "draft")
        for draft in drafts.sorted("id"):
            draft.action_post()
