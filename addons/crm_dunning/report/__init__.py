from . import crm_dunning_recovery_report
