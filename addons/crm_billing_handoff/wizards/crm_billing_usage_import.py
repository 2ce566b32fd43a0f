from odoo import api, fields, models
from odoo.exceptions import AccessError, UserError

from ..billing_rules.usage_table import BadTable
from ..models.crm_billing_usage_import import CHUNK
from ..models.uploaded import read_upload

MOST_ROWS = 500_000
LARGEST_UPLOAD = 256  # MB


class CrmBillingUsageImport(models.TransientModel):
    """Import usage from a file: look at what would come, then record it."""

    _name = "crm.billing.usage.import"
    _description = "Import Usage"

    company_id = fields.Many2one(
        "res.company", required=True, default=lambda self: self.env.company
    )
    meter_id = fields.Many2one(
        "crm.billing.meter",
        domain="[('company_id', '=', company_id)]",
        help="Of rows that name none.",
    )
    file = fields.Binary(attachment=False)
    file_name = fields.Char()
    encoding = fields.Selection(
        [("utf-8", "UTF-8"), ("cp1252", "Windows"), ("utf-16", "UTF-16")],
        help="Empty finds it out.",
    )
    separator = fields.Selection(
        [(";", "Semicolon"), (",", "Comma"), ("tab", "Tab"), ("|", "Bar")],
        help="Empty finds it out.",
    )
    decimal_sign = fields.Selection(
        [(".", "Point: 1,234.5"), (",", "Comma: 1.234,5")],
        required=True,
        default=lambda self: self._default_decimal_sign(),
    )
    preview = fields.Json(compute="_compute_preview")
    preview_text = fields.Text(string="First Rows", compute="_compute_preview")
    problem = fields.Char(compute="_compute_preview")
    row_count = fields.Integer(string="Rows", compute="_compute_preview")

    @api.model
    def _default_decimal_sign(self):
        lang = self.env["res.lang"]._get_data(code=self.env.user.lang or "en_US")
        return "," if lang.decimal_point == "," else "."

    # === COMPUTE METHODS === #

    @api.depends("file", "meter_id", "encoding", "separator", "decimal_sign")
    def _compute_preview(self):
        for wizard in self:
            wizard.problem, wizard.preview, wizard.row_count = False, False, 0
            wizard.preview_text = False
            if not wizard.file:
                continue
            try:
                events = list(wizard._read())
            except BadTable as problem:
                batches = self.env["crm.billing.usage.batch"]
                wizard.problem = batches._explain_table(problem)
                continue
            except UserError as problem:
                wizard.problem = str(problem)
                continue
            wizard.row_count = len(events)
            wizard.preview = [
                {name: str(value) for name, value in event.items()}
                for event in events[:10]
            ]
            wizard.preview_text = "\n".join(
                ", ".join(f"{name} {value}" for name, value in event.items())
                for event in wizard.preview
            )

    # === ACTION METHODS === #

    def action_check(self):
        """Say what would become of the rows, and record nothing."""
        self._check_file()
        with self.env.cr.savepoint() as savepoint:
            batch = self._create_batch()
            batch._record_all(self._read())
            text = self.env._(
                "%(accepted)s would be recorded, %(known)s are known, %(refused)s "
                "would be refused.",
                accepted=batch.accepted,
                known=batch.already_known,
                refused=batch.refused,
            )
            refused = (batch.refusal_text or "").splitlines()[:20]
            savepoint.rollback()
        self.env.invalidate_all()
        raise UserError("\n".join([text, *refused]))

    def action_import(self):
        """Record the rows, and show what became of them.

        A long file is recorded in the background, and shows how far it came.

        :raise UserError: the file cannot be read; nothing is recorded
        """
        self._check_file()
        batch = self._create_batch()
        if self.row_count > CHUNK:
            data = read_upload(self, LARGEST_UPLOAD)
            batch._queue(data, self.file_name, self.row_count)
        else:
            batch._record_all(self._read())
        return {
            "type": "ir.actions.act_window",
            "res_model": "crm.billing.usage.batch",
            "res_id": batch.id,
            "view_mode": "form",
        }

    # === BUSINESS METHODS === #

    def _check_file(self):
        self.ensure_one()
        self.env["crm.billing.usage"]._check_can_record()
        # The flow goes on as superuser: company and meter are those of the person.
        self.meter_id.check_access("read")
        if not self.env.su and self.company_id not in self.env.user.company_ids:
            raise AccessError(self.env._("Record usage of your own companies only."))
        if not self.file:
            raise UserError(self.env._("Choose a file first."))
        if self.problem:
            raise UserError(self.problem)
        if self.row_count > MOST_ROWS:
            raise UserError(
                self.env._(
                    "The file has more than %(most)s rows: split it.", most=MOST_ROWS
                )
            )

    def _create_batch(self):
        return (
            self.env["crm.billing.usage.batch"]
            .sudo()  # deliveries are written by the flow; the right was checked
            .create(self._prepare_batch())
        )

    def _prepare_batch(self):
        return {
            "company_id": self.company_id.id,
            "source": "import",
            "source_name": self.file_name,
            "user_id": self.env.uid,
            "meter_id": self.meter_id.id,
            "separator": self.separator,
            "encoding": self.encoding,
            "decimal_sign": self.decimal_sign,
        }

    def _read(self):
        batches = self.env["crm.billing.usage.batch"]
        return batches.new(self._prepare_batch())._read_events(
            read_upload(self, LARGEST_UPLOAD)
        )
