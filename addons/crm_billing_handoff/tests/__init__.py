from . import test_demo
from . import test_hand_off
from . import test_wall
from . import test_account
from . import test_audit_log
from . import test_tours
from . import test_views
