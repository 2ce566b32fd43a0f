"""The lint command: every check by name, all of them run, the failed ones listed."""

import re
import subprocess

from . import databases, environment, odoo_source, readme, registries, say, translations
from .paths import ADDONS, CONF, ROOT, manifests

USAGE = """\
usage: setup/lint [--fast]

--fast leaves out what needs a database: Odoo's own lint and the .pot files."""

# What the checks cannot see: a model is split over files by topic on purpose, and
# `_` is a local name for `self.env._` (tests/unit/test_architecture.py watches that).
NOT_CHECKED = "consider-merging-classes-inherited,prefer-env-translation"
ODOO_LINT = ("test_manifests", "test_override_signatures", "test_dunderinit")


def main(arguments):
    if arguments not in ([], ["--fast"]):
        print(USAGE)
        return 0 if arguments in (["-h"], ["--help"]) else 2
    bin_folder = environment.prepare_linters()
    environment.prepare_python()
    checks = _fast_checks(bin_folder)
    if not arguments:
        environment.prepare()
        checks += [("Odoo's lint", _odoo_lint), (".pot files", translations.check)]
    failed = [name for name, check in checks if not _passes(name, check)]
    print(f"setup/lint: {len(checks) - len(failed)} of {len(checks)} checks pass")
    for name in failed:
        print(f"  failed: {name}")
    return 1 if failed else 0


def _passes(name, check):
    """Run one check, print what it says when it fails."""
    say.step(name)
    try:
        problems = check()
    except say.Trouble as trouble:
        problems = str(trouble)
    if problems:
        print(f"--- {name}\n{problems}\n", flush=True)
    return not problems


def _fast_checks(bin_folder):
    addons = [str(ADDONS / name) for name in manifests()]
    catalogs = [str(path) for path in sorted(ADDONS.glob("*/i18n/*.po*"))]
    pylint = [bin_folder / "pylint", f"--disable={NOT_CHECKED}", *addons]
    unit = "tests/unit/test_architecture.py"
    return [
        ("ruff format", lambda: _run(bin_folder / "ruff", "format", "--check")),
        ("ruff check", lambda: _run(bin_folder / "ruff", "check")),
        ("pylint-odoo", lambda: _run(*pylint)),
        ("OCA's addon checks", lambda: _oca(bin_folder / "oca-checks-odoo-module")),
        (
            "OCA's translation checks",
            lambda: catalogs and _run(bin_folder / "oca-checks-po", *catalogs),
        ),
        (
            "architecture",
            lambda: _run(
                environment.PYTHON,
                "-m",
                "pytest",
                "-q",
                "--tb=short",
                "-p",
                "no:odoo",
                unit,
            ),
        ),
        ("README.rst of the addons", readme.check),
        ("names of this machine", _machine_names),
    ]


def _run(*command):
    """Return what a failing command prints, nothing for one that succeeds."""
    command = list(map(str, command))
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    return (done.stdout + done.stderr).strip() if done.returncode else ""


def _oca(program):
    found = [_run(program, ADDONS / name) for name in manifests()]
    return "\n".join(filter(None, found))


def _odoo_lint():
    """Run the parts of Odoo's own lint that look at addons like ours."""
    folders = [path / "test_lint/tests" for path in odoo_source.addons_paths()]
    folder = next((path for path in folders if path.is_dir()), None)
    if not folder:
        return "this Odoo source has no addon test_lint"
    files = [str(folder / f"{name}.py") for name in ODOO_LINT]
    with databases.temporary(databases.layer(demo=False), "lint") as name:
        return _run(
            *(environment.PYTHON, "-m", "pytest", "-q", "-p", "no:cacheprovider"),
            *(f"--odoo-database={name}", f"--odoo-config={CONF}", *files),
        )


def _machine_names():
    """Return lines of tracked files that only make sense on this machine."""
    if not (ROOT / ".git").exists():
        return ""
    git = ["git", "-c", "safe.directory=*", "grep", "-nIE"]
    hosts = "|".join(map(re.escape, sorted(registries.hosts())))
    checkout = rf"(^|[^[:alnum:]_./-]){re.escape(str(ROOT))}($|[^[:alnum:]_-])"
    done = subprocess.run(
        [*git, f"{hosts}|{checkout}" if hosts else checkout],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    return (done.stdout if done.returncode < 2 else done.stderr).strip()
