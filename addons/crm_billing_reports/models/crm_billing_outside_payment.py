from decimal import ROUND_HALF_UP, Decimal

from odoo import fields, models
from odoo.exceptions import UserError
from odoo.fields import Command, Domain
from odoo.tools import format_amount, format_date


class CrmBillingSystem(models.Model):
    _inherit = "crm.billing.system"

    payment_journal_id = fields.Many2one(
        "account.journal",
        string="Payments From There",
        check_company=True,
        domain="[('type', 'in', ('bank', 'cash')), ('company_id', '=', company_id)]",
        help="Bank journal in which payments of these books are taken over. Its "
        "account stands for the bank account there: no statement is expected.",
    )

    def _has_our_books(self):
        """Return whether the books of the company are kept in this system."""
        self.ensure_one()
        company = self.company_id
        return (
            company.billing_books == "elsewhere" and company.billing_system_id == self
        )


class CrmBillingOutsideDocument(models.Model):
    """Payments come back: booked once, by the machine, and matched with the invoice.

    Where the books are kept elsewhere, a payment there is a payment here: the invoice,
    the deal and collections follow from the ledger as always, and nobody types it. A
    payment that changes there is withdrawn and booked again; its row in the crosswalk
    keeps it from ever being handed out.
    """

    _inherit = "crm.billing.outside.document"

    # === BUSINESS METHODS - TAKING OVER === #

    def _take_over(self):
        """Book each payment that is not here; one that fails keeps its reason."""
        for row in self.sorted(lambda row: (row.date, row.id)):
            error = False
            try:
                with self.env.cr.savepoint():
                    row._take_over_one()
            except UserError as problem:
                error = str(problem)
            row.sudo().booking_error = error

    def _take_over_one(self):
        if self.is_taken_over and not self._is_booked_right():
            self._withdraw()
        if self._get_record() or not self._is_alive():
            return
        self._check_can_take_over()
        allocations = self._find_allocations()
        moves = self.env["account.move"].union(*(move for move, _ in allocations))
        self._replace_balances(moves)
        self._check_owed(allocations)
        payment = self._create_payment(moves)
        self._book_allocations(payment, allocations)
        # The row and the crosswalk are the flow's; the payment is the user's.
        flow = self.sudo()
        flow.write(
            {"payment_id": payment.id, "is_taken_over": True, "linked_by": "booking"}
        )
        flow._note_booked()
        self._log_match("outside_paid", payment.name)

    def _note_booked(self):
        """Map the payment, so that it is never handed out; one of ours as such."""
        seen = {"external_id": self.external_id, "external_name": self.number}
        seen["version"] = self.version
        self.env["crm.billing.crosswalk"]._note_seen(
            self.system_id,
            "account.payment",
            {self.payment_id.id: seen},
            fields.Datetime.now(),
        )

    def _is_booked_right(self):
        """Return whether what was booked is still what the other side says."""
        payment = self.payment_id
        if not self._is_alive() or not payment:
            return False
        return (
            payment.date == self.date
            and payment.currency_id == self.currency_id
            and self._get_booked() == self._get_applied()
        )

    def _get_booked(self):
        """Return ``{(invoice or 0, amount)}`` of the lines of the payment here."""
        lines = self.payment_id.move_id.line_ids.filtered(
            lambda line: line.account_id.account_type == "asset_receivable"
        )
        return {
            (
                line.matched_debit_ids.debit_move_id.move_id[:1].id or 0,
                self.currency_id.round(-line.amount_currency),
            )
            for line in lines
        }

    def _get_applied(self):
        return {
            (move.id or 0, self.currency_id.round(amount))
            for move, amount in self._find_allocations()
        }

    def _check_can_take_over(self):
        system = self.system_id
        if not system._has_our_books():
            raise UserError(
                self.env._(
                    "%(books)s are not the books of %(company)s: its payments are "
                    "booked here, and only compared. See the settings.",
                    books=system.name,
                    company=self.company_id.name,
                )
            )
        journal = system.payment_journal_id
        if not journal:
            raise UserError(
                self.env._(
                    "Choose on %(books)s in which journal its payments are taken over.",
                    books=system.name,
                )
            )
        if locks := self.company_id._get_violated_lock_dates(self.date, False, journal):
            raise UserError(
                self.env._(
                    "%(number)s of %(day)s lies in a closed period here (until "
                    "%(lock)s). Open it, or explain the difference.",
                    number=self.number,
                    day=format_date(self.env, self.date),
                    lock=format_date(self.env, locks[-1][0]),
                )
            )

    def _find_allocations(self):
        """Return ``[(invoice, amount)]``, and what is applied to nothing as the last.

        :raise UserError: an invoice that it pays is not here
        """
        found, missing = [], []
        companies = self.system_id._get_companies()
        for allocation in self.allocation_ids:
            move = allocation._find_move()
            if move and move.state == "posted" and move.company_id in companies:
                found.append((move, allocation.amount))
            else:
                missing.append(allocation.invoice_ref)
        if missing:
            raise UserError(
                self.env._(
                    "%(number)s pays invoices that are not here: %(refs)s. Read the "
                    "list of invoices first, or link them.",
                    number=self.number,
                    refs=", ".join(missing),
                )
            )
        rest = self.currency_id.round(self.amount - sum(amount for _, amount in found))
        if not self.currency_id.is_zero(rest):
            found.append((self.env["account.move"], rest))
        return found

    def _check_owed(self, allocations):
        """Refuse to pay an invoice twice: the same money may be here already."""
        for move, amount in allocations:
            if move.currency_id == self.currency_id and (
                self.currency_id.compare_amounts(amount, move.amount_residual) > 0
            ):
                raise UserError(
                    self.env._(
                        "%(invoice)s has less open here than %(number)s pays: the "
                        "payment may be here already. Link the two, or undo the other.",
                        invoice=move.name,
                        number=self.number,
                    )
                )

    def _create_payment(self, moves):
        """Return a draft payment in the journal of the other books."""
        account = moves.commercial_partner_id or self.partner_id
        if len(account) != 1:
            raise UserError(
                self.env._(
                    "%(number)s: it is not known which account “%(customer)s” is. Map "
                    "the customer in the crosswalk.",
                    number=self.number,
                    customer=self.customer_name,
                )
            )
        journal = self.system_id.payment_journal_id
        payments = self.env["account.payment"].with_company(self.company_id)
        payment = payments.create(
            {
                "payment_type": "inbound",
                "partner_type": "customer",
                "partner_id": account.id,
                "journal_id": journal.id,
                "amount": self.amount,
                "currency_id": self.currency_id.id,
                "date": self.date,
                "memo": self._describe_payment(),
                "payment_reference": self.number,
            }
        )
        # Money that is in the bank there waits for no statement here.
        payment.outstanding_account_id = journal.default_account_id
        return payment

    def _describe_payment(self):
        if not self.is_balance:
            return f"{self.system_id.name} {self.number}"
        return self.env._(
            "%(books)s: open amount %(amount)s",
            books=self.system_id.name,
            amount=format_amount(self.env, self.amount, self.currency_id),
        )

    def _book_allocations(self, payment, allocations):
        """Post the payment with a line for each invoice, and match these exactly."""
        liquidity, counterpart = payment._prepare_move_line_default_vals()
        lines = self._split_counterpart(counterpart, [part for _, part in allocations])
        payment._generate_journal_entry(
            line_ids=[Command.create(vals) for vals in (liquidity, *lines)]
        )
        payment.action_post()
        credits_ = payment.move_id.line_ids.filtered(
            lambda line: line.account_id.account_type == "asset_receivable"
        ).sorted("id")
        for line, (move, _amount) in zip(credits_, allocations, strict=True):
            due = move.line_ids.filtered(
                lambda row, account=line.account_id: (
                    row.account_id == account and not row.reconciled
                )
            )
            if due:
                (line | due).reconcile()

    def _split_counterpart(self, vals, amounts):
        """Return one line per amount; in company currency the last takes the rest."""
        company_currency = self.company_id.currency_id
        step = Decimal(str(company_currency.rounding))
        total, whole = Decimal(str(vals["credit"])), Decimal(str(sum(amounts)))
        left, lines = total, []
        for place, amount in enumerate(amounts, 1):
            share = total * Decimal(str(amount)) / whole / step
            share = share.quantize(Decimal(1), ROUND_HALF_UP) * step
            credit = left if place == len(amounts) else share
            left -= credit
            lines.append({**vals, "amount_currency": -amount, "credit": float(credit)})
        return lines

    # === BUSINESS METHODS - WITHDRAWING === #

    def _withdraw(self):
        """Cancel what was booked: the other side changed, voided or lost it."""
        payment = self.payment_id
        flow = self.sudo()
        if payment:
            payment.action_draft()
            payment.action_cancel()
            rows = flow.env["crm.billing.crosswalk"]._get_rows(
                flow.system_id, payment._name, payment.ids
            )
            flow.env["crm.billing.crosswalk"].union(*rows.values())._note_withdrawn()
            self._log_match("outside_withdrawn", old_value=payment.name)
        flow.write({"payment_id": False, "is_taken_over": False, "linked_by": False})

    def _replace_balances(self, moves):
        """Withdraw what an open amount stood for: the real payment is here."""
        if self.is_balance or not moves:
            return
        rows = self.search(
            Domain("system_id", "=", self.system_id.id)
            & Domain("kind", "=", "payment")
            & Domain("is_balance", "=", True)
            & Domain("is_gone", "=", False)
        )
        for row in rows:
            paid = row.allocation_ids and row.allocation_ids[0]._find_move()
            if paid and paid in moves:
                row._withdraw()
                row.sudo().is_gone = True

    def _create_balance_payments(self):
        """Create the payment that the open amount of each invoice there stands for."""
        vals_list = []
        for row in self.filtered(lambda row: row.kind == "invoice" and row.has_open):
            paid = row.currency_id.round(row.move_id.amount_residual - row.amount_open)
            if not row.move_id or not row._is_alive() or paid <= 0:
                raise UserError(
                    self.env._(
                        "%(number)s: no more is paid there than here.",
                        number=row.number,
                    )
                )
            vals_list.append(row._prepare_balance_payment(paid))
        return self.sudo().create(vals_list).sudo(False)

    def _prepare_balance_payment(self, paid):
        day = fields.Date.context_today(self, self.last_seen_at)
        before = self.search_count(
            [
                ("system_id", "=", self.system_id.id),
                ("is_balance", "=", True),
                ("allocation_ids.invoice_ref", "=", self.external_id),
            ]
        )
        return {
            "system_id": self.system_id.id,
            "kind": "payment",
            "external_id": f"balance:{self.external_id}:{before + 1}",
            "number": self.number,
            "customer_name": self.customer_name,
            "customer_ref": self.customer_ref,
            "partner_id": self.partner_id.id,
            "date": day,
            "currency_id": self.currency_id.id,
            "amount": paid,
            "is_balance": True,
            "first_seen_at": self.last_seen_at,
            "last_seen_at": self.last_seen_at,
            "allocation_ids": [
                Command.create({"invoice_ref": self.external_id, "amount": paid})
            ],
        }
