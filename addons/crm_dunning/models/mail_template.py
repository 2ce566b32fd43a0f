import uuid

from lxml import html
from markupsafe import Markup

from odoo import api, models
from odoo.exceptions import UserError, ValidationError

TEXTS = ("subject", "email_from", "lang", "body_html")


class Looked(Exception):
    """The sample has served: undo it."""


class MailTemplate(models.Model):
    """Texts of reminders: one that cannot be rendered is not saved (G7)."""

    _inherit = "mail.template"

    @api.model_create_multi
    def create(self, vals_list):
        templates = super().create(vals_list)
        templates._check_dunning_text()
        return templates

    def write(self, vals):
        result = super().write(vals)
        if set(TEXTS) & vals.keys():
            self._check_dunning_text()
        return result

    def _check_dunning_text(self):
        """Render a message as a customer would get it, in each installed language.

        Core renders a text with any record at hand and in one language; without a
        message in the database it would let everything pass.

        :raise ValidationError: something in the text cannot be rendered
        """
        ours = self.filtered(lambda one: one.sudo().model == "crm.dunning.notice")
        if not ours or self.env.context.get("install_mode"):
            return
        langs = [code for code, _name in self.env["res.lang"].get_installed()]
        try:
            with self.env.cr.savepoint():
                notice, contents = self.env["crm.dunning.notice"]._make_sample()
                for template in ours:
                    for lang in langs:
                        text = template.with_context(
                            lang=lang, dunning_contents=contents
                        )
                        text._render_sample(notice)
                raise Looked
        except Looked:
            self.env.invalidate_all(flush=False)

    def _render_sample(self, notice):
        for name in TEXTS:
            try:
                self._render_field(name, notice.ids)
            except Exception as error:
                # Whatever a text does wrong, its author is told where.
                raise ValidationError(
                    self.env._(
                        "%(field)s of %(template)s cannot be rendered: %(error)s. "
                        "Nothing was saved.",
                        field=self._fields[name].get_description(self.env, ["string"])[
                            "string"
                        ],
                        template=self.name,
                        error=error.args[0] if error.args else error,
                    )
                ) from error

    # === BUSINESS METHODS - MANY AT ONCE === #

    def _render_dunning_bodies(self, ids):
        """Return ``{notice id: body}``, the text compiled once for all of them.

        Core compiles it again for each record, which costs more than all the rest. Each
        message is rendered in a scope of its own: what its text sets does not reach the
        next one.
        """
        self.ensure_one()
        notices = self.env["crm.dunning.notice"].browse(ids)
        mark = uuid.uuid4().hex
        # Under a name that is compiled already, scopes find their options at once.
        source = (
            '<div t-name="crm_dunning.notice_scope">'
            '<t t-foreach="notices" t-as="object">'
            f'<t t-call="crm_dunning.notice_scope">{self.body_html or ""}</t>{mark}'
            "</t></div>"
        )
        values = self._render_eval_context() | {"notices": notices}
        try:
            rendered = self.env["ir.qweb"]._render(
                html.fragment_fromstring(source), values
            )
        except Exception as error:
            raise UserError(
                self.env._(
                    "Failed to render %(template)s: %(error)s",
                    template=self.name,
                    error=error.args[0] if error.args else error,
                )
            ) from error
        bodies = rendered[len("<div>") : -len("</div>")].split(mark)[:-1]
        return {
            notice.id: Markup(body.strip())
            for notice, body in zip(notices, bodies, strict=True)
        }
