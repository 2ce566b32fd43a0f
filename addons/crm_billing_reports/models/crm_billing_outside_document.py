from odoo import api, fields, models
from odoo.exceptions import UserError
from odoo.tools import float_compare

KINDS = [("invoice", "Invoice"), ("credit", "Credit note"), ("payment", "Payment")]
MODELS = {
    "invoice": "account.move",
    "credit": "account.move",
    "payment": "account.payment",
}
STATUSES = [
    ("draft", "Draft"),
    ("open", "Open"),
    ("partial", "Partly paid"),
    ("paid", "Paid"),
    ("void", "Void"),
]
# What the other side says; all else is found out here.
SAID = (
    "number",
    "customer_name",
    "customer_ref",
    "date",
    "due_date",
    "currency_id",
    "amount",
    "has_open",
    "amount_open",
    "status",
    "version",
    "is_deposited",
    "is_gone",
)
MOVE_TYPES = {"invoice": "out_invoice", "credit": "out_refund"}


class CrmBillingOutsideDocument(models.Model):
    """An invoice, credit note or payment as the other books have it.

    Rows are read from lists (`crm_billing_outside_read.py`), find their counterpart
    here by crosswalk, else by number (`crm_billing_outside_match.py`), and a payment is
    taken over into our ledger where the books are kept there
    (`crm_billing_outside_payment.py`). Nobody writes them by hand: they are what
    another system said, and when.
    """

    _name = "crm.billing.outside.document"
    _description = "Document in External Books"
    _order = "date desc, id desc"
    _rec_name = "number"

    system_id = fields.Many2one(
        "crm.billing.system",
        string="Books",
        required=True,
        index=True,
        ondelete="restrict",
    )
    company_id = fields.Many2one(related="system_id.company_id", store=True, index=True)
    kind = fields.Selection(KINDS, required=True)
    external_id = fields.Char(string="External ID", required=True)
    number = fields.Char(required=True, index=True)
    customer_name = fields.Char(string="Customer There", required=True)
    customer_ref = fields.Char(string="Customer ID There")
    partner_id = fields.Many2one(
        "res.partner",
        string="Account",
        index="btree_not_null",
        help="Which of our accounts that customer is, by crosswalk or by name.",
    )
    date = fields.Date(required=True, index=True)
    due_date = fields.Date()
    currency_id = fields.Many2one("res.currency", required=True)
    amount = fields.Monetary(help="With tax, positive.")
    has_open = fields.Boolean(
        string="Open Amount Known", help="Some lists do not say what is unpaid."
    )
    amount_open = fields.Monetary(string="Open There")
    status = fields.Selection(STATUSES)
    version = fields.Char()
    is_deposited = fields.Boolean(string="Deposited There")
    is_gone = fields.Boolean(
        string="Gone There",
        help="A list that was complete for its days no longer has it.",
    )
    move_id = fields.Many2one(
        "account.move", string="Invoice Here", index="btree_not_null"
    )
    payment_id = fields.Many2one(
        "account.payment", string="Payment Here", index="btree_not_null"
    )
    statement_line_id = fields.Many2one(
        "account.bank.statement.line",
        string="Bank Line Here",
        index="btree_not_null",
        help="A payment that was matched from a bank statement, without a payment.",
    )
    is_taken_over = fields.Boolean(
        string="Taken Over", help="We booked the payment here from that list."
    )
    is_balance = fields.Boolean(
        string="From an Open Amount",
        help="No list has this payment: it is what an open amount there says was paid. "
        "The real payment takes its place when it comes.",
    )
    booking_error = fields.Char(string="Why Not Taken Over")
    linked_by = fields.Selection(
        [
            ("crosswalk", "Crosswalk"),
            ("number", "Number"),
            ("person", "A person"),
            ("booking", "Taken over"),
        ],
    )
    allocation_ids = fields.One2many("crm.billing.outside.allocation", "document_id")
    import_id = fields.Many2one("crm.billing.outside.import", string="Last List")
    first_seen_at = fields.Datetime()
    last_seen_at = fields.Datetime(string="Last Seen There")

    _external_uniq = models.UniqueIndex(
        "(system_id, kind, external_id)", "These books already show this document."
    )
    _move_uniq = models.UniqueIndex(
        "(system_id, move_id) WHERE move_id IS NOT NULL AND is_gone IS NOT TRUE",
        "This invoice already has a counterpart in these books.",
    )
    _payment_uniq = models.UniqueIndex(
        "(system_id, payment_id) WHERE payment_id IS NOT NULL AND is_gone IS NOT TRUE",
        "This payment already has a counterpart in these books.",
    )

    # === ACTION METHODS === #

    def action_open_record(self):
        """Show the counterpart here."""
        self.ensure_one()
        record = self._get_record()
        if not record:
            raise UserError(self.env._("%(number)s is not here.", number=self.number))
        return record._get_records_action(context={})

    def action_take_over(self):
        """Book the payments of the other books here, as their list says.

        :return: ``None``, or a notice of those of several that could not be booked
        :raise UserError: the only one could not
        """
        self._check_can_match()
        payments = self.filtered(lambda row: row.kind == "payment")
        if not payments:
            raise UserError(self.env._("Only payments are taken over: choose some."))
        payments._take_over()
        return payments._tell_booking_errors()

    def action_take_open_amount(self):
        """Take over what is paid there, of invoices whose payments no list shows.

        :return: ``None``, or a notice of those of several that could not be booked
        :raise UserError: the only one could not, or nothing is to be taken over
        """
        self._check_can_match()
        payments = self._create_balance_payments()
        payments._take_over()
        return payments._tell_booking_errors()

    def action_unlink_record(self):
        """Undo a link that a person or the number made; what was booked stays."""
        self._check_can_match()
        self._unlink_records()

    # === BUSINESS METHODS === #

    def _tell_booking_errors(self):
        """Return a notice of what was not booked; each row keeps its own reason.

        :raise UserError: it is the only one
        """
        errors = [row.booking_error for row in self if row.booking_error]
        if not errors:
            return None
        if len(self) == 1:
            raise UserError(errors[0])
        return {
            "type": "ir.actions.client",
            "tag": "display_notification",
            "params": {
                "type": "warning",
                "sticky": True,
                "title": self.env._(
                    "%(booked)s booked, %(left)s not",
                    booked=len(self) - len(errors),
                    left=len(errors),
                ),
                "message": " ".join(errors[:5]),
                "next": {"type": "ir.actions.act_window_close"},
            },
        }

    @api.model
    def _check_can_match(self):
        """Let only those match who may book: billing and accountants."""
        self.env["account.move"].check_access("write")
        self.check_access("read")

    def _get_record(self):
        """Return the counterpart here, an empty recordset if there is none."""
        self.ensure_one()
        return self.payment_id or self.statement_line_id or self.move_id

    def _is_alive(self):
        """Return whether the other books count this document."""
        self.ensure_one()
        return not self.is_gone and self.status not in ("void", "draft")

    def _get_said(self):
        """Return what the other side says of this document, to compare."""
        self.ensure_one()
        values = {name: self[name] or False for name in SAID}
        values["currency_id"] = self.currency_id.id
        return values

    def _differs(self, vals):
        """Return whether a list says something else than what is known."""
        known = self._get_said()
        digits = self.currency_id.decimal_places
        for name in SAID:
            value = vals.get(name, known[name]) or False
            if name in ("amount", "amount_open"):
                if float_compare(known[name] or 0, value or 0, precision_digits=digits):
                    return True
            elif known[name] != value:
                return True
        return False


class CrmBillingOutsideAllocation(models.Model):
    """Which invoice a payment there is applied to, and with how much."""

    _name = "crm.billing.outside.allocation"
    _description = "Applied Payment in External Books"
    _order = "id"

    document_id = fields.Many2one(
        "crm.billing.outside.document", required=True, index=True, ondelete="cascade"
    )
    company_id = fields.Many2one(
        related="document_id.company_id", store=True, index=True
    )
    currency_id = fields.Many2one(related="document_id.currency_id")
    invoice_ref = fields.Char(
        string="Applied To", required=True, help="Number or external id there."
    )
    amount = fields.Monetary()

    def _find_move(self):
        """Return the invoice here: by the other side's document, else by crosswalk."""
        self.ensure_one()
        system = self.document_id.system_id
        documents = self.env["crm.billing.outside.document"].search(
            [
                ("system_id", "=", system.id),
                ("kind", "=", "invoice"),
                ("move_id", "!=", False),
                ("is_gone", "=", False),
                "|",
                ("external_id", "=", self.invoice_ref),
                ("number", "=", self.invoice_ref),
            ]
        )
        exact = documents.filtered(lambda row: row.external_id == self.invoice_ref)
        if found := (exact or documents)[:1].move_id:
            return found
        row = self.env["crm.billing.crosswalk"].search(
            [
                ("system_id", "=", system.id),
                ("model", "=", "account.move"),
                "|",
                ("external_id", "=", self.invoice_ref),
                ("external_name", "=", self.invoice_ref),
            ],
            limit=1,
        )
        return self.env["account.move"].browse(row.res_id).exists()


class CrmBillingOutsideImport(models.Model):
    """One list of the other books that was read: by whom, what it held and changed."""

    _name = "crm.billing.outside.import"
    _description = "List Read from External Books"
    _order = "id desc"
    _rec_name = "file_name"

    system_id = fields.Many2one(
        "crm.billing.system",
        string="Books",
        required=True,
        index=True,
        ondelete="restrict",
    )
    company_id = fields.Many2one(related="system_id.company_id", store=True, index=True)
    file_name = fields.Char(string="File")
    checksum = fields.Char(string="SHA-256", required=True)
    attachment_id = fields.Many2one("ir.attachment", string="Content")
    row_count = fields.Integer(string="Documents")
    new_count = fields.Integer(string="New")
    changed_count = fields.Integer(string="Changed")
    gone_count = fields.Integer(string="Gone")
    date_from = fields.Date(string="Complete From")
    date_to = fields.Date(string="Complete To")
    has_documents = fields.Boolean(string="All Invoices and Credit Notes")
    has_payments = fields.Boolean(string="All Payments")
