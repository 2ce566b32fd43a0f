from odoo import api, fields, models
from odoo.tools import SQL
from odoo.tools.sql import column_exists, create_column

# What the flow writes: by hand an entry could be taken for that of a payout, or a
# payment for one that was paid out.
PAYMENT_FIELDS = (
    "dunning_payout_line_ids",
    "dunning_payout_id",
    "dunning_provider_fee",
    "dunning_provider_reference",
)


class AccountMove(models.Model):
    _inherit = "account.move"

    dunning_payout_id = fields.Many2one(
        "crm.dunning.payout",
        string="Provider Payout",
        readonly=True,
        copy=False,
        index="btree_not_null",
        check_company=True,
        groups="account.group_account_invoice",
    )

    _dunning_payout_uniq = models.UniqueIndex(
        "(dunning_payout_id) WHERE dunning_payout_id IS NOT NULL AND state != 'cancel'",
        "This payout has an entry already.",
    )

    @api.model
    def _get_machine_fields(self):
        return (*super()._get_machine_fields(), "dunning_payout_id")

    def _post(self, soft=True):
        """Override of `account` to clear the payments of a payout with its entry."""
        posted = super()._post(soft)
        posted.sudo().filtered("dunning_payout_id")._clear_payout()
        return posted

    def _clear_payout(self):
        """Reconcile each outstanding receipt with the line that pays it out."""
        for line in self.line_ids.filtered("dunning_payout_line_id"):
            receipt = line.dunning_payout_line_id._get_receipt()
            if receipt and receipt.account_id == line.account_id:
                (receipt | line).reconcile()


class AccountMoveLine(models.Model):
    _inherit = "account.move.line"

    dunning_payout_line_id = fields.Many2one(
        "crm.dunning.payout.line",
        string="Payout Line",
        readonly=True,
        copy=False,
        index="btree_not_null",
        groups="account.group_account_invoice",
    )

    @api.model
    def _get_machine_fields(self):
        return (*super()._get_machine_fields(), "dunning_payout_line_id")


class AccountPayment(models.Model):
    """What the provider did with a payment: its reference, fee and payout (L5)."""

    _inherit = "account.payment"

    dunning_payout_line_ids = fields.One2many(
        "crm.dunning.payout.line", "payment_id", readonly=True
    )
    dunning_payout_id = fields.Many2one(
        "crm.dunning.payout",
        string="Payout",
        compute="_compute_dunning_payout_id",
        store=True,
        index="btree_not_null",
    )
    dunning_payout_currency_id = fields.Many2one(
        related="dunning_payout_id.currency_id", string="Payout Currency"
    )
    dunning_provider_fee = fields.Monetary(
        string="Provider Fee",
        currency_field="dunning_payout_currency_id",
        compute="_compute_dunning_payout_id",
        store=True,
    )
    dunning_provider_reference = fields.Char(
        string="Provider Reference",
        related="payment_transaction_id.provider_reference",
        store=True,
    )

    def _auto_init(self):
        """Fill the columns in one statement: nothing is paid out before we are here."""
        columns = {
            "dunning_payout_id": "int4",
            "dunning_provider_fee": "numeric",
            "dunning_provider_reference": "varchar",
        }
        missing = {
            name: kind
            for name, kind in columns.items()
            if not column_exists(self.env.cr, self._table, name)
        }
        for name, kind in missing.items():
            create_column(self.env.cr, self._table, name, kind)
        if "dunning_provider_reference" in missing:
            self.env.cr.execute(
                SQL(
                    "UPDATE account_payment payment"
                    "   SET dunning_provider_reference = tx.provider_reference"
                    "  FROM payment_transaction tx"
                    " WHERE tx.id = payment.payment_transaction_id"
                )
            )
        return super()._auto_init()

    @api.model
    def _get_machine_fields(self):
        return (*super()._get_machine_fields(), *PAYMENT_FIELDS)

    # === COMPUTE METHODS === #

    @api.depends("dunning_payout_line_ids.payout_id", "dunning_payout_line_ids.fee")
    def _compute_dunning_payout_id(self):
        for payment in self:
            lines = payment.sudo().dunning_payout_line_ids
            payment.dunning_payout_id = lines.payout_id[:1]
            payment.dunning_provider_fee = sum(lines.mapped("fee"))
