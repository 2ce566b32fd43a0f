from odoo import api, fields, models
from odoo.exceptions import AccessError, UserError

from odoo.addons.base.models.res_users import check_identity

MANAGER = "crm_billing_handoff.group_billing_manager"
EXPORT = "base.group_allow_export"
MACHINE_FIELDS = (
    "name",
    "state",
    "checksum",
    "files",
    "columns",
    "problem",
    "is_partial",
    "collected_at",
    "handed_out_at",
    "handed_out_uid",
)


class CrmBillingExportBatch(models.Model):
    """What is handed out to other books in one go: collected, checked, then written.

    :meth:`action_collect` looks for posted documents that are not there yet and says of
    each whether the other side would take it. :meth:`action_hand_out` writes the files
    (`crm_billing_export_file.py`) and the crosswalk. A document is in one live batch
    only, so that the other books are never filled twice.
    """

    _name = "crm.billing.export.batch"
    _description = "Batch for External Books"
    _inherit = ["mail.thread", "mail.activity.mixin", "crm.billing.machine.fields"]
    _order = "id desc"

    name = fields.Char(readonly=True, copy=False, default="/")
    system_id = fields.Many2one(
        "crm.billing.system",
        string="Books",
        required=True,
        index=True,
        ondelete="restrict",
        default=lambda self: self.env["crm.billing.system"]._get_default(),
    )
    company_id = fields.Many2one(related="system_id.company_id", store=True, index=True)
    state = fields.Selection(
        [
            ("draft", "To collect"),
            ("checked", "Checked"),
            ("handed_out", "Handed out"),
            ("cancelled", "Cancelled"),
        ],
        default="draft",
        required=True,
        readonly=True,
        copy=False,
        tracking=True,
        index=True,
    )
    date_from = fields.Date(
        string="From", help="Invoice date; empty: from where the books begin."
    )
    date_to = fields.Date(
        string="Until",
        required=True,
        default=fields.Date.context_today,
        help="Invoice date of the last documents.",
    )
    line_ids = fields.One2many("crm.billing.export.line", "batch_id", readonly=True)
    ready_count = fields.Integer(compute="_compute_counts")
    refused_count = fields.Integer(string="To Fix", compute="_compute_counts")
    is_partial = fields.Boolean(
        readonly=True, copy=False, help="More wait: prepare another batch after this."
    )
    problem = fields.Text(
        readonly=True, copy=False, help="Why nothing can be handed out at all."
    )
    columns = fields.Json(readonly=True, copy=False)
    files = fields.Json(string="Checksums", readonly=True, copy=False)
    checksum = fields.Char(
        readonly=True, copy=False, help="SHA-256 over the files of the batch."
    )
    collected_at = fields.Datetime(readonly=True, copy=False)
    handed_out_at = fields.Datetime(readonly=True, copy=False, tracking=True)
    handed_out_uid = fields.Many2one(
        "res.users", string="Handed Out By", readonly=True, copy=False
    )
    cancel_reason = fields.Char(string="Reason to Take Back", copy=False, tracking=True)

    @api.model
    def _get_machine_fields(self):
        return MACHINE_FIELDS

    # === COMPUTE METHODS === #

    @api.depends("line_ids.state")
    def _compute_counts(self):
        counts = self.env["crm.billing.export.line"]._read_group(
            [("batch_id", "in", self.ids)], ["batch_id", "state"], ["__count"]
        )
        counts = {(batch.id, state): count for batch, state, count in counts}
        for batch in self:
            batch.ready_count = counts.get((batch.id, "ready"), 0)
            batch.refused_count = counts.get((batch.id, "refused"), 0)

    # === CONSTRAINT METHODS === #

    @api.constrains("date_from", "date_to")
    def _check_dates(self):
        for batch in self:
            if batch.date_from and batch.date_from > batch.date_to:
                raise UserError(self.env._("A batch ends on or after its first day."))

    # === CRUD METHODS === #

    @api.model_create_multi
    def create(self, vals_list):
        """Number the batches in one row, over all books."""
        batches = super().create(vals_list)
        for batch in batches.sudo():  # the number is the machine's
            batch.name = self.env["ir.sequence"].next_by_code(self._name) or "/"
        return batches

    def write(self, vals):
        """Keep what a batch is about once it was handed out."""
        frozen = {"system_id", "date_from", "date_to"} & vals.keys()
        if frozen and any(one.state in ("handed_out", "cancelled") for one in self):
            raise UserError(
                self.env._("This batch is closed: prepare another one instead.")
            )
        if "system_id" in vals and self.sudo().line_ids:
            raise UserError(
                self.env._("This batch is collected for its books: prepare another.")
            )
        return super().write(vals)

    @api.ondelete(at_uninstall=False)
    def _unlink_except_handed_out(self):
        if any(batch.handed_out_at for batch in self):
            raise UserError(
                self.env._("A batch that was handed out stays: it proves what left.")
            )

    # === ACTION METHODS === #

    def action_collect(self):
        """Look for what is not there yet, and check it; repeat after each fix."""
        self._check_can_hand_out()
        for batch in self:
            batch._check_is_open()
            # Lines are the machine's; the person's right was checked.
            batch.sudo()._collect(reader=self.env)
        return True

    def action_hand_out(self):
        """Write the files and the crosswalk, after asking who it is.

        :raise AccessError: the user is no billing manager, or may not export
        :raise UserError: nothing is ready
        """
        self._check_can_hand_out()
        return self._hand_out_with_identity()

    def action_cancel(self):
        """Take a batch back that the other side has not read.

        :raise UserError: no reason is given, or the other side has shown a part of it
        """
        self._check_can_hand_out()
        for batch in self:
            batch.sudo()._cancel(reader=self.env)
        return True

    def action_open_refused(self):
        """Show what must be fixed."""
        self.ensure_one()
        action = self.env["ir.actions.act_window"]._for_xml_id(
            "crm_billing_reports.crm_billing_export_line_action"
        )
        action["domain"] = [("batch_id", "=", self.id)]
        action["context"] = {"search_default_refused": 1}
        return action

    @check_identity
    def _hand_out_with_identity(self):
        self._check_can_hand_out()
        for batch in self:
            batch._check_is_open()
            stopped = batch.sudo()._hand_out(fields.Datetime.now(), reader=self.env)
            if stopped:
                return stopped
        return {"type": "ir.actions.client", "tag": "soft_reload"}

    # === BUSINESS METHODS - RIGHTS === #

    def _check_can_hand_out(self):
        """Let a billing manager with the right to export work, in own companies."""
        user = self.env.user
        if not self.env.su and not (user.has_group(MANAGER) and user.has_group(EXPORT)):
            raise AccessError(
                self.env._(
                    "A billing manager who may export hands out to other books. Ask "
                    "one of them: %(people)s.",
                    people=self.env["res.partner"]._get_people_of_group(MANAGER),
                )
            )
        self.check_access("write")

    def _check_is_open(self):
        self.ensure_one()
        if self.state not in ("draft", "checked"):
            raise UserError(
                self.env._(
                    "%(batch)s is closed. What is new goes into another batch.",
                    batch=self.name,
                )
            )
