from odoo import api, fields, models
from odoo.exceptions import UserError
from odoo.tools import SQL
from odoo.tools.sql import column_exists, create_column

OUTCOMES = [
    ("open", "Open"),
    ("paid", "Paid"),
    ("credited", "Credited"),
    ("cancelled", "Cancelled or reset to draft"),
    ("settled", "Nothing open any more"),
]
# Where in ``cr.precommit.data`` the moves wait: ``{move id: outcome before}``.
OUTCOME_KEY = "crm_dunning.outcomes"


class AccountMove(models.Model):
    """What has become of an invoice, and who hears of it when that changes.

    The ledger tells nobody when a payment is matched or undone; a stored field that
    depends on it does, in the transaction that changes it. What follows is done once,
    right before the commit, from where things then stand.
    """

    _inherit = "account.move"

    dunning_case_ids = fields.One2many("crm.dunning.case", "move_id")
    dunning_attempt_ids = fields.One2many("crm.dunning.attempt", "move_id")
    dunning_outcome = fields.Selection(
        OUTCOMES,
        string="Collections Outcome",
        compute="_compute_dunning_outcome",
        store=True,
        copy=False,
        help="Of a customer invoice that was posted once.",
    )

    def _auto_init(self):
        """Fill the column in one statement: a ledger is too large for the ORM."""
        is_new = not column_exists(self.env.cr, "account_move", "dunning_outcome")
        if is_new:
            create_column(self.env.cr, "account_move", "dunning_outcome", "varchar")
            self.env.cr.execute(
                SQL(
                    """
                    UPDATE account_move SET dunning_outcome = CASE
                           WHEN state != 'posted' THEN 'cancelled'
                           WHEN payment_state IN ('paid', 'in_payment') THEN 'paid'
                           WHEN payment_state = 'reversed' THEN 'credited'
                           WHEN amount_residual = 0 THEN 'settled'
                           ELSE 'open' END
                     WHERE move_type = 'out_invoice'
                       AND (state = 'posted' OR posted_before)
                    """
                )
            )
        return super()._auto_init()

    # === COMPUTE METHODS === #

    @api.depends("state", "payment_state", "amount_residual")
    def _compute_dunning_outcome(self):
        """Say what has become of the invoice, and remember what it was before."""
        changed = {}
        for move in self:
            before = move.dunning_outcome
            move.dunning_outcome = move._get_dunning_outcome()
            # What is posted for the first time has no case and is no news.
            if before and "open" in (before, move.dunning_outcome):
                changed[move.id] = before
        if changed:
            self._collect_outcomes(changed)

    def _get_dunning_outcome(self):
        """Return ``open``, or how it ended; nothing for what was never posted.

        A payment state alone says too little: a draft keeps the one it had, and a
        blocked invoice may be paid.
        """
        self.ensure_one()
        if self.move_type != "out_invoice" or not (
            self.state == "posted" or self.posted_before
        ):
            return False
        if self.state != "posted":
            return "cancelled"
        if self.payment_state in ("paid", "in_payment"):
            return "paid"
        if self.payment_state == "reversed":
            return "credited"
        return "settled" if self.currency_id.is_zero(self.amount_residual) else "open"

    @api.model
    def _collect_outcomes(self, changed):
        precommit = self.env.cr.precommit
        if OUTCOME_KEY not in precommit.data:
            precommit.data[OUTCOME_KEY] = {}
            precommit.add(self.sudo()._follow_outcomes)
        for move_id, before in changed.items():
            precommit.data[OUTCOME_KEY].setdefault(move_id, before)

    @api.model
    def _follow_outcomes(self):
        """Close and open cases and tell the salespeople, right before the commit."""
        before = self.env.cr.precommit.data.pop(OUTCOME_KEY, {})
        moves = self.browse(before).exists()
        owed_again = moves.filtered(
            lambda move: move.dunning_outcome == "open" != before[move.id]
        )
        self.env["crm.dunning.case"]._follow_moves(moves, owed_again)
        turned = {
            move: move.dunning_outcome
            for move in moves
            if move.dunning_outcome not in ("open", before[move.id])
        }
        for kind in ("paid", "credited"):
            found = [move.id for move, outcome in turned.items() if outcome == kind]
            self.browse(found)._tell_sellers(kind, fields.Date.today().isoformat())
        # What waits because the account owes is looked at again.
        if turned:
            accounts = self.browse().union(*turned).commercial_partner_id
            self.env["crm.billing.handoff"]._wake_later("partner", accounts.ids)
        self.env.flush_all()

    # === ACTION METHODS === #

    def action_start_dunning(self):
        """Open a case for each invoice that is open; those with one keep it.

        For a button, RPC, server actions and automation rules alike; what is paid,
        credited or not posted is passed over.

        :return: an action to the case of one invoice, else ``True``
        :raise AccessError: the user is no billing clerk
        :raise UserError: one invoice was chosen, and nothing of it is open
        """
        cases = self.env["crm.dunning.case"]
        cases._check_is_collector()
        self.check_access("read")
        moves = self.filtered(lambda move: move._get_dunning_outcome() == "open")
        if len(self) == 1 and not moves:
            raise UserError(
                self.env._(
                    "Nothing of %(invoice)s is open: there is nothing to collect.",
                    invoice=self.display_name,
                )
            )
        found = cases._open_for(moves)
        found._refresh_next_action(fields.Datetime.now())
        return found._get_case_action() if len(self) == 1 else True

    def action_view_dunning_cases(self):
        """Open the cases of the invoice, the closed ones, too."""
        return self.dunning_case_ids._get_case_action()
