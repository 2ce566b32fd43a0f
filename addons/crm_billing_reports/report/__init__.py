from . import crm_billing_report_mixin
from . import crm_billing_leak_report
from . import crm_billing_leak_query
from . import crm_billing_leak_fix
from . import crm_billing_aging_report
from . import crm_billing_aging_query
from . import crm_billing_overdue_report
from . import crm_billing_aging_tie_out
