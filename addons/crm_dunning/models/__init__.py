from . import crm_dunning_policy
from . import crm_dunning_step
from . import crm_dunning_case
from . import crm_dunning_attempt
from . import crm_dunning_notice
from . import account_move
from . import res_partner
