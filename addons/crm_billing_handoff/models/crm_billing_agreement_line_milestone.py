from datetime import timedelta
from decimal import Decimal

from odoo import api, fields, models
from odoo.exceptions import ValidationError
from odoo.fields import Command

from ..billing_rules.allocation import exact, round_money
from ..billing_rules.milestones import find_problem, get_deposit, get_recovery
from .crm_billing_agreement_due import Due

RECOVERIES = [
    ("pro_rata", "With each milestone, in proportion"),
    ("first", "From the first milestones"),
    ("last", "From the last milestones"),
]


class CrmBillingAgreementLine(models.Model):
    """A contract that is billed by milestones, with its deposit (billing rules, 5)."""

    _inherit = "crm.billing.agreement.line"

    milestone_ids = fields.One2many(
        "crm.billing.milestone", "line_id", string="Milestones"
    )
    shares = fields.Boolean(
        help="The weights of the milestones are shares and need not sum to 100."
    )
    deposit_percent = fields.Float(
        string="Deposit (%)",
        digits=(16, 6),
        help="Of the contract, invoiced when the agreement starts.",
    )
    deposit_amount = fields.Monetary(
        string="Deposit", help="Before tax; takes the place of the percentage."
    )
    deposit_recovery = fields.Selection(
        RECOVERIES, string="Deposit Comes Back", default="pro_rata", required=True
    )
    deposit_date = fields.Date(
        readonly=True, copy=False, help="The day the deposit is billed."
    )

    # === CONSTRAINT METHODS === #

    @api.constrains("deposit_percent", "deposit_amount")
    def _check_deposit(self):
        for line in self:
            if not 0 <= line.deposit_percent <= 100 or line.deposit_amount < 0:
                raise ValidationError(
                    self.env._(
                        "A deposit is between 0 and 100 percent of the contract."
                    )
                )

    # === BUSINESS METHODS - START === #

    def _get_gaps(self):
        """Override to refuse milestones that do not add up to the contract."""
        gaps = super()._get_gaps()
        if self.billing_method != "milestone":
            return gaps
        total = self._get_contract()
        rules = [entry._to_rule() for entry in self._get_milestones()]
        if problem := find_problem(total, rules, self._has_shares()):
            gaps.append(self._describe_problem(problem))
        try:
            self._get_planned_deposit()
        except ValueError:
            gaps.append(self.env._("the deposit is above the contract: lower it"))
        return gaps

    def _describe_problem(self, problem):
        _ = self.env._
        return {
            "empty": _("enter its milestones"),
            "weight": _("give every milestone a positive percentage or share"),
            "fixed": _("an amount of a milestone is negative"),
            "over": _("the fixed amounts are above the contract: lower them"),
            "rest": _(
                "the fixed amounts do not add up to the contract: add a milestone for "
                "the rest"
            ),
            "percent": _(
                "the percentages sum to %(sum)s, not to 100: correct them, or mark the "
                "list as shares",
                sum=f"{sum(self._get_milestones().mapped('weight')):g}",
            ),
        }[problem]

    def _has_shares(self):
        kinds = set(self._get_milestones().mapped("kind")) - {"fixed"}
        return self.shares or kinds == {"share"}

    def _resolve_dates(self):
        """Override to bill the deposit on the day of the confirmation."""
        result = super()._resolve_dates()
        for line in self:
            if line.billing_method == "milestone" and not line.deposit_date:
                line.deposit_date = line.agreement_id._get_today()
        return result

    def _link_sale_milestones(self):
        """Take over the milestones typed on the quotation lines, else on the deal."""
        for line in self.filtered(lambda line: line.billing_method == "milestone"):
            agreement, source = line.agreement_id, line.sale_line_id
            milestones = source.billing_milestone_ids
            others = agreement.line_ids - line
            if not milestones and "milestone" not in others.mapped("billing_method"):
                deal = agreement.lead_id.billing_milestone_ids
                milestones = deal._filtered_of_deal()
            milestones.filtered(lambda entry: not entry.line_id)._attach(line)
            order = source.order_id
            if order.billing_retention_percent and not agreement.retention_percent:
                agreement.retention_percent = order.billing_retention_percent
                agreement.retention_base = order.billing_retention_base

    # === BUSINESS METHODS - WHAT IS DUE === #

    def _get_milestones(self):
        return self.milestone_ids.filtered("active").sorted("sequence")

    def _get_contract(self):
        """Return the whole contract before tax, rounded to the currency."""
        self.ensure_one()
        share = 1 - exact(self.discount) / 100
        total = exact(self.price_unit) * exact(self.quantity) * share
        return round_money(total, self._get_step())

    def _get_planned_deposit(self):
        """Return the deposit of the contract.

        :raise ValueError: it is above the contract
        """
        return get_deposit(
            self._get_contract(),
            exact(self.deposit_percent),
            exact(self.deposit_amount),
            self._get_step(),
        )

    def _get_deposit_rows(self):
        return self.period_ids.filtered(lambda row: row.kind == "deposit")

    def _get_open_deposit(self):
        """Return what was billed as deposit and has not come back yet."""
        rows = self._get_deposit_rows()
        return sum((exact(row.amount) for row in rows | rows.credit_ids), Decimal(0))

    def _is_deposit_due(self):
        return bool(
            self.deposit_date
            and (self.deposit_percent or self.deposit_amount)
            and not self._get_deposit_rows()
        )

    def _get_due_milestone(self, until, facts):
        """Override: the deposit, then what is done with its part of the deposit."""
        self.ensure_one()
        dues, open_deposit = [], max(self._get_open_deposit(), Decimal(0))
        if self._is_deposit_due() and self.deposit_date <= until:
            deposit = self._get_planned_deposit()
            if deposit:
                dues.append(self._to_due_deposit(deposit))
            open_deposit += deposit
        milestones = self._get_milestones()
        left = milestones.filtered(lambda entry: entry.state != "invoiced")
        to_invoice = sum((exact(entry.amount) for entry in left), Decimal(0))
        done = left.filtered(lambda entry: entry.done_date and entry.done_date <= until)
        for milestone in done.sorted(lambda entry: (entry.done_date, entry.sequence)):
            amount = exact(milestone.amount)
            recovery = get_recovery(
                open_deposit,
                amount,
                to_invoice,
                self.deposit_recovery,
                self._get_step(),
            )
            dues.append(self._to_due_milestone(milestone, amount))
            if recovery:
                dues.append(
                    self._to_due_recovery(milestone, recovery, open_deposit, to_invoice)
                )
            open_deposit -= recovery
            to_invoice -= amount
        return dues

    def _get_next_date_milestone(self, facts):
        """Override: the day of the deposit, or of what is done and not billed."""
        self.ensure_one()
        days = self._get_milestones().filtered(lambda entry: entry.state == "done")
        days = days.mapped("done_date")
        if self._is_deposit_due():
            days.append(self.deposit_date)
        return min(days, default=None)

    def _to_due_event(self, kind, day, amount, explanation, milestone=None):
        vals = {
            "line_id": self.id,
            "kind": kind,
            "date_from": day,
            "date_to": day + timedelta(days=1),
            "amount": amount,
            "factor": "1",
            "explanation": {**explanation, "amount": str(amount)},
        }
        if milestone:
            vals |= {"milestone_id": milestone.id, "note": milestone.name}
        return Due(self, day, vals)


class CrmBillingAgreement(models.Model):
    _inherit = "crm.billing.agreement"

    milestone_ids = fields.One2many(
        "crm.billing.milestone", "agreement_id", string="Milestones"
    )

    @api.depends(
        "line_ids.deposit_date",
        "line_ids.deposit_percent",
        "line_ids.deposit_amount",
        "line_ids.milestone_ids.active",
        "line_ids.milestone_ids.done_date",
        "line_ids.milestone_ids.state",
    )
    def _compute_next_invoice(self):
        """Override: what is done is due."""
        return super()._compute_next_invoice()

    def action_start(self):
        """Override to remind of the milestones from now on."""
        result = super().action_start()
        self.milestone_ids._plan_task()
        return result

    def _has_open_work(self):
        """Override: an agreement lasts until its last milestone is billed."""
        if super()._has_open_work():
            return True
        states = ("done",) if self.cancel_date else ("open", "done")
        lines = self.line_ids.filtered(lambda line: line.billing_method == "milestone")
        return any(entry.state in states for entry in lines._get_milestones())

    def _group_dues(self, dues):
        """Override: without shared invoices each milestone has its own (5.3)."""
        documents = super()._group_dues(dues)
        if self._shares_invoices():
            return documents
        result = []
        for document in documents:
            by_milestone = {}
            for row in document.rows:
                by_milestone.setdefault(row.vals.get("milestone_id"), []).append(row)
            first = True
            for rows in by_milestone.values():
                copy = (
                    document if first else type(document)(self, document.billing_date)
                )
                copy.rows, first = rows, False
                result.append(copy)
        return result

    def _to_papers(self, document, today, cache):
        """Override to keep milestones apart that share no invoice."""
        for key, paper in super()._to_papers(document, today, cache):
            milestones = [row.vals.get("milestone_id") or 0 for row in document.rows]
            own = () if self._shares_invoices() else (max(milestones, default=0),)
            yield (*key, *own), paper

    @api.model
    def _prepare_paper(self, paper, cache):
        """Override to print a heading over each of several milestones (5.3)."""
        header = super()._prepare_paper(paper, cache)
        rows = iter(paper.rows)
        if sum(row.vals["kind"] == "milestone" for row in paper.rows) < 2:
            return header
        commands = []
        for command in header["invoice_line_ids"]:
            vals = command[2]
            if not vals.get("display_type"):
                row = next(rows)
                if row.vals["kind"] == "milestone":
                    name = row.vals.get("note") or row.line.name
                    commands.append(
                        Command.create({"display_type": "line_section", "name": name})
                    )
            commands.append(command)
        for sequence, command in enumerate(commands, start=1):
            command[2]["sequence"] = sequence
        header["invoice_line_ids"] = commands
        return header
