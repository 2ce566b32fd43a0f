from odoo import api, models
from odoo.exceptions import UserError

SHOWN = 5  # reasons in a summary


class CrmBillingLeakReport(models.Model):
    """One click a leak: the public verb that moves it on, under the user's own rights.

    What the verb refuses, it says in its own words; nothing is done as superuser here.
    """

    _inherit = "crm.billing.leak.report"

    # === ACTION METHODS === #

    def action_fix(self):
        """Do the next step of each leak; one that fails does not stop the others.

        :return: what the step of a single leak shows, else a summary
        :raise UserError: the only leak cannot be fixed; the message says what to do
        """
        self.check_access("read")
        if len(self) == 1:
            return self._fix() or self._notify("success", self._tell_fixed(1))
        unsent = self.filtered(lambda leak: leak.kind == "unsent")
        failures = unsent._queue_unsent()
        for leak in self - unsent:
            try:
                with self.env.cr.savepoint():
                    if leak._fix():
                        failures.append(leak._tell_left())
            except UserError as error:
                failures.append(f"{leak.subject}: {error}")
        message = self._tell_fixed(len(self) - len(failures))
        if failures:
            message = "\n".join([message, *failures[:SHOWN]])
        return self._notify("warning" if failures else "success", message)

    def action_open(self):
        """Open the document that the leak is about."""
        self.ensure_one()
        self.check_access("read")
        if self.kind == "usage":
            return self._get_usage_action()
        # The document a leak is about comes before the deal it hangs on.
        names = ("move_id", "milestone_id", "agreement_id", "handoff_id", "lead_id")
        record = next(self[name] for name in names if self[name])
        return self._get_form_action(record)

    def action_waive(self):
        """Ask why the leaks are accepted; a billing manager decides."""
        self.env["crm.billing.leak.waiver"]._check_can_waive()
        return {
            "type": "ir.actions.act_window",
            "name": self.env._("Waive"),
            "res_model": "crm.billing.leak.wizard",
            "view_mode": "form",
            "target": "new",
            "context": {"default_leak_ids": self.ids},
        }

    # === BUSINESS METHODS - WAIVE === #

    def waive(self, reason):
        """Accept leaks for a reason; what comes on top later is at risk again.

        :param str reason: why nothing is done
        :return: `crm.billing.leak.waiver` of what was not waived before
        :raise AccessError: the user is no billing manager
        :raise UserError: there is no reason
        """
        waivers = self.env["crm.billing.leak.waiver"]
        waivers._check_can_waive()
        self.check_access("read")
        reason = (reason or "").strip()
        if not reason:
            raise UserError(self.env._("Say why nothing is done about it."))
        todo = self.filtered(lambda leak: not leak.is_waived)
        # Written by the flow only; the right was checked above.
        todo.sudo().waiver_id._take_back()
        created = waivers.sudo().create([leak._prepare_waiver(reason) for leak in todo])
        self.env["crm.billing.event"]._log(
            [
                {**waiver._prepare_event("leak_waived"), **leak._get_links()}
                for leak, waiver in zip(todo, created, strict=True)
            ]
        )
        return created.with_env(self.env)

    def _prepare_waiver(self, reason):
        return {
            "kind": self.kind,
            "res_id": self.res_id,
            "since_key": self.since_key,
            "subject": self.subject,
            "company_id": self.company_id.id,
            "partner_id": self.partner_id.id,
            "salesperson_id": self.user_id.id,
            "currency_id": self.currency_id.id,
            "amount": self.amount_currency,
            "reason": reason,
            "user_id": self.env.uid,
        }

    def _get_links(self):
        """Return the documents that the audit log links to."""
        names = ("lead_id", "handoff_id", "agreement_id", "move_id")
        return {name: self[name].id for name in names}

    # === BUSINESS METHODS - FIX === #

    @api.model
    def _get_fix_labels(self):
        """Return what the fix of each kind does, in words."""
        _ = self.env._
        return {
            "deal": _("Hand off now"),
            "start": _("Start the agreement"),
            "agreement": _("Bill what is due"),
            "milestone": _("Bill what is due"),
            "usage": _("Find its agreement"),
            "draft": _("Review or send"),
            "unsent": _("Send"),
            "bounced": _("Correct the address"),
        }

    def _fix(self):
        """Do the step of one leak.

        :return: an action to what needs a person now, or None
        """
        self.ensure_one()
        return getattr(self, f"_fix_{self.kind}")()

    def _fix_deal(self):
        """Hand the deal off; what is missing is shown on its handoff."""
        self.lead_id.action_hand_off()
        handoff = self.lead_id.billing_handoff_id
        if handoff.state == "done":
            return None
        return self._get_form_action(handoff)

    def _fix_start(self):
        self.agreement_id.action_start()

    def _fix_agreement(self):
        self.agreement_id.generate_invoices()

    def _fix_milestone(self):
        """Bill the milestone with all that its agreement owes; ended ones are shown."""
        moves = self.agreement_id.generate_invoices()
        return None if moves else self._get_form_action(self.milestone_id)

    def _fix_usage(self):
        """Look again for meter, account and line; what stays unknown is shown."""
        usage = self._find_usage()
        if usage.filtered("is_held"):
            # Billing what came too late is a decision: the clerk takes it there.
            return self._get_usage_action()
        usage.action_assign()
        left = usage.filtered(lambda event: not event.line_id)
        return self._get_usage_action() if left else None

    def _fix_draft(self):
        """Post and send what needs no look any more, else open it for the review."""
        draft = self.move_id
        draft._check_is_biller()
        if draft._needs_billing_review() and not draft.billing_is_reviewed:
            return self.env["account.move"]._get_billing_action(draft)
        draft.action_billing_post_and_send()
        return None

    def _fix_unsent(self):
        """Show what is sent, to whom; several are queued, see :meth:`action_fix`."""
        self.move_id._check_is_biller()
        return self.move_id.action_send_and_print()

    def _queue_unsent(self):
        """Hand invoices to the sending job; return why some cannot be sent."""
        if not self:
            return []
        moves = self.move_id
        moves._check_is_biller()
        problems = moves._get_sending_problems()
        moves.filtered(lambda move: move not in problems)._queue_sending()
        return list(problems.values())

    def _fix_bounced(self):
        """Show the person whose address returned the invoice."""
        self.move_id._check_is_biller()
        return self._get_form_action(self.move_id.partner_id)

    # === BUSINESS METHODS === #

    def _find_usage(self):
        """Return the events of the row."""
        self.ensure_one()
        first = self.env["crm.billing.usage"].browse(self.res_id)
        events = first.search(
            [
                ("company_id", "=", first.company_id.id),
                ("meter_code", "=", first.meter_code),
                ("partner_id", "=", first.partner_id.id),
                ("account_ref", "=", first.account_ref),
                ("is_void", "=", False),
                ("period_id", "=", False),
            ]
        )
        held = first.is_held and bool(first.line_id)
        return events.filtered(
            lambda event: event.is_held if held else not event.line_id
        )

    def _get_usage_action(self):
        action = self.env["ir.actions.act_window"]._for_xml_id(
            "crm_billing_handoff.crm_billing_usage_action"
        )
        domain = [("id", "in", self._find_usage().ids)]
        return {**action, "domain": domain, "context": {}, "path": False}

    def _get_form_action(self, record):
        return record._get_records_action(context={})

    def _tell_left(self):
        return self.env._("%(what)s: open it, a person decides.", what=self.subject)

    def _tell_fixed(self, count):
        if not count:
            return self.env._("Nothing could be done by itself:")
        return self.env._("%(count)s done.", count=count)

    def _notify(self, kind, message):
        return {
            "type": "ir.actions.client",
            "tag": "display_notification",
            "params": {
                "type": kind,
                "message": message,
                "sticky": kind == "warning",
                "next": {"type": "ir.actions.client", "tag": "soft_reload"},
            },
        }
