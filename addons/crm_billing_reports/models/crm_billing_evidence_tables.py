import re

from odoo import models
from odoo.fields import Domain
from odoo.tools import html2plaintext

from odoo.addons.crm_billing_handoff.billing_rules.usage_table import write_text

# A link that a customer got opens the portal to whoever reads the pack.
TOKEN = re.compile(r"([?&](?:access_token|signup_token|token|hash)=)[^&#\s]+")
# The columns of the tables in a pack: paths from the record on. They are stable: what
# is added comes last.
LINE_FIELDS = (
    "agreement_id.name",
    "agreement_id.state",
    "name",
    "billing_method",
    "quantity",
    "price_unit",
    "discount",
    "currency_id.name",
    "start_date",
    "end_date",
)
MESSAGE_FIELDS = (
    "id",
    "date",
    "model",
    "res_id",
    "record_name",
    "message_type",
    "email_from",
    "author_id.name",
    "subject",
    "body",
)
LOG_FIELDS = (
    "id",
    "create_date",
    "action",
    "source",
    "source_name",
    "user_id.name",
    "account_name",
    "move_id.name",
    "field_name",
    "old_value",
    "new_value",
    "note",
)
HISTORY_FIELDS = (
    "date",
    "kind",
    "action",
    "title",
    "state",
    "amount",
    "currency_id.name",
    "author_id.name",
    "move_id.name",
)
ITEM_FIELDS = (
    "id",
    "move_id.id",
    "move_name",
    "date",
    "date_maturity",
    "account_id.code",
    "name",
    "balance",
    "amount_currency",
    "currency_id.name",
    "amount_residual",
    "amount_residual_currency",
    "matching_number",
)
PARTIAL_FIELDS = (
    "id",
    "max_date",
    "debit_move_id.id",
    "debit_move_id.move_name",
    "credit_move_id.id",
    "credit_move_id.move_name",
    "amount",
    "debit_amount_currency",
    "credit_amount_currency",
)
CROSSWALK_FIELDS = (
    "system_id.name",
    "model",
    "res_id",
    "res_name",
    "external_id",
    "external_name",
    "version",
    "state",
    "last_seen_at",
)


class CrmBillingEvidence(models.Model):
    _inherit = "crm.billing.evidence"

    # === BUSINESS METHODS - TABLES === #

    def _add_tables(self, pack, moves, payments):
        """Add the audit log, the history, the ledger and the crosswalk as tables."""
        first, last = self._get_instants()
        account = Domain("partner_id", "=", self.partner_id.id)
        own = Domain("company_id", "in", (self.company_id.id, False))
        log = self.env["crm.billing.event"].search(
            (account | Domain("move_id", "in", moves.ids))
            & own
            & Domain("create_date", ">=", first)
            & Domain("create_date", "<", last),
            order="id",
        )
        self._add_table(pack, "log", "audit_log.csv", log, LOG_FIELDS)
        history = self.env["crm.billing.timeline"].search(
            account & own & Domain("date", ">=", first) & Domain("date", "<", last),
            order="date, id",
        )
        self._add_table(pack, "log", "history.csv", history, HISTORY_FIELDS)
        lines = (moves | payments.move_id).line_ids.filtered(
            lambda line: line.account_id.account_type == "asset_receivable"
        )
        matched = lines.matched_debit_ids | lines.matched_credit_ids
        self._add_table(pack, "ledger", "items.csv", lines, ITEM_FIELDS)
        self._add_table(pack, "ledger", "matchings.csv", matched, PARTIAL_FIELDS)
        rows = self.env["crm.billing.crosswalk"].search(account & own, order="id")
        self._add_table(pack, "ledger", "crosswalk.csv", rows, CROSSWALK_FIELDS)

    def _add_table(self, pack, folder, name, records, paths):
        """Add a table of ``records``; no cell is a formula to a spreadsheet."""
        heading = [path.replace(".", "_").removesuffix("_name") for path in paths]
        rows = [[self._read_path(record, path) for path in paths] for record in records]
        data = write_text([heading, *rows], ",").encode("utf-8-sig")
        pack.add(folder, name, data)

    def _read_path(self, record, path):
        value = record
        for name in path.split("."):
            field, value = value._fields[name], value[name]
        if field.type == "html":
            value = html2plaintext(value or "")
        if isinstance(value, str):
            value = TOKEN.sub(r"\1…", value)
        return "" if value is False or value is None else value
