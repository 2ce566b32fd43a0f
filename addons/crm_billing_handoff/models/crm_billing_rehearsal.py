import logging

import psycopg2
from dateutil.relativedelta import relativedelta

from odoo import api, fields, models
from odoo.exceptions import UserError, ValidationError
from odoo.fields import Domain
from odoo.tools import format_date

_logger = logging.getLogger(__name__)

CHUNK_SIZE = 100
# A book of at most this many agreements is rehearsed while the user waits.
AT_ONCE = 200
LONGEST = 36
KEEP_DAYS = 400


class CrmBillingRehearsal(models.Model):
    """The next months of the whole book, as the engine would bill them.

    Nothing is written but the result. The work is done in chunks by
    :meth:`_cron_rehearse`, then what differs from the rehearsal before is told by cause
    (`crm_billing_rehearsal_difference.py`).
    """

    _name = "crm.billing.rehearsal"
    _description = "Billing Rehearsal"
    _order = "id desc"

    name = fields.Char(compute="_compute_name")
    company_id = fields.Many2one(
        "res.company",
        required=True,
        index=True,
        readonly=True,
        default=lambda self: self.env.company,
    )
    currency_id = fields.Many2one(related="company_id.currency_id")
    user_id = fields.Many2one(
        "res.users",
        string="By",
        required=True,
        readonly=True,
        default=lambda self: self.env.user,
    )
    months = fields.Integer(string="Months ahead", default=3, required=True)
    date_from = fields.Date(
        string="First Day",
        required=True,
        readonly=True,
        default=fields.Date.context_today,
    )
    date_until = fields.Date(
        string="Last Day", compute="_compute_date_until", store=True, precompute=True
    )
    state = fields.Selection(
        [("running", "Running"), ("done", "Done"), ("stopped", "Stopped")],
        default="running",
        required=True,
        readonly=True,
        index=True,
    )
    previous_id = fields.Many2one(
        "crm.billing.rehearsal",
        string="Compared with",
        readonly=True,
        ondelete="set null",
    )
    last_agreement_id = fields.Integer(readonly=True, default=0)
    agreement_total = fields.Integer(string="Agreements", readonly=True)
    agreement_done = fields.Integer(string="Agreements Done", readonly=True)
    progress = fields.Integer(compute="_compute_progress")
    broken_count = fields.Integer(
        string="Cannot Be Billed", compute="_compute_totals", compute_sudo=True
    )
    amount = fields.Monetary(
        string="Before Tax", compute="_compute_totals", compute_sudo=True
    )
    difference = fields.Monetary(compute="_compute_totals", compute_sudo=True)
    causes = fields.Json(compute="_compute_causes", compute_sudo=True)
    line_ids = fields.One2many(
        "crm.billing.rehearsal.line", "rehearsal_id", readonly=True
    )
    difference_ids = fields.One2many(
        "crm.billing.rehearsal.difference",
        "rehearsal_id",
        string="Differences",
        readonly=True,
    )

    # === COMPUTE METHODS === #

    @api.depends("create_date", "months")
    @api.depends_context("lang", "tz")
    def _compute_name(self):
        for rehearsal in self:
            made = rehearsal.create_date or fields.Datetime.now()
            local = fields.Datetime.context_timestamp(rehearsal, made)
            rehearsal.name = self.env._(
                "%(months)s months from %(day)s, %(time)s",
                months=rehearsal.months,
                day=format_date(self.env, rehearsal.date_from),
                time=local.strftime("%H:%M"),
            )

    @api.depends("date_from", "months")
    def _compute_date_until(self):
        for rehearsal in self:
            rehearsal.date_until = rehearsal.date_from + relativedelta(
                months=rehearsal.months, days=-1
            )

    @api.depends("agreement_total", "agreement_done", "state")
    def _compute_progress(self):
        for rehearsal in self:
            done = rehearsal.state == "done" or not rehearsal.agreement_total
            rehearsal.progress = (
                100
                if done
                else 100 * rehearsal.agreement_done // rehearsal.agreement_total
            )

    @api.depends("line_ids.amount_company", "difference_ids.difference")
    def _compute_totals(self):
        lines, differences = self.env["crm.billing.rehearsal.line"], self.difference_ids
        totals = {
            rehearsal.id: (amount, broken)
            for rehearsal, amount, broken in lines._read_group(
                [("rehearsal_id", "in", self.ids)],
                ["rehearsal_id"],
                ["amount_company:sum", "error:count"],
            )
        }
        changes = dict(
            differences._read_group(
                [("rehearsal_id", "in", self.ids)], ["rehearsal_id"], ["difference:sum"]
            )
        )
        for rehearsal in self:
            amount, broken = totals.get(rehearsal.id, (0.0, 0))
            rehearsal.amount, rehearsal.broken_count = amount, broken
            rehearsal.difference = changes.get(rehearsal, 0.0)

    @api.depends("difference_ids.difference")
    @api.depends_context("lang")
    def _compute_causes(self):
        """Sum the differences by cause, the largest first, for the form."""
        model = self.env["crm.billing.rehearsal.difference"]
        names = dict(model._fields["cause"]._description_selection(self.env))
        rows = model._read_group(
            [("rehearsal_id", "in", self.ids)],
            ["rehearsal_id", "cause"],
            ["difference:sum", "__count"],
        )
        for rehearsal in self:
            mine = [row[1:] for row in rows if row[0] == rehearsal]
            rehearsal.causes = [
                {
                    "cause": cause,
                    "name": names[cause],
                    "amount": rehearsal.currency_id.format(amount),
                    "is_less": amount < 0,
                    "count": count,
                }
                for cause, amount, count in sorted(mine, key=lambda row: -abs(row[1]))
            ]

    # === CONSTRAINT METHODS === #

    @api.constrains("months")
    def _check_months(self):
        for rehearsal in self:
            if not 1 <= rehearsal.months <= LONGEST:
                raise ValidationError(
                    self.env._("Rehearse 1 to %(most)s months.", most=LONGEST)
                )

    # === CRUD METHODS === #

    @api.model_create_multi
    def create(self, vals_list):
        """Override to start at once, whether a form, an import or a call asks."""
        self.env["account.move"]._check_is_biller()
        rehearsals = super().create(
            [
                {name: vals[name] for name in ("months", "company_id") if name in vals}
                for vals in vals_list
            ]
        )
        # The result is written by the flow, whoever asks for it.
        rehearsals.sudo()._start()
        return rehearsals

    # === ACTION METHODS === #

    def action_stop(self):
        """Stop a rehearsal that is still running; what it has found is kept."""
        self.env["account.move"]._check_is_biller()
        self.check_access("read")
        self.sudo().filtered(lambda run: run.state == "running").state = "stopped"
        return True

    def action_again(self):
        """Rehearse the same months from today, and show the result."""
        self.ensure_one()
        again = self.create({"months": self.months, "company_id": self.company_id.id})
        return {
            "type": "ir.actions.act_window",
            "res_model": self._name,
            "res_id": again.id,
            "views": [(False, "form")],
        }

    def action_view_lines(self):
        """Open what would be billed."""
        return self._get_window("crm_billing_rehearsal_line_action")

    def action_view_differences(self):
        """Open what differs from the rehearsal before."""
        if not self.previous_id:
            raise UserError(
                self.env._(
                    "This is the first rehearsal: there is none to compare with."
                )
            )
        return self._get_window("crm_billing_rehearsal_difference_action")

    def _get_window(self, xmlid):
        self.ensure_one()
        action = self.env["ir.actions.act_window"]._for_xml_id(
            f"crm_billing_handoff.{xmlid}"
        )
        return {**action, "domain": [("rehearsal_id", "=", self.id)], "path": False}

    # === BUSINESS METHODS === #

    def _start(self):
        """Count the book, find the rehearsal before, and begin."""
        for rehearsal in self:
            previous = self.search(
                [
                    ("company_id", "=", rehearsal.company_id.id),
                    ("state", "=", "done"),
                    ("id", "<", rehearsal.id),
                ],
                limit=1,
            )
            rehearsal.previous_id = previous
            rehearsal.agreement_total = self.env["crm.billing.agreement"].search_count(
                rehearsal._get_book_domain()
            )
            if rehearsal.agreement_total <= AT_ONCE:
                while rehearsal._rehearse_chunk(CHUNK_SIZE):
                    pass
                rehearsal._finish()
            else:
                self.env.ref("crm_billing_handoff.ir_cron_rehearse_billing")._trigger()

    def _get_book_domain(self):
        """Return the agreements that the rehearsal still has to look at."""
        self.ensure_one()
        return (
            Domain("company_id", "=", self.company_id.id)
            & Domain("state", "=", "running")
            & Domain("id", ">", self.last_agreement_id)
        )

    @api.model
    def _cron_rehearse(self, chunk_size=CHUNK_SIZE):
        """Go on with the rehearsals that are running, one commit a chunk.

        A killed job goes on after the last committed chunk.
        """
        self = self.sudo()
        commit_progress = self.env["ir.cron"]._commit_progress
        running = self.search([("state", "=", "running")], order="id")
        commit_progress(
            remaining=sum(run.agreement_total - run.agreement_done for run in running)
        )
        for rehearsal in running:
            rehearsal = rehearsal.try_lock_for_update(allow_referencing=True)
            while rehearsal.state == "running":
                done = rehearsal._rehearse_chunk(chunk_size)
                if not done:
                    rehearsal._finish()
                if not commit_progress(done):
                    return
                rehearsal = rehearsal.try_lock_for_update(allow_referencing=True)

    def _rehearse_chunk(self, chunk_size):
        """Plan the next agreements of the book.

        :return: how many agreements were planned, 0 at the end of the book
        """
        self.ensure_one()
        agreements = self.env["crm.billing.agreement"].search(
            self._get_book_domain(), order="id", limit=chunk_size
        )
        if not agreements:
            return 0
        self.env["crm.billing.rehearsal.line"].create(self._plan_lines(agreements))
        self.write(
            {
                "last_agreement_id": agreements[-1].id,
                "agreement_done": self.agreement_done + len(agreements),
            }
        )
        return len(agreements)

    def _plan_lines(self, agreements):
        """Return the values of what ``agreements`` would bill; writes nothing.

        Whatever one agreement breaks is told on a line of its own, as in the run.
        """
        known = set(agreements.line_ids.ids)
        looking = agreements.with_context(billing_look_ahead=True)
        try:
            with self.env.cr.savepoint():
                return looking._read_ahead(
                    self.date_until, lambda ahead: self._read_lines(ahead, known)
                )
        except psycopg2.OperationalError:
            raise
        except Exception as error:
            if len(agreements) == 1:
                _logger.warning("Agreement %s cannot be rehearsed", agreements.id)
                return [self._prepare_broken(agreements, str(error))]
        half = len(agreements) // 2
        return self._plan_lines(agreements[:half]) + self._plan_lines(agreements[half:])

    def _read_lines(self, agreements, known):
        """Return the values of the expected rows and of those that cannot be billed.

        :param known: ids of the lines that are there without any scheduled change
        """
        papers, errors, _held = agreements._plan_papers(until=self.date_until)
        vals_list = [
            self._prepare_line(row, document.agreement, known)
            for paper in papers
            for document in paper.documents
            for row in document.rows
        ]
        vals_list += [
            self._prepare_broken(agreement, str(error))
            for agreement, error in errors.items()
        ]
        return vals_list

    def _prepare_line(self, row, agreement, known):
        """Return the values of one expected ledger row.

        A line that only a scheduled change will make is told as the one it replaces.
        """
        line, vals = row.line, row.vals
        kept = line
        while kept and kept.id not in known:
            kept = kept.predecessor_id
        amount = float(row.amount)
        return {
            "rehearsal_id": self.id,
            "agreement_id": agreement.id,
            "line_id": kept.id,
            "chain_id": kept and kept._get_first_of_chain().id,
            "kind": vals["kind"],
            "billing_date": row.billing_date,
            "date_from": vals["date_from"],
            "date_to": vals["date_to"],
            "price": float(line.price_unit),
            "quantity": line.quantity,
            "discount": line.discount,
            "factor": vals.get("factor") or "1",
            "amount": amount,
            "amount_company": agreement.currency_id._convert(
                amount, self.currency_id, self.company_id, self.date_from
            ),
        }

    def _prepare_broken(self, agreement, reason):
        return {
            "rehearsal_id": self.id,
            "agreement_id": agreement.id,
            "billing_date": max(
                agreement.next_invoice_date or self.date_from, self.date_from
            ),
            "error": reason,
        }

    def _finish(self):
        """Compare with the rehearsal before, and tell who asked for it."""
        self.ensure_one()
        self.state = "done"
        self._compare()

    @api.autovacuum
    def _gc_rehearsals(self):
        """Forget rehearsals of more than a year ago."""
        oldest = fields.Datetime.subtract(fields.Datetime.now(), days=KEEP_DAYS)
        self.search([("create_date", "<", oldest)], limit=20).unlink()
