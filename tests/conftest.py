"""Make the pure rules importable on their own, as ``import billing_rules``.

No odoo here: what needs it is in ``tests/odoo/conftest.py``.
"""

import sys
from pathlib import Path

ADDONS = Path(__file__).resolve().parents[1] / "addons"

for rules in sorted(ADDONS.glob("*/*_rules")):
    if str(rules.parent) not in sys.path:
        sys.path.append(str(rules.parent))
