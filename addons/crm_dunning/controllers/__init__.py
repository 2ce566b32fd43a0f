from . import crm_dunning_webhook
from . import portal
