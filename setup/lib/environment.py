"""Prepare what every command needs: Python, Odoo, PostgreSQL, one configuration.

Afterwards ``os.environ`` carries the answer, so that each process started from here
(Odoo, pytest, psql) finds its programs on PATH and its database server in ``PG*``.
"""

import hashlib
import os
import shutil
import socket
import subprocess
import sys

from . import lock, odoo_source, postgres, say
from .paths import ADDONS, CONF, DATA, LINT_VENV, LOGS, SETUP, VENV, WORK

SUPPORTED = ((3, 10), (3, 11), (3, 12))
REQUIREMENTS = SETUP / "requirements.txt"
DEV_REQUIREMENTS = SETUP / "requirements-dev.txt"
PYTHON = VENV / "bin/python"


def prepare():
    """Prepare everything but the databases."""
    prepare_python()
    with lock.held("prepare"):
        odoo_source.prepare()
        _link_odoo()
        postgres.prepare()
        _write_conf()
    use_shim()


def prepare_python():
    """Make the virtual environment that runs Odoo and the tests."""
    _check_writable()
    _make_venv(VENV, REQUIREMENTS, "Odoo and its tests (75 packages, 110 MB)")
    _prepend_path(VENV / "bin")


def prepare_linters():
    """Make the second virtual environment, whose pins must not meet Odoo's."""
    _check_writable()
    _make_venv(LINT_VENV, DEV_REQUIREMENTS, "the linters (20 MB)")
    return LINT_VENV / "bin"


def use_shim():
    """Put the PDF shim on PATH where there is no real ``wkhtmltopdf``."""
    shim = SETUP / "bin"
    if not shutil.which("wkhtmltopdf"):
        _prepend_path(shim)


def free_port():
    """Return a TCP port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def pins():
    """Return what tells one set of Python packages from another."""
    return hashlib.sha256(REQUIREMENTS.read_bytes()).hexdigest()


def _prepend_path(folder):
    folders = os.environ["PATH"].split(os.pathsep)
    if str(folder) not in folders:
        os.environ["PATH"] = os.pathsep.join([str(folder), *folders])


def _check_writable():
    folder = WORK if WORK.exists() else WORK.parent
    if not os.access(folder, os.W_OK):
        raise say.Trouble(
            f"{folder} belongs to somebody else: work in a checkout of your own"
        )


# === PYTHON === #


def _make_venv(folder, requirements, what):
    """Create ``folder`` or bring it in line with ``requirements``."""
    with lock.held(folder.name):
        marker = folder / "pins.sha256"
        wanted = hashlib.sha256(requirements.read_bytes()).hexdigest()
        fits = _fits(folder / "bin/python")
        if fits and marker.exists() and marker.read_text() == wanted:
            return
        if not (fits and (folder / "bin/pip").exists()):
            python = _find_python()
            _check_ensurepip(python)
            subprocess.run([python, "-m", "venv", "--clear", str(folder)], check=True)
        say.step(f"installing Python packages of {what}")
        _pip_install(folder / "bin/python", requirements)
        marker.write_text(wanted)


def _fits(python):
    """Return whether an existing environment can stay."""
    version = _version_of(python)
    given = os.environ.get("PYTHON")
    return version in SUPPORTED and (not given or version == _version_of(given))


def _pip_install(python, requirements):
    command = [python, "-m", "pip", "install", "--quiet", "-r", requirements]
    done = subprocess.run(
        [*command, "--disable-pip-version-check"], capture_output=True, text=True
    )
    if done.returncode:
        reasons = [line for line in done.stderr.splitlines() if "ERROR" in line]
        reason = "\n".join(reasons) or done.stderr
        raise say.Trouble(f"pip could not install {requirements.name}:\n{reason}")


def _find_python():
    """Return a Python that Odoo 19 and our pins run on."""
    if given := os.environ.get("PYTHON"):
        candidates = [given]
    else:
        names = ["python3.11", "python3.12", "python3.10"]
        candidates = [sys.executable, *filter(None, map(shutil.which, names))]
    for candidate in candidates:
        if _version_of(candidate) in SUPPORTED:
            return candidate
    raise say.Trouble(
        "Python 3.10, 3.11 or 3.12 is needed: install python3.11 with python3.11-venv,"
        " or set PYTHON to the path of one (pyenv and uv can fetch it)"
    )


def _version_of(python):
    command = [python, "-c", "import sys; print(*sys.version_info[:2])"]
    try:
        answer = subprocess.run(command, capture_output=True, text=True)
    except OSError:
        return None
    return tuple(map(int, answer.stdout.split())) if not answer.returncode else None


def _check_ensurepip(python):
    command = [python, "-c", "import ensurepip, venv"]
    if subprocess.run(command, capture_output=True).returncode:
        major, minor = _version_of(python)
        raise say.Trouble(
            f"Python's venv is missing: apt-get install python{major}.{minor}-venv"
        )


def _link_odoo():
    """Make ``import odoo`` work in the virtual environment."""
    packages = next(VENV.glob("lib/python3*/site-packages"))
    pth = packages / "odoo-src.pth"
    line = f"{odoo_source.home()}\n"
    if not pth.exists() or pth.read_text() != line:
        pth.write_text(line)


# === CONFIGURATION === #


def _write_conf():
    """Write Odoo's configuration; the database server comes from ``PG*``."""
    for folder in (DATA, LOGS):
        folder.mkdir(parents=True, exist_ok=True)
    addons_path = ",".join(map(str, [*odoo_source.addons_paths(), ADDONS]))
    CONF.write_text(
        f"""[options]
addons_path = {addons_path}
data_dir = {DATA}
screenshots = {LOGS}
admin_passwd = admin
http_interface = 127.0.0.1
unaccent = False
"""
    )
