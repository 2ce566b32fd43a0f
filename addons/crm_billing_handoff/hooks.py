from odoo.tools import SQL
from odoo.tools.sql import column_exists

# Stored computed columns, filled here instead of row by row for a large database.
COLUMNS = {
    "crm_lead": {
        "billing_state": ("varchar", "none"),
        "billing_payment_blocked": ("bool", False),
        "billing_currency_id": ("int4", None),
        "billing_amount_invoiced": ("numeric", 0),
        "billing_amount_due": ("numeric", 0),
        "billing_as_of": ("timestamp", None),
        "billing_next_date": ("date", None),
    },
    "account_move": {
        "is_billing_review": ("bool", False),
        "billing_retention_amount": ("numeric", 0),
        "billing_exempt_reason": ("varchar", None),
    },
    "sale_order_line": {
        "billing_method": ("varchar", None),
        "billing_plan_id": ("int4", None),
        "billing_meter_id": ("int4", None),
        "is_billing_taken_over": ("bool", False),
    },
}


def pre_init_hook(env):
    """Create the stored computed columns with the value of a deal never billed."""
    for table, columns in COLUMNS.items():
        for name, (kind, value) in columns.items():
            if column_exists(env.cr, table, name):
                continue
            # A default fills the existing rows without rewriting the table.
            column = {"table": SQL.identifier(table), "name": SQL.identifier(name)}
            env.cr.execute(
                SQL(
                    "ALTER TABLE %(table)s ADD COLUMN %(name)s %(kind)s "
                    "DEFAULT %(value)s",
                    kind=SQL(kind),
                    value=value,
                    **column,
                )
            )
            env.cr.execute(
                SQL(
                    "ALTER TABLE %(table)s ALTER COLUMN %(name)s DROP DEFAULT", **column
                )
            )


def post_init_hook(env):
    """Link invoices that exist already to the deals that their orders belong to.

    Nothing is queued: deals won before the installation are history.
    """
    env.cr.execute(
        """
        INSERT INTO account_move_crm_lead_rel (move_id, lead_id)
        SELECT DISTINCT line.move_id, sale.opportunity_id
          FROM sale_order_line_invoice_rel link
          JOIN account_move_line line ON line.id = link.invoice_line_id
          JOIN sale_order_line sale_line ON sale_line.id = link.order_line_id
          JOIN sale_order sale ON sale.id = sale_line.order_id
         WHERE sale.opportunity_id IS NOT NULL
            ON CONFLICT DO NOTHING
        """
    )
    env.invalidate_all()
    leads = env["crm.lead"].with_context(active_test=False)
    linked = leads.search([("billing_move_ids", "!=", False)])
    env.add_to_compute(leads._fields["billing_state"], linked)
    company_product = env.ref("crm_billing_handoff.product_product_deal")
    for company in env["res.company"].search([]):
        company.billing_product_id = company.billing_product_id or company_product
        company.billing_recurring_product_id = (
            company.billing_recurring_product_id or company_product
        )


def uninstall_hook(env):
    """Keep the product that invoices name, archived: it is a part of them now."""
    product = env.ref(
        "crm_billing_handoff.product_product_deal", raise_if_not_found=False
    )
    if not product:
        return
    domain = [("product_id", "=", product.id)]
    lines = ("account.move.line", "sale.order.line")
    if any(env[model].search_count(domain, limit=1) for model in lines):
        product.action_archive()
        # What has no external id is no longer ours to delete.
        for record in (product, product.product_tmpl_id):
            env["ir.model.data"].search(
                [
                    ("module", "=", "crm_billing_handoff"),
                    ("model", "=", record._name),
                    ("res_id", "=", record.id),
                ]
            ).unlink()
