from odoo import fields, models


class ResCompany(models.Model):
    """Where the payouts of payment providers are booked."""

    _inherit = "res.company"

    dunning_payout_journal_id = fields.Many2one(
        "account.journal",
        string="Payout Journal",
        domain="[('type', 'in', ('bank', 'general'))]",
        check_company=True,
        help="Takes the draft entries of provider payouts.",
    )
    dunning_payout_account_id = fields.Many2one(
        "account.account",
        string="Payout Account",
        check_company=True,
        help="Debited with what a provider paid out: the account of money on its way, "
        "which the bank statement clears, or the bank account itself where no "
        "statements are imported.",
    )
    dunning_fee_account_id = fields.Many2one(
        "account.account",
        string="Provider Fee Account",
        check_company=True,
        help="Expense account for what payment providers keep.",
    )


class ResConfigSettings(models.TransientModel):
    _inherit = "res.config.settings"

    dunning_payout_journal_id = fields.Many2one(
        related="company_id.dunning_payout_journal_id", readonly=False
    )
    dunning_payout_account_id = fields.Many2one(
        related="company_id.dunning_payout_account_id", readonly=False
    )
    dunning_fee_account_id = fields.Many2one(
        related="company_id.dunning_fee_account_id", readonly=False
    )
