import hashlib
import json

from odoo import api, fields, models

from .printed import print_document

ACTIVITY = "crm_billing_handoff.mail_activity_type_billing"
FORMAT = "crm-billing-certificate/1"
REPORT = "crm_billing_reports.crm_billing_certificate_report"
KEPT = (
    "id",
    "number_here",
    "number_there",
    "date_here",
    "date_there",
    "amount_here",
    "amount_there",
    "currency_id",
    "currency_there_id",
    "partner_id",
    "account_there_id",
)


class CrmBillingCertificate(models.Model):
    _inherit = "crm.billing.certificate"

    # === BUSINESS METHODS - CONTENT === #

    def _certify(self):
        rows = self.env["crm.billing.match.report"].search(self._get_domain())
        content = self._prepare_content(rows)
        text = json.dumps(content, sort_keys=True, ensure_ascii=False, indent=1)
        # What is certified is the flow's; the right was checked.
        flow = self.sudo()
        flow.line_ids.unlink()
        flow.write(
            {
                "state": "certified",
                "line_ids": [
                    fields.Command.create(vals) for vals in self._prepare_lines(rows)
                ],
                "content": text,
                "checksum": hashlib.sha256(text.encode()).hexdigest(),
                "certified_at": fields.Datetime.now(),
                "certified_uid": self.env.uid,
                "is_drifted": False,
            }
        )
        self._keep_document()
        self._log_certificate()

    def _prepare_content(self, rows):
        """Return what is certified, of plain values only."""
        return {
            "format": FORMAT,
            "company": self.company_id.name,
            "books": self.system_id.name,
            "currency": self.currency_id.name,
            "from": fields.Date.to_string(self.date_from),
            "to": fields.Date.to_string(self.date_to),
            "rows": self._get_rows_checksum(rows),
            "totals": [
                {**vals, "total_here": f"{vals['total_here']:.6f}"}
                | {"total_there": f"{vals['total_there']:.6f}"}
                for vals in self._prepare_lines(rows)
            ],
            "explained": [
                {
                    "number": row.number,
                    "what": row.what,
                    "text": row.note_id.text,
                    "by": row.note_id.user_id.name,
                }
                for row in rows.sorted("id")
                if row.is_explained
            ],
            "lists": [
                {"file": row.file_name, "sha256": row.checksum}
                for row in self._get_lists()
            ],
        }

    def _get_content(self):
        """Return what was certified, for print."""
        self.ensure_one()
        return json.loads(self.content or "{}")

    def _get_rows_checksum(self, rows):
        """Return one checksum for all compared rows.

        Of what a month keeps: what is open goes on changing as customers pay. Accounts
        and currencies count by their ids: a name may be corrected.
        """
        lines = sorted(
            "|".join(self._get_kept(row, name) for name in KEPT) for row in rows
        )
        return hashlib.sha256("\n".join(lines).encode()).hexdigest()

    @api.model
    def _get_kept(self, row, name):
        value = row[name]
        return str(value.id if row._fields[name].relational else value or "")

    def _prepare_lines(self, rows):
        """Return the totals by kind, in the company's currency."""
        kinds = rows._fields["kind"].get_values(self.env)
        return [
            {
                "kind": kind,
                "count_here": len(group.filtered("number_here")),
                "count_there": len(group.filtered("number_there")),
                "agreed_count": len(group.filtered(lambda row: row.reason == "ok")),
                "explained_count": len(group.filtered("is_explained")),
                "total_here": sum(group.mapped("balance_here")),
                "total_there": sum(group.mapped("balance_there")),
            }
            for kind in kinds
            if (group := rows.filtered(lambda row, kind=kind: row.kind == kind))
        ]

    def _keep_document(self):
        """Print the certificate once, and keep what was printed."""
        kind, data = print_document(self, REPORT)
        flow = self.sudo()
        flow.attachment_id = flow.env["ir.attachment"].create(
            {
                "name": f"{self.name}.{kind}",
                "raw": data,
                "res_model": self._name,
                "res_id": self.id,
            }
        )

    @api.model
    def _cron_verify(self):
        """Compare each certified month every day; say so once when it changes."""
        ids = self.search([("state", "=", "certified")]).ids
        commit_progress = self.env["ir.cron"]._commit_progress
        commit_progress(remaining=len(ids))
        for one in self.browse(ids):
            one.exists()._verify_or_tell()
            if not commit_progress(1):
                break

    def _verify_or_tell(self):
        """Compare, and give a month that no longer agrees to a person, once."""
        for one in self.filtered(lambda one: one.state == "certified"):
            is_whole, is_same = one._compare()
            was_drifted, is_drifted = one.is_drifted, not (is_whole and is_same)
            if is_drifted == was_drifted:
                continue
            one._verify()
            if is_drifted:
                one.activity_schedule(
                    ACTIVITY,
                    user_id=one.system_id._get_responsible().id,
                    summary=self.env._("A certified month no longer agrees"),
                )
            else:
                one.activity_feedback([ACTIVITY])

    def _compare(self):
        """Return whether the content is whole, and whether both sides are the same."""
        rows = self.env["crm.billing.match.report"].search(self._get_domain())
        checksum = hashlib.sha256(self.content.encode()).hexdigest()
        is_same = self._get_content().get("rows") == self._get_rows_checksum(rows)
        return checksum == self.checksum, is_same

    def _verify(self):
        """Say whether content, checksum and both sides are still as certified."""
        is_whole, is_same = self._compare()
        self.sudo().is_drifted = not (is_whole and is_same)
        if not is_whole:
            body = self.env._("The kept content is not what was certified.")
        elif is_same:
            body = self.env._("Verified: both sides are as certified.")
        else:
            body = self.env._(
                "One side is no longer as certified: look at the board of the month."
            )
        self.message_post(body=body)

    def _log_certificate(self):
        self.env["crm.billing.event"]._log(
            [
                {
                    "action": "certified",
                    "company_id": self.company_id.id,
                    "new_value": self.checksum,
                    "note": self.name,
                }
            ]
        )


class CrmBillingCertificateLine(models.Model):
    """The totals of one kind of document, as they were certified."""

    _name = "crm.billing.certificate.line"
    _description = "Total of a Certificate"
    _order = "certificate_id, id"
    _rec_name = "kind"

    certificate_id = fields.Many2one(
        "crm.billing.certificate", required=True, index=True, ondelete="cascade"
    )
    company_id = fields.Many2one(
        related="certificate_id.company_id", store=True, index=True
    )
    currency_id = fields.Many2one(related="certificate_id.currency_id")
    kind = fields.Selection(
        [
            ("deal", "Deals"),
            ("invoice", "Invoices"),
            ("credit", "Credit notes"),
            ("payment", "Payments"),
        ],
        required=True,
    )
    count_here = fields.Integer(string="Here")
    count_there = fields.Integer(string="There")
    agreed_count = fields.Integer(string="Agree")
    explained_count = fields.Integer(string="Explained")
    total_here = fields.Monetary()
    total_there = fields.Monetary()
    difference = fields.Monetary(compute="_compute_difference")

    @api.depends("total_here", "total_there")
    def _compute_difference(self):
        for line in self:
            line.difference = line.total_there - line.total_here
