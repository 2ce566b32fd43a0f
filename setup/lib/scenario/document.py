"""The actual document of a timeline: what ledger and invoices say at the end."""

from .clock import show_bound
from .money import text

DEBITS = ("recurring", "charge", "usage", "late_usage", "minimum")


def build(cast):
    """Return the papers of the story and their sums."""
    with cast.stage.at(cast.now, person=False) as env:
        moves = cast.find_moves(env)
        digits = cast.stage.get_company(env).currency_id.decimal_places
        show = _Printer(cast.stage.zone, digits)
        return {
            "invoices": [show.invoice(move) for move in moves],
            "invoices_per_run": cast.made_per_run,
            **_sum_up(cast, env, moves, digits),
            "refused_events": [position for position, _text in cast.refused],
            "refusals": [message for _position, message in cast.refused],
            "notes": cast.get_notes(env),
            "differences": cast.reviewed,
            "billing_errors": [
                agreement.billing_error
                for agreement in cast.get_agreements(env)
                if agreement.billing_error
            ],
        }


def _sum_up(cast, env, moves, digits):
    lines = _signed_lines(moves)
    credits = [line for line in lines if line[0].billing_kind == "credit"]
    debits = [line for line in lines if line[0].billing_kind in DEBITS]
    charges = [line for line in lines if line[0].billing_kind == "charge"]
    refund = _get_refund(env, cast.stage.get_account(env))
    total = -_add(credits, "price_total")
    sums = {
        "net_adjustment": _add(credits + charges, "price_subtotal"),
        "billed_subtotal": _add(lines, "price_subtotal"),
        "debit_subtotal": _add(debits, "price_subtotal"),
        "credit_subtotal": -_add(credits, "price_subtotal"),
        "credit_tax": total + _add(credits, "price_subtotal"),
        "credit_total": total,
        "refund": refund,
        "credit": total - refund,
        "account_credit": _get_account_credit(env, cast.stage.get_account(env)),
    }
    return {key: text(amount, digits) for key, amount in sums.items()}


def _signed_lines(moves):
    return [
        (line, -1 if move.move_type == "out_refund" else 1)
        for move in moves
        for line in get_lines(move)
    ]


def _add(lines, field):
    return sum(sign * line[field] for line, sign in lines)


def get_lines(move):
    """Return what a document bills, in its order, without sections and notes."""
    lines = move.invoice_line_ids.filtered(lambda line: line.display_type == "product")
    return lines.sorted(lambda line: (line.sequence, line.id))


def _get_refund(env, account):
    """Return the money that was sent back."""
    payments = env["account.payment"].search(
        [
            ("partner_id", "child_of", account.id),
            ("payment_type", "=", "outbound"),
            ("state", "in", ("in_process", "paid")),
        ]
    )
    return sum(payments.mapped("amount"))


def _get_account_credit(env, account):
    """Return what the account has to its credit: open credit notes and payments."""
    lines = env["account.move.line"].search(
        [
            ("partner_id", "child_of", account.id),
            ("account_type", "=", "asset_receivable"),
            ("parent_state", "=", "posted"),
            ("amount_residual_currency", "<", 0),
        ]
    )
    return -sum(lines.mapped("amount_residual_currency"))


class _Printer:
    def __init__(self, zone, digits):
        self._zone, self._digits = zone, digits

    def _text(self, amount):
        return text(amount, self._digits)

    def invoice(self, move):
        return {
            "date": move.invoice_date and move.invoice_date.isoformat(),
            "type": move.move_type,
            "state": move.state,
            "lines": [self.line(line) for line in get_lines(move)],
            "subtotal": self._text(move.amount_untaxed),
            "tax": self._text(move.amount_tax),
            "total": self._text(move.amount_total),
            "credit_applied": self._text(_get_credit_applied(move)),
            "due": self._text(move.amount_residual),
        }

    def line(self, line):
        row = line.billing_period_ids[:1]
        return {
            "kind": line.billing_kind,
            "period_start": self._bound(row.instant_from, line.billing_date_from),
            "period_end": self._bound(row.instant_to, line.billing_date_to),
            "factor": row.factor or None,
            "subtotal": self._text(line.price_subtotal),
            "tax": self._text(line.price_total - line.price_subtotal),
            "total": self._text(line.price_total),
        }

    def _bound(self, instant, day):
        return show_bound(instant, day, self._zone) if day else None


def _get_credit_applied(move):
    """Return what credit notes closed of an invoice, or a credit note of invoices."""
    other = "out_refund" if move.move_type == "out_invoice" else "out_invoice"
    receivable = move.line_ids.filtered(
        lambda line: line.account_type == "asset_receivable"
    )
    matched = [
        (partial.credit_move_id, partial.debit_amount_currency)
        for partial in receivable.matched_credit_ids
    ] + [
        (partial.debit_move_id, partial.credit_amount_currency)
        for partial in receivable.matched_debit_ids
    ]
    return sum(amount for line, amount in matched if line.move_id.move_type == other)
