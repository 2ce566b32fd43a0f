from . import test_leak_radar
from . import test_aging
from . import test_evidence
from . import test_forecast_snapshot
from . import test_invoice_status
from . import test_touches
from . import test_exceptions
