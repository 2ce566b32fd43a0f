import logging
from datetime import timedelta

import psycopg2
import requests

from odoo import api, fields, models
from odoo.exceptions import AccessError, UserError, ValidationError

from ..billing_rules.usage_table import BadTable
from .crm_billing_agreement import ACTIVITY_BILLING

_logger = logging.getLogger(__name__)

MANAGER = "crm_billing_handoff.group_billing_manager"
UNITS = [("minutes", "Minutes"), ("hours", "Hours"), ("days", "Days")]
MAPPED = ("id", "meter", "account", "agreement", "at", "value", "cancels")


class CrmBillingUsageSource(models.Model):
    """A system that is asked for usage on a schedule.

    :meth:`_pull` asks (`crm_billing_usage_pull.py`), reads JSON or CSV, and records.
    The cursor says how far it came: it moves with the events, in one transaction, so
    that an answer that was lost is asked for again and counted once.
    """

    _name = "crm.billing.usage.source"
    _description = "Usage Source"
    _inherit = ["mail.thread", "mail.activity.mixin"]
    _order = "name, id"
    _check_company_auto = True

    name = fields.Char(required=True)
    active = fields.Boolean(default=True)
    company_id = fields.Many2one(
        "res.company", required=True, default=lambda self: self.env.company
    )
    meter_id = fields.Many2one(
        "crm.billing.meter",
        check_company=True,
        ondelete="restrict",
        help="Of events that name none.",
    )
    url = fields.Char(string="Address", required=True)
    allow_private_host = fields.Boolean(
        string="Host inside Our Network",
        copy=False,
        help="Lets the source reach private and local addresses. Only an administrator "
        "can allow it.",
    )
    auth_type = fields.Selection(
        [
            ("none", "None"),
            ("bearer", "Token"),
            ("basic", "User and password"),
            ("header", "Header"),
        ],
        string="Sign In With",
        default="bearer",
        required=True,
    )
    auth_name = fields.Char(
        string="User or Header", help="The user, or the name of the header."
    )
    auth_secret = fields.Char(string="Secret", copy=False, groups=MANAGER)
    content = fields.Selection(
        [("json", "JSON"), ("csv", "CSV")], default="json", required=True
    )
    list_path = fields.Char(
        string="Path to the List",
        help="Where the events stand in JSON, such as data.items; empty: at the top.",
    )
    map_id = fields.Char(string="Id", default="id")
    map_meter = fields.Char(string="Meter Code", default="meter")
    map_account = fields.Char(string="Account", default="account")
    map_agreement = fields.Char(string="Agreement", default="agreement")
    map_at = fields.Char(string="Time", default="at")
    map_value = fields.Char(string="Value", default="value")
    map_cancels = fields.Char(string="Cancels", default="cancels")
    map_properties = fields.Char(string="Properties", default="properties")
    cursor_parameter = fields.Char(
        help="Name of the parameter that tells where to go on; empty: none."
    )
    cursor_path = fields.Char(
        string="Path to the Next Cursor",
        help="Where JSON says where to go on; empty: the time of the latest event.",
    )
    cursor = fields.Char(copy=False, help="Where the next pull goes on.")
    interval_number = fields.Integer(string="Every", default=1, required=True)
    interval_unit = fields.Selection(UNITS, default="hours", required=True)
    timeout = fields.Integer(string="Seconds to Wait", default=20, required=True)
    largest_size = fields.Integer(string="Largest Answer (MB)", default=20)
    next_pull_at = fields.Datetime(
        string="Next Pull", default=fields.Datetime.now, copy=False
    )
    last_pull_at = fields.Datetime(string="Last Pull", readonly=True, copy=False)
    last_error = fields.Text(readonly=True, copy=False)
    batch_id = fields.Many2one(
        "crm.billing.usage.batch", string="Last Delivery", readonly=True, copy=False
    )

    _sizes = models.Constraint(
        "CHECK (interval_number > 0 AND timeout BETWEEN 1 AND 120 "
        "AND largest_size BETWEEN 1 AND 100)",
        "Pull every 1 or more, wait 1 to 120 seconds, for 1 to 100 MB.",
    )
    _due_idx = models.Index("(next_pull_at) WHERE active")

    # === CONSTRAINT METHODS === #

    @api.constrains("url")
    def _check_url(self):
        for source in self:
            if not (source.url or "").lower().startswith(("http://", "https://")):
                raise ValidationError(
                    self.env._("An address starts with https:// or http://.")
                )

    # === CRUD METHODS === #

    @api.model_create_multi
    def create(self, vals_list):
        """Override to let only an administrator open our network."""
        self._check_private(vals_list)
        sources = super().create(vals_list)
        # Also what came as a default.
        self._check_private(sources)
        return sources

    def write(self, vals):
        """Override: only an administrator opens our network; a new host is closed."""
        self._check_private([vals])
        if "url" in vals and "allow_private_host" not in vals:
            if not self.env.is_system():
                vals = {**vals, "allow_private_host": False}
        return super().write(vals)

    def _check_private(self, vals_list):
        name = "allow_private_host"
        wanted = any(name in vals and vals[name] for vals in vals_list)
        if wanted and not self.env.is_system():
            raise AccessError(
                self.env._("Only an administrator lets a source reach our own network.")
            )

    # === ACTION METHODS === #

    def action_pull(self):
        """Pull now, and say what came.

        :raise UserError: the source could not be read; nothing was recorded
        """
        self.check_access("write")
        batches = self.env["crm.billing.usage.batch"]
        for (
            source
        ) in self.sudo():  # the flow records, reads the secret, moves the cursor
            try:
                batches |= source._pull()
            except (requests.RequestException, ValueError) as error:
                raise UserError(source._explain_failure(error)) from error
        return {
            "type": "ir.actions.act_window",
            "name": self.env._("Deliveries"),
            "res_model": "crm.billing.usage.batch",
            "view_mode": "list,form",
            "domain": [("id", "in", batches.ids)],
        }

    # === BUSINESS METHODS === #

    @api.model
    def _cron_pull(self):
        """Pull from every source that is due; one that fails stops no other."""
        self = self.sudo()
        domain = [("next_pull_at", "<=", fields.Datetime.now())]
        commit_progress = self.env["ir.cron"]._commit_progress
        commit_progress(remaining=self.search_count(domain))
        due = self.search(domain, order="next_pull_at, id")
        for source in due:
            mine = source.try_lock_for_update(allow_referencing=True)
            if not mine.filtered_domain(domain):
                continue
            try:
                mine._pull_or_note()
            except psycopg2.OperationalError:
                # Somebody recorded the same events: the next run finds them known.
                _logger.info("Usage changed while it was pulled, trying again later")
                self.env.cr.rollback()
                continue
            if not commit_progress(1):
                break

    def _pull_or_note(self):
        """Pull; keep what went wrong, ask a person once, and try again later."""
        self.ensure_one()
        error = False
        try:
            with self.env.cr.savepoint():
                self._pull()
        except (requests.RequestException, ValueError, UserError) as failure:
            error = self._explain_failure(failure)
            _logger.info("Usage source %s failed", self.id)
        step = {self.interval_unit: self.interval_number}
        if error and error != self.last_error:
            self._ask_for_help(error)
        self.write(
            {
                "last_error": error,
                "next_pull_at": fields.Datetime.now() + timedelta(**step),
            }
        )

    def _ask_for_help(self, error):
        if self.activity_search([ACTIVITY_BILLING]):
            return
        self.activity_schedule(
            ACTIVITY_BILLING,
            summary=self.env._("Usage could not be pulled"),
            note=error,
            user_id=self.company_id._get_billing_responsible().id,
        )

    def _explain_failure(self, error):
        """Return in words why a pull failed, without what is secret."""
        _ = self.env._
        if isinstance(error, BadTable):
            return _("The answer is no table of usage: %(why)s.", why=error.reason)
        if isinstance(error, requests.Timeout):
            return _("%(name)s did not answer in time.", name=self.name)
        if isinstance(error, requests.HTTPError):
            status = error.response.status_code
            return _(
                "%(name)s answered with error %(status)s.",
                name=self.name,
                status=status,
            )
        if isinstance(error, requests.RequestException):
            return _(
                "%(name)s could not be reached (%(why)s).",
                name=self.name,
                why=type(error).__name__,
            )
        return str(error)
