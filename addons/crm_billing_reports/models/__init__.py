from . import res_company_leak
from . import crm_billing_agreement_leak
from . import crm_billing_leak_waiver
from . import crm_billing_event_books
from . import crm_billing_system
from . import crm_billing_crosswalk
from . import account_partial_reconcile
