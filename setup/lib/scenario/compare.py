"""Hold what came out against what must come out."""

from .money import exact


def first_difference(expected, actual, path=""):
    """Return the first difference in one line, None if there is none.

    Keys of an object that ``expected`` does not name are free; lists have the same
    length and order; numbers are compared as numbers, however they are written.
    """
    if isinstance(expected, dict):
        return _compare_objects(expected, actual, path)
    if isinstance(expected, list):
        return _compare_lists(expected, actual, path)
    if _same(expected, actual):
        return None
    return f"{path or 'it'}: expected {_show(expected)}, got {_show(actual)}"


def _compare_objects(expected, actual, path):
    if not isinstance(actual, dict):
        return f"{path or 'it'}: expected an object, got {_show(actual)}"
    for key, value in expected.items():
        # a comment everywhere but in the list of what the ledger noted
        if key == "note" and not path.startswith("notes["):
            continue
        place = f"{path}.{key}" if path else key
        if key not in actual:
            return f"{place}: expected {_show(value)}, there is none"
        if difference := first_difference(value, actual[key], place):
            return difference
    return None


def _compare_lists(expected, actual, path):
    if not isinstance(actual, list):
        return f"{path or 'it'}: expected a list, got {_show(actual)}"
    for position, (wanted, found) in enumerate(zip(expected, actual, strict=False)):
        if difference := first_difference(wanted, found, f"{path}[{position}]"):
            return difference
    if len(expected) != len(actual):
        return f"{path or 'it'}: expected {len(expected)} entries, got {len(actual)}"
    return None


def _same(expected, actual):
    if isinstance(expected, bool) or isinstance(actual, bool):
        return expected is actual
    numbers = exact(expected), exact(actual)
    if None not in numbers:
        return numbers[0] == numbers[1]
    return expected == actual


def _show(value):
    if isinstance(value, dict | list):
        return "an object" if isinstance(value, dict) else f"{len(value)} entries"
    return "nothing" if value is None else str(value)
