from . import test_leak_radar
