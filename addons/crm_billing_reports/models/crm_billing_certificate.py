from datetime import timedelta

from dateutil.relativedelta import relativedelta

from odoo import api, fields, models
from odoo.exceptions import AccessError, UserError
from odoo.tools import format_date

from ..report_rules.coverage import find_gap

CERTIFIERS = (
    "crm_billing_handoff.group_billing_manager",
    "account.group_account_manager",
)
SHOWN = 10


class CrmBillingCertificate(models.Model):
    """That our books and those outside agreed on a month, or why not, for good.

    :meth:`action_certify` refuses while a difference of the month is unexplained or no
    complete list of the month was read after its end. What was certified is kept as
    one text whose SHA-256 stands for it: the totals, each explained difference, the
    lists it was compared with, and the checksum of all compared rows. It is never
    changed; :meth:`action_verify` says whether both sides are still as certified. What
    it says is put together in `crm_billing_certificate_content.py`.
    """

    _name = "crm.billing.certificate"
    _description = "Certificate of Agreement with External Books"
    _inherit = ["mail.thread", "mail.activity.mixin", "crm.billing.machine.fields"]
    _order = "date_from desc, id desc"

    name = fields.Char(compute="_compute_name", store=True)
    system_id = fields.Many2one(
        "crm.billing.system",
        string="Books",
        required=True,
        index=True,
        ondelete="restrict",
        default=lambda self: self.env["crm.billing.system"]._get_default(),
    )
    company_id = fields.Many2one(related="system_id.company_id", store=True, index=True)
    currency_id = fields.Many2one(related="company_id.currency_id")
    date_from = fields.Date(
        string="Month",
        required=True,
        default=lambda self: (
            fields.Date.context_today(self).replace(day=1) - relativedelta(months=1)
        ),
        help="Any day of the month.",
    )
    date_to = fields.Date(string="Last Day", compute="_compute_date_to", store=True)
    state = fields.Selection(
        [
            ("draft", "To certify"),
            ("certified", "Certified"),
            ("replaced", "Replaced"),
        ],
        default="draft",
        required=True,
        readonly=True,
        copy=False,
        tracking=True,
        index=True,
    )
    line_ids = fields.One2many("crm.billing.certificate.line", "certificate_id")
    open_count = fields.Integer(
        string="To Explain",
        compute="_compute_open_count",
        help="Differences of the month that nobody has explained.",
    )
    content = fields.Text(readonly=True, copy=False, help="What was certified.")
    checksum = fields.Char(
        string="SHA-256", readonly=True, copy=False, index="btree_not_null"
    )
    certified_at = fields.Datetime(readonly=True, copy=False)
    certified_uid = fields.Many2one(
        "res.users", string="Certified By", readonly=True, copy=False
    )
    attachment_id = fields.Many2one(
        "ir.attachment", string="Document", readonly=True, copy=False
    )
    is_drifted = fields.Boolean(
        string="No Longer Agrees",
        readonly=True,
        copy=False,
        help="One side is not as it was certified.",
    )

    _month_uniq = models.UniqueIndex(
        "(system_id, date_from) WHERE state = 'certified'",
        "This month is certified already. Replace that certificate first.",
    )

    @api.model
    def _get_machine_fields(self):
        return (
            "name",
            "company_id",
            "date_to",
            "state",
            "line_ids",
            "content",
            "checksum",
            "certified_at",
            "certified_uid",
            "attachment_id",
            "is_drifted",
        )

    # === COMPUTE METHODS === #

    @api.depends("system_id", "date_from")
    def _compute_name(self):
        for one in self:
            month = one.date_from and one.date_from.strftime("%Y-%m")
            one.name = f"{one.system_id.name or ''} {month or ''}"

    @api.depends("date_from")
    def _compute_date_to(self):
        for one in self:
            one.date_to = one.date_from and one.date_from + relativedelta(day=31)

    @api.depends("system_id", "date_from", "date_to", "state")
    def _compute_open_count(self):
        rows = self.env["crm.billing.match.report"]
        for one in self:
            domain = [*one._get_domain(), ("is_open", "=", True)]
            one.open_count = one.state == "draft" and rows.search_count(domain)

    # === CRUD METHODS === #

    @api.model_create_multi
    def create(self, vals_list):
        """Take the month of any of its days."""
        return super().create([self._to_month(vals) for vals in vals_list])

    def write(self, vals):
        """Refuse to change what was certified."""
        if {"system_id", "date_from"} & vals.keys() and any(
            one.state != "draft" for one in self
        ):
            raise UserError(self.env._("What was certified is not changed."))
        return super().write(self._to_month(vals))

    def _to_month(self, vals):
        if not vals.get("date_from"):
            return vals
        return {
            **vals,
            "date_from": fields.Date.to_date(vals["date_from"]).replace(day=1),
        }

    @api.ondelete(at_uninstall=False)
    def _unlink_except_certified(self):
        if any(one.state != "draft" for one in self):
            raise UserError(self.env._("Certificates are kept: they were relied on."))

    # === ACTION METHODS === #

    def action_open_rows(self):
        """Show the board of the month."""
        self.ensure_one()
        action = self.env["ir.actions.act_window"]._for_xml_id(
            "crm_billing_reports.crm_billing_match_report_action"
        )
        action["domain"] = self._get_domain()
        action["context"] = {"search_default_to_explain": self.state == "draft"}
        return action

    def action_certify(self):
        """Certify the month and lock it.

        :raise UserError: differences are unexplained, or no complete list was read
        """
        self._check_can_certify()
        for one in self.filtered(lambda one: one.state == "draft"):
            one._check_ties()
            one._certify()

    def action_verify(self):
        """Compare both sides with what was certified.

        :return: what to show: the same, or which month is no longer so
        """
        self.check_access("read")
        certified = self.filtered(lambda one: one.state == "certified")
        for one in certified:
            one._verify()
        text = self.env._("Both sides are as they were certified.")
        if drifted := certified.filtered("is_drifted"):
            text = self.env._(
                "No longer as certified: %(names)s",
                names=", ".join(drifted.mapped("name")),
            )
        return {
            "type": "ir.actions.client",
            "tag": "display_notification",
            "params": {
                "message": text,
                "type": "warning" if drifted else "success",
                "next": {"type": "ir.actions.client", "tag": "soft_reload"},
            },
        }

    def action_download(self):
        """Download the certificate as it was printed when it was given."""
        self.ensure_one()
        self.check_access("read")
        if not self.attachment_id:
            raise UserError(self.env._("%(month)s is not certified.", month=self.name))
        return {
            "type": "ir.actions.act_url",
            "url": f"/web/content/{self.attachment_id.id}?download=true",
            "target": "download",
        }

    def action_replace(self):
        """Put a certificate aside, so that the month can be certified anew."""
        self._check_can_certify()
        certified = self.filtered(lambda one: one.state == "certified")
        certified.sudo().state = "replaced"
        for one in certified:
            one.message_post(body=self.env._("Replaced: the month is certified anew."))

    # === BUSINESS METHODS === #

    def _check_can_certify(self):
        if not any(self.env.user.has_group(group) for group in CERTIFIERS):
            raise AccessError(
                self.env._(
                    "A month is certified by a billing manager or the head of "
                    "accounting. Ask one of them: %(people)s.",
                    people=self.env["res.partner"]._get_people_of_group(CERTIFIERS[0]),
                )
            )
        self.check_access("write")

    def _get_domain(self):
        """Return which rows of the board the month has."""
        self.ensure_one()
        return [
            ("system_id", "=", self.system_id.id),
            ("date", ">=", self.date_from),
            ("date", "<=", self.date_to),
        ]

    def _check_ties(self):
        """Refuse what cannot be certified, with all reasons."""
        today = fields.Date.context_today(self.with_context(tz=self._get_tz()))
        if self.date_to >= today:
            raise UserError(self.env._("%(month)s is not over yet.", month=self.name))
        self._check_lists()
        rows = self.env["crm.billing.match.report"].search(
            [*self._get_domain(), ("is_open", "=", True)]
        )
        if rows:
            raise UserError(
                self.env._(
                    "Explain the differences of %(month)s first (%(count)s):\n%(rows)s",
                    month=self.name,
                    count=len(rows),
                    rows="\n".join(
                        f"- {row.number}: {row.what}" for row in rows[:SHOWN]
                    ),
                )
            )

    def _get_tz(self):
        return self.company_id.billing_tz or "UTC"

    def _get_lists(self):
        """Return the lists that were read after the end of the month."""
        lists = self.env["crm.billing.outside.import"].search(
            [
                ("system_id", "=", self.system_id.id),
                ("date_from", "<=", self.date_to),
                ("date_to", ">=", self.date_from),
            ],
            order="id",
        )
        local = self.with_context(tz=self._get_tz())
        return lists.filtered(
            lambda row: (
                fields.Datetime.context_timestamp(local, row.create_date).date()
                > self.date_to
            )
        )

    def _check_lists(self):
        """Refuse a month of which the other side was not read as a whole."""
        lists = self._get_lists()
        for name, what in (
            ("has_documents", self.env._("invoices and credit notes")),
            ("has_payments", self.env._("payments")),
        ):
            ranges = [
                (row.date_from, row.date_to + timedelta(days=1))
                for row in lists
                if row[name]
            ]
            gap = find_gap(ranges, self.date_from, self.date_to + timedelta(days=1))
            if gap:
                raise UserError(
                    self.env._(
                        "No complete list of the %(what)s of %(books)s on %(day)s was "
                        "read after the month. Read it, and say that it is complete.",
                        what=what,
                        books=self.system_id.name,
                        day=format_date(self.env, gap),
                    )
                )
