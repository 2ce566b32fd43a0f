"""Fixtures for tests that need real connections, real servers and killed processes.

Each works on a database of its own, copied from the template of ``setup/test``.
The only place below ``tests/`` that imports odoo.
"""

import contextlib
import os

import psycopg2
import pytest
from agreements import Agreements
from office import CLERK, Office, Session

from odoo.tests.common import BaseCase

from lib import databases, local_stripe, server

# Odoo tags only the test classes it finds inside addons
BaseCase.test_tags = {"standard", "post_install"}
BaseCase.test_module = "tests"


@pytest.fixture
def database():
    """The name of a fresh database with our addons, dropped after the test."""
    with databases.temporary(os.environ["ODOO_TEST_TEMPLATE"]) as name:
        yield name


@pytest.fixture
def connect():
    """``connect(dbname)``: a psycopg2 connection, closed after the test."""
    connections = []

    def connect(dbname):
        connections.append(psycopg2.connect(dbname=dbname))
        return connections[-1]

    yield connect
    for connection in connections:
        connection.close()


@pytest.fixture
def odoo_server():
    """``with odoo_server(dbname, http=True, cron_threads=0) as running:``

    A real process. ``running.url`` answers when http is on; ``running.wake_crons()``
    makes the cron thread look now, call it until what you wait for has happened;
    ``running.kill()`` ends it as a power cut would; ``running.log`` is its log file.
    """

    def odoo_server(dbname, http=True, cron_threads=0):
        return server.Server(dbname, http=http, cron_threads=cron_threads)

    return odoo_server


@pytest.fixture
def odoo_shell():
    """``odoo_shell(dbname, code)``: run code with ``env`` in a process of its own.

    Returns what the code prints; nothing stays unless it calls ``env.cr.commit()``.
    """
    return databases.shell


@pytest.fixture(scope="module")
def office():
    """People at work on one database, behind two server processes."""
    with contextlib.ExitStack() as stack:
        template = os.environ["ODOO_TEST_TEMPLATE"]
        database = stack.enter_context(databases.temporary(template))
        connection = psycopg2.connect(dbname=database)
        stack.callback(connection.close)
        workers = [
            stack.enter_context(server.Server(database, cron_threads=0))
            for _worker in range(2)
        ]
        office = Office(connection, *workers)
        office.other_admin = Session(workers[1], "admin")
        office.clerk = office.hire("clerk", CLERK, server=1)
        yield office


@pytest.fixture(scope="module")
def agreements(office):
    """Agreements of the office, made and run over RPC."""
    return Agreements(office)


@pytest.fixture(scope="module")
def stripe():
    """A local Stripe, which outlives the servers that a test kills.

    ``local_stripe.connect(stripe, database)`` points a database at it, before its
    server starts; what it can be made to do: ``stripe_double/control.py``.
    """
    with local_stripe.LocalStripe() as running:
        yield running
