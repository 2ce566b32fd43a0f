"""The addon comes into a company that has a history, and goes again."""

import pytest
from office import CLERK, SELLER, Office, Session

from lib import databases, server

ADDON = "crm_billing_handoff"
CHANGE = """
env["ir.module.module"].search([("name", "=", "{addon}")]).button_immediate_{verb}()
"""
SHOWN = {
    "crm.lead": ["kanban", "list", "form", "search"],
    "res.partner": ["kanban", "list", "form", "search"],
    "sale.order": ["list", "form", "search"],
    "account.move": ["list", "form", "search"],
    "product.product": ["form"],
    "crm.stage": ["form"],
    "res.users": ["form"],
    "res.config.settings": ["form"],
}
# What must not be left behind: a question that has no answer, one a line.
LEFT_BEHIND = """
SELECT model || ' ' || name FROM ir_model_data WHERE module = 'crm_billing_handoff'
SELECT model FROM ir_model WHERE model LIKE 'crm.billing.%'
SELECT name FROM ir_model_fields WHERE relation LIKE 'crm.billing.%'
SELECT name FROM ir_ui_view WHERE name LIKE '%crm_billing_handoff%'
SELECT arch_fs FROM ir_ui_view WHERE arch_fs LIKE 'crm_billing_handoff/%'
SELECT name::text FROM ir_act_server WHERE state LIKE 'billing_%'
SELECT name::text FROM ir_act_server WHERE code LIKE '%_cron_process()%'
SELECT name::text FROM ir_act_window WHERE res_model LIKE 'crm.billing.%'
SELECT name::text FROM ir_ui_menu WHERE name::text LIKE '%andoff%'
SELECT name::text FROM mail_template WHERE model LIKE 'crm.billing.%'
SELECT summary FROM mail_activity WHERE res_model LIKE 'crm.billing.%'
SELECT subject FROM mail_message WHERE model LIKE 'crm.billing.%'
SELECT name FROM ir_attachment WHERE res_model LIKE 'crm.billing.%'
SELECT tablename FROM pg_tables WHERE tablename LIKE 'crm_billing_%'
SELECT tablename FROM pg_tables WHERE tablename = 'account_move_crm_lead_rel'
SELECT table_name || '.' || column_name FROM information_schema.columns
 WHERE table_schema = 'public' AND column_name LIKE 'billing_%'
SELECT key FROM ir_config_parameter WHERE key LIKE 'crm_billing%'
SELECT name FROM ir_module_module WHERE state LIKE 'to %'
"""


def change_addon(odoo_shell, database, verb):
    odoo_shell(database, CHANGE.format(addon=ADDON, verb=verb))


def get_questions():
    return LEFT_BEHIND.strip().replace("\n ", " ").splitlines()


def work_with_the_addon(office):
    """Leave a bit of everything: drafts, posted invoices, what is blocked or broken."""
    seller, clerk = office.hire("seller", SELLER), office.hire("clerk", CLERK)
    deals = office.create_deals(seller, "Draft")
    other_account, _payable = office.create_account("Southwind")
    deals += office.create_deals(seller, "Posted", account=other_account)
    product, _account = office.create_broken_product()
    deals += office.create_deals(seller, "Broken", product=product)
    incomplete = office.create_customer("Incomplete")
    deals += office.create_deals(seller, "Blocked", account=incomplete)
    values = {"name": "Without quotation", "partner_id": office.account}
    deals += seller("crm.lead", "create", [{**values, "expected_revenue": 250}])
    office.win(seller, deals)
    office.run_job()
    assert [bill.billing_state for bill in office.get_bills(deals).values()] == [
        "draft",
        "draft",
        "blocked",
        "blocked",
        "draft",
    ]
    for deal in (deals[1], deals[4]):
        [lead] = clerk("crm.lead", "read", [deal], ["billing_move_ids"])
        clerk("account.move", "action_billing_review", lead["billing_move_ids"])
        clerk("account.move", "action_post", lead["billing_move_ids"])
    office.admin(
        "ir.actions.server",
        "create",
        {
            "name": "Hand off, by a rule of the customer",
            "model_id": office.admin(
                "ir.model", "search", [("model", "=", "crm.lead")]
            )[0],
            "state": "billing_hand_off",
        },
    )
    return deals


def test_odoo_works_when_the_addon_is_gone(database, connect, odoo_server, odoo_shell):
    with odoo_server(database) as running:
        deals = work_with_the_addon(Office(connect(database), running))
    change_addon(odoo_shell, database, "uninstall")
    with odoo_server(database) as running:
        office = Office(connect(database), running)
        left = {question: office.query(question) for question in get_questions()}
        assert not {question: rows for question, rows in left.items() if rows}
        for model, kinds in SHOWN.items():
            office.admin(model, "get_views", [(False, kind) for kind in kinds])
        for login in ("seller", "clerk"):
            server.check_web_client(running.url, login)
        seller = Session(running, "seller")
        customer = office.create_customer("Next customer")
        [deal] = office.create_deals(seller, "Next", account=customer)
        office.win(seller, [deal, *deals])
        move = office.invoice(deal)
        office.admin("account.move", "action_post", [move])
        office.admin("res.partner", "write", customer, {"city": "Shelbyville"})
        office.admin("crm.lead", "unlink", deals)
        assert office.query("SELECT state FROM account_move WHERE id = %s", move) == [
            ("posted",)
        ]
    assert " ERROR " not in running.log.read_text()


@pytest.fixture
def plain_database():
    """The name of a fresh database without our addons."""
    with databases.temporary(databases.core_layer(demo=False)) as name:
        yield name


def test_the_addon_finds_what_was_billed_before(
    plain_database, connect, odoo_server, odoo_shell
):
    with odoo_server(plain_database) as running:
        office = Office(connect(plain_database), running)
        seller = office.hire("seller", SELLER)
        customer = office.create_customer("Old customer")
        names = ["Drafted", "Invoiced", "Paid", "Lost", "Won", "Open"]
        deals = office.create_deals(seller, *names, account=customer)
        office.win(seller, deals[1:5])
        moves = [office.invoice(deal) for deal in deals[:4]]
        office.admin("account.move", "action_post", moves[1:])
        office.admin("crm.lead", "action_archive", [deals[3]])
        context = {"active_model": "account.move", "active_ids": [moves[2]]}
        [payment] = office.admin(
            "account.payment.register", "create", [{}], context=context
        )
        office.admin("account.payment.register", "action_create_payments", [payment])
    change_addon(odoo_shell, plain_database, "install")
    found = office.get_bills(deals)
    assert {name: tuple(bill) for name, bill in found.items()} == {
        "Drafted": (None, "draft", "draft"),
        "Invoiced": (None, "posted", "invoiced"),
        "Paid": (None, "posted", "paid"),
        "Lost": (None, "posted", "invoiced"),
        "Won": (None, None, "none"),
        "Open": (None, None, "none"),
    }
    amounts = office.query(
        "SELECT billing_amount_invoiced, billing_amount_due, billing_as_of IS NOT NULL"
        " FROM crm_lead WHERE id = ANY(%s) ORDER BY id",
        deals,
    )
    assert [tuple(map(float, row)) for row in amounts[:4]] == [
        (0, 0, 1),
        (100, 100, 1),
        (100, 0, 1),
        (100, 100, 1),
    ]
