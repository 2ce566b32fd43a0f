from dataclasses import asdict, dataclass, field
from decimal import Decimal

from odoo import api, fields, models

READER = "account.group_account_invoice"
# What a report is made for; all figures of a report depend on it.
PARAMETER_KEYS = ("billing_as_of", "billing_date_from", "billing_date_to")
# From an invoice to the account it counts for. Its own commercial entity stays the one
# of the day it was made; all reports show the one of today.
ACCOUNT = "commercial_partner_id.commercial_partner_id"


@dataclass
class TieOut:
    """A total of a report beside the figure of the ledger that it must equal.

    :param label: what the report's total is
    :param amount: the report's total
    :param ledger_label: what it is compared with
    :param ledger_amount: the figure of the ledger
    :param currency_id: of both; they are compared at its rounding. False for counts
    :param documents: ``(model, ids)`` of what causes a difference, if there is one
    """

    label: str
    amount: Decimal
    ledger_label: str
    ledger_amount: Decimal
    currency_id: int | bool
    documents: tuple = field(default=())

    @property
    def difference(self):
        return self.amount - self.ledger_amount


class CrmBillingReportMixin(models.AbstractModel):
    """What all reports have: the same filters, and the proof that they tie.

    A report is an SQL model of its own; it selects these columns, and says in
    :meth:`_get_tie_outs` what its totals must equal. What it is made for, a day or a
    period, it is told through the domain (``crm_billing_report_parameters.py``).
    """

    _name = "crm.billing.report.mixin"
    _description = "Billing Report"

    company_id = fields.Many2one("res.company", readonly=True)
    partner_id = fields.Many2one(
        "res.partner",
        string="Account",
        readonly=True,
        help="The commercial entity.",
    )
    user_id = fields.Many2one("res.users", string="Salesperson", readonly=True)
    team_id = fields.Many2one("crm.team", string="Sales Team", readonly=True)
    service_tier_id = fields.Many2one("crm.billing.service.tier", readonly=True)
    currency_id = fields.Many2one("res.currency", readonly=True)
    company_currency_id = fields.Many2one("res.currency", readonly=True)

    # Tells reports from other models, in what works on any of them.
    _is_billing_report = True
    _parameter_fields = ()

    # === BUSINESS METHODS - BANNER === #

    @api.model
    @api.readonly
    def get_report_facts(self, domain):
        """Return what the banner above the report says, for its screen.

        :return: ``dates`` (what the report is made for, False if it has no parameter),
            ``tie_outs`` (:meth:`get_tie_outs`), ``can_export``
        """
        return {
            "dates": self._get_report_dates(domain),
            "tie_outs": self.get_tie_outs(domain),
            "can_export": self.env.user.has_group("base.group_allow_export"),
        }

    @api.model
    def _get_report_dates(self, domain):
        if not self._parameter_fields:
            return False
        model = self._with_parameters(domain)[0]
        as_of, first, last = (
            fields.Date.to_string(model._get_parameter(key) or False)
            for key in PARAMETER_KEYS
        )
        today = fields.Date.to_string(fields.Date.context_today(self))
        return {
            "names": self._parameter_fields,
            "kind": "day" if "as_of" in self._parameter_fields else "period",
            "as_of": as_of or today,
            "date_from": first,
            "date_to": last,
            "is_default": not (as_of or first or last),
        }

    # === BUSINESS METHODS - PRINT === #

    def _is_blank(self, name):
        """Return whether a field says nothing about the row: paper leaves it empty."""
        return False

    # === BUSINESS METHODS - TIE-OUT === #

    @api.model
    def get_tie_outs(self, domain):
        """Return what proves the figures that ``domain`` selects, for the screen.

        Readers of the whole ledger get it, others (a salesperson sees own accounts
        only) get nothing.

        :return: dicts of :class:`TieOut`, amounts as floats, with ``difference`` and
            whether it ``ties``
        """
        self.check_access("read")
        if not self.env.user.has_group(READER):
            return []
        model, domain = self._with_parameters(domain)
        domain = domain.map_conditions(model._resolve_records)
        return [self._format_tie_out(proof) for proof in model._get_tie_outs(domain)]

    @api.model
    def _resolve_records(self, condition):
        """Return a condition on the records that a name or a hierarchy stands for.

        On the path from the ledger's documents they would mean something else: an id
        is not like a name, and by its commercial entity an account has no subsidiary.
        """
        field = self._fields.get(condition.field_expr)
        is_named = isinstance(condition.value, str)
        if field and field.type == "many2one":
            if is_named or condition.operator in ("child_of", "parent_of"):
                return condition.optimize_full(self)
        return condition

    @api.model
    def _get_tie_outs(self, domain):
        """Return a :class:`TieOut` for each company and check; a hook."""
        return []

    @api.model
    def _get_proved(self, found):
        """Return the companies to prove by id, the own one where nothing was found.

        :param found: companies with a figure on either side
        """
        # Of a company that is above the user's branch only the currency is read.
        own = self.env.company.sudo().root_id
        return sorted(found or own, key=lambda company: company.id)

    @api.model
    def _format_tie_out(self, proof):
        values = asdict(proof)
        currency = self.env["res.currency"].browse(proof.currency_id)
        values["difference"] = float(proof.difference)
        # What is counted has no currency.
        values["ties"] = (
            currency.is_zero(values["difference"]) if currency else not proof.difference
        )
        values["amount"] = float(proof.amount)
        values["ledger_amount"] = float(proof.ledger_amount)
        return values
