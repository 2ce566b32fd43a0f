"""Make the pure rules importable on their own, as ``import billing_rules``.

So are the parts of ``setup/``, as ``from lib import databases``. No odoo here: what
needs it is in ``tests/odoo/conftest.py``.
"""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]

RULES = sorted({rules.parent for rules in ROOT.glob("addons/*/*_rules")})

for folder in (ROOT / "setup", *RULES):
    if str(folder) not in sys.path:
        sys.path.append(str(folder))
