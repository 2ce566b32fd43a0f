from odoo import api, fields, models
from odoo.exceptions import AccessError, UserError

KINDS = [
    ("deal", "Won, not handed off"),
    ("start", "Agreement not started"),
    ("agreement", "Due, not invoiced"),
    ("milestone", "Milestone done, not billed"),
    ("usage", "Usage not rated"),
    ("draft", "Draft left lying"),
    ("unsent", "Posted, not sent"),
    ("bounced", "Not delivered"),
]


class CrmBillingLeakWaiver(models.Model):
    """A leak that a billing manager accepts, and why.

    Covers the amount that was at risk then: what comes on top is at risk again, and a
    leak that begins anew needs a new decision. It is kept for ever; taking it back
    leaves the row, too.
    """

    _name = "crm.billing.leak.waiver"
    _description = "Waived Leak"
    _order = "id desc"
    _rec_name = "subject"

    kind = fields.Selection(KINDS, required=True, readonly=True)
    res_id = fields.Integer(string="Record", required=True, readonly=True)
    since_key = fields.Char(
        required=True, readonly=True, help="Tells a leak from a later one of the same."
    )
    subject = fields.Char(readonly=True)
    company_id = fields.Many2one(
        "res.company", required=True, readonly=True, index=True
    )
    partner_id = fields.Many2one(
        "res.partner", string="Account", readonly=True, index="btree_not_null"
    )
    salesperson_id = fields.Many2one("res.users", readonly=True)
    currency_id = fields.Many2one("res.currency", readonly=True)
    amount = fields.Monetary(readonly=True, aggregator=None)
    reason = fields.Char(required=True, readonly=True)
    user_id = fields.Many2one(
        "res.users", string="Waived By", required=True, readonly=True
    )
    revoked_uid = fields.Many2one(
        "res.users", string="Taken Back By", readonly=True, copy=False
    )
    revoked_at = fields.Datetime(string="Taken Back On", readonly=True, copy=False)

    _live_uniq = models.UniqueIndex(
        "(kind, res_id, since_key) WHERE revoked_at IS NULL",
        "This leak is waived already.",
    )

    # === CRUD METHODS === #

    @api.ondelete(at_uninstall=False)
    def _unlink_never(self):
        raise UserError(
            self.env._(
                "A waiver is the proof of a decision: take it back instead of deleting "
                "it."
            )
        )

    # === ACTION METHODS === #

    def action_take_back(self):
        """Put the leaks at risk again; what is taken back already stays as it is.

        :raise AccessError: the user is no billing manager
        """
        self._check_can_waive()
        self.check_access("read")
        live = self.filtered(lambda waiver: not waiver.revoked_at)
        # Written by the flow only; the right was checked above.
        live.sudo()._take_back()
        self.env["crm.billing.event"]._log(
            [waiver._prepare_event("leak_watched") for waiver in live]
        )
        return True

    # === BUSINESS METHODS === #

    @api.model
    def _check_can_waive(self):
        if not self.env.su and not self.env.user.has_group(
            "crm_billing_handoff.group_billing_manager"
        ):
            raise AccessError(
                self.env._(
                    "Waiving revenue at risk needs a billing manager. Ask one, or fix "
                    "the leak."
                )
            )

    def _take_back(self):
        self.write(
            {"revoked_at": fields.Datetime.now(), "revoked_uid": self.env.user.id}
        )

    def _prepare_event(self, action):
        kinds = dict(self._fields["kind"]._description_selection(self.env))
        return {
            "action": action,
            "partner_id": self.partner_id.id,
            "company_id": self.company_id.id,
            "note": f"{kinds[self.kind]}, {self.subject}: {self.reason}",
        }


class CrmBillingEvent(models.Model):
    _inherit = "crm.billing.event"

    action = fields.Selection(
        selection_add=[
            ("leak_waived", "Leak waived"),
            ("leak_watched", "Waived leak taken back"),
        ],
        ondelete={"leak_waived": "cascade", "leak_watched": "cascade"},
    )
