from . import crm_dunning_recovery_report
from . import crm_billing_timeline
