from odoo import api, fields, models
from odoo.exceptions import ValidationError

from ..dunning_rules.replies import Rule


class CrmDunningReplyRule(models.Model):
    """Words by which a customer's answer is understood, in one language (idea 25)."""

    _name = "crm.dunning.reply.rule"
    _description = "Reply Rule"
    _order = "lang, kind, id"
    _rec_name = "kind"

    active = fields.Boolean(default=True)
    lang = fields.Selection(
        [
            ("en", "English"),
            ("fr", "French"),
            ("de", "German"),
            ("es", "Spanish"),
            ("nl", "Dutch"),
            ("it", "Italian"),
            ("other", "Another language"),
        ],
        string="Language",
        default="en",
        required=True,
        help="For the reader of this list: an answer is compared with all of them.",
    )
    kind = fields.Selection(
        [
            ("auto_reply", "Automatic answer: nothing happens"),
            ("dispute", "Disputes the invoice"),
            ("wrong_address", "Names another person or address"),
            ("promise", "Promises to pay"),
            ("paid", "Says that it is paid"),
        ],
        string="Means",
        required=True,
    )
    words = fields.Text(
        required=True,
        help="One word or phrase a line; capitals and accents do not matter.",
    )

    # === CONSTRAINT METHODS === #

    @api.constrains("words")
    def _check_words(self):
        for rule in self:
            if not rule._get_words() or any(len(one) < 3 for one in rule._get_words()):
                raise ValidationError(
                    self.env._(
                        "Write at least one word, each of three letters or more: "
                        "shorter ones stand in every answer."
                    )
                )

    # === BUSINESS METHODS === #

    def _get_words(self):
        lines = [line.strip() for line in (self.words or "").splitlines()]
        return tuple(line for line in lines if line)

    @api.model
    def _get_rules(self):
        """Return the rules as the reader of answers takes them."""
        # An answer comes in for everybody, whoever may edit the words.
        return [
            Rule(kind=rule.kind, words=rule._get_words(), lang=rule.lang)
            for rule in self.sudo().search([])
        ]
