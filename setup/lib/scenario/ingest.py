"""Operation "ingest": events as senders send them, and what the meter answers."""

from .money import plain


def play(stage, inputs):
    """Return the answers in order, and what is counted in the end."""
    events = inputs.get("events") or []
    first = min(stage.to_instant(_get_arrival(event)) for event in events)
    stage.set_account(first, {})
    meters = {event.get("meter") or "meter" for event in events}
    with stage.at(first) as env:
        env["crm.billing.meter"].create(
            [
                {"name": name, "code": name, "aggregation": "sum"}
                for name in sorted(meters)
            ]
        )
    answers = [_send(stage, event)["status"] for event in events]
    with stage.at(first, person=False) as env:
        counted = env["crm.billing.usage"].search([("meter_code", "in", [*meters])])
        return {
            "answers": answers,
            "counted": len(counted),
            "quantity": plain(sum(counted.mapped("value"))),
        }


def _get_arrival(event):
    return event.get("received") or event["at"]


def _send(stage, event):
    with stage.at(stage.to_instant(_get_arrival(event))) as env:
        [answer] = env["crm.billing.meter"].record_usage(
            [
                {
                    "id": event["id"],
                    "meter": event.get("meter") or "meter",
                    "account": stage.get_account(env).id,
                    "at": event["at"],
                    "value": str(event["quantity"]),
                }
            ]
        )
        return answer
