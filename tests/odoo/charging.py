"""Charges in real processes: customers, faults, and what came of them.

The scripts run inside Odoo (``odoo shell``), where every commit is one, and talk to the
local Stripe of the test.
"""

import json
import subprocess
import textwrap

from lib import databases, local_stripe
from lib.paths import LOGS

# What every script can use: people who pay, trouble, and a look at what happened.
PRELUDE = '''
import json, threading, urllib.request
from datetime import timedelta
from odoo import SUPERUSER_ID, api, fields
from odoo.addons.crm_dunning.models import stripe_client

Attempt = env["crm.dunning.attempt"]
now = fields.Datetime.now()

def control(verb, /, *args, **kwargs):
    base = env["ir.config_parameter"].sudo().get_param(stripe_client.API_BASE)
    env.cr.commit()
    request = urllib.request.Request(
        f"{base}/_control/{verb}",
        json.dumps({"args": args, "kwargs": kwargs}).encode(),
        {"Content-Type": "application/json"},
    )
    return json.load(urllib.request.urlopen(request, timeout=60))["result"]

def invoice_of(name, amount=100.0, partner=None):
    """Return a posted invoice, due today, of a new account with a saved card."""
    if not partner:
        partner = env["res.partner"].create({"name": name, "is_company": True})
        card_of(partner)
    move = env["account.move"].create({
        "move_type": "out_invoice", "partner_id": partner.id,
        "invoice_date": now.date(), "invoice_date_due": now.date(),
        "invoice_payment_term_id": False,
        "invoice_line_ids": [(0, 0, {
            "name": "Consulting", "quantity": 1, "price_unit": amount,
            "tax_ids": [(5,)],
        })],
    })
    move.action_post()
    env.cr.commit()
    return move

def card_of(partner):
    saved = control("saved_method", name=partner.name)
    provider = env["payment.provider"].search([("dunning_armed", "=", True)])
    return env["payment.token"].create({
        "provider_id": provider.id, "partner_id": partner.id,
        "payment_method_id": env.ref("payment.payment_method_card").id,
        "provider_ref": saved["customer"],
        "stripe_payment_method": saved["payment_method"],
        "payment_details": "4242",
    })

def token_of(move):
    return move._get_dunning_token()

def look(move):
    """Return what became of an invoice, here and at the provider."""
    env.invalidate_all()
    token = env["payment.token"].with_context(active_test=False).search(
        [("partner_id", "=", move.partner_id.id)], limit=1)
    attempts = move.dunning_attempt_ids.sorted("id")
    charges = control("find", "charge", customer=token.provider_ref)
    intents = control("find", "payment_intent", customer=token.provider_ref)
    refunds = sum(
        len(control("find", "refund", charge=one["id"])) for one in charges)
    return {
        "charges": sum(one["paid"] for one in charges),
        "failures": sum(one["status"] == "failed" for one in charges),
        "refunds": refunds,
        "open_intents": sum(
            one["status"] not in ("succeeded", "canceled") for one in intents),
        "states": attempts.filtered(lambda one: one.kind == "charge").mapped("state"),
        "refund_states": attempts.filtered(
            lambda one: one.kind == "refund").mapped("state"),
        "residual": move.amount_residual,
        "payments": len(move.matched_payment_ids),
        "requested": len(control("journal")),
    }
'''

PREPARE = """
provider = env["payment.provider"].search([("code", "=", "stripe")], limit=1)
card = env.ref("payment.payment_method_card")
provider.write({
    "state": "test", "is_published": True, "allow_tokenization": True,
    "stripe_publishable_key": "pk_test_x", "stripe_secret_key": "sk_test_x",
    "stripe_webhook_secret": "whsec_x", "payment_method_ids": [(4, card.id)],
})
card.active = True
provider._arm_charging()
env["ir.config_parameter"].set_param("account_payment.enable_portal_payment", True)
clerk = env.ref("base.user_admin")
env.company.billing_responsible_id = clerk
env["crm.dunning.policy"].create({
    "name": "Charged", "company_id": env.company.id, "sequence": 0, "state": "armed",
    "charge_mode": "due", "hour_from": 0.0, "hour_to": 24.0, "weekdays_only": False,
    "armed_at": now - timedelta(days=30), "owner_id": clerk.id,
    "step_ids": [(0, 0, {"name": "Person", "days": 18, "action": "person"})],
})
env.cr.commit()
"""


def prepare(stripe, database):
    """Point a database at the local Stripe, with provider and policy armed."""
    local_stripe.connect(stripe, database)
    run(database, PREPARE)


def run(database, code, **values):
    """Run a script in a process of its own; return what it passes to ``tell``."""
    told = databases.shell(database, _script(code, values))
    lines = [line for line in told.splitlines() if line.startswith("TOLD ")]
    return json.loads(lines[-1].removeprefix("TOLD ")) if lines else None


def start(database, code, **values):
    """Start a script in a process of its own, to be killed."""
    with open(LOGS / f"{database}-killed.log", "w") as log:
        process = subprocess.Popen(
            [*databases.odoo("shell"), "-d", database, "--no-http", "--log-level=warn"],
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=subprocess.STDOUT,
            text=True,
        )
    process.stdin.write(_script(code, values))
    process.stdin.close()
    return process


def _script(code, values):
    given = "".join(f"{name} = {value!r}\n" for name, value in values.items())
    tell = "def tell(value):\n    print('TOLD ' + json.dumps(value))\n"
    return PRELUDE + tell + given + textwrap.dedent(code)
