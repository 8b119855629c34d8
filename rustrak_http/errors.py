"""Errors on their way out: one shape, the status that an error hints at, and no internals.

Below 500, and for 503, the answer says the reason. A 500 says ``internal error (incident 7f3a2c)`` and no more; the
log has the same id with the places in the code, and no texts of foreign exceptions, since these may quote a payload.
"""

import logging
import re
import secrets
from collections.abc import Iterable
from typing import Any

import attrs
import falcon

from rustrak_core.errors import OverloadError, RateLimit, RustrakError
from rustrak_http.answers import answer
from rustrak_http.traces import places

_log = logging.getLogger("rustrak.http")

_ANSWERED = frozenset({400, 401, 404, 405, 413, 415, 429, 503})
_NOT_ASCII = re.compile(r"[^\x20-\x7e]+")
_NOT_A_WORD = re.compile(r"[^a-z0-9_]+")
_HEADER_MAX = 200
_DEFAULT_CATEGORIES = ("default", "error", "security")


class IncompleteBodyError(RustrakError):
    """A body that ended before its announced length, or that cannot be read through this HTTP server."""

    status_hint = 400


class UnauthorizedError(RustrakError):
    """A management path was asked for without a valid API token."""

    status_hint = 401

    def __init__(self) -> None:
        super().__init__(
            "a valid API token is required: send `Authorization: Bearer TOKEN`; `rustrak token create` makes one"
        )


class NoSuchPathError(RustrakError):
    """No route has this path."""

    status_hint = 404

    def __init__(self) -> None:
        super().__init__("no such path; /openapi.json lists those that exist")


class MethodError(RustrakError):
    """A route exists but does not take the method.

    Attributes:
        allowed: The methods that it takes.
    """

    status_hint = 405

    def __init__(self, allowed: tuple[str, ...]) -> None:
        super().__init__(f"this path does not take that method; it takes {', '.join(allowed)}")
        self.allowed = allowed


class NotReadyError(RustrakError):
    """The server cannot do its work just now.

    Attributes:
        details: What each check found.
    """

    status_hint = 503

    def __init__(self, failing: tuple[str, ...], details: dict[str, Any]) -> None:
        super().__init__(f"not ready: {', '.join(failing)}")
        self.details = details


@attrs.frozen(kw_only=True)
class Refusal:
    """An error as it is answered."""

    status: int
    text: str
    headers: dict[str, str] = attrs.Factory(dict)
    details: dict[str, Any] = attrs.Factory(dict)


def install(app: "falcon.App[falcon.Request, falcon.Response]") -> None:
    """Let every error that *app* meets, falcon's own among them, leave in our shape."""
    app.add_error_handler(Exception, _handle)
    app.add_error_handler(falcon.HTTPError, _handle)
    app.add_error_handler(falcon.HTTPStatus, _handle)


def refusal_of(error: BaseException) -> Refusal:
    """Return how *error* is answered; what nobody foresaw is logged here, with the id that the answer shows."""
    if isinstance(error, RustrakError) and error.status_hint in _ANSWERED:
        return Refusal(
            status=error.status_hint,
            text=str(error),
            headers=_headers(error),
            details=error.details if isinstance(error, NotReadyError) else {},
        )
    if isinstance(error, falcon.HTTPNotFound):
        return refusal_of(NoSuchPathError())
    if isinstance(error, falcon.HTTPError) and error.status_code < 500:
        status = error.status_code if error.status_code in _ANSWERED else 400
        return Refusal(status=status, text=error.description or error.title or "bad request")
    return _incident(error)


def rate_limit_headers(error: OverloadError) -> dict[str, str]:
    """Return both headers that a 429 carries; SDKs pause a minute without them, and some read only one of the two."""
    return {"Retry-After": str(error.retry_after_s), "X-Sentry-Rate-Limits": rate_limits(error.limits)}


def rate_limits(limits: Iterable[RateLimit]) -> str:
    """Return *limits* as the value of ``X-Sentry-Rate-Limits``, which any answer may carry."""
    return ", ".join(
        f"{limit.retry_after_s}:{';'.join(limit.categories or _DEFAULT_CATEGORIES)}:{limit.scope}:"
        + _NOT_A_WORD.sub("_", limit.reason.lower())
        for limit in limits
    )


def _headers(error: RustrakError) -> dict[str, str]:
    if isinstance(error, OverloadError):
        return rate_limit_headers(error)
    if isinstance(error, MethodError):
        return {"Allow": ", ".join(error.allowed)}
    if isinstance(error, UnauthorizedError):
        return {"WWW-Authenticate": "Bearer"}
    return {}


def _incident(error: BaseException) -> Refusal:
    incident = secrets.token_hex(3)
    _log.error("internal_error incident=%s reason=%s", incident, "\n".join(places(error)))
    return Refusal(status=500, text=f"internal error (incident {incident})")


def _handle(req: falcon.Request, resp: falcon.Response, error: Exception, _params: dict[str, Any]) -> None:
    refusal = refusal_of(error)
    body = {"error": refusal.text, **refusal.details}
    if getattr(req.context, "ingestion", False):
        body["detail"] = refusal.text
        resp.set_header("X-Sentry-Error", _NOT_ASCII.sub("?", refusal.text)[:_HEADER_MAX])
    answer(resp, body, refusal.status)
    resp.set_headers(refusal.headers)
