from odoo import fields, models

SOURCES = [
    ("agreement", "Agreements"),
    ("usage", "Usage"),
    ("milestone", "Milestones"),
    ("renewal", "Renewals"),
    ("document", "Drafts and Invoices of the Day"),
    ("open", "Open Items"),
]
# The measures of a line, company currency.
MEASURES = (
    "invoiced_low",
    "invoiced",
    "invoiced_high",
    "cash_low",
    "cash",
    "cash_high",
    "amount_open",
)


class CrmBillingForecastLine(models.Model):
    """What one snapshot expects on one day: invoices before tax, money with tax.

    Amounts are in the company's currency at the rate of the snapshot. The three cases
    of money differ in the day, so they meet on one line only where the days do.
    """

    _name = "crm.billing.forecast.line"
    _description = "Expected Invoice or Payment"
    _order = "date, id"

    forecast_id = fields.Many2one(
        "crm.billing.forecast", required=True, readonly=True, ondelete="cascade"
    )
    company_id = fields.Many2one("res.company", required=True, readonly=True)
    company_currency_id = fields.Many2one(
        related="company_id.currency_id", string="Company Currency"
    )
    source = fields.Selection(SOURCES, required=True, readonly=True)
    date = fields.Date(required=True, readonly=True)
    partner_id = fields.Many2one(
        "res.partner", string="Account", readonly=True, ondelete="set null"
    )
    user_id = fields.Many2one("res.users", string="Salesperson", readonly=True)
    team_id = fields.Many2one("crm.team", string="Sales Team", readonly=True)
    currency_id = fields.Many2one("res.currency", readonly=True)
    agreement_id = fields.Many2one(
        "crm.billing.agreement", readonly=True, ondelete="cascade"
    )
    move_id = fields.Many2one("account.move", readonly=True, ondelete="set null")
    invoiced_low = fields.Monetary(currency_field="company_currency_id", readonly=True)
    invoiced = fields.Monetary(currency_field="company_currency_id", readonly=True)
    invoiced_high = fields.Monetary(currency_field="company_currency_id", readonly=True)
    cash_low = fields.Monetary(currency_field="company_currency_id", readonly=True)
    cash = fields.Monetary(currency_field="company_currency_id", readonly=True)
    cash_high = fields.Monetary(currency_field="company_currency_id", readonly=True)
    amount_open = fields.Monetary(
        currency_field="company_currency_id",
        readonly=True,
        help="What the ledger had open on the evening before.",
    )

    _forecast_idx = models.Index("(forecast_id, date)")
    _agreement_idx = models.Index("(agreement_id) WHERE agreement_id IS NOT NULL")
    _move_idx = models.Index("(move_id) WHERE move_id IS NOT NULL")
    _partner_idx = models.Index("(partner_id) WHERE partner_id IS NOT NULL")
