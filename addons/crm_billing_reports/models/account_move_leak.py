from odoo import models


class AccountMove(models.Model):
    """What the leak radar looks for in a large ledger: what never arrived."""

    _inherit = "account.move"

    _leak_draft_idx = models.Index(
        "(company_id) WHERE move_type = 'out_invoice' AND state = 'draft'"
    )
    # Small as what is open: a paid invoice leaves it.
    _leak_unsent_idx = models.Index(
        "(company_id) WHERE move_type = 'out_invoice' AND state = 'posted'"
        " AND is_move_sent IS NOT TRUE AND payment_state IN ('not_paid', 'partial')"
    )
