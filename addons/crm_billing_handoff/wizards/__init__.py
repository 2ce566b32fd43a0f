from . import base_partner_merge
from . import crm_billing_contract_wizard
from . import crm_billing_retention_wizard
from . import crm_billing_setup
from . import res_config_settings
from . import sale_advance_payment_inv
from . import crm_billing_usage_import
from . import crm_billing_usage_entry
