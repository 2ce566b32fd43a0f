from . import res_config_settings_policy
from . import crm_dunning_payout_import
from . import crm_dunning_case_wizard
from . import crm_dunning_notice_preview
from . import crm_dunning_order_wizard
from . import crm_dunning_fee_wizard
