from fractions import Fraction

from odoo import api, fields, models
from odoo.exceptions import UserError
from odoo.fields import Command, Domain

from ..billing_rules.allocation import exact

MAIL_TEMPLATE = "crm_billing_handoff.mail_template_price_notice"


class CrmBillingPriceRevision(models.Model):
    """New prices for many agreements: seen in total first, one change a line (D4).

    Only lines that run on the effective date are touched, from their next period on
    unless the day itself was chosen. Applying makes `crm.billing.change` records, so
    that each agreement keeps its own proof and preview.
    """

    _name = "crm.billing.price.revision"
    _description = "Price Revision"
    _order = "date desc, id desc"
    _check_company_auto = True

    name = fields.Char(required=True)
    company_id = fields.Many2one(
        "res.company",
        required=True,
        index=True,
        default=lambda self: self.env.company,
    )
    currency_id = fields.Many2one(
        "res.currency",
        required=True,
        default=lambda self: self.env.company.currency_id,
        help="Only agreements in this currency are touched.",
    )
    date = fields.Date(
        string="Effective From", required=True, default=fields.Date.context_today
    )
    starts_on = fields.Selection(
        [
            ("period", "The next period of each line"),
            ("date", "The day itself, prorated"),
        ],
        string="New Price From",
        default="period",
        required=True,
    )
    product_ids = fields.Many2many(
        "product.product", string="Products", help="Empty: all products."
    )
    account_ids = fields.Many2many(
        "res.partner", string="Accounts", help="Empty: all accounts."
    )
    agreement_ids = fields.Many2many(
        "crm.billing.agreement", string="Agreements", help="Empty: all agreements."
    )
    price_below = fields.Float(
        digits=(16, 6), help="Touch only prices below this one; 0 for all."
    )
    method = fields.Selection(
        [("percent", "Percent"), ("price", "New price")],
        default="percent",
        required=True,
    )
    percent = fields.Float(string="Rise (%)", digits=(16, 6))
    price_unit = fields.Float(string="New Price", digits=(16, 6))
    state = fields.Selection(
        [("draft", "Draft"), ("applied", "Applied")],
        default="draft",
        required=True,
        readonly=True,
        copy=False,
    )
    change_ids = fields.One2many(
        "crm.billing.change", "revision_id", string="Changes", readonly=True
    )
    preview = fields.Json(compute="_compute_preview")
    line_count = fields.Integer(string="Lines", compute="_compute_preview")
    account_count = fields.Integer(string="Customers", compute="_compute_preview")
    mrr_before = fields.Monetary(string="MRR Now", compute="_compute_preview")
    mrr_after = fields.Monetary(string="MRR After", compute="_compute_preview")
    mrr_effect = fields.Monetary(string="Effect", compute="_compute_preview")
    preview_html = fields.Html(compute="_compute_preview", sanitize=False)
    notified_at = fields.Datetime(string="Customers Told", readonly=True, copy=False)

    # === COMPUTE METHODS === #

    @api.depends(
        "date",
        "starts_on",
        "product_ids",
        "account_ids",
        "agreement_ids",
        "price_below",
        "method",
        "percent",
        "price_unit",
        "currency_id",
        "company_id",
        "state",
    )
    def _compute_preview(self):
        for revision in self:
            preview = revision._get_preview()
            revision.preview = preview
            revision.line_count = len(preview)
            revision.account_count = len({row["account"] for row in preview})
            revision.mrr_before = sum(row["mrr_before"] for row in preview)
            revision.mrr_after = sum(row["mrr_after"] for row in preview)
            revision.mrr_effect = revision.mrr_after - revision.mrr_before
            revision.preview_html = self.env["ir.qweb"]._render(
                "crm_billing_handoff.crm_billing_price_revision_preview",
                {"revision": revision, "rows": preview[:100]},
            )

    # === ACTION METHODS === #

    def action_apply(self):
        """Make one change a line, applied today or on its day; safe to call again.

        :raise AccessError: the user is no billing clerk
        :raise UserError: nothing is touched
        """
        self.env["account.move"]._check_is_biller()
        self.check_access("write")
        for revision in self.filtered(lambda revision: revision.state == "draft"):
            lines = revision._get_lines()
            if not lines:
                raise UserError(
                    self.env._(
                        "%(revision)s touches no line: nothing runs on %(day)s that "
                        "fits its filter.",
                        revision=revision.name,
                        day=revision.date,
                    )
                )
            changes = self.env["crm.billing.change"].create(
                [revision._prepare_change(line) for line in lines]
            )
            changes.action_apply()
            # Set by the flow: nobody types that a revision was applied.
            revision.sudo().state = "applied"
        return True

    def action_notify(self):
        """Tell the customers their new prices by mail, once."""
        self.env["account.move"]._check_is_biller()
        self.check_access("write")
        for revision in self.filtered(lambda r: r.state == "applied"):
            if revision.notified_at:
                continue
            changes = revision.change_ids.filtered(
                lambda change: change.state in ("scheduled", "applied")
            )
            for agreement_changes in changes.grouped("agreement_id").values():
                agreement_changes._send_price_notice()
            revision.sudo().notified_at = fields.Datetime.now()
        return True

    def action_view_changes(self):
        """Open the changes that the revision made."""
        self.ensure_one()
        return {
            "type": "ir.actions.act_window",
            "name": self.name,
            "res_model": "crm.billing.change",
            "view_mode": "list,form",
            "domain": [("revision_id", "=", self.id)],
        }

    # === BUSINESS METHODS === #

    def _get_domain(self):
        """Return which lines may be touched; narrow it to your own rules."""
        domain = (
            Domain("company_id", "=", self.company_id.id)
            & Domain("agreement_id.currency_id", "=", self.currency_id.id)
            & Domain("agreement_id.state", "in", ("running", "paused"))
            & Domain("billing_method", "=", "flat")
            & Domain("successor_id", "=", False)
        )
        if self.product_ids:
            domain &= Domain("product_id", "in", self.product_ids.ids)
        if self.account_ids:
            accounts = self.account_ids.commercial_partner_id
            domain &= Domain("agreement_id.partner_id", "in", accounts.ids)
        if self.agreement_ids:
            domain &= Domain("agreement_id", "in", self.agreement_ids.ids)
        if self.price_below:
            domain &= Domain("price_unit", "<", self.price_below)
        return domain

    def _get_lines(self):
        """Return the lines that run on the day their new price starts."""
        self.ensure_one()
        lines = self.env["crm.billing.agreement.line"].search(self._get_domain())
        return lines.filtered(
            lambda line: (
                line.anchor_date
                and line._is_in_service(self.date)
                and line._is_in_service(self._get_day(line))
                and self._get_price(line) != line.price_unit
            )
        )

    def _get_day(self, line):
        """Return the first day of a line at its new price."""
        anchored = line._to_cadence().holding(self.date)
        if self.starts_on == "date" or anchored.start == self.date:
            return self.date
        return anchored.end

    def _get_price(self, line):
        if self.method == "price":
            return self.price_unit
        rise = 1 + Fraction(exact(self.percent)) / 100
        return round(float(Fraction(exact(line.price_unit)) * rise), 6)

    def _get_preview(self):
        """Return one row a line: who, from when, old and new price, MRR."""
        self.ensure_one()
        if self.state == "applied":
            return [change._to_revision_row() for change in self.change_ids]
        rows = []
        for line in self._get_lines():
            price = self._get_price(line)
            before = float(line._get_mrr())
            share = Fraction(exact(line.price_unit))
            after = float(
                line.new({"price_unit": price}, origin=line)._get_mrr()
                if share
                else line._get_mrr()
            )
            rows.append(
                {
                    "account": line.agreement_id.partner_id.display_name,
                    "agreement": line.agreement_id.name,
                    "line": line.product_id.display_name,
                    "from": str(self._get_day(line)),
                    "price_before": line.price_unit,
                    "price_after": price,
                    "mrr_before": before,
                    "mrr_after": after,
                }
            )
        return rows

    def _prepare_change(self, line):
        return {
            "agreement_id": line.agreement_id.id,
            "change_type": "price",
            "line_ids": [Command.set(line.ids)],
            "date": self._get_day(line),
            "price_unit": self._get_price(line),
            "revision_id": self.id,
            "note": self.name,
        }


class CrmBillingChange(models.Model):
    _inherit = "crm.billing.change"

    revision_id = fields.Many2one(
        "crm.billing.price.revision",
        string="Price Revision",
        readonly=True,
        index="btree_not_null",
        ondelete="restrict",
        check_company=True,
    )

    def _to_revision_row(self):
        line = self.line_ids[:1]
        preview = self.applied_preview or self.preview or {}
        return {
            "account": self.partner_id.display_name,
            "agreement": self.agreement_id.name,
            "line": line.product_id.display_name,
            "from": str(self.date),
            "price_before": line.price_unit,
            "price_after": self.price_unit,
            "mrr_before": float(preview.get("mrr_before") or 0),
            "mrr_after": float(preview.get("mrr_after") or 0),
        }

    def _send_price_notice(self):
        """Mail the new prices of one agreement to who gets its invoices."""
        template = self.env.ref(MAIL_TEMPLATE)
        agreement = self.agreement_id
        agreement.message_post_with_source(
            template,
            subtype_xmlid="mail.mt_comment",
            partner_ids=agreement.payer_id._get_billing_address().ids,
            email_layout_xmlid="mail.mail_notification_light",
        )


class CrmBillingAgreement(models.Model):
    _inherit = "crm.billing.agreement"

    def _get_price_notices(self):
        """Return what the notice lists: product, old and new price, first day."""
        changes = self.change_ids.filtered(
            lambda change: (
                change.state in ("scheduled", "applied")
                and change.revision_id
                and not change.revision_id.notified_at
            )
        )
        return [
            {
                "name": change.line_ids[:1].product_id.display_name,
                "before": change.line_ids[:1].price_unit,
                "after": change.price_unit,
                "date": change.date,
            }
            for change in changes
        ]
