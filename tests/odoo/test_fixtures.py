"""The processes that other tests build on: a copy, a shell, a server, a cron."""

import time
import urllib.request

SET_MARK = """
env["ir.config_parameter"].set_param("crm_billing.mark", "shell")
env["ir.cron"].create({
    "name": "Leave a mark",
    "model_id": env.ref("base.model_ir_config_parameter").id,
    "state": "code",
    "code": "model.set_param('crm_billing.mark', 'cron')",
})._trigger()
env.cr.commit()
print("marked")
"""
GET_MARK = "SELECT value FROM ir_config_parameter WHERE key = 'crm_billing.mark'"


def test_a_cron_process_works_on_a_database_of_its_own(
    database, connect, odoo_server, odoo_shell
):
    assert odoo_shell(database, SET_MARK) == "marked\n"
    connection = connect(database)
    connection.autocommit = True
    cursor = connection.cursor()
    cursor.execute(GET_MARK)
    assert cursor.fetchone() == ("shell",)
    with odoo_server(database, http=False, cron_threads=1) as running:
        deadline = time.monotonic() + 60
        while cursor.fetchone() != ("cron",):
            assert time.monotonic() < deadline, running.log.read_text()
            running.wake_crons()
            time.sleep(0.5)
            cursor.execute(GET_MARK)
        running.kill()
        assert running.process.returncode == -9


def test_a_server_answers(database, odoo_server):
    with odoo_server(database) as running:
        with urllib.request.urlopen(f"{running.url}/web/health") as answer:
            assert answer.status == 200
