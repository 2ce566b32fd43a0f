"""Parameters: from ``a[b][0]=c`` to nested values, checked against what is known."""

from urllib.parse import parse_qsl

from .errors import BadParameter

TRUE = ("true", "True", "1")
FALSE = ("false", "False", "0")


# === DECODING === #


def decode(text):
    """Return the nested parameters of a form body or a query string."""
    tree = {}
    for key, value in parse_qsl(text, keep_blank_values=True):
        _put(tree, _path(key), value)
    return _lists(tree)


def _path(key):
    head, *rest = key.split("[")
    return [head, *(part.rstrip("]") for part in rest)]


def _put(tree, path, value):
    *folders, last = path
    for folder in folders:
        tree = tree.setdefault(folder or str(len(tree)), {})
        if not isinstance(tree, dict):
            raise BadParameter("Invalid object", "parameter_invalid", path[0])
    tree[last or str(len(tree))] = value


def _lists(value):
    """Turn what is numbered from 0 into lists, below the top."""
    if not isinstance(value, dict):
        return value
    value = {key: _lists(item) for key, item in value.items()}
    if value and all(key.isdigit() for key in value):
        return [value[key] for key in sorted(value, key=int)]
    return value


# === KINDS === #


def text(name, value):
    if not isinstance(value, str):
        raise BadParameter(f"Invalid string: {value}", "parameter_invalid_string", name)
    return value or None


def integer(name, value):
    try:
        return int(value)
    except (TypeError, ValueError):
        raise BadParameter(
            f"Invalid integer: {value}", "parameter_invalid_integer", name
        ) from None


def amount(name, value):
    """A positive amount in minor units (cents)."""
    number = integer(name, value)
    if number < 1:
        raise BadParameter(
            "This value must be greater than or equal to 1.",
            "parameter_invalid_integer",
            name,
        )
    return number


def currency(name, value):
    """A currency code in lower case; Stripe takes upper case and lowers it."""
    if not (isinstance(value, str) and len(value) == 3 and value.isalpha()):
        raise BadParameter(
            f"Invalid currency: {value}. Stripe wants three letters.",
            "parameter_invalid",
            name,
        )
    return value.lower()


def flag(name, value):
    if value in TRUE or value in FALSE:
        return value in TRUE
    raise BadParameter(f"Invalid boolean: {value}", "parameter_invalid", name)


def flag_or_word(name, value):
    """``off_session``: a boolean, or one of two words that mean yes."""
    return True if value in ("one_off", "recurring") else flag(name, value)


def mapping(name, value):
    if value == "":
        return {}
    if not isinstance(value, dict):
        raise BadParameter(f"Invalid object: {value}", "parameter_invalid", name)
    return _blank_is_none(value)


def array(name, value):
    if value == "":
        return []
    return value if isinstance(value, list) else [value]


def moment(name, value):
    """A timestamp, or bounds as ``created[gte]``."""
    if isinstance(value, dict):
        return {bound: integer(name, limit) for bound, limit in value.items()}
    return integer(name, value)


def one_of(*words):
    def check(name, value):
        if value and value not in words:
            raise BadParameter(
                f"Invalid {name}: must be one of {', '.join(words)}",
                "parameter_invalid",
                name,
            )
        return value or None

    return check


def _blank_is_none(value):
    if isinstance(value, dict):
        return {key: _blank_is_none(item) for key, item in value.items()}
    return None if value == "" else value


# === CHECKING === #


class Known:
    """A parameter: its kind, whether it must be there, in which API versions."""

    def __init__(self, kind, required=False, since="", until="9999"):
        self.kind = kind
        self.required = required
        self.since = since
        self.until = until

    def exists_in(self, version):
        return self.since <= version < self.until


def check(params, known, version):
    """Return the parameters with their kinds, as the endpoint of that version reads.

    :param known: ``{name: Known or kind}``
    :raise BadParameter: one is unknown, missing or malformed
    """
    known = {
        name: item if isinstance(item, Known) else Known(item)
        for name, item in known.items()
    }
    for name in params:
        if name not in known or not known[name].exists_in(version):
            raise BadParameter(
                f"Received unknown parameter: {name}", "parameter_unknown", name
            )
    for name, item in known.items():
        if item.required and item.exists_in(version) and not params.get(name):
            raise _absent(name, params)
    return {name: known[name].kind(name, value) for name, value in params.items()}


def _absent(name, params):
    if name in params:
        return BadParameter(
            f"You passed an empty string for '{name}'. We assume empty values are an "
            f"attempt to unset a parameter; however '{name}' cannot be unset.",
            "parameter_invalid_empty",
            name,
        )
    return BadParameter(f"Missing required param: {name}.", "parameter_missing", name)
