"""The same form of the portal twice in the same second: heard once."""

import re
import urllib.parse
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from http.cookiejar import CookieJar

MAKE = """
from datetime import date, timedelta
account = env["res.partner"].create({"name": "Twice", "is_company": True})
move = env["account.move"].create({
    "move_type": "out_invoice",
    "partner_id": account.id,
    "invoice_date": date.today() - timedelta(days=9),
    "invoice_date_due": date.today() - timedelta(days=5),
    "invoice_payment_term_id": False,
    "invoice_line_ids": [(0, 0, {"name": "Day", "price_unit": 100.0})],
})
move.action_post()
print("made", move.id, move._portal_ensure_token())
env.cr.commit()
"""
COUNT = """
answers = env["crm.dunning.answer"].search([])
cases = env["crm.dunning.case"].search([])
notes = env["mail.message"].search([
    ("model", "=", "account.move"), ("body", "ilike", "Order 12 is missing")])
print("answers", len(answers), "cases", len(cases), "notes", len(notes),
      "state", cases.state)
"""


def test_two_requests_with_the_same_form(database, odoo_shell, odoo_server):
    made = re.search(r"made (\d+) (\S+)", odoo_shell(database, MAKE))
    move_id, token = made.groups()
    with odoo_server(database, cron_threads=0) as running:
        url = f"{running.url}/my/invoices/{move_id}"
        opener = urllib.request.build_opener(
            urllib.request.HTTPCookieProcessor(CookieJar())
        )
        page = opener.open(f"{url}?access_token={token}").read().decode()
        csrf = re.search(r'name="csrf_token" value="([^"]+)"', page)[1]
        form = urllib.parse.urlencode(
            {
                "access_token": token,
                "csrf_token": csrf,
                "key": "same",
                "problem": "order",
                "text": "Order 12 is missing",
            }
        ).encode()

        def send(_number):
            with opener.open(f"{url}/answer/problem", form) as answer:
                return answer.status, "Thank you" in answer.read().decode()

        with ThreadPoolExecutor(4) as pool:
            told = list(pool.map(send, range(4)))
    assert told == [(200, True)] * 4
    counted = odoo_shell(database, COUNT)
    assert "answers 1 cases 1 notes 1 state dispute" in counted
