"""Reminders by the thousand, measured inside an Odoo process; see `bench_dunning`."""

from datetime import timedelta

from odoo import fields
from odoo.fields import Command

from .bench_cloning import clone, create_customers, get_product
from .meter import Meter

PER_CUSTOMER = 4  # open invoices of each customer
FEW, MANY = 1_000, 2_000  # the difference leaves out what does not grow
ROUNDS = 3  # of which the least CPU counts


def measure_decisions(env):
    """Return CPU (s per 1000) and queries of an invoice: find, decide, write."""
    return _marginal(env, _remind, with_mails=False)


def measure_mails(env):
    """Return CPU (ms) and queries of a mail: rendered, linked, queued, posted."""
    _remind(env, 20 * PER_CUSTOMER, with_mails=False)
    rounds = [(_mail(env, 100), _mail(env, 300)) for _round in range(ROUNDS)]
    return _least(rounds, 200)


def measure_run(env, invoices):
    """Return CPU (s) and queries of the whole run, and what it left behind."""
    _remind(env, 20 * PER_CUSTOMER)
    create_invoices(env, invoices)
    meter = run(env)
    customers = invoices // PER_CUSTOMER
    last = env["crm.dunning.notice"].search([], order="id desc", limit=customers)
    again = run(env)
    return {
        "cpu": meter.cpu / 1000,
        "queries": meter.queries / invoices,
        "wrong": abs(len(last.partner_id) - customers)
        + sum(
            len(notice.line_ids.filtered(lambda line: line.kind == "listed"))
            != PER_CUSTOMER
            for notice in last
        )
        + len(last.filtered(lambda notice: not notice.message_id)),
        "again": again.queries,
    }


def _marginal(env, measure, **options):
    measure(env, 20 * PER_CUSTOMER, **options)
    rounds = [
        (measure(env, FEW, **options), measure(env, MANY, **options))
        for _round in range(ROUNDS)
    ]
    return _least(rounds, MANY - FEW)


def _least(rounds, number):
    few, many = (
        {
            "cpu": min(meter.cpu for meter in meters),
            "queries": min(meter.queries for meter in meters),
        }
        for meters in zip(*rounds, strict=True)
    )
    return {name: (many[name] - few[name]) / number for name in few}


def _remind(env, invoices, with_mails=True):
    create_invoices(env, invoices)
    notices = type(env["crm.dunning.notice"])
    queue = notices._queue_mails
    if not with_mails:
        notices._queue_mails = lambda self, scheduled=None: None
    try:
        meter = run(env)
    finally:
        notices._queue_mails = queue
    found = env["crm.dunning.notice"].search_count([("state", "=", "queued")])
    assert found, "nobody is reminded"
    return meter


def _mail(env, mails):
    _remind(env, mails * PER_CUSTOMER, with_mails=False)
    notices = env["crm.dunning.notice"].search(
        [("state", "=", "queued"), ("message_id", "=", False)],
        order="id desc",
        limit=mails,
    )
    env.invalidate_all()
    with Meter(env) as meter:
        notices._queue_mails()
    assert len(notices.message_id) == mails, "not every mail is made"
    return meter


def run(env, now=None):
    """Run the reminders as the scheduler does, and measure it."""
    env.invalidate_all()
    with Meter(env) as meter:
        env["crm.dunning.case"]._cron_follow_up(now=now or get_noon(env))
    return meter


def get_noon(env):
    """Return noon of the day for which the invoices are two days overdue."""
    return fields.Datetime.to_datetime("2027-02-10 12:00:00")  # a Wednesday


def arm(env):
    """Arm the shipped policy as a manager would, without its back-test."""
    policy = env.ref("crm_dunning.policy_default")
    if policy.state != "armed":
        policy.state = "armed"
        env["ir.config_parameter"].set_param(
            "account_payment.enable_portal_payment", "True"
        )
        # Nobody calls it; without a provider there is no pay link to make.
        env.ref("payment.payment_provider_stripe").write(
            {
                "stripe_publishable_key": "pk_test_bench",
                "stripe_secret_key": "sk_test_bench",
                "state": "test",
            }
        )


def create_invoices(env, count):
    """Create posted invoices, two days overdue, `PER_CUSTOMER` for each customer.

    :return: the number to which 1, 2, … ``count`` is added for their ids
    """
    arm(env)
    customers = create_customers(env, count // PER_CUSTOMER)
    due = get_noon(env).date() - timedelta(days=2)
    move = env["account.move"].create(
        {
            "move_type": "out_invoice",
            "partner_id": customers + 1,
            "invoice_date": due - timedelta(days=30),
            "invoice_date_due": due,
            "invoice_payment_term_id": False,
            "invoice_line_ids": [
                Command.create({"product_id": get_product(env).id, "price_unit": 100.0})
            ],
        }
    )
    move.action_post()
    account = f"{customers} + 1 + (n - 1) / {PER_CUSTOMER}"
    number = f"{10 * customers} + n"  # further on than any count of theirs
    name = f"'{move.sequence_prefix}' || ({number})"
    base = clone(
        env,
        move,
        count,
        name=name,
        payment_reference=name,
        sequence_number=number,
        partner_id=account,
        commercial_partner_id=account,
        access_token="NULL",
    )
    for line in move.line_ids:
        clone(
            env,
            line,
            count,
            move_id=f"{base} + n",
            partner_id=account,
            move_name=name,
        )
    move.button_draft()
    move.button_cancel()
    env.cr.commit()
    env.cr.execute("ANALYZE account_move, account_move_line, crm_dunning_notice_line")
    env.cr.commit()
    env.invalidate_all()
    return base
