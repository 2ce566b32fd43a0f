"""The order of the tests."""

UPWARDS = ("crm_billing_handoff", "crm_dunning", "crm_billing_reports")


def pytest_collection_modifyitems(items):
    """Begin with the demos, the smallest first.

    They write a year of business in one transaction; among the dead rows that thousands
    of other tests, or a larger demo, leave behind, that takes ten times as long.
    """
    items.sort(key=_get_place)


def _get_place(item):
    if item.path.name != "test_demo.py":
        return len(UPWARDS)
    return UPWARDS.index(item.path.parts[-3])
