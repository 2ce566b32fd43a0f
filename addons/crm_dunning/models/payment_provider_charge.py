"""May this provider charge saved methods by itself, and from this very database?"""

import hashlib

import stripe

from odoo import api, fields, models
from odoo.exceptions import AccessError, UserError
from odoo.tools import SQL
from odoo.tools.urls import urljoin

from odoo.addons.base.models.res_users import check_identity
from odoo.addons.payment_stripe import utils as stripe_utils

from .stripe_client import get_api_base, is_test_key, make_client

MANAGER = "crm_billing_handoff.group_billing_manager"
# Another value of these is another way to the money: somebody has to look again.
ARMED_WITH = ("state", "code", "company_id", "stripe_secret_key")


class PaymentProvider(models.Model):
    """Arming: charging by itself is off until a billing manager has switched it on."""

    _inherit = "payment.provider"

    dunning_armed = fields.Boolean(
        string="Charges Saved Methods",
        readonly=True,
        copy=False,
        help="Due invoices and retries are charged by this provider.",
    )
    dunning_armed_uid = fields.Many2one("res.users", readonly=True, copy=False)
    dunning_armed_at = fields.Datetime(readonly=True, copy=False)
    dunning_database = fields.Char(
        readonly=True,
        copy=False,
        groups="base.group_system",
        help="Fingerprint of the database in which charging was switched on.",
    )

    # === CRUD METHODS === #

    def write(self, vals):
        """Override to switch charging off when the way to the money changes."""
        changed = self.filtered(
            lambda provider: (
                provider.dunning_armed
                and any(
                    name in vals
                    and provider._fields[name].convert_to_write(
                        provider[name], provider
                    )
                    != vals[name]
                    for name in ARMED_WITH
                )
            )
        )
        result = super().write(vals)
        changed._disarm_charging(
            self.env._("Key, state or company of the provider changed.")
        )
        return result

    # === ACTION METHODS === #

    @check_identity
    def action_arm_charging(self):
        """Let the providers charge saved methods by themselves, after a self-test.

        :raise AccessError: the user is no billing manager
        :raise UserError: something is missing, or the provider does not answer
        """
        self._arm_charging()
        return {"type": "ir.actions.client", "tag": "soft_reload"}

    def action_disarm_charging(self):
        """Stop charging by itself at once; what is under way is still looked after."""
        self._check_can_arm_charging()
        self._disarm_charging(self.env._("By hand."))
        return {"type": "ir.actions.client", "tag": "soft_reload"}

    # === BUSINESS METHODS - ARMING === #

    def _check_can_arm_charging(self):
        if not self.env.su and not self.env.user.has_group(MANAGER):
            raise AccessError(
                self.env._(
                    "Only a billing manager lets a provider charge saved methods."
                )
            )
        foreign = self.sudo().company_id - self.env.companies
        if foreign and not self.env.su:
            raise AccessError(
                self.env._(
                    "%(companies)s is not among the companies you work in.",
                    companies=", ".join(foreign.mapped("name")),
                )
            )

    def _arm_charging(self):
        self._check_can_arm_charging()
        # Providers are the administrator's; this one switch is the manager's.
        for provider in self.sudo():
            provider._check_can_be_armed()
            provider._test_connection()
            provider.write(
                {
                    "dunning_armed": True,
                    "dunning_armed_uid": self.env.uid,
                    "dunning_armed_at": fields.Datetime.now(),
                    "dunning_database": self._get_database_fingerprint(),
                }
            )
            provider._log_arming("charging_armed", self.env._("By hand."))

    def _disarm_charging(self, note):
        for provider in self.sudo().filtered("dunning_armed"):
            provider.write({"dunning_armed": False})
            provider._log_arming("charging_disarmed", note)

    def _log_arming(self, action, note):
        self.env["crm.billing.event"]._log(
            [
                {
                    "action": action,
                    "company_id": self.company_id.id,
                    "new_value": self.name,
                    "note": note,
                }
            ]
        )

    # === BUSINESS METHODS - MAY IT CHARGE === #

    def _check_can_charge(self):
        """Refuse, in words, where this provider must not charge by itself.

        :raise UserError: it is not armed, has no webhook secret, works with live keys
            in a copy of the database, or cannot be booked
        """
        self.ensure_one()
        provider = self.sudo()
        provider._check_can_be_armed()
        if not provider.dunning_armed:
            raise UserError(
                self.env._(
                    "%(provider)s does not charge saved methods yet. A billing manager "
                    "switches it on at the payment provider.",
                    provider=provider.name,
                )
            )
        if (
            provider._is_live()
            and provider.dunning_database != self._get_database_fingerprint()
        ):
            raise UserError(
                self.env._(
                    "%(provider)s was switched on in another database. If this is a "
                    "copy, set the provider to test mode: it must not charge real "
                    "customers. If this is the real database, moved or restored, "
                    "switch charging off and on again.",
                    provider=provider.name,
                )
            )

    def _check_can_be_armed(self):
        problems = self._get_charge_problems()
        if problems:
            raise UserError(
                self.env._(
                    "%(provider)s cannot charge saved methods:\n%(problems)s",
                    provider=self.name,
                    problems="\n".join(f"- {problem}" for problem in problems),
                )
            )

    def _get_charge_problems(self):
        """Return what is missing before this provider may charge, in words."""
        self.ensure_one()
        problems = []
        if self.state == "disabled":
            problems.append(self.env._("it is disabled"))
        if not self.journal_id:
            problems.append(self.env._("it has no journal to book payments in"))
        if self.capture_manually:
            problems.append(
                self.env._(
                    "it captures by hand, so that a charge would only reserve money"
                )
            )
        if self.code == "stripe":
            problems += self._get_stripe_problems()
        return problems

    def _get_stripe_problems(self):
        problems = []
        key = stripe_utils.get_secret_key(self)
        if not key:
            problems.append(self.env._("it has no secret key"))
        elif is_test_key(key) != (self.state == "test"):
            problems.append(
                self.env._(
                    "its key does not fit its state: test keys are for test mode only"
                )
            )
        if not self._get_webhook_secrets():
            problems.append(
                self.env._(
                    "it has no webhook signing secret: without one, anybody could "
                    "report a payment that never happened"
                )
            )
        return problems

    def _is_live(self):
        """Return whether real money moves."""
        self.ensure_one()
        if self.code == "stripe":
            return not is_test_key(stripe_utils.get_secret_key(self))
        return self.state == "enabled"

    @api.model
    def _get_database_fingerprint(self):
        """Return what a copy of this database does not share with it.

        The cluster, the number and the name of the database; where the cluster does not
        tell its identifier, the other three.
        """
        [[may_ask]] = self.env.execute_query(
            SQL("SELECT has_function_privilege('pg_control_system()', 'execute')")
        )
        cluster = (
            SQL("(SELECT system_identifier::text FROM pg_control_system())")
            if may_ask
            else SQL("''")
        )
        [[text]] = self.env.execute_query(
            SQL(
                "SELECT concat_ws('|', %s, oid::text, datname) FROM pg_database"
                " WHERE datname = current_database()",
                cluster,
            )
        )
        uuid = self.env["ir.config_parameter"].sudo().get_param("database.uuid")
        return hashlib.sha256(f"{text}|{uuid}".encode()).hexdigest()

    # === BUSINESS METHODS - REQUESTS === #

    def _get_stripe_client(self):
        """Return a client of Stripe's library for this provider.

        :raise UserError: it has no key
        """
        self.ensure_one()
        provider = self.sudo()  # the key is used, not shown
        if not stripe_utils.get_secret_key(provider):
            raise UserError(
                self.env._("%(provider)s has no secret key.", provider=provider.name)
            )
        return make_client(provider)

    def _test_connection(self):
        """Ask the provider for something harmless.

        :raise UserError: it cannot be reached or does not accept the key
        """
        self.ensure_one()
        if self.code != "stripe":
            return
        try:
            self._get_stripe_client().v1.payment_intents.list({"limit": 1})
        except stripe.APIConnectionError as error:
            raise UserError(
                self.env._("%(provider)s cannot be reached.", provider=self.name)
            ) from error
        except stripe.StripeError as error:
            raise UserError(
                self.env._(
                    "%(provider)s does not accept the key (%(error)s).",
                    provider=self.name,
                    error=type(error).__name__,
                )
            ) from error

    def _build_request_url(self, endpoint, **kwargs):
        """Override of `payment` to let core, too, talk to a local Stripe in tests."""
        url = super()._build_request_url(endpoint, **kwargs)
        if self.code != "stripe" or kwargs.get("is_proxy_request"):
            return url
        base = get_api_base(self.sudo())
        return urljoin(f"{base}/v1/", endpoint) if base else url
