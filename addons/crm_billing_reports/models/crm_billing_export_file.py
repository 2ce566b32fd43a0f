"""Write the files of a batch, note what left, and prove later that it was that."""

from odoo import fields, models
from odoo.exceptions import UserError

from ..report_rules import books_file
from .crm_billing_export_batch import EXPORT
from .crm_billing_system import ENTITIES

TYPES = {"customer": "customers", "invoice": "invoices"}
TYPES.update({"credit": "credit-notes", "payment": "payments"})


class CrmBillingExportBatch(models.Model):
    _inherit = "crm.billing.export.batch"

    attachment_ids = fields.One2many(
        "ir.attachment",
        "res_id",
        string="Files",
        domain=[
            ("res_model", "=", "crm.billing.export.batch"),
            ("res_field", "=", "attachment_ids"),  # only who may export reads them
        ],
        readonly=True,
        groups=EXPORT,
    )

    # === ACTION METHODS === #

    def action_verify(self):
        """Compare the files with what was handed out; put back what is gone.

        :return: what to show: all the same, or which file differs
        """
        self.ensure_one()
        self._check_can_hand_out()
        if self.state != "handed_out":
            raise UserError(self.env._("Nothing was handed out yet."))
        # Attachments are the batch's own, the right was checked.
        faults = self.sudo()._verify()
        text = (
            self.env._("These files were not as handed out and were put back:")
            + "\n"
            + "\n".join(faults)
            if faults
            else self.env._("All files are as they were handed out.")
        )
        return self._notify(text, "warning" if faults else "success")

    # === BUSINESS METHODS - HANDING OUT === #

    def _hand_out(self, now, reader):
        """Check once more, write the files, note what left.

        :param now: instant (naive UTC)
        :param reader: environment of the person
        :return: what to show when it stopped, else nothing
        """
        before = self._get_ready()
        only = {
            name: lines.mapped("res_id")
            for name, lines in self.line_ids.grouped("model").items()
        }
        if not self._collect(reader, only):
            return self._notify(self.problem, "danger")
        ready = self._get_ready()
        if not ready:
            raise UserError(
                self.env._("Nothing is ready to be handed out. Fix what is listed.")
            )
        if before != ready:
            return self._notify(
                self.env._("Something changed since the check. Look at it again."),
                "warning",
            )
        contents = self._build_files()
        self._note_crosswalk(now)
        self._store_files(contents)
        self.line_ids.filtered(lambda line: line.state == "ready").state = "handed_out"
        self.write(
            {
                "state": "handed_out",
                "handed_out_at": now,
                "handed_out_uid": reader.uid,
            }
        )
        self._log_hand_out(reader)
        return None

    def _get_ready(self):
        """Return what is ready, and exactly what stands in the file about it."""
        return {
            (line.model, line.res_id): (line.fingerprint, line.rows)
            for line in self.line_ids
            if line.state == "ready"
        }

    def _build_files(self):
        """Return ``{file name: bytes}`` of what is ready or left, always the same."""
        system = self.system_id
        lines = self.line_ids.filtered(lambda line: line.state != "refused")
        by_entity = lines.sorted("id").grouped("entity")
        base = self.name.lower().replace("/", "-")
        contents = {}
        for entity, _label in ENTITIES:
            if entity not in by_entity:
                continue
            is_document = entity in ("invoice", "credit")
            files = books_file.split_rows(
                by_entity[entity].mapped("rows"),
                system.row_limit,
                system.document_limit if is_document else system.row_limit,
            )
            for place, rows in enumerate(files, 1):
                name = f"{base}-{TYPES[entity]}-{place}.csv"
                contents[name] = books_file.write_csv(self.columns[entity], rows)
        return contents

    def _store_files(self, contents):
        self.files = {
            name: books_file.get_checksum(data) for name, data in contents.items()
        }
        self.checksum = books_file.get_batch_checksum(contents)
        self._attach(contents)

    def _attach(self, contents):
        self.env["ir.attachment"].create(
            [
                {
                    "name": name,
                    "raw": data,
                    "mimetype": "text/csv",
                    "res_model": self._name,
                    "res_id": self.id,
                    "res_field": "attachment_ids",
                }
                for name, data in reversed(contents.items())  # the newest is on top
            ]
        )
        self.invalidate_recordset(["attachment_ids"])

    def _note_crosswalk(self, now):
        crosswalk = self.env["crm.billing.crosswalk"]
        ready = self.line_ids.filtered(lambda line: line.state == "ready")
        for model, lines in ready.grouped("model").items():
            rows = crosswalk._get_rows(self.system_id, model, lines.mapped("res_id"))
            for line in lines:
                if row := rows.get(line.res_id):
                    line.previous_checksum = row.checksum
            handed = {
                line.res_id: {
                    "external_name": line.external_name,
                    "checksum": line.fingerprint,
                }
                for line in lines
            }
            crosswalk._note_handed_out(self.system_id, model, handed, now)

    def _log_hand_out(self, reader):
        text = self.env._(
            "%(batch)s to %(books)s: %(count)s records in %(files)s files.",
            batch=self.name,
            books=self.system_id.name,
            count=len(self.line_ids.filtered(lambda line: line.state == "handed_out")),
            files=len(self.files),
        )
        event = {"action": "handed_out", "company_id": self.company_id.id, "note": text}
        reader["crm.billing.event"]._log([event])
        self.message_post(body=text)
        self.activity_feedback(["crm_billing_handoff.mail_activity_type_billing"])

    def _notify(self, text, kind):
        return {
            "type": "ir.actions.client",
            "tag": "display_notification",
            "params": {
                "message": text,
                "type": kind,
                "sticky": kind != "success",
                "next": {"type": "ir.actions.client", "tag": "soft_reload"},
            },
        }

    # === BUSINESS METHODS - PROOF === #

    def _verify(self):
        """Return the names of files that differ, and put back what was handed out.

        :raise UserError: what was handed out cannot be written again the same
        """
        contents = self._build_files_again()
        stored = {file.name: file for file in self.attachment_ids}
        faults = [
            name
            for name, data in contents.items()
            if name not in stored or stored[name].raw != data
        ]
        for name in faults:
            if name in stored:
                stored[name].unlink()
        self._attach({name: contents[name] for name in faults})
        return faults

    def _build_files_again(self):
        """Return the files from what the lines keep: the same bytes, or no file."""
        contents = self._build_files()
        if books_file.get_batch_checksum(contents) != self.checksum:
            raise UserError(
                self.env._(
                    "The files of %(batch)s cannot be written again as they were: the "
                    "limits per file were changed since.",
                    batch=self.name,
                )
            )
        return contents

    # === BUSINESS METHODS - TAKING BACK === #

    def _cancel(self, reader):
        self.ensure_one()
        if self.state == "cancelled":
            return
        if not (self.cancel_reason or "").strip():
            raise UserError(self.env._("Say first why the batch is taken back."))
        rows = self._get_crosswalk_rows()
        if seen := rows.filtered(lambda row: row.state == "confirmed"):
            raise UserError(
                self.env._(
                    "The other side already has %(names)s of this batch. Correct them "
                    "there.",
                    names=", ".join(seen[:5].mapped("external_name")),
                )
            )
        self._restore_checksums()
        rows.unlink()
        self.state = "cancelled"
        event = {
            "action": "taken_back",
            "company_id": self.company_id.id,
            "note": f"{self.name}: {self.cancel_reason}",
        }
        reader["crm.billing.event"]._log([event])

    def _get_crosswalk_rows(self):
        """Return the rows of the crosswalk that this batch made."""
        crosswalk = self.env["crm.billing.crosswalk"]
        rows = crosswalk.browse()
        new = self.line_ids.filtered(
            lambda line: line.state == "handed_out" and line.operation == "new"
        )
        for model, lines in new.grouped("model").items():
            found = crosswalk._get_rows(self.system_id, model, lines.mapped("res_id"))
            rows |= rows.union(*found.values())
        return rows

    def _restore_checksums(self):
        """A change that was not read there is a change still to be handed out."""
        changed = self.line_ids.filtered(
            lambda line: line.state == "handed_out" and line.operation == "update"
        )
        for line in changed:
            line._get_row().write(
                {"checksum": line.previous_checksum, "drift": "changed"}
            )
