from odoo import fields, models

SCOPES = [
    ("all", "New orders and agreements"),
    ("orders", "New orders"),
    ("agreements", "Agreements"),
]


class CrmDunningStep(models.Model):
    _inherit = "crm.dunning.step"

    hold_scope = fields.Selection(
        SCOPES,
        default="all",
        required=True,
        string="Credit Hold Stops",
        help="What stops until the account has paid.",
    )


class CrmDunningCase(models.Model):
    """Credit hold: an account that owes gets no new orders and no more invoices (G10).

    It hangs on the case, so that it ends with the case, by itself. A hold that a person
    puts on the account is another one, and never touched here.
    """

    _inherit = "crm.dunning.case"

    credit_hold_at = fields.Datetime(string="Credit Hold Since", readonly=True)
    credit_hold_scope = fields.Selection(SCOPES, readonly=True)

    _credit_hold_idx = models.Index(
        "(partner_id, company_id) WHERE credit_hold_at IS NOT NULL"
    )

    # === ACTION METHODS === #

    def action_lift_credit_hold(self):
        """Lift the credit hold although the invoice is not paid.

        :raise AccessError: the user is no billing clerk
        """
        self._check_can_work()
        self._lift_credit_hold()
        return True

    # === BUSINESS METHODS - CREDIT HOLD === #

    def _run_hold(self, step, now):
        """Do the step *credit hold* of a policy."""
        self._set_credit_hold(step)

    def _set_credit_hold(self, step=None):
        """Put the accounts on credit hold; those that are on it stay as they are.

        :param step: the step that asks for it; it says what stops
        """
        scope = (step.hold_scope if step else False) or "all"
        todo = self.sudo().filtered(
            lambda case: case.state != "closed" and not case.credit_hold_at
        )
        if not todo:
            return
        todo.write(
            {"credit_hold_at": fields.Datetime.now(), "credit_hold_scope": scope}
        )
        label = dict(
            self._fields["credit_hold_scope"]._description_selection(self.env)
        )[scope]
        todo._log_events("credit_hold", note=label)
        todo._get_held_agreements()._hold()

    def _lift_credit_hold(self):
        """Lift the hold of these cases; another case of the account may keep one."""
        held = self.sudo().filtered("credit_hold_at")
        if not held:
            return
        agreements = held._get_held_agreements()
        held.write({"credit_hold_at": False, "credit_hold_scope": False})
        held._log_events("credit_released")
        agreements._release()
        # A won deal may wait for it.
        self.env["crm.billing.handoff"]._wake_later("partner", held.partner_id.ids)

    def _get_held_agreements(self):
        """Return the live agreements of the payers of these cases."""
        agreements = self.env["crm.billing.agreement"].sudo()
        for company, cases in self.grouped("company_id").items():
            agreements |= agreements.search(
                [
                    ("payer_id", "in", cases.partner_id.ids),
                    ("company_id", "=", company.id),
                    ("state", "in", ("draft", "running", "paused")),
                ]
            )
        return agreements

    def _read_credit_holds(self, scopes):
        """Return ``{(payer id, company id): since}`` of accounts on credit hold."""
        groups = self.sudo()._read_group(
            [
                ("credit_hold_at", "!=", False),
                ("credit_hold_scope", "in", scopes),
                ("state", "!=", "closed"),
            ],
            ["partner_id", "company_id"],
            ["credit_hold_at:min"],
        )
        return {(payer.id, company.id): since for payer, company, since in groups}
