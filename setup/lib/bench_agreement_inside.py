"""Runs of the billing job, measured inside an Odoo process; see `bench_agreement`."""

from odoo import fields

from .bench_cloning import create_agreements, create_customers, get_product
from .meter import Meter

FEW, MANY = 50, 150  # the difference leaves out what does not grow with the number
CHUNK_SIZE = 100
ROUNDS = 3  # of which the least CPU counts


def measure_drafts(env):
    """Return ``{lines: {"queries": …, "cpu": …}}`` an invoice of the run."""
    return _measure(env, _bill)


def measure_plain_drafts(env):
    """Return the same of one plain batch ``create``, default values, default tax."""
    return _measure(env, _create_plainly)


def _measure(env, make):
    result = {}
    for lines in (1, 5):
        make(env, 5, lines)
        rounds = [
            (make(env, FEW, lines), make(env, MANY, lines)) for _round in range(ROUNDS)
        ]
        few, many = (
            {
                "queries": min(meter.queries for meter in meters),
                "cpu": min(meter.cpu for meter in meters),
            }
            for meters in zip(*rounds, strict=True)
        )
        result[lines] = {key: (many[key] - few[key]) / (MANY - FEW) for key in few}
    return result


def _bill(env, count, lines):
    first = create_agreements(env, count, lines)
    meter = run(env)
    assert count_billed(env, first, count) == count, "not every agreement has its draft"
    return meter


def _create_plainly(env, count, lines):
    first = create_customers(env, count)
    product = get_product(env)
    line = {"product_id": product.id, "quantity": 1, "price_unit": 100}
    env.cr.commit()
    env.invalidate_all()
    with Meter(env) as meter:
        moves = env["account.move"].create(
            [
                {
                    "move_type": "out_invoice",
                    "partner_id": first + number,
                    "invoice_line_ids": [(0, 0, line) for _line in range(lines)],
                }
                for number in range(1, count + 1)
            ]
        )
    assert moves.line_ids.tax_line_id, "the floor has no tax"
    return meter


def run(env, now=None):
    """Run the job as the scheduler does, and measure it."""
    env.invalidate_all()
    with Meter(env) as meter:
        env["crm.billing.agreement"]._cron_invoice_due(now=now)
    return meter


def count_billed(env, first, count):
    """Return how many of the agreements after id ``first`` have one invoice."""
    env.cr.execute(
        """
        SELECT count(*) FROM (
            SELECT agreement_id FROM account_move_crm_billing_agreement_rel
             WHERE agreement_id > %s AND agreement_id <= %s
          GROUP BY agreement_id HAVING count(*) = 1) billed
        """,
        [first, first + count],
    )
    return env.cr.fetchone()[0]


# === FAILURES === #


def measure_failures(env):
    """Return CPU ``{"clean": …, "prepare": …, "create": …}`` of 200 agreements."""
    _bill(env, 5, 1)
    result = {}
    for kind in ("clean", "prepare", "create"):
        result[kind] = min(_bill_with_one_bad(env, kind) for _round in range(ROUNDS))
    return result


def _bill_with_one_bad(env, kind, count=200):
    first = create_agreements(env, count)
    bad = env["crm.billing.agreement"].browse(first + 77)
    if kind == "prepare":
        bad.payer_id.action_archive()
    elif kind == "create":
        bad.line_ids.product_id = _get_broken_product(env)
    env.cr.commit()
    meter = run(env)
    good = count - (kind != "clean")
    assert count_billed(env, first, count) == good, f"{kind}: others are not billed"
    assert bool(bad.billing_error) == (kind != "clean"), bad.billing_error
    return meter.cpu


def _get_broken_product(env):
    """Return a product that no invoice can hold: its account is off balance."""
    product = get_product(env)
    broken = product.search([("name", "=", "Bench, broken")])
    if not broken:
        account = env["account.account"].create(
            {"name": "Off balance", "code": "999900", "account_type": "off_balance"}
        )
        broken = product.copy(
            {"name": "Bench, broken", "property_account_income_id": account.id}
        )
    return broken


# === TWICE === #


def measure_nothing_due(env):
    """Return the queries of a second run, beside few agreements and beside many."""
    result = []
    for count in (FEW, 20 * FEW):
        first = create_agreements(env, count)
        run(env)
        meter = run(env)
        billed = count_billed(env, first, count)
        result.append({"n": count, "queries": meter.queries, "twice": count - billed})
    return result


# === POSTING === #


def measure_posting(env, count=200):
    """Return CPU of posting and queueing for sending, by our chunks."""
    return min(_post(env, count) for _round in range(ROUNDS))


def _post(env, count):
    first = create_agreements(env, count)
    run(env)
    agreements = env["crm.billing.agreement"].browse(
        range(first + 1, first + count + 1)
    )
    agreements.invoice_mode = "send"
    ids = agreements.move_ids.ids
    env.cr.commit()
    env.invalidate_all()
    with Meter(env) as meter:
        for start in range(0, count, CHUNK_SIZE):
            moves = env["account.move"].browse(ids[start : start + CHUNK_SIZE])
            moves._follow_invoice_mode()
            env.cr.commit()
    moves = env["account.move"].browse(ids)
    assert set(moves.mapped("state")) == {"posted"} and all(
        moves.mapped("sending_data")
    ), "not every invoice is posted and queued"
    return meter.cpu


def measure_plain_posting(env, count=200):
    """Return the CPU of core's batch ``action_post`` of as many drafts."""
    cpu = []
    for _round in range(ROUNDS):
        first = create_customers(env, count)
        product = get_product(env)
        moves = env["account.move"].create(
            [
                {
                    "move_type": "out_invoice",
                    "partner_id": first + number,
                    "invoice_date": fields.Date.today(),
                    "invoice_line_ids": [
                        (0, 0, {"product_id": product.id, "price_unit": 100})
                    ],
                }
                for number in range(1, count + 1)
            ]
        )
        env.cr.commit()
        env.invalidate_all()
        with Meter(env) as meter:
            moves.action_post()
        cpu.append(meter.cpu)
    return min(cpu)
