"""The local Stripe beside a server: for the demo, and for tests with real processes.

Its code lies with the tests of the addon, so that tests inside Odoo use it, too; it is
loaded from there as ``stripe_double``, without the tests themselves (they need Odoo).
"""

import importlib.util
import sys

from .paths import ADDONS

PACKAGE = ADDONS / "crm_dunning/tests/stripe_double"


def _load():
    """Import the package by its place and return it."""
    name = PACKAGE.name
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(
            name, PACKAGE / "__init__.py", submodule_search_locations=[str(PACKAGE)]
        )
        sys.modules[name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules[name])
    return sys.modules[name]


double = _load()
LocalStripe = double.LocalStripe
