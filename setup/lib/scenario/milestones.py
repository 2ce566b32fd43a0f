"""Operation "milestones": a contract by phases, each done and invoiced in turn."""

from . import agreements
from .document import get_lines
from .money import number, text, to_float

DAY = "2027-01-04"


def play(stage, inputs):
    """Return the split of the contract, and the invoices in the order of the phases."""
    now = stage.to_instant(DAY)
    stage.set_account(now, {})
    with stage.at(now) as env:
        agreement, line = _start(stage, env, inputs)
        agreement_id, line_id = agreement.id, line.id
    with stage.at(now) as env:
        agreement = env["crm.billing.agreement"].browse(agreement_id)
        agreement.generate_invoices()
        _post(agreement)
        line = env["crm.billing.agreement.line"].browse(line_id)
        phases = line.milestone_ids.sorted("sequence")
        amounts = phases.filtered("sequence").mapped("amount")
        for phase in phases:
            phase.action_mark_done(date=now.date())
            agreement.generate_invoices()
            _post(agreement)
        done_before = phases - phases.filtered("sequence")
        return _read(agreement, amounts, len(done_before))


def _start(stage, env, inputs):
    """Start the agreement; what is invoiced already is a phase before the others."""
    agreement = env["crm.billing.agreement"].create(
        agreements.prepare(stage, env, {"start": DAY, "lines": []})
    )
    line = env["crm.billing.agreement.line"].create(
        {
            "agreement_id": agreement.id,
            "product_id": stage.get_product(env, 0).id,
            "name": "Contract",
            "billing_method": "milestone",
            "price_unit": to_float(inputs["contract"], "contract"),
            "shares": True,
            "deposit_percent": _read_percent(inputs.get("deposit_percent")),
            "milestone_ids": [(0, 0, values) for values in _prepare_phases(inputs)],
        }
    )
    agreement.action_start()
    return agreement, line


def _prepare_phases(inputs):
    phases = []
    if number(inputs.get("already_invoiced") or "0"):
        amount = to_float(inputs["already_invoiced"], "already_invoiced")
        phases.append(
            {"name": "Before", "sequence": 0, "kind": "fixed", "fixed_amount": amount}
        )
    for position, phase in enumerate(inputs["milestones"], 1):
        values = {"name": f"Phase {position}", "sequence": position}
        if phase.get("kind") == "fixed":
            values |= {"kind": "fixed", "fixed_amount": to_float(phase["amount"])}
        else:
            weight = number(phase.get("share") or "1", "share") * _get_scale(inputs)
            values |= {"kind": "share", "weight": float(weight)}
        phases.append(values)
    return phases


def _get_scale(inputs):
    """Return what makes whole numbers of all shares: ``"1/3"`` has no end."""
    scale = 1
    for phase in inputs["milestones"]:
        if phase.get("kind") != "fixed":
            share = number(phase.get("share") or "1", "share") * scale
            scale *= share.denominator
    return scale


def _read_percent(value):
    """Return 15 for ``"15"`` and for ``"0.15"``: no deposit is below one percent."""
    percent = number(value or "0", "deposit_percent")
    return float(percent * 100 if percent < 1 else percent)


def _post(agreement):
    for draft in agreement.move_ids.filtered(lambda move: move.state == "draft"):
        draft.action_post()


def _read(agreement, amounts, skipped):
    digits = agreement.currency_id.decimal_places
    moves = agreement.move_ids.sorted("id")
    deposit = moves.filtered(
        lambda move: {"deposit"} == {line.billing_kind for line in get_lines(move)}
    )
    billed = deposit + (moves - deposit)[skipped:]
    return {
        "invoices": [text(move.amount_untaxed, digits) for move in billed],
        "amounts": [text(amount, digits) for amount in amounts],
        "sum": text(sum(amounts), digits),
    }
