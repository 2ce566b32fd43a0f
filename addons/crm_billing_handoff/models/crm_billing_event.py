from odoo import api, fields, models
from odoo.exceptions import UserError


class Cause(str):
    """What makes the machine act, under the context key ``billing_cause``.

    Anybody can put text into the context of a call, but a call from outside can never
    carry an instance of this class: only our own code makes one. It is a string, so
    that an action that returns its context can still be turned into JSON.
    """

    __slots__ = ("source",)

    def __new__(cls, source, name=""):
        self = super().__new__(cls, name or "")
        self.source = source
        return self

    @classmethod
    def of(cls, env):
        """Return the cause in the context of ``env``, or ``None`` for a person."""
        cause = env.context.get("billing_cause")
        return cause if isinstance(cause, cls) else None


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
            ("started", "Agreement started"),
            ("billed", "Agreement billed"),
            ("not_billed", "Agreement not billed"),
            ("held", "Catching up held"),
            ("confirmed", "Catching up confirmed"),
            ("amended", "Agreement changed"),
            ("ended", "Agreement ended"),
            ("waived", "Period waived"),
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
    partner_id = fields.Many2one(
        "res.partner", string="Account", index="btree_not_null"
    )
    account_name = fields.Char(
        readonly=True,
        help="Name of the account when it happened, kept if it is merged or deleted.",
    )
    lead_id = fields.Many2one("crm.lead", string="Opportunity", index="btree_not_null")
    handoff_id = fields.Many2one("crm.billing.handoff", index="btree_not_null")
    agreement_id = fields.Many2one("crm.billing.agreement", index="btree_not_null")
    move_id = fields.Many2one("account.move", string="Invoice", index="btree_not_null")
    field_name = fields.Char(string="Technical Field")
    field_label = fields.Char(string="Field", compute="_compute_field_label")
    old_value = fields.Char()
    new_value = fields.Char()
    note = fields.Char()

    @api.depends("field_name")
    @api.depends_context("lang")
    def _compute_field_label(self):
        """Name the field as the account's form does."""
        described = self.env["ir.model.fields"]
        for event in self:
            field = described._get("res.partner", event.field_name or "")
            event.field_label = field.field_description or event.field_name

    @api.model
    def _log(self, vals_list):
        """Add rows, with the actor and the cause read from the environment.

        :param vals_list: dicts with ``action`` and the links and values at hand
        :return: the new rows
        """
        if not vals_list:
            return self.browse()
        actor = self._prepare_actor()
        partners = self.env["res.partner"].sudo()
        # The log is written by whoever acts and belongs to nobody.
        return (
            self.sudo()
            .with_context(tracking_disable=True)
            .create(
                [
                    {
                        **actor,
                        "account_name": partners.browse(vals.get("partner_id")).name,
                        **vals,
                    }
                    for vals in vals_list
                ]
            )
        )

    @api.model
    def _prepare_actor(self):
        """Return who acts and why: a rule or job by name, an import, a person."""
        cause = Cause.of(self.env)
        return {
            "user_id": self.env.uid,
            "source": cause.source if cause is not None else "person",
            "source_name": cause or False,
        }

    # === CRUD METHODS === #

    def write(self, vals):
        """Refuse: a log that can be edited proves nothing."""
        if self:
            raise UserError(
                self.env._("Billing events are a log: they cannot be changed.")
            )
        return super().write(vals)

    @api.ondelete(at_uninstall=False)
    def _unlink_never(self):
        raise UserError(self.env._("Billing events are a log: they cannot be deleted."))


class Base(models.AbstractModel):
    _inherit = "base"

    @api.model
    def load(self, fields, data):
        """Override of `base` to let the audit log tell an import from typing."""
        cause = Cause.of(self.env) or Cause("import")
        return super(Base, self.with_context(billing_cause=cause)).load(fields, data)
