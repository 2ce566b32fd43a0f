from odoo import api, fields, models

from .crm_dunning_policy import TONES

# Lines that a message names, and those that a letter lists.
IN_MESSAGE = ("listed", "known", "named", "announced")
# A message that left, or will leave in a moment, is part of the conversation.
SAID = ("queued", "sent", "bounced")


class CrmDunningNotice(models.Model):
    """The ledger of messages: one row is one mail to one account in one currency.

    Its lines say which instalments it listed, at which step and with which open amount
    at that second; skipped steps are lines, too, so that they are never sent later.
    """

    _name = "crm.dunning.notice"
    _description = "Reminder"
    _order = "id desc"
    _rec_name = "subject"
    _check_company_auto = True

    partner_id = fields.Many2one(
        "res.partner", required=True, index=True, readonly=True, string="Account"
    )
    company_id = fields.Many2one(
        "res.company", required=True, index=True, readonly=True
    )
    currency_id = fields.Many2one("res.currency", required=True, readonly=True)
    policy_id = fields.Many2one("crm.dunning.policy", readonly=True)
    step_id = fields.Many2one("crm.dunning.step", readonly=True)
    kind = fields.Selection(
        [
            ("reminder", "Reminder"),
            ("failed", "Failed payment"),
            ("announcement", "Announced charge"),
            ("expiry", "Card expires"),
            ("letter", "Letter"),
            ("record", "Recorded, nothing sent"),
        ],
        default="reminder",
        required=True,
        readonly=True,
    )
    date = fields.Date(required=True, readonly=True, help="Local date of the account.")
    stage = fields.Integer(readonly=True, help="Offset in days of the highest step.")
    tone = fields.Selection(TONES, readonly=True)
    tone_reason = fields.Char(readonly=True)
    amount = fields.Monetary(readonly=True, help="Overdue amount that it lists.")
    state = fields.Selection(
        [
            ("queued", "Queued"),
            ("sent", "Sent"),
            ("bounced", "Not delivered"),
            ("stopped", "Stopped before it left"),
            ("dry_run", "Dry run"),
            ("recorded", "Recorded"),
            ("failed", "Not possible"),
        ],
        default="queued",
        required=True,
        index=True,
        readonly=True,
    )
    reason = fields.Char(readonly=True, help="Why it was stopped or not delivered.")
    move_id = fields.Many2one(
        "account.move",
        readonly=True,
        index="btree_not_null",
        help="The invoice in whose thread it stands: the oldest one listed.",
    )
    sent_at = fields.Datetime(readonly=True)
    message_id = fields.Many2one("mail.message", readonly=True, index="btree_not_null")
    recipient_id = fields.Many2one(
        "res.partner", readonly=True, help="Who is written to, copies left out."
    )
    recipient_ids = fields.Many2many("res.partner", readonly=True, string="Recipients")
    address_id = fields.Many2one(
        "res.partner", compute="_compute_address_id", help="Where a letter goes."
    )
    next_try_on = fields.Date(readonly=True, help="When the charge is tried again.")
    charge_on = fields.Date(readonly=True, help="Day of an announced charge.")
    method_name = fields.Char(readonly=True, help="Method of an announced charge.")
    subject = fields.Char(readonly=True)
    lang = fields.Char(readonly=True)
    line_ids = fields.One2many("crm.dunning.notice.line", "notice_id", readonly=True)

    # The last message of a conversation, and what left on a day.
    _conversation_idx = models.Index("(partner_id, company_id, currency_id, date)")

    # === COMPUTE METHODS === #

    @api.depends("partner_id")
    def _compute_address_id(self):
        for notice in self:
            payer = notice.partner_id
            notice.address_id = payer.address_get(["invoice"])["invoice"]


class CrmDunningNoticeLine(models.Model):
    """One instalment in a message, or a step of it that was skipped."""

    _name = "crm.dunning.notice.line"
    _description = "Reminded Instalment"
    _order = "id"

    notice_id = fields.Many2one(
        "crm.dunning.notice",
        required=True,
        ondelete="cascade",
        index=True,
        readonly=True,
    )
    company_id = fields.Many2one("res.company", required=True, readonly=True)
    line_id = fields.Many2one(
        "account.move.line",
        string="Instalment",
        required=True,
        ondelete="cascade",
        readonly=True,
    )
    move_id = fields.Many2one(
        "account.move", required=True, index=True, readonly=True, ondelete="cascade"
    )
    case_id = fields.Many2one("crm.dunning.case", index=True, readonly=True)
    step_id = fields.Many2one("crm.dunning.step", readonly=True)
    days = fields.Integer(
        required=True, readonly=True, help="Offset of the step in days."
    )
    kind = fields.Selection(
        [
            ("listed", "Listed"),
            ("known", "Listed again"),
            ("upcoming", "Due soon"),
            ("named", "In a message about a charge"),
            ("announced", "Charge announced"),
            ("skipped", "Skipped"),
            ("done", "Done without a mail"),
            ("dry_run", "Dry run"),
            ("void", "Did not leave"),
        ],
        required=True,
        readonly=True,
        help="“Listed” is reminded of a new step; “listed again” of an old one.",
    )
    date = fields.Date(required=True, readonly=True)
    date_due = fields.Date(readonly=True)
    currency_id = fields.Many2one("res.currency", required=True, readonly=True)
    amount = fields.Monetary(readonly=True, help="Open when the message left.")

    # Whatever the partners are merged into: no instalment is reminded twice of a step,
    # nor listed in two messages of one day. What a dry run decided is not said yet, and
    # what did not leave may be said again.
    _day_uniq = models.UniqueIndex(
        "(line_id, date) WHERE kind IN ('listed', 'known', 'named', 'announced')",
        "The instalment was listed in a message of that day.",
    )
    _announced_uniq = models.UniqueIndex(
        "(line_id) WHERE kind = 'announced'",
        "The charge of this instalment was announced already.",
    )
    _dry_uniq = models.UniqueIndex(
        "(line_id, days) WHERE kind = 'dry_run'",
        "This step of the instalment is in the dry run already.",
    )
