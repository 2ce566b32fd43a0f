from . import crm_billing_health
from . import crm_billing_usage
