from ast import literal_eval
from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

from odoo import api, fields, models
from odoo.exceptions import ValidationError
from odoo.fields import Domain


@dataclass
class Subject:
    """What is to be billed, to whom: the records that readiness rules look at.

    ``lead`` and ``orders`` are empty when an account is looked at by itself.
    """

    company: Any
    lead: Any
    account: Any
    payer: Any
    orders: Any
    gaps: list[dict] = field(default_factory=list)


def blocking(gaps):
    """Return the gaps that block; the others only warn."""
    return [gap for gap in gaps if gap["level"] == "block"]


def list_blocking(gaps):
    """Return what blocks, a line each, for an error that a person reads."""
    return "\n".join(f"- {gap['name']}: {gap['why']}" for gap in blocking(gaps))


class CrmBillingReadinessRule(models.Model):
    """One thing that must be there before a deal is billed.

    A rule is data, never code: a field that must have a value, or a literal domain that
    must match. :meth:`_evaluate` applies all rules to many subjects at once and is what
    the opportunity, the account and the handoff show.
    """

    _name = "crm.billing.readiness.rule"
    _description = "Billing Readiness Rule"
    _order = "sequence, id"
    _check_company_auto = True

    name = fields.Char(required=True, translate=True)
    sequence = fields.Integer(default=10)
    active = fields.Boolean(default=True)
    company_id = fields.Many2one("res.company", help="Empty: for all companies.")
    check_model = fields.Selection(
        [
            ("crm.lead", "Opportunity"),
            ("res.partner", "Account or payer"),
            ("sale.order", "Quotation"),
        ],
        required=True,
        default="res.partner",
        string="Checks",
    )
    partner_role = fields.Selection(
        [("account", "The account that buys"), ("payer", "The account that pays")],
        default="account",
        required=True,
    )
    field_path = fields.Char(
        help="A field that must have a value, such as country_id or "
        "billing_contact_id.email."
    )
    domain = fields.Char(
        help="A condition that must hold, such as [('vat', '!=', False)]. Only literal "
        "values; dates may be relative, such as 'today'."
    )
    applies_domain = fields.Char(
        string="Only For",
        help="A condition on the same record under which the rule counts at all.",
    )
    link_path = fields.Char(
        string="Open",
        help="The record where the gap is closed, such as "
        "partner_id.commercial_partner_id. Empty: the checked record itself.",
    )
    level = fields.Selection(
        [("block", "Blocks"), ("warn", "Warns")], required=True, default="block"
    )
    fixed_by = fields.Selection(
        [("sales", "Sales"), ("billing", "Billing")], required=True, default="sales"
    )
    message = fields.Text(
        required=True,
        translate=True,
        help="Why it matters and what to do, for the person who fixes it.",
    )

    # === CONSTRAINT AND ONCHANGE METHODS === #

    @api.constrains(
        "check_model", "field_path", "domain", "applies_domain", "link_path"
    )
    def _check_rule(self):
        """Refuse a rule that could not be evaluated, and say what is wrong with it."""
        for rule in self:
            if bool(rule.field_path) == bool(rule.domain):
                raise ValidationError(
                    self.env._(
                        "%(rule)s: give either a field that must have a value or a "
                        "condition that must hold.",
                        rule=rule.name,
                    )
                )
            try:
                rule._check_field_path()
                sample = self.env[rule.check_model]
                for domain in (rule.domain, rule.applies_domain):
                    if domain:
                        parsed = Domain(rule._parse_domain(domain))
                        parsed.validate(sample)
                        # Evaluation happens in Python: try it as it will be done.
                        sample.new({}).filtered_domain(parsed)
            except Exception as error:
                # Whatever makes a rule fail at save would make it fail at every win.
                raise ValidationError(
                    self.env._(
                        "%(rule)s cannot be evaluated: %(error)s. Correct the field or "
                        "the condition.",
                        rule=rule.name,
                        error=error,
                    )
                ) from error

    def _check_field_path(self):
        self._check_path(self.field_path)
        if self.link_path and self._check_path(self.link_path) is None:
            raise ValueError(
                self.env._("%(path)s leads to no record", path=self.link_path)
            )

    def _check_path(self, path):
        """Return the model that ``path`` leads to, ``None`` for a plain value."""
        model = self.env[self.check_model]
        for name in path.split(".") if path else ():
            if model is None or name not in model._fields:
                raise ValueError(self.env._("there is no field %(path)s", path=path))
            relation = model._fields[name].comodel_name
            model = self.env[relation] if relation else None
        return model

    @api.model
    def _parse_domain(self, domain):
        """Return a domain as a list; only literals, so that nothing is ever run."""
        parsed = literal_eval(domain)
        if not isinstance(parsed, list):
            raise ValueError(self.env._("a condition is a list of terms"))
        return parsed

    @api.onchange("check_model")
    def _onchange_check_model(self):
        """Empty what was chosen from the fields of another model."""
        self.update(
            dict.fromkeys(
                ["field_path", "domain", "applies_domain", "link_path"], False
            )
        )

    # === CRUD METHODS === #

    @api.model_create_multi
    def create(self, vals_list):
        rules = super().create(vals_list)
        self.env["crm.billing.handoff"]._wake_all_blocked()
        return rules

    def write(self, vals):
        result = super().write(vals)
        self.env["crm.billing.handoff"]._wake_all_blocked()
        return result

    def unlink(self):
        result = super().unlink()
        self.env["crm.billing.handoff"]._wake_all_blocked()
        return result

    # === BUSINESS METHODS === #

    @api.model
    def _get_account_gaps(self, partners):
        """Return ``{partner: gaps}`` of accounts by themselves, without a deal.

        Of a form that is being edited the unsaved values count.
        """
        subjects = {}
        for partner in partners:
            account = partner._get_live_account()
            subjects[partner] = Subject(
                company=self.env.company,
                lead=self.env["crm.lead"],
                account=account,
                payer=account.bill_to_id.commercial_partner_id or account,
                orders=self.env["sale.order"],
            )
        for subject in subjects.values():
            self.env["crm.lead"]._add_gaps(
                subject, self.env["crm.lead"]._find_account_obstacles(subject)
            )
        self._evaluate(subjects.values())
        return {partner: subject.gaps for partner, subject in subjects.items()}

    @api.model
    def _evaluate(self, subjects):
        """Append to each subject's ``gaps`` what the active rules find missing.

        The records are read as superuser: what is missing does not depend on who looks.
        """
        by_company = defaultdict(list)
        for subject in subjects:
            by_company[subject.company].append(subject)
        # Everybody's rules count, whatever the viewer may read.
        rules = self.sudo().search([("active", "=", True)])
        for company, company_subjects in by_company.items():
            for rule in rules:
                if not rule.company_id or rule.company_id == company:
                    rule._evaluate_one(company_subjects, company)

    def _evaluate_one(self, subjects, company):
        targets = [self._get_target(subject).sudo() for subject in subjects]
        everything = (
            self.env[self.check_model].sudo().with_company(company).union(*targets)
        )
        failing = everything - self._filtered_ready(everything)
        if not failing:
            return
        for subject, target in zip(subjects, targets, strict=True):
            for record in target & failing:
                subject.gaps.append(self._prepare_gap(record))

    def _get_target(self, subject):
        """Return the records of the subject that this rule looks at."""
        if self.check_model == "crm.lead":
            return subject.lead
        if self.check_model == "sale.order":
            return subject.orders
        return subject.payer if self.partner_role == "payer" else subject.account

    def _filtered_ready(self, records):
        """Return the records that satisfy the rule or that it does not apply to."""
        concerned = records
        if self.applies_domain:
            concerned = records.filtered_domain(self._parse_domain(self.applies_domain))
        if self.field_path:
            ready = concerned.filtered(
                lambda record: all(record.mapped(self.field_path) or [False])
            )
        else:
            ready = concerned.filtered_domain(self._parse_domain(self.domain))
        return (records - concerned) | ready

    def _prepare_gap(self, record):
        """Return one line of the readiness list: field, why, who, link."""
        found = record.mapped(self.link_path)[:1] if self.link_path else record
        linked = found or record
        return {
            "code": f"rule_{self.id}",
            "name": self.name,
            "why": self.message,
            "level": self.level,
            "who": self.fixed_by,
            "model": linked._name,
            "res_id": linked._origin.id or linked.id or False,
            "record": linked.display_name or "",
        }
