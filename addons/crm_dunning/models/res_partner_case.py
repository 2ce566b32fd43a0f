from odoo import api, fields, models


class ResPartner(models.Model):
    """What an account shows of its collections."""

    _inherit = "res.partner"

    dunning_case_ids = fields.One2many(
        "crm.dunning.case", "partner_id", string="Cases", groups="base.group_user"
    )
    dunning_case_count = fields.Integer(
        compute="_compute_dunning_case_count", groups="base.group_user"
    )
    dunning_methods = fields.Char(
        string="Saved Payment Methods",
        compute="_compute_dunning_methods",
        groups="account.group_account_invoice",
        help="What can be charged without the customer.",
    )
    dunning_habits = fields.Char(
        string="Usually Pays",
        compute="_compute_dunning_habits",
        groups="account.group_account_invoice",
    )

    # === COMPUTE METHODS === #

    @api.depends("dunning_case_ids.state")
    @api.depends_context("uid", "allowed_company_ids")
    def _compute_dunning_case_count(self):
        """Count the open cases that the user may see; one query."""
        self.dunning_case_count = 0
        cases = self.env["crm.dunning.case"]
        if not cases.has_access("read"):
            return
        counts = dict(
            cases._read_group(
                [
                    ("partner_id", "in", self.commercial_partner_id.ids),
                    ("state", "!=", "closed"),
                ],
                ["partner_id"],
                ["__count"],
            )
        )
        for partner in self:
            partner.dunning_case_count = counts.get(partner.commercial_partner_id, 0)

    @api.depends("commercial_partner_id")
    @api.depends_context("allowed_company_ids")
    def _compute_dunning_methods(self):
        """Name the saved methods as the customer knows them, never their references."""
        # Who may see the account sees that it can be charged, not with what secret.
        tokens = self.env["payment.token"].sudo()
        for partner in self:
            found = tokens.search(
                [
                    ("partner_id", "child_of", partner.commercial_partner_id.ids),
                    ("provider_id.state", "!=", "disabled"),
                    ("company_id", "parent_of", self.env.companies.ids),
                ]
            )
            partner.dunning_methods = ", ".join(found.mapped("display_name")) or False

    @api.depends("commercial_partner_id")
    @api.depends_context("company", "lang")
    def _compute_dunning_habits(self):
        cases = self.env["crm.dunning.case"]
        habits = cases._read_habits_of(self.commercial_partner_id)
        for partner in self:
            known = habits[partner.commercial_partner_id.id, self.env.company.id]
            partner.dunning_habits = cases._describe_habits(known)

    # === ACTION METHODS === #

    def action_view_dunning_cases(self):
        """Open the cases of the account, the closed ones in grey."""
        action = self.env["ir.actions.act_window"]._for_xml_id(
            "crm_dunning.crm_dunning_case_action"
        )
        account = self.commercial_partner_id
        action |= {
            "domain": [("partner_id", "in", account.ids)],
            "view_mode": "list,kanban,form",
            "views": [(False, "list"), (False, "kanban"), (False, "form")],
            "context": {},
        }
        return action
