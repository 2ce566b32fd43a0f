from odoo import api, fields, models


class AccountMove(models.Model):
    _inherit = "account.move"

    billing_books_state = fields.Char(
        string="Other Books",
        compute="_compute_billing_books_state",
        help="Whether the other books have this document, and by which number.",
    )

    @api.depends_context("uid")
    def _compute_billing_books_state(self):
        rows = self.env["crm.billing.crosswalk"]
        can_read = rows.has_access("read")
        found = (
            rows.search([("model", "=", "account.move"), ("res_id", "in", self.ids)])
            if can_read
            else rows
        ).grouped("res_id")
        states = dict(rows._fields["state"]._description_selection(self.env))
        for move in self:
            move.billing_books_state = ", ".join(
                self.env._(
                    "%(books)s %(number)s: %(state)s",
                    books=row.system_id.name,
                    number=row.external_name,
                    state=states[row.state],
                )
                for row in found.get(move.id, rows)
            )

    def action_open_billing_crosswalk(self):
        """Show what the other books have of this document."""
        action = self.env["ir.actions.act_window"]._for_xml_id(
            "crm_billing_reports.crm_billing_crosswalk_action"
        )
        action["domain"] = [("model", "=", "account.move"), ("res_id", "in", self.ids)]
        return action
