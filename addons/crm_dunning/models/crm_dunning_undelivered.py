"""Invoices that did not arrive are not “sent”: flagged, a task, sent again (M7)."""

from odoo import api, fields, models


class AccountMove(models.Model):
    _inherit = "account.move"

    dunning_undelivered = fields.Char(
        string="Not Delivered To",
        readonly=True,
        copy=False,
        index="btree_not_null",
        help="This address returned the invoice. It is sent again as soon as the "
        "address is corrected.",
    )

    @api.model
    def _get_machine_fields(self):
        return (*super()._get_machine_fields(), "dunning_undelivered")

    # === BUSINESS METHODS - DELIVERY === #

    def _on_bounce(self, people, email):
        """Follow up what came back: a reminder, or else the invoice itself."""
        if not super()._on_bounce(people, email):
            invoices = self.sudo().filtered(
                lambda move: move.move_type == "out_invoice" and move.is_move_sent
            )
            invoices._mark_undelivered(people, email)
        return True

    def _mark_undelivered(self, people, email):
        """Take back “sent”, and ask for the right address.

        :param email: the address that returned it, normalised
        """
        people.sudo().dunning_bounced_email = email
        self.write({"dunning_undelivered": email, "is_move_sent": False})
        reason = self.env._("%(address)s returned it", address=email)
        self.env["account.move.send"]._log_not_sent(dict.fromkeys(self, reason))

    def _send_undelivered(self):
        """Send again what has a right address now."""
        todo = self.filtered(lambda move: move.state == "posted")
        todo.dunning_undelivered = False
        todo._queue_sending()


class ResPartner(models.Model):
    _inherit = "res.partner"

    @api.model
    def _get_walled_fields(self):
        return (*super()._get_walled_fields(), "dunning_bounced_email")

    def write(self, vals):
        """Override of `base` to send invoices again to a corrected address."""
        old = {}
        if "email" in vals:
            old = {
                person: person.dunning_bounced_email
                for person in self.sudo()
                if person.dunning_bounced_email
            }
        result = super().write(vals)
        fixed = {address for person, address in old.items() if person._is_reachable()}
        if fixed:
            self.env["account.move"].sudo().search(
                [("dunning_undelivered", "in", list(fixed))]
            )._send_undelivered()
        return result
