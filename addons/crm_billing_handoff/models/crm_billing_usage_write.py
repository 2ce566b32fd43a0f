import json
from decimal import Decimal

from odoo import api, models
from odoo.tools import SQL

from ..billing_rules.usage_event import read_event

# What a new event brings, as PostgreSQL reads it from JSON.
SENT_COLUMNS = {
    "meter_id": "int4",
    "meter_code": "varchar",
    "event_uid": "varchar",
    "account_ref": "varchar",
    "agreement_ref": "varchar",
    "partner_id": "int4",
    "agreement_id": "int4",
    "occurred_at": "timestamp",
    "usage_date": "date",
    "is_whole_day": "bool",
    "value": "numeric",
    "properties": "text",
    "cancels_uid": "varchar",
    "is_void": "bool",
}


class CrmBillingUsage(models.Model):
    """Reading and writing events by the thousand: a handful of queries a delivery."""

    _inherit = "crm.billing.usage"

    @api.model
    def _read_known(self, company, keys):
        """Return ``{(meter code, id): content}`` of the events that are recorded."""
        if not keys:
            return {}
        rows = self.env.execute_query(
            SQL(
                """
                SELECT meter_code, event_uid, occurred_at, is_whole_day, usage_date,
                       value::text, account_ref, partner_id, agreement_ref,
                       properties, cancels_uid
                  FROM crm_billing_usage
                 WHERE company_id = %s AND (meter_code, event_uid) IN (
                       SELECT * FROM unnest(%s::varchar[], %s::varchar[]))
                """,
                company.id,
                [code for code, _uid in keys],
                [uid for _code, uid in keys],
            )
        )
        return {(row[0], row[1]): self._to_content(*row[2:]) for row in rows}

    @api.model
    def _to_content(
        self,
        at,
        whole_day,
        day,
        value,
        account,
        partner,
        agreement,
        properties,
        cancels,
    ):
        event = read_event(
            {"id": "known", "account": "known", "at": at, "properties": properties}, at
        )
        return {
            "at": None if whole_day else at,
            "day": day if whole_day else None,
            "value": None if value is None else Decimal(value),
            "account": account or "",
            "partner_id": partner,
            "agreement": agreement or "",
            "properties": event.properties,
            "cancels": cancels or "",
        }

    @api.model
    def _insert(self, rows, company, batch, now):
        """Insert new events in one statement, the line of each included."""
        same = {
            "company_id": company.id,
            "batch_id": batch.id or None,
            "received_at": now,
            "create_uid": self.env.uid,
            "create_date": now,
            "write_uid": self.env.uid,
            "write_date": now,
        }
        self._flush_for_sql()
        void = self._find_taken_back(company, [row.key for row in rows])
        ids = self.env.execute_query(self._get_insert_query(rows, same, void))
        events = self.browse(row_id for (row_id,) in ids)
        self.invalidate_model(flush=False)
        self._take_back(
            company,
            {(row.event.meter, row.event.cancels) for row in rows if row.event.cancels},
        )
        events._mark_late()
        return events

    @api.model
    def _get_insert_query(self, rows, same, void):
        """Return one statement that inserts events, each with the line that bills it.

        Rows get their ids in the order in which they came: "last arrived" means that.
        Where another worker recorded the same event a moment ago, PostgreSQL makes this
        a serialization failure: the caller is run again, and finds it known.

        :param same: ``{column: value}`` of all events
        :param void: keys of events that are cancelled before they come
        """
        # One JSON text: an array of values would be parsed as so many expressions.
        sent = SQL(
            "SELECT NULL::int4 AS period_id, %s::int4 AS company_id, one.* "
            "FROM json_to_recordset(%s::json) AS one(id int4, %s)",
            same["company_id"],
            json.dumps(
                [
                    {"id": place, **self._prepare_event(row, void)}
                    for place, row in enumerate(rows)
                ]
            ),
            SQL(", ").join(
                SQL("%s %s", SQL.identifier(name), SQL(kind))
                for name, kind in SENT_COLUMNS.items()
            ),
        )
        own = {name: SQL("sent.%s", SQL.identifier(name)) for name in SENT_COLUMNS}
        own["agreement_id"] = SQL("COALESCE(sent.agreement_id, target.agreement_id)")
        own["properties"] = SQL("sent.properties::jsonb")
        return SQL(
            """
            WITH sent AS (%s), target AS (%s)
            INSERT INTO crm_billing_usage (is_held, is_late, line_id, %s, %s)
            SELECT FALSE, FALSE, target.line_id, %s, %s
              FROM sent JOIN target ON target.id = sent.id
          ORDER BY sent.id
       ON CONFLICT DO NOTHING RETURNING id
            """,
            sent,
            self._get_target_query(SQL("sent"), SQL()),
            SQL(", ").join(map(SQL.identifier, same)),
            SQL(", ").join(map(SQL.identifier, SENT_COLUMNS)),
            SQL(", ").join(SQL("%s", value) for value in same.values()),
            SQL(", ").join(own.values()),
        )

    @api.model
    def _prepare_event(self, row, void):
        """Return the columns of a new event that differ from those beside it."""
        event = row.event
        return {
            "meter_id": row.meter.id or None,
            "meter_code": event.meter,
            "event_uid": event.uid,
            "account_ref": event.account or None,
            "agreement_ref": event.agreement or None,
            "partner_id": row.partner_id,
            "agreement_id": row.agreement_id,
            "occurred_at": row.at.isoformat(),
            "usage_date": row.day.isoformat(),
            "is_whole_day": event.at is None,
            "value": None if row.value is None else str(row.value),
            "properties": event.properties,
            "cancels_uid": event.cancels or None,
            "is_void": bool(event.cancels) or row.key in void,
        }
