from datetime import timedelta

from odoo import api, fields, models
from odoo.exceptions import AccessError, UserError
from odoo.fields import Domain

from ..report.crm_billing_report_mixin import ACCOUNT

READER = "account.group_account_invoice"
EXPORTER = "base.group_allow_export"
MOST_DOCUMENTS = 2000


class CrmBillingEvidence(models.Model):
    """All that proves what an account was billed in a period, in one archive.

    Invoices and credit notes as they were sent, receipts, agreements with the signed
    documents, messages, reminders, the audit log, the ledger and the crosswalk, and a
    manifest with the SHA-256 of each file. Built with :meth:`action_build` in
    `crm_billing_evidence_build.py`; a pack that comes back is read by
    `crm.billing.evidence.import`. A pack once built is never changed.
    """

    _name = "crm.billing.evidence"
    _description = "Evidence Pack"
    _inherit = ["mail.thread", "mail.activity.mixin", "crm.billing.machine.fields"]
    _order = "id desc"
    _check_company_auto = True

    name = fields.Char(compute="_compute_name", store=True)
    company_id = fields.Many2one(
        "res.company", required=True, default=lambda self: self.env.company, index=True
    )
    partner_id = fields.Many2one(
        "res.partner",
        string="Account",
        required=True,
        index=True,
        check_company=True,
        domain="[('parent_id', '=', False)]",
        help="The commercial entity; its contacts are part of it.",
    )
    date_from = fields.Date(
        string="From",
        required=True,
        default=lambda self: fields.Date.context_today(self).replace(month=1, day=1),
    )
    date_to = fields.Date(
        string="To",
        required=True,
        default=fields.Date.context_today,
        help="With this day, in the time zone of the account.",
    )
    with_messages = fields.Boolean(
        string="Include Messages",
        default=True,
        help="What was written in the threads of the account, its invoices and "
        "agreements, with what was attached. Internal notes are left out.",
    )
    with_rendered = fields.Boolean(
        string="Print What Was Never Sent",
        default=True,
        help="An invoice without a kept PDF is printed for the pack; the manifest says "
        "that it is not what was sent.",
    )
    state = fields.Selection(
        [("draft", "To build"), ("built", "Built"), ("imported", "Read back")],
        default="draft",
        required=True,
        readonly=True,
        tracking=True,
        index=True,
    )
    built_at = fields.Datetime(readonly=True)
    built_uid = fields.Many2one("res.users", string="Built By", readonly=True)
    # As the file of a field it is read by nobody without the right, by no address.
    attachment_id = fields.Many2one(
        "ir.attachment", string="Archive", readonly=True, groups=EXPORTER
    )
    checksum = fields.Char(
        string="SHA-256 of the Manifest",
        readonly=True,
        index="btree_not_null",
        help="Stands for the whole pack: the manifest has the checksum of each file.",
    )
    size = fields.Integer(string="Bytes", readonly=True, aggregator=None)
    file_ids = fields.One2many("crm.billing.evidence.file", "evidence_id")
    file_count = fields.Integer(string="Files", readonly=True)
    fault_count = fields.Integer(
        string="Faults",
        readonly=True,
        help="Files that are changed, missing or not in the manifest.",
    )

    _dates_in_order = models.Constraint(
        "CHECK (date_to >= date_from)", "The last day is not before the first."
    )
    _imported_uniq = models.UniqueIndex(
        "(company_id, checksum) WHERE state = 'imported'",
        "This pack was read back already.",
    )

    @api.model
    def _get_machine_fields(self):
        return (
            "name",
            "state",
            "built_at",
            "built_uid",
            "attachment_id",
            "checksum",
            "size",
            "file_ids",
            "file_count",
            "fault_count",
        )

    # === COMPUTE METHODS === #

    @api.depends("partner_id", "date_from", "date_to")
    def _compute_name(self):
        for pack in self:
            days = f"{pack.date_from or ''} – {pack.date_to or ''}"
            pack.name = f"{pack.partner_id.name or ''} · {days}"

    # === CRUD METHODS === #

    @api.model_create_multi
    def create(self, vals_list):
        """Take the account of a contact."""
        for vals in vals_list:
            if account := self.env["res.partner"].browse(vals.get("partner_id")):
                vals["partner_id"] = account.commercial_partner_id.id
        return super().create(vals_list)

    def write(self, vals):
        """Refuse to change what a pack that exists is about."""
        what = {"partner_id", "company_id", "date_from", "date_to"}
        what |= {"with_messages", "with_rendered"}
        if what & vals.keys() and any(pack.state != "draft" for pack in self):
            raise UserError(
                self.env._("This pack is built and proves what it holds. Make another.")
            )
        return super().write(vals)

    @api.ondelete(at_uninstall=False)
    def _unlink_except_built(self):
        if any(pack.state != "draft" for pack in self):
            raise UserError(
                self.env._("Packs that were built are kept: they were handed out.")
            )

    def copy_data(self, default=None):
        """A copy asks the same again; what it holds is collected anew."""
        return [
            {name: value for name, value in vals.items() if name != "name"}
            for vals in super().copy_data(default)
        ]

    # === ACTION METHODS === #

    def action_build(self):
        """Collect, pack and keep the evidence; what is built stays as it is.

        :raise AccessError: the user may not export, or not read the account
        :raise UserError: there is nothing in the period, or far too much
        """
        self._check_can_build()
        for pack in self.filtered(lambda pack: pack.state == "draft"):
            pack._build()

    def action_download(self):
        """Download the archive."""
        self.ensure_one()
        self._check_can_build()
        if not self.attachment_id:
            raise UserError(self.env._("This pack is not built yet."))
        return {
            "type": "ir.actions.act_url",
            "url": f"/web/content/{self.attachment_id.id}?download=true",
            "target": "download",
        }

    def action_verify(self):
        """Read the kept archive again and compare each file with the manifest.

        :return: what to show: all the same, or how many files are not
        """
        self._check_can_build()
        packs = self.filtered("attachment_id")
        for pack in packs:
            pack._verify()
        text = self.env._("All files are as the manifest says.")
        if faults := sum(packs.mapped("fault_count")):
            text = self.env._(
                "Files that are not as the manifest says: %(count)s", count=faults
            )
        return {
            "type": "ir.actions.client",
            "tag": "display_notification",
            "params": {
                "message": text,
                "type": "warning" if faults else "success",
                "next": {"type": "ir.actions.client", "tag": "soft_reload"},
            },
        }

    # === BUSINESS METHODS === #

    def _check_can_build(self):
        """Let only those build who may read the account and export.

        Rights are the user's own throughout: what the user cannot read is not packed.
        """
        user = self.env.user
        if not (user.has_group(READER) and user.has_group(EXPORTER)):
            raise AccessError(
                self.env._(
                    "Evidence is an export of all that an account was billed: it needs "
                    "the right to export and to read invoices. Ask an administrator."
                )
            )
        self.check_access("write")
        self.partner_id.check_access("read")
        strange = self.company_id - self.env.user.company_ids
        if strange:
            raise AccessError(
                self.env._("%(name)s is not your company.", name=strange[0].name)
            )

    def _get_instants(self):
        """Return first and last instant (naive UTC, half-open) of the period."""
        self.ensure_one()
        zone = self.partner_id.billing_tz or self.company_id.billing_tz or "UTC"
        local = self.with_context(tz=zone)
        return (
            local._to_instant(self.date_from),
            local._to_instant(self.date_to + timedelta(days=1)),
        )

    @api.model
    def _to_instant(self, day):
        """Return when the local ``day`` of the context's zone begins, naive UTC."""
        self.env.cr.execute(
            "SELECT %s::timestamp AT TIME ZONE %s AT TIME ZONE 'UTC'",
            (day, self.env.context["tz"]),
        )
        return self.env.cr.fetchone()[0]

    def _get_moves_domain(self):
        """Return what the account pays, and what another pays of its agreements."""
        return Domain("company_id", "=", self.company_id.id) & (
            Domain(ACCOUNT, "=", self.partner_id.id)
            | Domain("agreement_ids.partner_id", "child_of", self.partner_id.id)
        )

    def _get_moves(self):
        """Return the posted invoices and credit notes of the period."""
        return self.env["account.move"].search(
            self._get_moves_domain()
            & Domain("move_type", "in", ("out_invoice", "out_refund"))
            & Domain("state", "=", "posted")
            & Domain("invoice_date", ">=", self.date_from)
            & Domain("invoice_date", "<=", self.date_to),
            order="invoice_date, id",
        )

    def _get_payments(self):
        """Return the payments of the period, and those of the packed invoices."""
        of_invoices = self._get_moves()._get_reconciled_payments()
        of_period = (
            Domain("partner_id", "child_of", self.partner_id.id)
            & Domain("date", ">=", self.date_from)
            & Domain("date", "<=", self.date_to)
        )
        return self.env["account.payment"].search(
            Domain("company_id", "=", self.company_id.id)
            & Domain("partner_type", "=", "customer")
            & Domain("state", "in", ("in_process", "paid"))
            & (of_period | Domain("id", "in", of_invoices.ids)),
            order="date, id",
        )

    def _get_agreements(self):
        """Return the agreements that ran in the period, and those of the invoices."""
        own = (
            Domain("partner_id", "child_of", self.partner_id.id)
            & Domain("start_date", "<=", self.date_to)
            & (
                Domain("end_date", "=", False)
                | Domain("end_date", ">=", self.date_from)
            )
        )
        return self.env["crm.billing.agreement"].search(
            Domain("company_id", "=", self.company_id.id)
            & (own | Domain("id", "in", self._get_moves().agreement_ids.ids)),
            order="start_date, id",
        )

    def _check_size(self, *documents):
        count = sum(len(records) for records in documents)
        if not count:
            raise UserError(
                self.env._(
                    "Nothing was billed to %(account)s from %(first)s to %(last)s. "
                    "Choose other days.",
                    account=self.partner_id.name,
                    first=self.date_from,
                    last=self.date_to,
                )
            )
        if count > MOST_DOCUMENTS:
            raise UserError(
                self.env._(
                    "There are %(count)s documents in this period. Make packs of at "
                    "most %(most)s: choose fewer days.",
                    count=count,
                    most=MOST_DOCUMENTS,
                )
            )


class CrmBillingEvidenceFile(models.Model):
    """One file of a pack: what the manifest says of it, and what was found."""

    _name = "crm.billing.evidence.file"
    _description = "File of an Evidence Pack"
    _order = "evidence_id, id"
    _rec_name = "path"

    evidence_id = fields.Many2one(
        "crm.billing.evidence", required=True, index=True, ondelete="cascade"
    )
    company_id = fields.Many2one(
        related="evidence_id.company_id", store=True, index=True
    )
    path = fields.Char(required=True)
    size = fields.Integer(string="Bytes", aggregator=None)
    checksum = fields.Char(string="SHA-256")
    state = fields.Selection(
        [
            ("equal", "Equal"),
            ("changed", "Changed"),
            ("missing", "Missing"),
            ("extra", "Not in the manifest"),
        ],
        default="equal",
        required=True,
    )
    model = fields.Char()
    res_id = fields.Many2oneReference(model_field="model", string="Record")
    note = fields.Char(help="How the file came to be, where that needs saying.")
    record_state = fields.Selection(
        [("found", "Found"), ("gone", "Gone")],
        string="Record Here",
        compute="_compute_record_state",
    )

    @api.depends("model", "res_id")
    def _compute_record_state(self):
        for model, rows in self.grouped("model").items():
            known = model in self.env and self.env[model]._auto
            records = self.env[model].browse(rows.mapped("res_id")) if known else ()
            alive = set(records.sudo().exists().ids) if known else set()
            for row in rows:
                state = "found" if row.res_id in alive else "gone"
                row.record_state = state if known and row.res_id else False

    def action_open_record(self):
        """Show the record that the file proves."""
        self.ensure_one()
        if self.record_state != "found":
            raise UserError(self.env._("This record does not exist here any more."))
        return {
            "type": "ir.actions.act_window",
            "res_model": self.model,
            "res_id": self.res_id,
            "view_mode": "form",
        }

    def action_restore(self):
        """Attach the files to their records, where those have lost them.

        A file that its record has already, with the same checksum, is left alone.
        """
        self.evidence_id._check_can_build()
        return self._restore()
