from odoo import api, fields, models
from odoo.exceptions import ValidationError


class CrmBillingAgreement(models.Model):
    """What the customer retains of each milestone (billing rules, 5.5)."""

    _inherit = "crm.billing.agreement"

    retention_percent = fields.Float(
        string="Retention (%)",
        digits=(16, 6),
        tracking=True,
        help="The customer pays this part of each milestone only after its release.",
    )
    retention_base = fields.Selection(
        [("net", "Value before tax"), ("gross", "Value with tax")],
        string="Retention Of",
        default="net",
        required=True,
        tracking=True,
    )
    retention_open = fields.Monetary(
        string="Retained",
        compute="_compute_retention_open",
        compute_sudo=True,
        help="What posted invoices of the agreement still retain.",
    )

    # === COMPUTE METHODS === #

    @api.depends("move_ids.billing_retention_open", "move_ids.state")
    def _compute_retention_open(self):
        for agreement in self:
            posted = agreement.move_ids.filtered(lambda move: move.state == "posted")
            agreement.retention_open = sum(posted.mapped("billing_retention_open"))

    # === CONSTRAINT METHODS === #

    @api.constrains("retention_percent")
    def _check_retention_percent(self):
        for agreement in self:
            if not 0 <= agreement.retention_percent <= 100:
                raise ValidationError(
                    self.env._("A retention is between 0 and 100 percent.")
                )

    # === ACTION METHODS === #

    def action_release_retention(self, amount=None, date=None):
        """Release what the customer retained of the agreement's invoices.

        :param amount: oldest invoice first, all of it by default
        :param date: the day from which the terms run; today by default
        :return: the releases
        :raise UserError: the amount is not positive or above what is still retained
        """
        self._check_is_biller()
        return self.move_ids.action_release_retention(amount=amount, date=date)

    def action_open_retention_release(self):
        """Ask how much is released, and when."""
        self._check_is_biller()
        return self.move_ids.filtered(
            "billing_retention_open"
        ).action_open_retention_release()
