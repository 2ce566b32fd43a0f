from . import test_leak_radar
from . import test_invoice_status
