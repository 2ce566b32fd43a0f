from . import test_account_credit
from . import test_local_stripe
from . import test_follow_up
from . import test_case_life
from . import test_case_person
from . import test_case_customer
