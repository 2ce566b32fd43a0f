from odoo import fields, models


class CrmDunningBacktestLine(models.Model):
    """One thing that a policy would have done on one day of the past."""

    _name = "crm.dunning.backtest.line"
    _description = "Back-tested Action"
    _order = "date, id"
    _rec_name = "partner_id"

    backtest_id = fields.Many2one(
        "crm.dunning.backtest", required=True, index=True, ondelete="cascade"
    )
    company_id = fields.Many2one(
        related="backtest_id.company_id", store=True, precompute=True, index=True
    )
    company_currency_id = fields.Many2one(
        related="company_id.currency_id", string="Company Currency"
    )
    partner_id = fields.Many2one(
        "res.partner", string="Account", required=True, index=True, ondelete="cascade"
    )
    user_id = fields.Many2one(
        related="partner_id.user_id", string="Salesperson", store=True, precompute=True
    )
    date = fields.Date(required=True, help="Local date of the account.")
    action = fields.Selection(
        [
            ("mail", "Mail"),
            ("person", "To a person"),
            ("activity", "Activity"),
            ("hold", "Credit hold"),
            ("letter", "Letter"),
            ("retry", "Try to charge"),
            ("charge", "Charge"),
        ],
        required=True,
    )
    step_id = fields.Many2one("crm.dunning.step", ondelete="set null")
    stage = fields.Integer(
        string="Day", aggregator=None, help="Days of the step from the due date."
    )
    tone = fields.Selection("_get_tones")
    invoice_count = fields.Integer(string="Instalments")
    is_after_payment = fields.Boolean(
        string="After Payment",
        help="The money had come by then and was matched only later: this would have "
        "annoyed a customer who had paid.",
    )
    after_payment_count = fields.Integer(string="After Payment (Count)")
    currency_id = fields.Many2one("res.currency", required=True)
    amount = fields.Monetary(aggregator=None, help="What it would have asked for.")
    amount_company = fields.Monetary(
        string="Asked For", currency_field="company_currency_id"
    )

    def _get_tones(self):
        return (
            self.env["crm.dunning.step"]
            ._fields["tone"]
            ._description_selection(self.env)
        )
