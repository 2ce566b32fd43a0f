"""The stage on which a scenario plays: a company, an account, taxes, products, people.

What every scenario needs is made once by :func:`build`; what one of them changes is
undone with its transaction.
"""

import contextlib
from dataclasses import dataclass
from fractions import Fraction

from .clock import to_date, to_instant
from .money import number

PRODUCTS = 12
MANAGER = ("base.group_user", "crm_billing_handoff.group_billing_manager")
ROUNDING = {"line": "round_per_line", "document": "round_globally"}


@dataclass(frozen=True)
class Fixture:
    """Ids of what is on every stage."""

    company: int
    manager: int
    account: int
    tax: int
    products: tuple


def build(env):
    """Create what every scenario needs, and return where it is."""
    company = env.company
    tax = env["account.tax"].create(
        {"name": "Scenario base", "amount": 0.0, "type_tax_use": "sale"}
    )
    products = env["product.product"].create(
        [
            {
                "name": f"Service {number}",
                "type": "service",
                "list_price": 1.0,
                "taxes_id": [(6, 0, tax.ids)],
            }
            for number in range(1, PRODUCTS + 1)
        ]
    )
    manager = (
        env["res.users"]
        .with_context(no_reset_password=True)
        .create(
            {
                "name": "Scenario Manager",
                "login": "scenario_manager",
                "email": "scenario.manager@example.com",
                "group_ids": [(6, 0, [env.ref(name).id for name in MANAGER])],
            }
        )
    )
    return Fixture(
        company.id, manager.id, _create_account(env).id, tax.id, tuple(products.ids)
    )


def _create_account(env):
    account = env["res.partner"].create(
        {
            "name": "Scenario Account",
            "is_company": True,
            "legal_name": "Scenario Account Ltd",
            "street": "1 Main Street",
            "city": "Springfield",
            "country_id": env.company.account_fiscal_country_id.id,
        }
    )
    account.billing_contact_id = env["res.partner"].create(
        {
            "name": "Accounts Payable",
            "parent_id": account.id,
            "email": "payable@example.com",
        }
    )
    return account


class Stage:
    """One scenario's view of the fixture: its clock, its account, its records."""

    def __init__(self, registry, fixture, clock):
        self._registry, self._fixture, self._clock = registry, fixture, clock
        self.zone = "UTC"
        self._taxes = 0

    # === TIME === #

    def to_date(self, value):
        """Return the local date of the account."""
        return to_date(value, self.zone)

    def to_instant(self, value, **options):
        """Return the aware UTC instant; a plain date is noon at the account."""
        return to_instant(value, self.zone, **options)

    @contextlib.contextmanager
    def at(self, instant, person=True):
        """Give an environment with the clock at ``instant``; commit at the end.

        :param person: as a billing manager, else as the scheduler runs
        """
        from odoo.api import SUPERUSER_ID, Environment

        self._clock.move_to(instant)
        with self._registry.cursor() as cr:
            uid = self._fixture.manager if person else SUPERUSER_ID
            yield Environment(cr, uid, {})

    # === RECORDS === #

    def get_company(self, env):
        return env["res.company"].browse(self._fixture.company)

    def get_account(self, env):
        return env["res.partner"].browse(self._fixture.account)

    def get_product(self, env, position):
        """Return the product of the line at that position."""
        products = self._fixture.products
        return env["product.product"].browse(products[position % len(products)])

    def get_currency(self, env, name):
        """Return the currency of that name, in use from now on; else the company's.

        :raise ValueError: there is none
        """
        own = self.get_company(env).currency_id
        if not name or name == own.name:
            return own
        currencies = env["res.currency"].sudo().with_context(active_test=False)
        currency = currencies.search([("name", "=", name)])
        if not currency:
            raise ValueError(f"there is no currency {name}")
        currency.active = True
        return currency.sudo(False)

    def set_account(self, instant, account):
        """Set zone, tax, currency and rounding; ``account`` as in the scenario."""
        self.zone = account.get("timezone") or "UTC"
        with self.at(instant, person=False) as env:
            company = self.get_company(env)
            company.currency_id = self.get_currency(env, account.get("currency"))
            company.tax_calculation_rounding_method = ROUNDING[
                account.get("tax_rounding") or "line"
            ]
            self.get_account(env).billing_tz = self.zone
            self.set_tax(env, account.get("tax_rate") or "0")

    def set_tax(self, env, rate):
        """Give the account a fiscal position that makes the products' tax ``rate``.

        A new tax each time, as a legislator's change of rate is in Odoo.
        """
        self._taxes += 1
        percent = number(rate, "tax rate") * 100
        name = f"{float(percent):g} % ({self._taxes})"
        position = env["account.fiscal.position"].create({"name": name})
        env["account.tax"].create(
            {
                "name": name,
                "amount": float(percent),
                "type_tax_use": "sale",
                "fiscal_position_ids": [(6, 0, position.ids)],
                "original_tax_ids": [(6, 0, [self._fixture.tax])],
            }
        )
        self.get_account(env).property_account_position_id = position


def percent(share):
    """Return a fraction (``"0.20"``) as the percentage that people type (20.0)."""
    return float(Fraction(number(share, "a share")) * 100)
