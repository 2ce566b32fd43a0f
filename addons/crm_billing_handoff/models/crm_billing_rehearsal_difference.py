from decimal import Decimal

from odoo import fields, models

from ..billing_rules.allocation import exact
from ..billing_rules.rehearsal import Expected, Situation, compare


class CrmBillingRehearsal(models.Model):
    """What a rehearsal expects otherwise than the one before, by cause."""

    _inherit = "crm.billing.rehearsal"

    def _compare(self):
        """Write the differences to the rehearsal before, on the days of both."""
        self.ensure_one()
        self.difference_ids.unlink()
        previous = self.previous_id
        if not previous:
            return
        first = max(self.date_from, previous.date_from)
        last = min(self.date_until, previous.date_until)
        differences = compare(
            previous._get_expected(),
            self._get_expected(),
            first,
            last,
            self._get_situation(first),
        )
        self.env["crm.billing.rehearsal.difference"].create(
            [self._prepare_difference(difference) for difference in differences]
        )

    def _get_expected(self):
        """Return the lines as facts for the rule; amounts in the company's currency."""
        return [
            Expected(
                chain=line.chain_id.id,
                agreement=line.agreement_id.id,
                kind=line.kind,
                billing_date=line.billing_date,
                amount=exact(line.amount_company),
                price=exact(line.price),
                quantity=exact(line.quantity),
                discount=exact(line.discount),
                factor=line.factor or "1",
            )
            for line in self.line_ids.filtered("kind")
        ]

    def _get_situation(self, first):
        """Return what has become of the lines of the rehearsal before.

        :param first: first billing date that both look at
        """
        before = self.previous_id.line_ids
        agreements = before.agreement_id
        return Situation(
            known=set(before.chain_id.ids),
            billed=self._get_billed_keys(before.chain_id, first),
            ended=self._get_ended_chains(before.line_id),
            paused=set(agreements.filtered(lambda a: a.state == "paused").ids),
            broken=set(self.line_ids.filtered("error").agreement_id.ids),
        )

    def _get_billed_keys(self, chains, first):
        """Return what the ledger has billed since, as keys of the rule."""
        periods = self.env["crm.billing.period"].search(
            [
                ("agreement_id", "in", chains.agreement_id.ids),
                ("date_to", ">", first),
                ("create_date", ">=", self.previous_id.create_date),
            ]
        )
        keys = set()
        for period in periods:
            chain = period.line_id._get_first_of_chain()
            for day in (period.date_from, period.date_to):
                keys.add((chain.id, day, period.kind))
        return keys

    def _get_ended_chains(self, lines):
        """Return the chains that have no line with an open or later end any more."""
        ended = set()
        for line in lines:
            last = line
            while last.successor_id:
                last = last.successor_id
            end = last._get_end()
            over = line.agreement_id.state in ("closed", "cancelled")
            if over or (end and end <= self.date_until):
                ended.add(line._get_first_of_chain().id)
        return ended

    def _prepare_difference(self, difference):
        chain = self.env["crm.billing.agreement.line"].browse(difference.chain)
        return {
            "rehearsal_id": self.id,
            "cause": difference.cause,
            "agreement_id": difference.agreement,
            "line_id": chain.id,
            "kind": difference.kind,
            "billing_date": difference.billing_date,
            "old_amount": float(difference.old),
            "new_amount": float(difference.new),
            "difference": float(Decimal(difference.amount)),
        }


class CrmBillingRehearsalDifference(models.Model):
    """One line on one day that is expected otherwise than in the rehearsal before."""

    _name = "crm.billing.rehearsal.difference"
    _description = "Difference between Rehearsals"
    _order = "billing_date, id"
    _rec_name = "agreement_id"

    rehearsal_id = fields.Many2one(
        "crm.billing.rehearsal", required=True, index=True, ondelete="cascade"
    )
    company_id = fields.Many2one(
        related="rehearsal_id.company_id", store=True, precompute=True, index=True
    )
    currency_id = fields.Many2one(related="company_id.currency_id")
    cause = fields.Selection(
        [
            ("new", "New"),
            ("price", "Price"),
            ("quantity", "Quantity"),
            ("discount", "Discount"),
            ("proration", "Proration and changes"),
            ("usage", "Usage"),
            ("milestone", "Milestones"),
            ("schedule", "Other dates"),
            ("pause", "Paused"),
            ("end", "Ended"),
            ("billed", "Billed meanwhile"),
            ("broken", "Cannot be billed"),
        ],
        required=True,
        index=True,
    )
    agreement_id = fields.Many2one(
        "crm.billing.agreement", required=True, index=True, ondelete="cascade"
    )
    partner_id = fields.Many2one(
        related="agreement_id.partner_id",
        string="Account",
        store=True,
        precompute=True,
    )
    line_id = fields.Many2one(
        "crm.billing.agreement.line", index="btree_not_null", ondelete="cascade"
    )
    kind = fields.Selection(lambda self: self._get_kinds())
    billing_date = fields.Date(string="Billed On", required=True)
    old_amount = fields.Monetary(string="Before")
    new_amount = fields.Monetary(string="Now")
    difference = fields.Monetary()

    def _get_kinds(self):
        return self.env["crm.billing.rehearsal.line"]._get_kinds()
