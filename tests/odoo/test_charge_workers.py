"""Worker, customer and clerk at the same invoice in the same second: one charge."""

import threading
from concurrent.futures import ThreadPoolExecutor

import charging
import pytest
from office import Refused, Session

LANES = ("ir_cron_charge", "ir_cron_charge_2")
# Invoices of accounts with a portal user who owns the saved card.
INVOICES = """
found = []
group = env.ref("base.group_portal")
for number in range(count):
    login = f"{name}-{number}"
    account = env["res.partner"].create({"name": login, "is_company": True})
    person = env["res.partner"].create(
        {"name": "Anna", "parent_id": account.id, "email": f"{login}@example.com"})
    env["res.users"].with_context(no_reset_password=True).create({
        "login": login, "password": login, "partner_id": person.id,
        "group_ids": [(6, 0, group.ids)]})
    token = card_of(person)
    move = invoice_of(login, partner=account)
    case = env["crm.dunning.case"]._open_for(move)
    found.append({
        "move": move.id, "case": case.id, "login": login, "token": token.id,
        "customer": token.provider_ref, "access": move._portal_ensure_token(),
        "provider": token.provider_id.id, "method": token.payment_method_id.id,
        "amount": move.amount_residual})
env.cr.commit()
tell(found)
"""
SETTLE = """
for minutes in (3, 6):
    Attempt._cron_reconcile(now + timedelta(minutes=minutes))
    env["payment.transaction"]._cron_post_process()
moves = env["account.move"].browse(ids)
tell([[move.amount_residual, len(move.matched_payment_ids)] for move in moves])
"""


@pytest.fixture(scope="module")
def shop(office, stripe):
    """The office, charging at the local Stripe."""
    charging.prepare(stripe, office.servers[0].database)
    return office


def create(shop, name, count):
    database = shop.servers[0].database
    return charging.run(database, INVOICES, name=name, count=count)


def settle(shop, invoices):
    """Return ``[open amount, number of payments]`` of each invoice in the end."""
    ids = [one["move"] for one in invoices]
    return charging.run(shop.servers[0].database, SETTLE, ids=ids)


def count_charges(stripe, invoices):
    return [
        len(stripe.find("charge", customer=one["customer"], paid=True))
        for one in invoices
    ]


def test_two_workers_share_what_is_due(shop, stripe):
    invoices = create(shop, "shared", 12)
    lanes = [shop._get_id("crm_dunning", name) for name in LANES]
    meet(
        lambda: shop.run_job(lanes[0], shop.admin),
        lambda: shop.run_job(lanes[1], shop.other_admin),
    )
    assert count_charges(stripe, invoices) == [1] * 12
    assert settle(shop, invoices) == [[0.0, 1]] * 12
    rows = shop.query(
        "SELECT move_id, count(*) FROM crm_dunning_attempt"
        " WHERE move_id = ANY(%s) GROUP BY move_id",
        [one["move"] for one in invoices],
    )
    assert {count for _move, count in rows} == {1}


@pytest.mark.parametrize("flow", ["token", "direct"])
def test_worker_customer_and_clerk_in_the_same_second(shop, stripe, flow):
    invoices = create(shop, flow, 6)
    lane = shop._get_id("crm_dunning", LANES[0])
    customers = [Session(shop.servers[1], one["login"]) for one in invoices]
    for invoice, customer in zip(invoices, customers, strict=True):
        _done, page, _clicked = meet(
            lambda: shop.run_job(lane, shop.admin),
            lambda invoice=invoice, customer=customer: pay(customer, invoice, flow),
            lambda invoice=invoice: retry(shop.other_admin, invoice),
        )
        if flow == "direct" and page:
            # The page is open now; the customer enters a card.
            [intent] = [
                one
                for one in stripe.find("payment_intent")
                if one["client_secret"] == page["client_secret"]
            ]
            stripe.pay(intent["id"])
    assert max(count_charges(stripe, invoices)) <= 1
    found = settle(shop, invoices)
    if flow == "token":
        assert count_charges(stripe, invoices) == [1] * 6
    assert [payments for _open, payments in found] == [1] * 6
    assert {amount for amount, _payments in found} == {0.0}


def meet(*calls):
    """Make calls at the same moment; return what each returns."""
    barrier = threading.Barrier(len(calls))

    def call(one):
        barrier.wait()
        return one()

    with ThreadPoolExecutor(len(calls)) as pool:
        return [done.result() for done in [pool.submit(call, one) for one in calls]]


def retry(session, invoice):
    """Click “Retry now”; somebody else may have been faster."""
    try:
        session("crm.dunning.case", "action_retry", [invoice["case"]])
    except Refused as refusal:
        assert any(
            text in str(refusal)
            for text in ("Nothing was charged", "is closed", "under way")
        ), refusal


def pay(customer, invoice, flow):
    """Press *Pay* on the portal; return what the page works with, None if refused."""
    try:
        return customer._post(
            f"/invoice/transaction/{invoice['move']}",
            {
                "access_token": invoice["access"],
                "provider_id": invoice["provider"],
                "payment_method_id": invoice["method"],
                "token_id": invoice["token"] if flow == "token" else None,
                "amount": invoice["amount"],
                "flow": flow,
                "tokenization_requested": False,
                "landing_route": "/my/invoices",
            },
        )
    except Refused as refusal:
        assert "under way" in str(refusal) or "is open" in str(refusal), refusal
        return None


def test_two_clicks_charge_once(shop, stripe):
    invoices = create(shop, "clicked", 3)
    for invoice in invoices:
        meet(
            *(
                lambda session=session, invoice=invoice: retry(session, invoice)
                for session in (shop.admin, shop.other_admin)
            )
        )
    assert count_charges(stripe, invoices) == [1] * 3
    assert settle(shop, invoices) == [[0.0, 1]] * 3


def test_the_button_answers_after_the_charge(shop, stripe):
    """Nothing is sent before the click's own transaction is committed."""
    [invoice] = create(shop, "asked", 1)
    shop.admin("crm.dunning.case", "action_retry", [invoice["case"]])
    assert shop.query(
        "SELECT state, source FROM crm_dunning_attempt WHERE move_id = %s",
        invoice["move"],
    ) == [("succeeded", "person")]
    assert count_charges(stripe, [invoice]) == [1]
