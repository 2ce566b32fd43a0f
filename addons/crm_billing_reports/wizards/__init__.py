from . import crm_billing_leak_wizard
from . import res_config_settings_leak
from . import res_config_settings_exception
from . import crm_billing_evidence_import
from . import crm_billing_name_import
from . import res_config_settings_books
from . import crm_billing_books_import
from . import crm_billing_match_wizard
