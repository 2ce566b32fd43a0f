from odoo import api, fields, models
from odoo.exceptions import UserError

KINDS = [
    ("paid", "Has paid already"),
    ("problem", "There is a problem"),
    ("promise", "Will pay"),
]
PROBLEMS = [
    ("amount", "The amount is not right"),
    ("delivery", "Something was not delivered or does not work"),
    ("order", "An order number or reference is missing or wrong"),
    ("addressee", "It is addressed to the wrong company or person"),
    ("cancelled", "It was cancelled or credited"),
    ("other", "Something else"),
]


class CrmDunningAnswer(models.Model):
    """What a customer said about an invoice in the portal; a form is heard once.

    Rows are added by :meth:`account.move._answer` and never changed.
    """

    _name = "crm.dunning.answer"
    _description = "Answer of a Customer"
    _order = "id desc"
    _rec_name = "kind"

    key = fields.Char(
        required=True, readonly=True, help="Of the form: sent twice, it counts once."
    )
    kind = fields.Selection(KINDS, required=True, readonly=True)
    move_id = fields.Many2one(
        "account.move",
        string="Invoice",
        required=True,
        readonly=True,
        index=True,
        ondelete="cascade",
    )
    case_id = fields.Many2one("crm.dunning.case", readonly=True, index=True)
    company_id = fields.Many2one(
        related="move_id.company_id", store=True, index=True, precompute=True
    )
    currency_id = fields.Many2one(
        related="move_id.currency_id", store=True, precompute=True
    )
    partner_id = fields.Many2one(
        "res.partner", string="Who", required=True, readonly=True
    )
    by_link = fields.Boolean(readonly=True, help="Came with the link, not signed in.")
    date = fields.Date(
        readonly=True, help="Day on which it was paid, or will be (local)."
    )
    amount = fields.Monetary(readonly=True)
    reference = fields.Char(readonly=True)
    problem = fields.Selection(PROBLEMS, readonly=True)
    text = fields.Text(readonly=True)

    _key_uniq = models.UniqueIndex("(move_id, key)", "This answer was heard already.")

    # === CRUD METHODS === #

    def write(self, vals):
        """Refuse: what somebody said stays said."""
        if self:
            raise UserError(self.env._("Answers of customers cannot be changed."))
        return super().write(vals)

    # === BUSINESS METHODS === #

    def _describe(self):
        """Return what was said in one text, for people who work the case."""
        self.ensure_one()
        _ = self.env._
        facts = [dict(self._fields["kind"]._description_selection(self.env))[self.kind]]
        if self.problem:
            problems = self._fields["problem"]._description_selection(self.env)
            facts.append(dict(problems)[self.problem])
        if self.date:
            facts.append(_("on %(date)s", date=fields.Date.to_string(self.date)))
        if self.amount:
            facts.append(self.currency_id.format(self.amount))
        if self.reference:
            facts.append(_("reference %(text)s", text=self.reference))
        if self.text:
            facts.append(self.text)
        return ": ".join(facts[:1] + [", ".join(facts[1:])] if facts[1:] else facts)

    @api.model
    def _get_problem_labels(self):
        return self._fields["problem"]._description_selection(self.env)
