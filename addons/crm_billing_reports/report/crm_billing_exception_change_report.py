from odoo import fields, models
from odoo.tools import SQL

from ..report_rules import exceptions
from .crm_billing_ratio import Ratio


class CrmBillingExceptionChangeReport(models.Model):
    """Did a change raise the exceptions: the rate before and after each one.

    Changes are price revisions (from their effective date), the arming of a collections
    policy and new releases of these addons, both from the audit log. Compared are the
    invoices of 30 days before with those of 30 days from the change on; what counts as
    raised is in `report_rules/exceptions.py`.
    """

    _name = "crm.billing.exception.change.report"
    _description = "Changes and Their Exceptions"
    _inherit = "crm.billing.report.mixin"
    _auto = False
    _order = "date desc, id desc"
    _rec_name = "name"
    _depends = {
        "crm.billing.event": ["new_value", "old_value"],
        "crm.billing.exception.report": [],
        "crm.billing.price.revision": ["company_id", "date", "name", "state"],
    }

    name = fields.Char(readonly=True)
    kind = fields.Selection(
        [
            ("revision", "Price revision"),
            ("policy", "Collections policy armed"),
            ("release", "New release"),
        ],
        readonly=True,
    )
    date = fields.Date(readonly=True)
    by_id = fields.Many2one("res.users", readonly=True)
    revision_id = fields.Many2one("crm.billing.price.revision", readonly=True)
    invoices_before = fields.Integer(readonly=True)
    exceptions_before = fields.Integer(readonly=True)
    rate_before = Ratio(string="Per 100 Before", readonly=True, aggregator=None)
    invoices_after = fields.Integer(readonly=True)
    exceptions_after = fields.Integer(readonly=True)
    rate_after = Ratio(string="Per 100 After", readonly=True, aggregator=None)
    is_raised = fields.Boolean(
        string="Raised",
        readonly=True,
        help="The rate went up by a quarter at least, and by three exceptions more "
        "than the time before lets expect.",
    )

    # === ACTION METHODS === #

    def action_view_touches(self):
        """Open the touches of the days after the change."""
        self.ensure_one()
        action = self.env["ir.actions.act_window"]._for_xml_id(
            "crm_billing_reports.crm_billing_touch_report_action"
        )
        last = fields.Date.add(self.date, days=exceptions.WINDOW_DAYS - 1)
        action["context"] = {"search_default_group_kind": 1}
        action["domain"] = [
            ("company_id", "=", self.company_id.id),
            ("month_date", ">=", self.date),
            ("month_date", "<=", last),
        ]
        return action

    # === QUERY === #

    @property
    def _table_query(self):
        report = self.env["crm.billing.exception.report"]
        return SQL(
            """
            WITH item AS MATERIALIZED (
                SELECT day, company_id, SUM(invoices) AS invoices,
                       SUM(touches) AS touches
                  FROM (%(items)s) one GROUP BY day, company_id)
            SELECT ROW_NUMBER() OVER (
                       ORDER BY change.kind, change.source_id, change.company_id)::int
                       AS id,
                   change.name, change.kind, change.date, change.company_id,
                   change.by_id, change.revision_id,
                   NULL::int AS partner_id, NULL::int AS user_id, NULL::int AS team_id,
                   NULL::int AS service_tier_id, company.currency_id,
                   company.currency_id AS company_currency_id,
                   around.invoices_before, around.exceptions_before,
                   100.0 * around.exceptions_before
                       / NULLIF(around.invoices_before, 0) AS rate_before,
                   around.invoices_after, around.exceptions_after,
                   100.0 * around.exceptions_after
                       / NULLIF(around.invoices_after, 0) AS rate_after,
                   %(is_raised)s AS is_raised
              FROM (%(changes)s) change
              JOIN res_company company ON company.id = change.company_id
        CROSS JOIN LATERAL (
                   SELECT COALESCE(SUM(item.invoices)
                              FILTER (WHERE item.day < change.date), 0)::int
                              AS invoices_before,
                          COALESCE(SUM(item.touches)
                              FILTER (WHERE item.day < change.date), 0)::int
                              AS exceptions_before,
                          COALESCE(SUM(item.invoices)
                              FILTER (WHERE item.day >= change.date), 0)::int
                              AS invoices_after,
                          COALESCE(SUM(item.touches)
                              FILTER (WHERE item.day >= change.date), 0)::int
                              AS exceptions_after
                     FROM item
                    WHERE item.company_id = change.company_id
                      AND item.day >= change.date - %(days)s
                      AND item.day < change.date + %(days)s) around
            """,
            items=report._select_items(),
            changes=self._select_changes(),
            is_raised=report._get_raised(
                (SQL("around.exceptions_before"), SQL("around.invoices_before")),
                (SQL("around.exceptions_after"), SQL("around.invoices_after")),
            ),
            days=exceptions.WINDOW_DAYS,
        )

    def _select_changes(self):
        """Return what changed, when (local date of the company), by whom.

        What has no company, as a release, concerns every one. The first
        release is none: before it, there was nothing to change.
        """
        return SQL(
            """
            SELECT 'revision' AS kind, revision.id AS source_id, revision.name,
                   revision.date, revision.company_id, revision.write_uid AS by_id,
                   revision.id AS revision_id
              FROM crm_billing_price_revision revision
             WHERE revision.state = 'applied'
         UNION ALL
            SELECT CASE event.action WHEN 'armed' THEN 'policy' ELSE 'release' END,
                   event.id, event.new_value,
                   (event.create_date AT TIME ZONE 'UTC'
                    AT TIME ZONE COALESCE(company.billing_tz, 'UTC'))::date,
                   company.id, event.user_id, NULL
              FROM crm_billing_event event
              JOIN res_company company
                ON event.company_id IS NULL OR event.company_id = company.id
             WHERE event.action = 'armed'
                OR (event.action = 'updated' AND event.old_value IS NOT NULL)
            """
        )
