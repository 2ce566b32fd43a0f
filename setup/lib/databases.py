"""Databases: made once, named after what is in them, copied in half a second.

Three layers, each a copy of the one below plus something:
Odoo's own modules → our addons → the copy that a demo or a test run works on.
The name carries a digest of everything that went in, so a layer is made anew exactly
when its ingredients change. A file lock marks those in use; the rest is dropped.
"""

import collections
import contextlib
import hashlib
import os
import re
import shutil
import subprocess
import time

from . import environment, lock, odoo_source, say
from .paths import ADDONS, CONF, DATA, LOGS, manifests

LABEL = "crm-billing"  # comment on each database we made, so that we drop no other
NOT_INSTALLED = re.compile(r"/(tests|readme|description)/|\.(pyc|pot|rst|md)$")


def query(sql, database="postgres"):
    """Return the rows of ``sql`` as lists of strings."""
    command = ["psql", "-XAtq", "-F", "\t", "-v", "ON_ERROR_STOP=1", "-c", sql]
    answer = subprocess.run([*command, database], capture_output=True, text=True)
    if answer.returncode:
        raise say.Trouble(f"PostgreSQL: {answer.stderr.strip()}")
    return [line.split("\t") for line in answer.stdout.splitlines()]


def labels():
    """Return ``{database: label}`` of the databases that we made."""
    rows = query(
        "SELECT datname, shobj_description(oid, 'pg_database') FROM pg_database"
    )
    return {name: label for name, label in rows if label.startswith(LABEL)}


def is_made(name, text):
    """Return whether ``name`` is ours with that label, and its files are here, too."""
    files = DATA / "filestore" / name
    return labels().get(name) == f"{LABEL} {text}" and files.is_dir()


def exists(name):
    return bool(query(f"SELECT 1 FROM pg_database WHERE datname = '{name}'"))


def create(name):
    """Create ``name`` without tables: Odoo itself would ask for missing extensions."""
    options = ["-T", "template0", "--lc-collate=C", "-E", "UTF8"]
    _run_client("createdb", *options, name)


def copy(source, target, patience=30):
    """Copy a database and its filestore (hard links: Odoo never changes a file)."""
    deadline = time.monotonic() + patience
    while True:
        try:
            _run_client("createdb", "-T", source, target)
            break
        except say.Trouble as trouble:
            if "being accessed" not in str(trouble) or time.monotonic() > deadline:
                raise
            time.sleep(0.3)
    files = DATA / "filestore"
    if (files / source).exists():
        shutil.rmtree(files / target, ignore_errors=True)
        shutil.copytree(files / source, files / target, copy_function=os.link)


def drop(name):
    """Drop a database with its connections and its filestore."""
    _run_client("dropdb", "--force", "--if-exists", name)
    shutil.rmtree(DATA / "filestore" / name, ignore_errors=True)


def mark(name, text):
    """Label ``name`` as ours and finished."""
    query(f"COMMENT ON DATABASE \"{name}\" IS '{LABEL} {text}'")


def _run_client(*command):
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise say.Trouble(done.stderr.strip())


# === ODOO === #


def odoo(*subcommand):
    """Return the command line that runs Odoo on our configuration."""
    return [str(environment.PYTHON), "-m", "odoo", *subcommand, "-c", str(CONF)]


def install(name, modules, demo):
    """Install ``modules`` in ``name`` and build the web assets."""
    demo_option = "--with-demo" if demo else "--without-demo=True"
    command = [*odoo(), "-d", name, "-i", ",".join(modules), demo_option]
    command += ["--stop-after-init", "--no-http", "--log-level=warn"]
    _run_logged(name, command)
    # Odoo goes on without demo data that it cannot load.
    last = "SELECT translate(right(error, 600), chr(10), ' ') FROM ir_demo_failure"
    if failures := query(last, name):
        raise say.Trouble(f"demo data could not be loaded:\n{failures[0][0]}")
    build_assets(name)


def build_assets(name):
    """Build every web bundle now, else each browser test builds its own."""
    shell(name, "env['ir.qweb']._pregenerate_assets_bundles()\nenv.cr.commit()\n")


def shell(name, code):
    """Run ``code`` in an Odoo process where ``env`` is known; return what it prints."""
    command = [*odoo("shell"), "-d", name, "--no-http", "--log-level=warn"]
    return _run_logged(name, command, code)


def _run_logged(name, command, text=None):
    """Run Odoo; complain when it fails, or goes on after an error."""
    log = LOGS / f"{name}.log"
    with open(log, "w") as output:
        done = subprocess.run(
            command, input=text, stdout=subprocess.PIPE, stderr=output, text=True
        )
    lines = log.read_text().splitlines()
    if done.returncode or any(re.search(r" (ERROR|CRITICAL) ", line) for line in lines):
        tail = "\n".join(lines[-40:])
        raise say.Trouble(f"Odoo failed on {name} (whole log: {log})\n{tail}")
    return done.stdout


# === LAYERS === #


def layer(demo, extra=()):
    """Return the name of a database with our addons, made if it is missing.

    :param demo: with demonstration data
    :param extra: modules of Odoo that our addons do not ask for
    """
    with lock.held("databases"):
        name = _addons_layer(demo, tuple(extra))
        _sweep()
    return name


def core_layer(demo, extra=()):
    """Return the name of a database without our addons, made if it is missing."""
    with lock.held("databases"):
        return _core_layer(demo, tuple(extra))


def _core_layer(demo, extra):
    ours = manifests()
    wanted = {name for manifest in ours.values() for name in manifest["depends"]}
    modules = sorted((wanted | set(extra)) - set(ours))
    name = _name("core", demo, _core_digest(), *modules)

    def build():
        create(name)
        install(name, modules, demo)

    what = "with demo data, 3 minutes" if demo else "2 minutes"
    return _make(name, f"installing Odoo's modules ({what}, once)", build)


def _addons_layer(demo, extra):
    core = _core_layer(demo, extra)
    while True:
        digest = addons_digest()
        name = _name("ours", demo, core, digest)

        def build(name=name):
            copy(core, name)
            install(name, sorted(manifests()), demo)

        _make(name, "installing our addons (after each change of them)", build)
        if addons_digest() == digest:
            return name
        mark(name, "stale")
        say.step("the addons have changed meanwhile, once more")


def _make(name, what, build):
    if not is_made(name, "layer"):
        say.step(what)
        drop(name)
        build()
        mark(name, "layer")
    _hold(name)
    return name


def _name(kind, demo, *ingredients):
    digest = hashlib.sha256("\n".join(ingredients).encode()).hexdigest()[:10]
    return f"{kind}_{'demo' if demo else 'plain'}_{digest}"


def _core_digest():
    return "\n".join([odoo_source.version(), environment.pins(), str(DATA)])


def addons_digest():
    """Return a digest of every file of the addons that matters to an installation."""
    digest = hashlib.sha256()
    for path in sorted(ADDONS.rglob("*")):
        relative = path.relative_to(ADDONS).as_posix()
        if path.is_file() and not NOT_INSTALLED.search(f"/{relative}"):
            digest.update(relative.encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()


# === IN USE === #

_held = {}


def _hold(name):
    """Mark ``name`` as in use until this process ends."""
    if name not in _held:
        _held[name] = lock.take(name, shared=True)


def _sweep():
    """Drop what nobody uses: copies left by killed runs, all but two of each layer."""
    found = labels()
    found.pop("demo", None)
    kept = collections.Counter()
    for name in sorted(found, key=lock.last_taken, reverse=True):
        kind = name.rpartition("_")[0]
        kept[kind] += 1
        if found[name] == f"{LABEL} layer" and kept[kind] <= 2:
            continue
        if handle := lock.take(name, wait=False):
            with handle:
                drop(name)


@contextlib.contextmanager
def temporary(source, prefix="test"):
    """Give a copy of ``source`` that is dropped after the block."""
    name = f"{prefix}_{os.getpid()}_{time.monotonic_ns() // 1000 % 10**8}"
    _hold(name)
    copy(source, name)
    mark(name, "copy")
    try:
        yield name
    finally:
        drop(name)
        _held.pop(name).close()
