"""Operation "retention": one phase of a contract, part of it retained."""

from . import agreements
from .money import text, to_float
from .stage import percent

DAY = "2027-01-04"


def play(stage, inputs):
    """Return the invoice's total, what of it is due by its terms, and the rest."""
    now = stage.to_instant(DAY)
    stage.set_account(now, {"tax_rate": inputs.get("tax_rate")})
    with stage.at(now) as env:
        agreement = env["crm.billing.agreement"].create(
            {
                **agreements.prepare(stage, env, {"start": DAY, "lines": []}),
                "retention_percent": percent(inputs["retention_rate"]),
                "retention_base": inputs.get("retention_base") or "net",
            }
        )
        phase = {"name": "Phase", "kind": "share", "weight": 1.0}
        line = env["crm.billing.agreement.line"].create(
            {
                "agreement_id": agreement.id,
                "product_id": stage.get_product(env, 0).id,
                "name": "Contract",
                "billing_method": "milestone",
                "price_unit": to_float(inputs["net"], "net"),
                "shares": True,
                "milestone_ids": [(0, 0, phase)],
            }
        )
        agreement.action_start()
        line.milestone_ids.action_mark_done(date=now.date())
        agreement.generate_invoices()
        move = agreement.move_ids
        move.action_post()
        return _read(move)


def _read(move):
    digits = move.currency_id.decimal_places
    due = move.line_ids.filtered(lambda line: line.account_type == "asset_receivable")
    retained = due.filtered("billing_is_retention")
    return {
        "invoice_total": text(move.amount_total, digits),
        "due_now": text(sum((due - retained).mapped("amount_currency")), digits),
        "retained": text(sum(retained.mapped("amount_currency")), digits),
    }
