"""Many records at once, as copies of one: rows written by the database alone.

Runs inside an Odoo process. A hundred thousand agreements take seconds so, and they are
what the ORM would have written, since the one that is copied came from there.
"""

from odoo.tools import SQL


def clone(env, record, count, **columns):
    """Write ``count`` copies of the row of ``record``; their ids follow each other.

    :param columns: what differs, as SQL in which ``n`` counts from 1
    :return: the number that ``n`` is added to in the ids
    """
    env.flush_all()
    table = SQL.identifier(record._table)
    sequence = f"{record._table}_id_seq"
    [[base]] = env.execute_query(SQL("SELECT nextval(%s)", sequence))
    env.execute_query(SQL("SELECT setval(%s, %s)", sequence, base + count))
    names = [
        name
        for [name] in env.execute_query(
            SQL(
                "SELECT column_name FROM information_schema.columns"
                " WHERE table_schema = 'public' AND table_name = %s"
                " AND column_name != 'id'",
                record._table,
            )
        )
    ]
    values = [
        SQL(columns[name]) if name in columns else SQL.identifier("source", name)
        for name in names
    ]
    env.cr.execute(
        SQL(
            "INSERT INTO %s (id, %s) SELECT %s + n, %s"
            " FROM %s source, generate_series(1, %s) n WHERE source.id = %s",
            table,
            SQL(", ").join(map(SQL.identifier, names)),
            base,
            SQL(", ").join(values),
            table,
            count,
            record.id,
        )
    )
    return base


def clone_links(env, record, field, count, base):
    """Give the copies of ``record`` the same many2many links."""
    field = record._fields[field]
    env.cr.execute(
        SQL(
            "INSERT INTO %(table)s (%(own)s, %(other)s)"
            " SELECT %(base)s + n, %(other)s"
            " FROM %(table)s, generate_series(1, %(count)s) n WHERE %(own)s = %(id)s",
            table=SQL.identifier(field.relation),
            own=SQL.identifier(field.column1),
            other=SQL.identifier(field.column2),
            base=base,
            count=count,
            id=record.id,
        )
    )


def create_customers(env, count):
    """Create companies with a contact that receives their invoices.

    :return: the number to which 1, 2, … ``count`` is added for their ids
    """
    customer = env["res.partner"].create(
        {
            "name": "Bench customer",
            "is_company": True,
            "street": "1 Main Street",
            "city": "Springfield",
            "country_id": env.ref("base.us").id,
            "child_ids": [(0, 0, {"name": "Accounts", "email": "ap@example.com"})],
        }
    )
    contact = customer.child_ids
    base = clone(
        env,
        customer,
        count,
        name="'Bench customer ' || n",
        complete_name="'Bench customer ' || n",
        commercial_partner_id="NULL",
    )
    contacts = clone(
        env,
        contact,
        count,
        parent_id=f"{base} + n",
        commercial_partner_id=f"{base} + n",
    )
    ours = "billing_contact_id" in customer
    env.cr.execute(
        SQL(
            "UPDATE res_partner SET commercial_partner_id = id %s"
            " WHERE id > %s AND id <= %s",
            SQL(", billing_contact_id = id - %s + %s", base, contacts)
            if ours
            else SQL(),
            base,
            base + count,
        )
    )
    env.invalidate_all()
    return base


def create_agreements(env, count, lines=1, **values):
    """Create running agreements, each of another account, one month due today.

    :return: the number to which 1, 2, … ``count`` is added for their ids
    """
    customers = create_customers(env, count)
    product = get_product(env)
    plan = env["crm.billing.plan"].search([("name", "=", "Bench plan")])
    plan = plan or plan.create({"name": "Bench plan"})
    line = {"product_id": product.id, "plan_id": plan.id, "price_unit": 100}
    agreement = env["crm.billing.agreement"].create(
        {
            "partner_id": customers + 1,
            "user_id": env.ref("base.user_admin").id,
            "line_ids": [(0, 0, line) for _line in range(lines)],
            **values,
        }
    )
    agreement.action_start()
    account = f"{customers} + n"
    base = clone(
        env,
        agreement,
        count,
        name=f"'BENCH/{customers}/' || n",
        partner_id=account,
        payer_id=account,
    )
    for line in agreement.line_ids:
        copies = clone(env, line, count, agreement_id=f"{base} + n")
        clone_links(env, line, "tax_ids", count, copies)
    agreement.write({"state": "cancelled"})
    env.cr.commit()
    env.invalidate_all()
    return base


def get_product(env):
    # a new product clears Odoo's caches: take the same each time
    service = {"name": "Bench service", "type": "service", "invoice_policy": "order"}
    product = env["product.product"].search([("name", "=", service["name"])])
    return product or product.create(service)
