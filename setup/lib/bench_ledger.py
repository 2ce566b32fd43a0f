"""A ledger of a million journal items, as copies of what the ORM wrote.

Runs inside an Odoo process. Two years of invoices, half of them paid, each payment
matched with its invoice some days around the due date.
"""

from odoo.tools import SQL

from .bench_cloning import clone, create_customers, get_product

DAYS = 730  # over which the invoices are spread, the last one is of yesterday
TERMS = 30


def create_ledger(env, open_items, paid_items, customers):
    """Write open invoices, paid invoices and their payments, two journal items each.

    :return: the number of journal items in the ledger
    """
    base = create_customers(env, customers)
    _analyze(env)
    account = f"{base} + 1 + mod(n, {customers})"
    _clone_invoices(env, open_items, account)
    paid, invoice = _clone_invoices(env, paid_items, account)
    _clone_payments(env, paid, invoice, paid_items, account)
    _analyze(env)
    env.cr.commit()
    env.invalidate_all()
    return env["account.move.line"].search_count([("parent_state", "=", "posted")])


def _analyze(env):
    """Let what follows be planned for the rows that are there now.

    Foreign keys are looked up by plans of their own: made for a table of a few rows
    they read all of it for each new row.
    """
    for table in ("res_partner", "account_move", "account_move_line"):
        env.cr.execute(SQL("ANALYZE %s", SQL.identifier(table)))
    env.cr.execute("ANALYZE account_partial_reconcile")


def _date(shift=0):
    """Return the SQL of the date of the n-th invoice, ``shift`` days later."""
    return f"(current_date - 1 - mod(n, {DAYS}) + {shift})"


def _clone_invoices(env, count, account):
    """Return ``(base of the ids of their receivable items, the invoice copied)``."""
    move = env["account.move"].create(
        {
            "move_type": "out_invoice",
            "partner_id": env["res.partner"].search([], order="id desc", limit=1).id,
            "invoice_date": env.cr.now().date(),
            "invoice_payment_term_id": False,
            "invoice_line_ids": [
                (0, 0, {"product_id": get_product(env).id, "price_unit": 100})
            ],
        }
    )
    move.invoice_line_ids.tax_ids = False
    move.action_post()
    who = {"partner_id": account, "commercial_partner_id": account}
    when = {"date": _date(), "invoice_date": _date(), "invoice_date_due": _date(TERMS)}
    name = f"'BENCH/{move.id}/' || n"
    moves = clone(env, move, count, name=name, sequence_number="n", **who, **when)
    _analyze(env)
    values = {
        "move_id": f"{moves} + n",
        "partner_id": account,
        "date": _date(),
        "invoice_date": _date(),
        "move_name": name,
    }
    for line in move.line_ids - _receivable(move):
        clone(env, line, count, **values)
    base = clone(env, _receivable(move), count, date_maturity=_date(TERMS), **values)
    return base, move


def _clone_payments(env, base, invoice, count, account):
    """Pay the copied invoices, each by a payment of its own."""
    wizard = env["account.payment.register"].with_context(
        active_model="account.move", active_ids=invoice.ids
    )
    payment = wizard.create({})._create_payments()
    paid = "LEAST({}, current_date - 1)".format(_date(f"{TERMS} - 5 + mod(n, 40)"))
    name = f"'BENCH/PAY/{payment.id}/' || n"
    moves = clone(
        env,
        payment.move_id,
        count,
        partner_id=account,
        commercial_partner_id=account,
        name=name,
        sequence_number="n",
        date=paid,
    )
    _analyze(env)
    values = {
        "move_id": f"{moves} + n",
        "partner_id": account,
        "date": paid,
        "date_maturity": paid,
        "move_name": name,
    }
    credit = _receivable(payment.move_id)
    for line in payment.move_id.line_ids - credit:
        clone(env, line, count, **values)
    credits = clone(env, credit, count, **values)
    _analyze(env)
    clone(
        env,
        credit.matched_debit_ids,
        count,
        debit_move_id=f"{base} + n",
        credit_move_id=f"{credits} + n",
        max_date=paid,
    )
    _settle(env, invoice, base, count)


def _settle(env, invoice, base, count):
    """Let the copied invoices look paid, as the one they are copies of."""
    line = _receivable(invoice)
    env.cr.execute(
        "UPDATE account_move_line SET amount_residual = 0, reconciled = TRUE,"
        " amount_residual_currency = 0, full_reconcile_id = %s, matching_number = %s"
        " WHERE id > %s AND id <= %s",
        [line.full_reconcile_id.id, line.matching_number, base, base + count],
    )
    env.cr.execute(
        "UPDATE account_move SET payment_state = %s, amount_residual = 0,"
        " amount_residual_signed = 0 FROM account_move_line line"
        " WHERE line.move_id = account_move.id AND line.id > %s AND line.id <= %s",
        [invoice.payment_state, base, base + count],
    )


def _receivable(move):
    return move.line_ids.filtered(
        lambda line: line.account_id.account_type == "asset_receivable"
    )
