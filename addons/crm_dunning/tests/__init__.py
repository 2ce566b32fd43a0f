from . import test_account_credit
