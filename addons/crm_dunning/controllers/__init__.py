from . import crm_dunning_webhook
