from odoo import api, fields, models
from odoo.exceptions import UserError
from odoo.fields import Domain


class CrmBillingAgreement(models.Model):
    """The bridge to the agreements: those of a payer on credit hold are not billed.

    What comes due meanwhile is billed when the hold ends, each period on its own.
    """

    _inherit = "crm.billing.agreement"

    dunning_hold_at = fields.Datetime(
        string="Credit Hold Since",
        compute="_compute_dunning_hold_at",
        store=True,
        copy=False,
        help="The payer is on credit hold: nothing is billed before it has paid.",
    )

    # === COMPUTE METHODS === #

    @api.depends("payer_id", "company_id", "state")
    def _compute_dunning_hold_at(self):
        """An agreement that starts during the hold is held, too."""
        cases = self.env["crm.dunning.case"]
        holds = cases._read_credit_holds(("all", "agreements"))
        for agreement in self:
            key = agreement.payer_id._origin.id, agreement.company_id.id
            is_live = agreement.state in ("draft", "running", "paused")
            agreement.dunning_hold_at = holds.get(key, False) if is_live else False

    # === BUSINESS METHODS - HOLD === #

    def _hold(self):
        """Stop billing these agreements as far as their payers are on credit hold."""
        free = self.filtered(lambda agreement: not agreement.dunning_hold_at)
        free._recompute_hold()
        free.filtered("dunning_hold_at")._log_event(
            "credit_hold",
            note=self.env._("Nothing is billed until the payer has paid."),
        )

    def _release(self):
        """Bill these agreements again, unless another case holds their payer."""
        held = self.filtered("dunning_hold_at")
        held._recompute_hold()
        free = held.filtered(lambda agreement: not agreement.dunning_hold_at)
        if free:
            free._log_event("credit_released")
            self._retry(Domain("id", "in", free.ids))
            self._trigger_run()

    def _recompute_hold(self):
        self.env.add_to_compute(self._fields["dunning_hold_at"], self)
        self.flush_recordset(["dunning_hold_at"])

    @api.model
    def _get_due_domain(self, now):
        """Override to leave out whom the run would have to refuse."""
        return super()._get_due_domain(now) & Domain("dunning_hold_at", "=", False)

    def _check_billable(self):
        """Override to refuse billing a payer on credit hold.

        :raise UserError: also with what to do about it
        """
        result = super()._check_billable()
        if self.dunning_hold_at:
            raise UserError(
                self.env._(
                    "%(payer)s is on credit hold because of overdue invoices. What is "
                    "due is billed when they are paid, or when the hold is lifted on "
                    "the case.",
                    payer=self.payer_id.display_name,
                )
            )
        return result
