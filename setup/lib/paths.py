"""Where things are: the checkout, and what is generated in it."""

import ast
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SETUP = ROOT / "setup"
ADDONS = ROOT / "addons"

WORK = ROOT / ".odoo"  # everything generated, ignored by git
VENV = WORK / "venv"
LINT_VENV = WORK / "lint-venv"
DATA = WORK / "data"  # Odoo's data_dir: filestores and sessions
LOGS = WORK / "log"
MAIL = WORK / "mail"  # what the demo sends
CONF = WORK / "odoo.conf"


def manifests():
    """Return ``{addon: manifest}`` of the addons in the checkout."""
    found = {}
    for path in sorted(ADDONS.glob("*/__manifest__.py")):
        manifest = ast.literal_eval(path.read_text())
        if manifest.get("installable", True):
            found[path.parent.name] = manifest
    return found
