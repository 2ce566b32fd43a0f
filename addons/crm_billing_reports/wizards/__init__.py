from . import crm_billing_leak_wizard
from . import res_config_settings_leak
from . import res_config_settings_exception
