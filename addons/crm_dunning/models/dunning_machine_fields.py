"""Fields that collections write and nobody else, whatever the client sends."""

from odoo import api, models, tools
from odoo.models import MAGIC_COLUMNS

# A clerk writes owner, deputy and deadline; the rest follows from actions and ledger.
CASE_FREE = {"owner_id", "deputy_id", "deadline"}
MOVE_FIELDS = (
    "dunning_outcome",
    "dunning_case_ids",
    "dunning_attempt_ids",
    "is_dunning_fee",
)
AGREEMENT_FIELDS = ("dunning_hold_at",)
LEAD_FIELDS = ("billing_paid_at",)
TRANSACTION_FIELDS = (
    "outcome_unknown",
    "outcome_checked_at",
    "decline_code",
    "dunning_attempt_ids",
)
# Switched with a button that asks who it is and looks at keys and secrets.
PROVIDER_FIELDS = (
    "dunning_armed",
    "dunning_armed_uid",
    "dunning_armed_at",
    "dunning_database",
    "dunning_events_until",
    "dunning_polled_at",
)
ORDER_FIELDS = (
    "dunning_allowed_uid",
    "dunning_allowed_at",
    "dunning_allow_reason",
)


class CrmDunningCase(models.Model):
    _name = "crm.dunning.case"
    _inherit = ["crm.dunning.case", "crm.billing.machine.fields"]

    @api.model
    @tools.ormcache()
    def _get_machine_fields(self):
        """Return every field of the case itself but those that a clerk sets."""
        return {
            name
            for name, field in self._fields.items()
            if name not in CASE_FREE
            and name not in MAGIC_COLUMNS
            and not name.startswith(("message_", "activity_", "website_", "rating_"))
            and (field.store or field.type == "one2many")
        }


class AccountMove(models.Model):
    _inherit = "account.move"

    @api.model
    def _get_machine_fields(self):
        return (*super()._get_machine_fields(), *MOVE_FIELDS)


class CrmBillingAgreement(models.Model):
    _inherit = "crm.billing.agreement"

    @api.model
    def _get_machine_fields(self):
        return (*super()._get_machine_fields(), *AGREEMENT_FIELDS)


class CrmLead(models.Model):
    _inherit = "crm.lead"

    @api.model
    def _get_machine_fields(self):
        return (*super()._get_machine_fields(), *LEAD_FIELDS)


class SaleOrder(models.Model):
    _name = "sale.order"
    _inherit = ["sale.order", "crm.billing.machine.fields"]

    @api.model
    def _get_machine_fields(self):
        return (*super()._get_machine_fields(), *ORDER_FIELDS)


class PaymentTransaction(models.Model):
    """Whether money may have moved is not the ledger's to say: it is charged again."""

    _name = "payment.transaction"
    _inherit = ["payment.transaction", "crm.billing.machine.fields"]

    @api.model
    def _get_machine_fields(self):
        return (*super()._get_machine_fields(), *TRANSACTION_FIELDS)


class PaymentProvider(models.Model):
    _name = "payment.provider"
    _inherit = ["payment.provider", "crm.billing.machine.fields"]

    @api.model
    def _get_machine_fields(self):
        return (*super()._get_machine_fields(), *PROVIDER_FIELDS)
