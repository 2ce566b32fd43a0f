"""The order of the tests."""


def pytest_collection_modifyitems(items):
    """Begin with the demos.

    They write a year of business in one transaction; among the dead rows that thousands
    of other tests leave behind, that takes ten times as long.
    """
    items.sort(key=lambda item: item.path.name != "test_demo.py")
