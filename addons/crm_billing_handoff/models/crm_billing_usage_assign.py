import re
from collections import defaultdict

from odoo import api, fields, models
from odoo.tools import SQL

from ..billing_rules.usage_event import local_day
from .crm_billing_usage import FOUND

BY_ID = re.compile(r"id:(\d{1,9})")
EXTERNAL_ID = re.compile(r"\w+\.[\w.-]+")
# What can bill usage: not what was never started.
SERVED = SQL(
    "(agreement.state IN ('running', 'paused', 'closed') "
    "OR (agreement.state = 'cancelled' AND agreement.cancel_date IS NOT NULL))"
)


class CrmBillingUsage(models.Model):
    """Whose an event is and which line bills it: found by meter, account and day.

    Runs when events arrive, when lines start, end or are replaced, when a meter is
    made, and when a clerk corrects an account. Always for many events at once.
    """

    _inherit = "crm.billing.usage"

    # === BUSINESS METHODS - WHOSE IT IS === #

    @api.model
    def _find_meters(self, company, codes):
        """Return ``{code: meter}``, archived ones too: what is sold goes on."""
        meters = self.env["crm.billing.meter"].search(
            [("company_id", "=", company.id), ("code", "in", list(codes))]
        )
        return {meter.code: meter for meter in meters}

    @api.model
    def _find_agreements(self, company, references):
        """Return ``{number or id:7: (agreement id, account id)}``."""
        references = {reference for reference in references if reference}
        if not references:
            return {}
        ids = self._get_ids(references)
        agreements = self.env["crm.billing.agreement"].search(
            fields.Domain("company_id", "=", company.id)
            & (
                fields.Domain("name", "in", list(references))
                | fields.Domain("id", "in", list(ids.values()))
            )
        )
        found = {}
        for agreement in agreements:
            values = (agreement.id, agreement.partner_id.id)
            found[agreement.name] = found[f"id:{agreement.id}"] = values
        return found

    @api.model
    def _find_accounts(self, company, references):
        """Return ``{reference: account id}`` of what names exactly one account.

        Looks at the customer code first, then at the VAT, then at external ids. Two
        accounts of one code name nobody: better shown than billed to the wrong one.
        """
        references = {reference for reference in references if reference}
        if not references:
            return {}
        found = defaultdict(set)
        partners = self.env["res.partner"].with_context(active_test=False)
        domain = fields.Domain("company_id", "in", (False, company.id))
        ids = self._get_ids(references)
        for partner in partners.search(
            domain & fields.Domain("id", "in", list(ids.values()))
        ):
            found[f"id:{partner.id}"].add(partner.commercial_partner_id.id)
        for name, references_left in (("ref", references), ("vat", references)):
            values = self._get_spellings(references_left - found.keys())
            coded = partners.search(
                domain & fields.Domain(name, "in", list(values)), order="id"
            )
            for partner in coded:
                for reference in values[partner[name]]:
                    found[reference].add(partner.commercial_partner_id.id)
        for reference, partner in self._find_external(references - found.keys()):
            found[reference].add(partner.commercial_partner_id.id)
        return {
            reference: accounts.pop()
            for reference, accounts in found.items()
            if len(accounts) == 1
        }

    @api.model
    def _get_ids(self, references):
        return {
            reference: int(match[1])
            for reference in references
            if (match := BY_ID.fullmatch(reference))
        }

    @api.model
    def _get_spellings(self, references):
        """Return ``{spelling: references}``: a VAT is written in many ways."""
        spellings = defaultdict(set)
        for reference in references:
            spellings[reference].add(reference)
            spellings[re.sub(r"[\s.-]", "", reference).upper()].add(reference)
        return spellings

    @api.model
    def _find_external(self, references):
        """Yield ``(external id, partner)``."""
        names = [name for name in references if EXTERNAL_ID.fullmatch(name)]
        if not names:
            return
        data = self.env["ir.model.data"].search(
            [
                ("model", "=", "res.partner"),
                ("module", "in", [name.split(".", 1)[0] for name in names]),
                ("name", "in", [name.split(".", 1)[1] for name in names]),
            ]
        )
        for row in data:
            partner = self.env["res.partner"].browse(row.res_id).exists()
            if row.complete_name in names and partner:
                yield row.complete_name, partner

    @api.model
    def _find_zones(self, company, accounts, agreements):
        """Return ``{account id or None: time zone}``."""
        ids = {*accounts.values(), *(partner for _id, partner in agreements.values())}
        default = company.billing_tz or "UTC"
        zones = defaultdict(lambda: default)
        for partner in self.env["res.partner"].browse(ids):
            zones[partner.id] = partner.billing_tz or default
        return zones

    # === BUSINESS METHODS - WHICH LINE === #

    def _assign(self):
        """Look anew for meter, account and line of events that nobody billed yet."""
        usage = self.sudo().with_context(active_test=False)
        for company, events in usage.grouped("company_id").items():
            events._assign_meters(company)
            events._assign_accounts(company)
        usage._assign_lines()

    def _assign_meters(self, company):
        unknown = self.filtered(lambda event: not event.meter_id)
        meters = self._find_meters(company, set(unknown.mapped("meter_code")))
        for code, events in unknown.grouped("meter_code").items():
            if code in meters:
                events.meter_id = meters[code]

    def _assign_accounts(self, company):
        unknown = self.filtered(lambda event: not event.partner_id)
        accounts = self._find_accounts(
            company, set(unknown.mapped("account_ref")) - {False}
        )
        agreements = self._find_agreements(
            company, set(unknown.mapped("agreement_ref")) - {False}
        )
        for event in unknown:
            agreement_id, account_id = agreements.get(
                event.agreement_ref, (False, False)
            )
            if event.account_ref:
                account_id = accounts.get(event.account_ref, False)
            if account_id:
                values = {"partner_id": account_id, "agreement_id": agreement_id}
                event.with_context(usage_flow=FOUND).write(values)
        unknown._compute_days()

    def _compute_days(self):
        """Tell the local day anew: it hangs on the zone of the account."""
        self.flush_recordset()
        for partner, events in self.grouped("partner_id").items():
            for event in events:
                company = event.company_id
                if event.is_whole_day:
                    continue
                tz = partner.billing_tz or company.billing_tz or "UTC"
                day = local_day(event.occurred_at, tz)
                if day != event.usage_date:
                    event.with_context(usage_flow=FOUND).write({"usage_date": day})

    def _correct_assignment(self, vals):
        """A person said whose the events are: believe it over what was sent."""
        usage = self.sudo()
        if vals.get("agreement_id"):
            for event in usage:
                event.with_context(usage_flow=FOUND).write(
                    {
                        "agreement_ref": event.agreement_id.name,
                        "partner_id": event.agreement_id.partner_id.id,
                    }
                )
        usage._compute_days()
        usage._assign_lines()

    def _assign_lines(self):
        """Give each event the one line that served its account on its day.

        A billed event that moves to another line leaves its period to be rated again.
        """
        if not self.ids:
            return
        self._flush_for_sql()
        rows = self.env.execute_query(
            SQL(
                """
                UPDATE crm_billing_usage AS usage
                   SET line_id = target.line_id, period_id = NULL,
                       agreement_id = CASE WHEN usage.agreement_ref IS NULL
                                           THEN target.agreement_id
                                           ELSE usage.agreement_id END
                  FROM (%s) AS target
                 WHERE usage.id = target.id
                   AND usage.line_id IS DISTINCT FROM target.line_id
             RETURNING target.old_period_id
                """,
                self._get_target_query(
                    SQL("crm_billing_usage"), SQL("WHERE event.id = ANY(%s)", self.ids)
                ),
            )
        )
        self.invalidate_model(flush=False)
        left = {period for (period,) in rows if period}
        self.env["crm.billing.period"].sudo().browse(left)._ask_rating()
        self._mark_late()

    @api.model
    def _get_target_query(self, source, where):
        """Return the line of each event of a source; several that fit are none."""
        return SQL(
            """
            SELECT event.id, min(event.period_id) AS old_period_id,
                   CASE WHEN count(line.id) = 1 THEN min(line.id) END AS line_id,
                   CASE WHEN count(line.id) = 1 THEN min(line.agreement_id) END
                        AS agreement_id
              FROM %s AS event
         LEFT JOIN (crm_billing_agreement_line AS line
                    JOIN crm_billing_agreement AS agreement
                      ON agreement.id = line.agreement_id AND %s)
                ON line.meter_id = event.meter_id
               AND line.billing_method = 'usage'
               AND agreement.partner_id = event.partner_id
               AND agreement.company_id = event.company_id
               AND (event.agreement_ref IS NULL OR agreement.id = event.agreement_id)
               AND line.start_date <= event.usage_date
               AND COALESCE(line.end_date, 'infinity') >= event.usage_date
               AND COALESCE(agreement.end_date, 'infinity') >= event.usage_date
                %s
          GROUP BY event.id
            """,
            source,
            SERVED,
            where,
        )

    @api.model
    def _take_back(self, company, keys):
        """Let what is cancelled count nothing.

        :param keys: ``(meter code, event id)`` of the cancelled events
        """
        if not keys:
            return
        rows = self.env.execute_query(
            SQL(
                """
                UPDATE crm_billing_usage AS usage SET is_void = TRUE
                 WHERE company_id = %s AND (meter_code, event_uid) IN %s
                   AND is_void IS NOT TRUE
             RETURNING period_id
                """,
                company.id,
                tuple(keys),
            )
        )
        self.invalidate_model(["is_void"], flush=False)
        billed = {period for (period,) in rows if period}
        self.env["crm.billing.period"].sudo().browse(billed)._ask_rating()

    @api.model
    def _find_taken_back(self, company, keys):
        """Return which keys are cancelled already: the cancel may come first."""
        if not keys:
            return set()
        rows = self.env.execute_query(
            SQL(
                """
                SELECT meter_code, cancels_uid FROM crm_billing_usage
                 WHERE company_id = %s AND cancels_uid IS NOT NULL
                   AND meter_code = ANY(%s) AND cancels_uid = ANY(%s)
                """,
                company.id,
                list({code for code, _uid in keys}),
                [uid for _code, uid in keys],
            )
        )
        return set(rows)

    def _mark_late(self):
        """Mark what came after its period was billed, and ask to rate that again (4.8).

        What a period covers that was imported as billed is billed.
        """
        if not self.ids:
            return
        self._flush_for_sql()
        periods = self._find_billed_periods()
        if not periods:
            return
        rows = self.env.execute_query(
            SQL(
                """
                UPDATE crm_billing_usage AS usage
                   SET is_late = TRUE,
                       period_id = CASE WHEN NOT period.is_rated THEN period.id END,
                       is_held = usage.is_held OR (NOT usage.is_late AND period.is_rated
                           AND COALESCE(meter.late_days, 0) > 0
                           AND usage.received_at::date
                               > period.date_to + meter.late_days)
                  FROM (SELECT id, line_id, date_from, date_to,
                               explanation->'inputs'->'model' IS NOT NULL AS is_rated
                          FROM crm_billing_period
                         WHERE id IN %s) AS period, crm_billing_meter AS meter
                 WHERE usage.id = ANY(%s) AND usage.period_id IS NULL
                   AND NOT usage.is_void
                   AND period.line_id = usage.line_id
                   AND usage.usage_date >= period.date_from
                   AND usage.usage_date < period.date_to
                   AND meter.id = usage.meter_id
             RETURNING period.id, NOT usage.is_held AND period.is_rated
                """,
                tuple(periods),
                self.ids,
            )
        )
        self.invalidate_model(flush=False)
        due = {period for period, is_due in rows if is_due}
        self.env["crm.billing.period"].sudo().browse(due)._ask_rating()

    def _find_billed_periods(self):
        """Return ids of the ledger rows that could cover one of the events."""
        rows = self.env.execute_query(
            SQL(
                """
                  WITH served AS (
                       SELECT line_id, min(usage_date) AS first_day
                         FROM crm_billing_usage
                        WHERE id = ANY(%s) AND line_id IS NOT NULL
                     GROUP BY line_id)
                SELECT period.id FROM crm_billing_period AS period
                  JOIN served ON served.line_id = period.line_id
                 WHERE period.kind = 'usage' AND period.date_to > served.first_day
                """,
                self.ids,
            )
        )
        return [row_id for (row_id,) in rows]

    def _flush_for_sql(self):
        self.flush_model()
        self.env["crm.billing.agreement"].flush_model()
        self.env["crm.billing.agreement.line"].flush_model()
        self.env["crm.billing.period"].flush_model()

    @api.model
    def _reassign(self, lines):
        """Find the lines anew of what ``lines`` bill or could bill."""
        lines = lines.filtered(lambda line: line.billing_method == "usage")
        if not lines:
            return
        self._flush_for_sql()
        ids = self.env.execute_query(
            SQL(
                """
                SELECT usage.id FROM crm_billing_usage AS usage
                 WHERE usage.line_id = ANY(%(lines)s)
                   AND NOT EXISTS (
                       SELECT FROM crm_billing_agreement_line AS line
                         JOIN crm_billing_agreement AS agreement
                           ON agreement.id = line.agreement_id AND %(served)s
                        WHERE line.id = usage.line_id
                          AND line.meter_id = usage.meter_id
                          AND usage.usage_date BETWEEN line.start_date
                              AND LEAST(line.end_date, agreement.end_date, 'infinity'))
                 UNION
                SELECT usage.id FROM crm_billing_usage AS usage
                  JOIN crm_billing_agreement_line AS line
                    ON line.id = ANY(%(lines)s) AND line.meter_id = usage.meter_id
                  JOIN crm_billing_agreement AS agreement
                    ON agreement.id = line.agreement_id AND %(served)s
                   AND agreement.partner_id = usage.partner_id
                 WHERE usage.line_id IS NULL
                """,
                lines=lines.ids,
                served=SERVED,
            )
        )
        self.sudo().browse(row_id for (row_id,) in ids)._assign_lines()

    @api.model
    def _cron_assign(self):
        """Once a night: accounts and meters that were unknown may be known by now."""
        usage = self.sudo().with_context(active_test=False)
        usage.search([("state", "=", "unassigned")])._assign()
        # An event and its cancel that came at the same moment did not see each other.
        recent = [("cancels_uid", "!=", False), ("received_at", ">=", "today -3d")]
        for company, cancels in usage.search(recent).grouped("company_id").items():
            usage._take_back(
                company, {(one.meter_code, one.cancels_uid) for one in cancels}
            )


class ResPartner(models.Model):
    _inherit = "res.partner"

    def write(self, vals):
        """Override: in another zone, what is not billed yet may be another day's."""
        result = super().write(vals)
        if "billing_tz" in vals:
            # Whoever may set the zone moves the events, which the flow writes.
            usage = self.env["crm.billing.usage"].sudo()
            waiting = usage.search(
                [
                    ("partner_id", "in", self.commercial_partner_id.ids),
                    ("period_id", "=", False),
                ]
            )
            waiting._compute_days()
            waiting._assign_lines()
        return result
