from odoo import api, fields, models
from odoo.exceptions import AccessError, UserError

READER = "account.group_account_invoice"


class CrmBillingMatchNote(models.Model):
    """Why the two sides of a row of the match board differ, as a person explained it.

    Holds for what differed then: when a figure of the row changes, the explanation no
    longer covers it. It is kept for ever; taking it back leaves the row, too.
    """

    _name = "crm.billing.match.note"
    _description = "Explained Difference"
    _order = "id desc"
    _rec_name = "text"

    row_id = fields.Integer(
        string="Row of the Board", required=True, readonly=True, aggregator=None
    )
    fingerprint = fields.Char(required=True, readonly=True)
    system_id = fields.Many2one(
        "crm.billing.system",
        string="Books",
        required=True,
        readonly=True,
        index=True,
        ondelete="restrict",
    )
    company_id = fields.Many2one(related="system_id.company_id", store=True, index=True)
    partner_id = fields.Many2one("res.partner", string="Account", readonly=True)
    date = fields.Date(readonly=True)
    number = fields.Char(readonly=True)
    what = fields.Char(string="What Differed", readonly=True)
    text = fields.Char(string="Explanation", required=True, readonly=True)
    user_id = fields.Many2one(
        "res.users", string="Explained By", required=True, readonly=True
    )
    revoked_at = fields.Datetime(string="Taken Back On", readonly=True)
    revoked_uid = fields.Many2one("res.users", string="Taken Back By", readonly=True)

    _live_uniq = models.UniqueIndex(
        "(row_id, fingerprint) WHERE revoked_at IS NULL",
        "This difference is explained already.",
    )

    @api.ondelete(at_uninstall=False)
    def _unlink_never(self):
        raise UserError(
            self.env._(
                "An explanation is the proof of a decision: take it back instead of "
                "deleting it."
            )
        )

    def action_take_back(self):
        """Put the differences on the board again."""
        self._check_can_explain()
        self.check_access("read")
        live = self.filtered(lambda note: not note.revoked_at)
        # Written by the flow only; the right was checked above.
        live.sudo().write(
            {"revoked_at": fields.Datetime.now(), "revoked_uid": self.env.uid}
        )
        live._log_notes()

    @api.model
    def _check_can_explain(self):
        if not self.env.user.has_group(READER):
            raise AccessError(
                self.env._("Differences are explained by billing and accountants.")
            )

    @api.model
    def _explain(self, rows, text):
        """Explain rows of the board that differ; explained ones stay as they are.

        :param rows: `crm.billing.match.report`, as the user sees them
        """
        self._check_can_explain()
        notes = self.sudo().create(
            [self._prepare_note(row, text) for row in rows if row.is_open]
        )
        notes._log_notes()
        return notes

    def _prepare_note(self, row, text):
        return {
            "row_id": row.id,
            "fingerprint": row.fingerprint,
            "system_id": row.system_id.id,
            "partner_id": row.partner_id.id,
            "date": row.date,
            "number": row.number,
            "what": row.what,
            "text": text,
            "user_id": self.env.uid,
        }

    def _log_notes(self):
        self.env["crm.billing.event"]._log(
            [
                {
                    "action": "match_explained",
                    "company_id": note.company_id.id,
                    "partner_id": note.partner_id.id,
                    "old_value": note.text if note.revoked_at else False,
                    "new_value": False if note.revoked_at else note.text,
                    "note": f"{note.system_id.name}: {note.number}",
                }
                for note in self
            ]
        )
