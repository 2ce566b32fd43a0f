from odoo import api, models
from odoo.exceptions import ValidationError

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
