from odoo import api, fields, models
from odoo.exceptions import UserError


class CrmBillingEvent(models.Model):
    """One line of the audit log: who or what did which thing to whose billing.

    Rows are only ever added, with :meth:`_log`; nobody, the superuser included, edits
    or deletes them through the ORM. The time is ``create_date`` (UTC).
    """

    _name = "crm.billing.event"
    _description = "Billing Event"
    _order = "id desc"
    _rec_name = "note"

    action = fields.Selection(
        [
            ("queued", "Handoff queued"),
            ("drafted", "Draft created"),
            ("already_billed", "Already billed"),
            ("blocked", "Handoff blocked"),
            ("released", "Handoff released"),
            ("cancelled", "Handoff cancelled"),
            ("not_won", "Billed, not won"),
            ("merged", "Deal merged"),
            ("reviewed", "Draft reviewed"),
            ("posted", "Invoice posted"),
            ("sent", "Invoice sent"),
            ("not_sent", "Invoice not sent"),
            ("overridden", "Warning overridden"),
            ("changed", "Value changed"),
            ("created", "Value set at creation"),
            ("moved", "Account moved or merged"),
        ],
        required=True,
        index=True,
    )
    source = fields.Selection(
        [
            ("person", "Person"),
            ("import", "Import"),
            ("job", "Scheduled job"),
            ("rule", "Automation"),
            ("payment", "Payment"),
        ],
        required=True,
    )
    source_name = fields.Char(help="The job or automation rule that did it.")
    user_id = fields.Many2one("res.users", required=True, string="By")
    company_id = fields.Many2one("res.company", index=True)
    partner_id = fields.Many2one("res.partner", string="Account", index="btree_not_null")
    lead_id = fields.Many2one("crm.lead", string="Opportunity", index="btree_not_null")
    handoff_id = fields.Many2one("crm.billing.handoff", index="btree_not_null")
    move_id = fields.Many2one("account.move", string="Invoice", index="btree_not_null")
    field_name = fields.Char(string="Field")
    old_value = fields.Char()
    new_value = fields.Char()
    note = fields.Char()

    @api.model
    def _log(self, vals_list):
        """Add rows, with the actor and the cause read from the environment.

        :param vals_list: dicts with ``action`` and the links and values at hand
        :return: the new rows
        """
        actor = self._prepare_actor()
        return (
            # The log is written by whoever acts and belongs to nobody.
            self.sudo()
            .with_context(tracking_disable=True)
            .create([{**actor, **vals} for vals in vals_list])
        )

    @api.model
    def _prepare_actor(self):
        """Return who acts and why: an automation by name, a job, an import, a person."""
        context = self.env.context
        automations = context.get("__action_done") or {}
        actor = {"user_id": self.env.uid, "source": "person", "source_name": False}
        if automation := next(reversed(automations), None):
            actor |= {"source": "rule", "source_name": automation.sudo().name}
        elif action_id := context.get("billing_action_id"):
            name = self.env["ir.actions.server"].sudo().browse(action_id).name
            actor |= {"source": "rule", "source_name": name}
        elif cron_id := context.get("cron_id"):
            name = self.env["ir.cron"].sudo().browse(cron_id).name
            actor |= {"source": "job", "source_name": name}
        elif context.get("import_file"):
            actor["source"] = "import"
        return actor

    # === CRUD METHODS === #

    def write(self, vals):
        """Refuse: a log that can be edited proves nothing."""
        raise UserError(self.env._("Billing events are a log: they cannot be changed."))

    @api.ondelete(at_uninstall=False)
    def _unlink_never(self):
        raise UserError(self.env._("Billing events are a log: they cannot be deleted."))
