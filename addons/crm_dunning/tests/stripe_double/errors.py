"""What Stripe answers when it says no."""

DOCS = "https://stripe.com/docs/error-codes/"


class ApiError(Exception):
    """An answer other than 200.

    :param status: HTTP status
    :param kind: ``type`` of the error object
    :param more: further keys of the error object (code, param, payment_intent, …)
    """

    def __init__(self, status, message, kind="invalid_request_error", **more):
        super().__init__(message)
        self.status = status
        self.error = {"message": message, "type": kind, **more}
        if code := more.get("code"):
            self.error["doc_url"] = DOCS + code.replace("_", "-")


class BadParameter(ApiError):
    """Parameters that do not even reach the endpoint: nothing is stored for the key."""

    def __init__(self, message, code, param):
        super().__init__(400, message, code=code, param=param)


def unauthorized(message):
    return ApiError(401, message)


def missing(kind, identifier, param="id"):
    """There is no such object (404 in the address, 400 in a parameter)."""
    return ApiError(
        404 if param in ("id", "intent") else 400,
        f"No such {kind}: '{identifier}'",
        code="resource_missing",
        param=param,
    )


def rate_limit():
    return ApiError(
        429,
        "Request rate limit exceeded. Learn more about rate limits here "
        "https://stripe.com/docs/rate-limits.",
        code="rate_limit",
    )


def crash(status=500):
    return ApiError(
        status,
        "An unknown error occurred while processing the request.",
        kind="api_error",
    )


def unexpected_state(intent, message):
    """A PaymentIntent or SetupIntent is not in a state for that; it comes along."""
    kind = intent["object"]
    return ApiError(400, message, code=f"{kind}_unexpected_state", **{kind: intent})
