from . import res_config_settings_policy
from . import crm_dunning_payout_import
from . import crm_dunning_case_wizard
