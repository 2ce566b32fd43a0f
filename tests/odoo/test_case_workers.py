"""Two people, or a person and a payment, touch one case at the same time.

Two server processes work on one database; a gate in the database makes sure that both
transactions are really under way at the same time.
"""

from datetime import UTC, datetime, timedelta
from functools import partial

import pytest
from office import CLERK, SELLER, Refused

CASES = """
    SELECT state, close_reason FROM crm_dunning_case
     WHERE move_id = %s ORDER BY id
"""


@pytest.fixture(scope="module")
def office(office):
    office.colleague = office.hire("colleague", CLERK, server=0)
    office.seller = office.hire("seller", SELLER, server=0)
    return office


def create_invoice(office, days_late=10, **values):
    """Post an invoice of 100.00 that is late.

    :return: its id
    """
    due = datetime.now(UTC).date() - timedelta(days=days_late)
    line = {"product_id": office.product, "price_unit": 100, "tax_ids": [(5,)]}
    values = {
        "move_type": "out_invoice",
        "partner_id": office.account,
        "invoice_date": str(due - timedelta(days=1)),
        "invoice_date_due": str(due),
        "invoice_payment_term_id": False,
        "invoice_line_ids": [(0, 0, line)],
        **values,
    }
    [move] = office.admin("account.move", "create", [values])
    office.admin("account.move", "action_post", [move])
    return move


def open_case(office, move):
    office.admin("account.move", "action_start_dunning", [move])
    [(case,)] = office.query(
        "SELECT id FROM crm_dunning_case WHERE move_id = %s AND state != 'closed'", move
    )
    return case


def pay(office, move):
    context = {"active_model": "account.move", "active_ids": [move]}
    [wizard] = office.other_admin(
        "account.payment.register", "create", [{}], context=context
    )
    office.other_admin(
        "account.payment.register", "action_create_payments", [wizard], context=context
    )


def test_two_clerks_start_dunning_at_once(office):
    move = create_invoice(office)
    office.meet(
        "BEFORE INSERT ON crm_dunning_case FOR EACH STATEMENT",
        partial(office.clerk, "account.move", "action_start_dunning", [move]),
        partial(office.colleague, "account.move", "action_start_dunning", [move]),
    )
    assert office.query(CASES, move) == [("automatic", None)]
    [(opened,)] = office.query(
        "SELECT count(*) FROM crm_billing_event"
        " WHERE action = 'case_opened' AND move_id = %s",
        move,
    )
    assert opened == 1


def test_two_clerks_take_a_case_over_at_once(office):
    move = create_invoice(office)
    case = open_case(office, move)
    office.meet(
        "BEFORE UPDATE ON crm_dunning_case FOR EACH STATEMENT",
        partial(office.clerk, "crm.dunning.case", "action_take_over", [case]),
        partial(office.colleague, "crm.dunning.case", "action_take_over", [case]),
    )
    [(owner, tasks)] = office.query(
        """
        SELECT users.login, (SELECT string_agg(doer.login, ' ')
                               FROM mail_activity task
                               JOIN res_users doer ON doer.id = task.user_id
                              WHERE task.res_model = 'crm.dunning.case'
                                AND task.res_id = one.id AND task.active)
          FROM crm_dunning_case one JOIN res_users users ON users.id = one.owner_id
         WHERE one.id = %s
        """,
        case,
    )
    assert owner == tasks in ("clerk", "colleague")


@pytest.mark.parametrize("verb", ["action_take_over", "action_dispute"])
def test_a_clerk_works_a_case_while_it_is_paid(office, verb):
    move = create_invoice(office)
    case = open_case(office, move)
    arguments = ["Wrong quantity"] if verb == "action_dispute" else []

    def work():
        try:
            office.colleague("crm.dunning.case", verb, [case], *arguments)
        except Refused as refusal:
            # The payment came first: there is nothing to dispute any more.
            assert "is closed" in str(refusal)

    office.meet(
        "BEFORE UPDATE ON crm_dunning_case FOR EACH STATEMENT",
        work,
        partial(pay, office, move),
    )
    assert office.query(CASES, move) == [("closed", "paid")]
    [(tasks,)] = office.query(
        "SELECT count(*) FROM mail_activity WHERE res_model = 'crm.dunning.case'"
        " AND res_id = %s AND active",
        case,
    )
    assert tasks == 0


def test_two_jobs_tell_a_salesperson_once(office):
    [(seller,)] = office.query("SELECT id FROM res_users WHERE login = 'seller'")
    create_invoice(office, days_late=2, invoice_user_id=seller)
    model = office._get_id("crm_dunning", "model_crm_dunning_news")
    lanes = office.admin(
        "ir.cron",
        "create",
        [
            {
                "name": f"News {number}",
                "model_id": model,
                "state": "code",
                "user_id": office._get_id("base", "user_root"),
                "code": "model._cron_tell_sellers("
                "datetime.datetime.now().replace(hour=12, microsecond=0))",
                "interval_type": "days",
            }
            for number in range(2)
        ],
    )
    office.admin("res.users", "write", seller, {"tz": "UTC"})
    office.meet(
        "BEFORE INSERT ON crm_dunning_news FOR EACH STATEMENT",
        partial(office.run_job, lanes[0]),
        partial(office.run_job, lanes[1], office.other_admin),
    )
    for lane in lanes:
        office.run_job(lane)
    [(news, told)] = office.query(
        "SELECT count(*), count(sent_at) FROM crm_dunning_news WHERE user_id = %s",
        seller,
    )
    assert (news, told) == (1, 1)
    [(messages,)] = office.query(
        "SELECT count(*) FROM mail_message message"
        " JOIN res_users users ON users.partner_id = message.res_id"
        " WHERE message.model = 'res.partner' AND users.id = %s"
        " AND message.message_type = 'user_notification'",
        seller,
    )
    assert messages == 1
