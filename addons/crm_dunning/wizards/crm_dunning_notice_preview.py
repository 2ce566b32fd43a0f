from odoo import api, fields, models
from odoo.exceptions import AccessError, UserError
from odoo.tools import split_every

from ..models.crm_dunning_follow_up import CHUNK_SIZE

GROUP_CLERK = "crm_billing_handoff.group_billing_user"
GROUP_MANAGER = "crm_billing_handoff.group_billing_manager"


class Rolled(Exception):
    """What was only looked at is undone."""


class CrmDunningNoticePreview(models.TransientModel):
    """Shows what the next run would say, to whom and why not; and says it."""

    _name = "crm.dunning.notice.preview"
    _description = "Preview of Reminders"

    at = fields.Datetime(
        readonly=True, default=lambda self: fields.Datetime.now(), required=True
    )
    line_ids = fields.One2many("crm.dunning.notice.preview.line", "preview_id")
    mail_count = fields.Integer(compute="_compute_counts", string="Mails")
    person_count = fields.Integer(compute="_compute_counts", string="To a Person")
    waiting_count = fields.Integer(compute="_compute_counts", string="Waiting")

    # === COMPUTE METHODS === #

    def _compute_display_name(self):
        self.display_name = self.env._("Next Reminders")

    @api.depends("line_ids.action", "line_ids.is_excluded")
    def _compute_counts(self):
        for preview in self:
            lines = preview.line_ids.filtered(lambda line: not line.is_excluded)
            preview.mail_count = len(lines.filtered(lambda line: line.action == "mail"))
            preview.person_count = len(
                lines.filtered(lambda line: line.action == "person")
            )
            preview.waiting_count = len(
                lines.filtered(lambda line: line.action == "wait")
            )

    # === ACTION METHODS === #

    @api.model
    def action_open(self):
        """Read what is due now, write nothing, and show it.

        :raise AccessError: the user is no billing clerk
        """
        self._check_is_clerk()
        preview = self.create({})
        preview._fill()
        return preview._get_action()

    def action_send(self):
        """Do what is shown now: the same run, without what was left out.

        What changed since is decided anew; nothing is said twice.

        :raise AccessError: the user is no billing clerk, or leaves somebody out without
            being a billing manager
        """
        self.ensure_one()
        self._check_is_clerk()
        excluded = self.line_ids.filtered("is_excluded")
        if excluded and not self.env.user.has_group(GROUP_MANAGER):
            raise AccessError(
                self.env._("Only a billing manager leaves a customer out.")
            )
        # The run belongs to the flow: who may start it is checked above.
        cases = self.env["crm.dunning.case"].sudo()
        keys = {line._get_key() for line in excluded}
        companies = self.env.companies.ids
        payer_ids = sorted(set(self.line_ids.partner_id.ids))
        for chunk in split_every(CHUNK_SIZE, payer_ids, list):
            ours = cases._lock_payers(chunk)
            if len(ours) < len(chunk):
                raise UserError(
                    self.env._("The job is at it right now. Try again in a minute.")
                )
            cases._follow_up_or_bisect(
                self._get_now(), ours, company_ids=companies, excluded=keys
            )
        return self.env["ir.actions.act_window"]._for_xml_id(
            "crm_dunning.crm_dunning_notice_action"
        )

    # === BUSINESS METHODS === #

    @api.model
    def _check_is_clerk(self):
        if not self.env.user.has_group(GROUP_CLERK):
            raise AccessError(
                self.env._("Reminders are sent by Billing. Ask a billing clerk.")
            )

    @api.model
    def _get_now(self):
        return fields.Datetime.now()

    def _get_action(self):
        return {
            "type": "ir.actions.act_window",
            "name": self.env._("Preview of reminders"),
            "res_model": self._name,
            "res_id": self.id,
            "view_mode": "form",
            "target": "current",
        }

    def _fill(self):
        """Write one line a payer, company and currency, in the user's companies."""
        self.ensure_one()
        # The run reads with the hand of the flow; the lines belong to this user.
        cases = self.env["crm.dunning.case"].sudo()
        payer_ids = cases._find_follow_ups(self.at)
        values = []
        for chunk in split_every(CHUNK_SIZE, payer_ids, list):
            found = cases._decide_follow_up(self.at, chunk, self.env.companies.ids)
            open_now = cases._filter_open_hours(self.at, found)
            cases._choose_tones([one for one in found if one.decision.action])
            values += [
                self._prepare_line(one, one in open_now)
                for one in found
                if one.decision.reason not in ("nothing_due", "nothing_open")
            ]
        self.env["crm.dunning.notice.preview.line"].create(values)

    def _prepare_line(self, one, is_open):
        decision = one.decision
        action = decision.action or ("step" if decision.also else "wait")
        reason = self._describe_reason(decision.reason) if action == "wait" else False
        if not is_open:
            action, reason = "wait", self.env._("outside the hours of the policy")
        elif action == "mail" and not one.payer._get_dunning_chain()[one.payer.id]:
            action, reason = "person", self.env._("nobody can be reached by mail")
        return {
            "preview_id": self.id,
            "partner_id": one.payer.id,
            "company_id": one.company.id,
            "currency_id": one.currency.id,
            "policy_id": one.policy.id,
            "step_id": decision.step.key if decision.step else False,
            "action": action,
            "is_dry_run": one.is_dry_run,
            "tone": one.tone,
            "tone_reason": one.tone_reason,
            "amount": float(decision.amount),
            "invoice_count": len(decision.listed),
            "reason": reason,
        }

    def _describe_reason(self, reason):
        labels = self.env["crm.dunning.case"]._get_waiting_labels()
        return labels.get(reason, reason)


class CrmDunningNoticePreviewLine(models.TransientModel):
    """What one payer would get; the mail is made when somebody opens it."""

    _name = "crm.dunning.notice.preview.line"
    _description = "Previewed Reminder"
    _order = "action, amount desc, id"

    preview_id = fields.Many2one(
        "crm.dunning.notice.preview", required=True, ondelete="cascade"
    )
    partner_id = fields.Many2one("res.partner", string="Account", readonly=True)
    company_id = fields.Many2one("res.company", readonly=True)
    currency_id = fields.Many2one("res.currency", readonly=True)
    policy_id = fields.Many2one("crm.dunning.policy", readonly=True)
    step_id = fields.Many2one("crm.dunning.step", readonly=True)
    action = fields.Selection(
        [
            ("mail", "Mail"),
            ("person", "To a person"),
            ("step", "Other steps"),
            ("wait", "Waits"),
        ],
        readonly=True,
    )
    is_dry_run = fields.Boolean(string="Dry Run", readonly=True)
    is_excluded = fields.Boolean(string="Leave Out")
    tone = fields.Char(readonly=True)
    tone_reason = fields.Char(readonly=True)
    amount = fields.Monetary(string="Overdue", readonly=True)
    invoice_count = fields.Integer(string="Instalments", readonly=True)
    reason = fields.Char(readonly=True)
    recipients = fields.Char(compute="_compute_mail", string="To")
    subject = fields.Char(compute="_compute_mail")
    body = fields.Html(compute="_compute_mail", sanitize=False)

    # === COMPUTE METHODS === #

    @api.depends("partner_id")
    def _compute_mail(self):
        for line in self:
            mail = line._render() if line.action == "mail" else {}
            line.recipients = mail.get("recipients", False)
            line.subject = mail.get("subject", False)
            line.body = mail.get("body", False)

    # === BUSINESS METHODS === #

    def _get_key(self):
        return self.partner_id.id, self.company_id.id, self.currency_id.id

    def _render(self):
        """Return the mail as the run would make it now; everything else is undone."""
        self.ensure_one()
        mail = {}
        if self.company_id not in self.env.companies:
            return mail
        try:
            with self.env.cr.savepoint():
                mail = self._make_notice()
                raise Rolled
        except Rolled:
            self.env.invalidate_all(flush=False)
        return mail

    def _make_notice(self):
        # Rights were checked when the preview was opened.
        cases = self.env["crm.dunning.case"].sudo()
        found = cases._decide_follow_up(
            self.preview_id.at, self.partner_id.ids, self.company_id.ids
        )
        [one] = [one for one in found if one.key == self._get_key()] or [None]
        if not one or one.decision.action != "mail":
            return {}
        cases._choose_tones([one])
        plan = cases._plan_mail(one, one.payer._get_dunning_chain()[one.payer.id])
        notice = self.env["crm.dunning.notice"].sudo()._create_from_plans([plan], {})
        mail = notice._render_mails()[notice]
        return {
            **mail,
            "recipients": ", ".join(
                f"{person.display_name} <{person.email}>"
                for person in notice.recipient_ids
            ),
        }
