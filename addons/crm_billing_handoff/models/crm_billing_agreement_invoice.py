from collections import defaultdict
from dataclasses import dataclass, field
from decimal import Decimal

from odoo import api, models
from odoo.exceptions import UserError
from odoo.fields import Command

from ..billing_rules.allocation import exact
from .crm_billing_agreement_due import Document, Due
from .crm_billing_agreement_next import PENDING

SILENT = {
    "mail_create_nolog": True,
    "mail_create_nosubscribe": True,
    "billing_from_agreement": True,
}


@dataclass
class Paper:
    """One invoice or credit note to be made, for one or more agreements.

    :param header: values of the account.move without its lines
    :param documents: what each agreement puts on it
    :param is_noted: nothing to print: the ledger alone keeps the rows
    """

    header: dict
    documents: list[Document] = field(default_factory=list)
    is_refund: bool = False
    is_noted: bool = False

    @property
    def rows(self) -> list[Due]:
        return [row for document in self.documents for row in document.rows]


class CrmBillingAgreement(models.Model):
    """From due rows to drafts: ledger rows and invoices of a whole chunk at once."""

    _inherit = "crm.billing.agreement"

    # === ACTION METHODS === #

    def generate_invoices(self, until=None):
        """Make the drafts of everything due by ``until``; the second call makes none.

        :param until: local date of each account, included; default: its today
        :return: the new invoices and credit notes, as drafts
        :raise AccessError: the user is no billing clerk
        :raise UserError: something cannot be billed; nothing is made then
        """
        self._check_is_biller()
        until = self._check_until(until)
        # The flow writes the ledger and the links, for the clerk who asks for it.
        agreements = self.sudo()
        agreements._lock_and_wait()
        live = agreements.filtered(lambda one: one.state in ("running", "paused"))
        # A person who asks for it has confirmed it.
        live.filtered("is_catch_up_held").action_confirm_catch_up()
        moves, errors = live._invoice_due(until=until)
        for error in errors.values():
            raise error
        live.filtered("billing_error").billing_error = False
        return moves.with_env(self.env)

    def action_generate_invoices(self):
        """Make the drafts of what is due today, and show them."""
        moves = self.generate_invoices()
        if not moves:
            return {
                "type": "ir.actions.client",
                "tag": "display_notification",
                "params": {
                    "type": "info",
                    "message": self._tell_nothing_made(),
                    "next": {"type": "ir.actions.act_window_close"},
                },
            }
        return moves._get_billing_action(moves)

    # === BUSINESS METHODS - INVOICING === #

    def _tell_nothing_made(self):
        """Return why no draft was made, in words."""
        held = self.filtered("is_catch_up_held")
        if not held:
            return self.env._("Nothing is due today.")
        return self.env._(
            "%(count)s periods of %(agreements)s are due at once. Look at them and "
            "press “Confirm catching up”.",
            count=sum(held.mapped("catch_up_count")),
            agreements=", ".join(held.mapped("name")),
        )

    def _invoice_due(self, now=None, until=None):
        """Write what is due into the ledger and onto drafts, all at once.

        :param now: instant (UTC) that decides each account's today
        :param until: local date up to which it bills instead of today
        :return: ``(account.move, {agreement: error})``; what failed is untouched
        """
        papers, errors, held = self._plan_papers(now, until)
        for agreement, count in held.items():
            agreement._hold_catch_up(count)
        return self._make_papers(papers), errors

    def _plan_papers(self, now=None, until=None):
        """Return what would be made; write nothing.

        Bad data is met here, one agreement by one, before any batch is made.

        :return: ``([Paper], {agreement: error}, {agreement: periods that are due})``,
            the last one for what a person has to confirm first
        """
        todays = {agreement: agreement._get_today(now) for agreement in self}
        untils = {agreement: until or today for agreement, today in todays.items()}
        self._prefetch_for_invoicing()
        facts = self.line_ids._read_due_facts(untils)
        pending = self._get_pending_periods()
        cache = defaultdict(dict)
        papers, errors, held = {}, {}, {}
        for agreement in self:
            try:
                documents = agreement._plan_documents(
                    untils[agreement], facts, pending.get(agreement, ())
                )
                if agreement._must_hold(documents):
                    held[agreement] = len(documents)
                    continue
                made = [
                    paper
                    for document in documents
                    for paper in agreement._to_papers(
                        document, todays[agreement], cache
                    )
                ]
            except (UserError, ValueError) as error:
                errors[agreement] = error
                continue
            for key, paper in made:
                papers.setdefault(
                    key, Paper(paper.header, [], paper.is_refund, paper.is_noted)
                )
                papers[key].documents += paper.documents
        ordered = sorted(papers, key=self._get_paper_order)
        return [papers[key] for key in ordered], errors, held

    @api.model
    def _get_paper_order(self, key):
        return (key[0], str(key[1:]))

    def _prefetch_for_invoicing(self):
        """Read for the whole chunk what each header and line looks at."""
        lines = self.line_ids
        lines.tax_ids.mapped("price_include")
        lines.product_id.product_tmpl_id.mapped("categ_id")
        lines.mapped("predecessor_id.end_reason")
        accounts = self.partner_id | self.payer_id
        for company, agreements in self.grouped("company_id").items():
            agreements.partner_id.with_company(company).mapped(
                "property_payment_term_id"
            )
        accounts.billing_contact_id.mapped("active")

    def _get_pending_periods(self):
        """Return ``{agreement: periods}`` of ledger rows that wait for an invoice."""
        periods = self.env["crm.billing.period"].search(
            [("agreement_id", "in", self.ids), *PENDING], order="date_from, id"
        )
        periods.debit_id.move_line_id.mapped("tax_ids")
        return periods.grouped("agreement_id")

    def _to_papers(self, document, today, cache):
        """Yield ``(key, Paper)``: the invoice of a document, and its credit notes.

        Credits ride on the invoice as long as its total stays positive; the others
        become credit notes of the invoices they credit (2.6, 3.3).
        """
        invoice_date = self._get_invoice_date(document.billing_date, today, cache)
        position = self._get_fiscal_position(invoice_date, cache)
        kept, credited = self._split_credits(document.rows, position)
        if kept and all(row.vals["kind"] == "usage" and not row.amount for row in kept):
            # Nothing was used and nothing else is due: an empty invoice helps nobody.
            key = (document.billing_date, "noted", self.id)
            noted = [Document(self, document.billing_date, kept)]
            yield key, Paper({}, noted, is_noted=True)
        elif kept:
            header = self._prepare_invoice(document.billing_date, today, cache)
            key = self._get_consolidation_key(header, document.billing_date)
            yield key, Paper(header, [Document(self, document.billing_date, kept)])
        for origin, rows in credited.items():
            header = self._prepare_credit_note(origin, today, cache)
            key = (document.billing_date, "credit", self.id, origin.id)
            yield key, Paper(header, [Document(self, today, rows)], is_refund=True)

    def _split_credits(self, rows, position):
        """Return ``(rows for the invoice, {credited invoice: rows})``."""
        debits = [row for row in rows if row.amount >= 0]
        credits = [row for row in rows if row.amount < 0]
        net = sum((row.amount for row in debits), Decimal(0))
        gross = sum((self._get_gross(row, position) for row in debits), Decimal(0))
        kept, others = list(debits), defaultdict(list)
        for row in credits:
            rest = net + row.amount
            rest_gross = gross + self._get_gross(row, position)
            if debits and rest >= 0 and rest_gross >= 0:
                net, gross = rest, rest_gross
                kept.append(row)
            else:
                others[self._get_credited_move(row)].append(row)
        kept.sort(key=self._get_row_order)
        return kept, others

    @api.model
    def _get_credited_move(self, row):
        """Return the invoice that a row credits, empty where there is none."""
        debit = row.period.debit_id if row.period else None
        if debit is None:
            ledger = self.env["crm.billing.period"]
            debit = ledger.browse(row.vals.get("debit_id") or ())
        return debit.move_line_id.move_id

    @api.model
    def _get_gross(self, row, position):
        """Return an estimate with tax, good enough to tell the sign of a total."""
        taxes = position.map_tax(row.line.tax_ids._origin)
        if row.tax_ids is not None:
            taxes = taxes.browse(row.tax_ids)
        rates = [
            exact(tax.amount)
            for tax in taxes
            if tax.amount_type == "percent" and not tax.price_include
        ]
        return row.amount * (1 + sum(rates, Decimal(0)) / 100)

    def _get_consolidation_key(self, header, billing_date):
        """Return what an invoice may be shared by (6.4)."""
        own = () if self._shares_invoices() else (self.id,)
        names = (
            "partner_id",
            "company_id",
            "currency_id",
            "journal_id",
            "invoice_payment_term_id",
            "fiscal_position_id",
            "ref",
        )
        return (billing_date, "invoice", *own, *(header[name] for name in names))

    def _shares_invoices(self):
        choice = self.consolidate or self.payer_id.billing_consolidate
        if choice:
            return choice == "yes"
        return self.company_id.billing_consolidate

    # === BUSINESS METHODS - WRITE === #

    def _make_papers(self, papers):
        """Create the planned invoices and ledger rows; one note on each invoice."""
        self._note_in_ledger([paper for paper in papers if paper.is_noted])
        papers = [paper for paper in papers if not paper.is_noted]
        if not papers:
            return self.env["account.move"]
        cache = defaultdict(dict)
        drafts = self.env["account.move"].sudo().with_context(**SILENT)
        moves = drafts.create(
            [self._prepare_paper(paper, cache) for paper in papers]
        ).with_context(billing_from_agreement=False)
        self._write_ledger(papers, moves)
        moves._note_agreements()
        self._close_ended()
        return moves

    @api.model
    def _prepare_paper(self, paper, cache):
        """Return the complete values of an invoice, a section an agreement."""
        agreements = [document.agreement for document in paper.documents]
        commands, sequence = [], 0
        header = dict(paper.header)
        cache["position"] = {
            "id": self.env["account.fiscal.position"].browse(
                header["fiscal_position_id"]
            )
        }
        lang = self.env["res.partner"].browse(header["partner_id"]).lang
        several = len({agreement.id for agreement in agreements}) > 1
        for document in paper.documents:
            if several:
                sequence += 1
                commands.append(
                    Command.create(
                        {
                            "display_type": "line_section",
                            "name": document.agreement._get_section_name(),
                            "sequence": sequence,
                        }
                    )
                )
            for row in document.rows:
                sequence += 1
                vals = row.line._prepare_move_line(row, paper, cache, lang)
                commands.append(Command.create({**vals, "sequence": sequence}))
        names = dict.fromkeys(agreement.name for agreement in agreements)
        leads = dict.fromkeys(agreement.lead_id.id for agreement in agreements)
        header |= {
            "invoice_origin": ", ".join(names),
            "agreement_ids": [Command.link(agreement.id) for agreement in agreements],
            "opportunity_ids": [Command.link(lead) for lead in leads if lead],
            "is_billing_review": paper.header["move_type"] == "out_invoice",
            "invoice_line_ids": commands,
        }
        return header

    def _get_section_name(self):
        return self.po_number and f"{self.name} · {self.po_number}" or self.name

    @api.model
    def _write_ledger(self, papers, moves):
        """Write the rows that the invoices print, and tie those that waited to them."""
        vals_list, waiting = [], []
        for paper, move in zip(papers, moves, strict=True):
            lines = move.invoice_line_ids.filtered(
                lambda line: line.display_type == "product"
            ).sorted("sequence")
            for row, line in zip(paper.rows, lines, strict=True):
                if row.period:
                    waiting.append((row.period, line))
                else:
                    vals_list.append(
                        {
                            **row.vals,
                            "amount": float(row.vals["amount"]),
                            "move_line_id": line.id,
                        }
                    )
        for period, line in waiting:
            period.move_line_id = line
        ledger = self.env["crm.billing.period"].sudo()
        return ledger.create(vals_list)

    @api.model
    def _note_in_ledger(self, papers):
        """Write rows that no invoice prints."""
        note = self.env._("Nothing used, no line")
        self.env["crm.billing.period"].sudo().create(
            [
                {
                    **row.vals,
                    "amount": float(row.amount),
                    "is_covered": True,
                    "note": row.vals.get("note") or note,
                }
                for paper in papers
                for row in paper.rows
            ]
        )

    def _close_ended(self):
        """Close what has served and billed its last day."""
        for agreement in self:
            if agreement.state != "running" or agreement.next_invoice_date:
                continue
            ends = [line._get_end() for line in agreement.line_ids]
            today = agreement._get_today()
            if agreement._has_open_work() or any(
                not end or end > today for end in ends
            ):
                continue
            agreement.state = "cancelled" if agreement.cancel_date else "closed"
            agreement._log_event("ended")

    def _has_open_work(self):
        """Return whether something without a date is still to be billed."""
        self.ensure_one()
        return False


class AccountMove(models.Model):
    _inherit = "account.move"

    def _note_agreements(self):
        """Note on each draft which agreements made it, in one query."""
        bodies = {
            move.id: self.env._(
                "Made by %(agreements)s.",
                agreements=move.invoice_origin,
            )
            for move in self
        }
        self._message_log_batch(bodies=bodies)
