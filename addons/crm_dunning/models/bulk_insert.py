"""Rows of ledgers by the thousand, written in one statement."""

from odoo.tools import SQL


def insert_rows(records, vals_list):
    """Insert one row for each dict and return the new records, in order.

    For models whose rows the flow alone writes and whose ``create`` adds nothing: no
    stored compute, no default but those given. A thousand of them cost the ORM as much
    as everything else that a run does. Values are those of the columns, and every dict
    has the same keys.
    """
    if not vals_list:
        return records.browse()
    env = records.env
    names = list(vals_list[0])
    columns = [
        SQL(
            "unnest(%s::%s[])",
            [_to_column(values[name]) for values in vals_list],
            SQL(records._fields[name].column_type[1]),
        )
        for name in names
    ]
    rows = env.execute_query(
        SQL(
            "INSERT INTO %s (id, create_uid, create_date, write_uid, write_date, %s)"
            " SELECT nextval(pg_get_serial_sequence(%s, 'id')), %s,"
            " now() AT TIME ZONE 'UTC', %s, now() AT TIME ZONE 'UTC', %s RETURNING id",
            SQL.identifier(records._table),
            SQL(", ").join(map(SQL.identifier, names)),
            records._table,
            env.uid,
            env.uid,
            SQL(", ").join(columns),
        )
    )
    _forget_inverses(records, names)
    # Numbers are drawn row by row: in the order of the rows they rise.
    return records.browse(sorted(row_id for [row_id] in rows))


def _forget_inverses(records, names):
    """Let lists that the new rows belong to be read anew, in this transaction, too.

    What is computed from the other side finds the rows through them.
    """
    for name in names:
        for inverse in records.pool.field_inverses[records._fields[name]]:
            records.env[inverse.model_name].invalidate_model([inverse.name])


def _to_column(value):
    return None if value is False else value
