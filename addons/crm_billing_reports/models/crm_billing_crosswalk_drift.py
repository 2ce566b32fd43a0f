"""What no longer agrees here and there, found before somebody stumbles on it."""

from datetime import timedelta

from odoo import api, fields, models
from odoo.tools import SQL

CHUNK = 200
TABLES = {
    "res.partner": "res_partner",
    "account.move": "account_move",
    "account.payment": "account_payment",
    "account.bank.statement.line": "account_bank_statement_line",
}


class CrmBillingCrosswalk(models.Model):
    _inherit = "crm.billing.crosswalk"

    drift = fields.Selection(
        [
            ("gone", "Deleted or taken back here"),
            ("changed", "Changed here since"),
            ("version", "Changed there since"),
            ("missing", "Missing there"),
            ("late", "Not confirmed in time"),
        ],
        index="btree_not_null",
        readonly=True,
    )
    drift_checked_at = fields.Datetime(readonly=True)

    # === ACTION METHODS === #

    def action_accept_version(self):
        """Override: what a person compared on both sides is agreed as it is now."""
        result = super().action_accept_version()
        rows = self.sudo()  # the right to write was checked
        for row, fingerprint in rows._read_fingerprints().items():
            if row.checksum:
                row.checksum = fingerprint
        rows._check_drift(fields.Datetime.now())
        return result

    # === BUSINESS METHODS === #

    @api.model
    def _note_seen(self, system, model, seen, now):
        """Override to end or begin an alarm at once."""
        rows = super()._note_seen(system, model, seen, now)
        rows._check_drift(now)
        return rows

    @api.model
    def _note_handed_out(self, system, model, handed, now):
        """Override to end the alarm of a change that has left now."""
        rows = super()._note_handed_out(system, model, handed, now)
        rows.write({"drift": False, "drift_checked_at": now})
        return rows

    @api.model
    def _cron_check_drift(self, now=None):
        """Look at what was written since the last look, and at what waits too long.

        :param now: instant (naive UTC), the clock by default
        """
        now = now or fields.Datetime.now()
        commit_progress = self.env["ir.cron"]._commit_progress
        ids = self._find_to_check(now)
        commit_progress(remaining=len(ids))
        for start in range(0, len(ids), CHUNK):
            chunk = self.browse(ids[start : start + CHUNK]).exists()
            chunk._check_drift(now)
            if not commit_progress(len(ids[start : start + CHUNK])):
                break

    @api.model
    def _find_to_check(self, now):
        """Return ids of rows whose record was written or deleted since the last look.

        Those that wait for the other side are looked at every day.
        """
        self.flush_model()
        found = set()
        for model, table in TABLES.items():
            self.env[model].flush_model(["write_date"])
            found.update(
                row[0]
                for row in self.env.execute_query(
                    SQL(
                        "SELECT row.id FROM crm_billing_crosswalk row"
                        " LEFT JOIN %s record ON record.id = row.res_id"
                        " WHERE row.model = %s AND (record.id IS NULL"
                        " OR row.drift_checked_at IS NULL"
                        " OR record.write_date >= row.drift_checked_at"
                        " OR row.state <> 'confirmed' OR row.drift IS NOT NULL)",
                        SQL.identifier(table),
                        model,
                    )
                )
            )
        return sorted(found)

    def _check_drift(self, now):
        """Note on each row whether both sides still agree, as far as is known."""
        prints = self._read_fingerprints()
        for drift, rows in self.grouped(
            lambda row: row._get_drift(prints.get(row), now)
        ).items():
            rows.filtered(lambda row, drift=drift: row.drift != drift).drift = drift
        self.drift_checked_at = now

    def _get_drift(self, fingerprint, now):
        """Return what no longer agrees.

        :param fingerprint: of the record here, ``None`` if it does not count any more
        """
        self.ensure_one()
        if self.state == "withdrawn":
            return "missing" if fingerprint is not None else False
        if fingerprint is None:
            return "gone"
        if self.checksum and fingerprint != self.checksum:
            return "changed"
        if (self.version or "") != (self.known_version or ""):
            return "version"
        if self.state == "missing":
            return "missing"
        patience = timedelta(days=self.system_id.confirm_days)
        if self.state == "handed_out" and self.handed_out_at < now - patience:
            return "late"
        return False

    def _read_fingerprints(self):
        """Return ``{row: fingerprint}`` of rows whose record here still counts."""
        prints = {}
        for (system, model), rows in self.grouped(
            lambda row: (row.system_id, row.model)
        ).items():
            records = self.env[model].browse(rows.mapped("res_id")).exists()
            facts = {
                fact.record.id: fact.fingerprint
                for fact in system._read_facts(records.filtered(self._is_valid))
            }
            prints |= {row: facts[row.res_id] for row in rows if row.res_id in facts}
        return prints

    @api.model
    def _is_valid(self, record):
        """Tell whether a record that was handed out still stands in our own books."""
        if record._name == "account.move":
            return record.state == "posted"
        if record._name == "account.payment":
            return record.state in ("in_process", "paid")
        return record._name == "res.partner" or record.move_id.state == "posted"
