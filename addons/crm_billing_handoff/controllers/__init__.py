from . import crm_billing_usage
