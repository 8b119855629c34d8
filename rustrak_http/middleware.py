"""What happens to every request around its resource: paths, tokens, methods, and headers of the answer."""

from typing import Any

import falcon
from falcon.constants import COMBINED_METHODS

from rustrak_http.errors import MethodError
from rustrak_http.gate import TokenGate
from rustrak_http.paths import ingestion_path
from rustrak_http.request_id import CURRENT, HEADER, request_id

_CORS = [
    ("Access-Control-Allow-Origin", "*"),
    ("Access-Control-Expose-Headers", "x-sentry-error, x-sentry-rate-limits, retry-after"),
]
_PREFLIGHT = [
    ("Access-Control-Allow-Methods", "POST"),
    (
        "Access-Control-Allow-Headers",
        (
            "x-sentry-auth, x-requested-with, x-forwarded-for, origin, referer, accept, content-type, authentication, "
            "authorization, content-encoding, transfer-encoding"
        ),
    ),
    ("Access-Control-Max-Age", "3600"),
]
_EVERYWHERE = [("X-Content-Type-Options", "nosniff"), ("Cache-Control", "no-store")]
INGESTION_HEADERS = [*_EVERYWHERE, *_CORS]
"""What every answer bears on a path that SDKs send to."""


class Front:
    """The one middleware: it stands before the router, since the token is checked before the path."""

    def __init__(self, gate: TokenGate) -> None:
        self._gate = gate

    def process_request(self, req: falcon.Request, _resp: falcon.Response) -> None:
        """Tell ingestion from management, ask the latter for a token, and take HEAD for GET.

        Raises:
            UnauthorizedError: a path under ``/api/`` that SDKs do not send to, without a valid token.
        """
        req.context.request_id = current = request_id(req.env.get("HTTP_X_REQUEST_ID"))
        CURRENT.set(current)
        if req.method == "HEAD":
            req.method = "GET"
            req.context.head = True
        path = ingestion_path(req.path)
        if path is not None:
            req.path = path
            req.context.ingestion = True
        elif req.path == "/api" or req.path.startswith("/api/"):
            self._gate.check(req.env.get("HTTP_AUTHORIZATION"))

    def process_resource(
        self, req: falcon.Request, resp: falcon.Response, resource: object, _params: dict[str, Any]
    ) -> None:
        """Answer OPTIONS, and refuse a method that the resource does not have, also one that HTTP does not know.

        Raises:
            MethodError: the resource does not take the method.
        """
        if req.method in COMBINED_METHODS and hasattr(resource, f"on_{req.method.lower()}"):
            return
        allowed = methods_of(resource)
        if req.method != "OPTIONS":
            raise MethodError(allowed)
        resp.set_header("Allow", ", ".join(allowed))
        if getattr(req.context, "ingestion", False):
            resp.set_headers(_PREFLIGHT)
        resp.complete = True

    def process_response(self, req: falcon.Request, resp: falcon.Response, _resource: object, _ok: bool) -> None:  # noqa: FBT001
        """Set the headers that every answer carries; on ingestion those that let a browser read it."""
        if getattr(req.context, "head", False):
            req.method = "HEAD"  # falcon leaves the body out of what it sends
        resp.set_headers(INGESTION_HEADERS if getattr(req.context, "ingestion", False) else _EVERYWHERE)
        resp.set_header(HEADER, getattr(req.context, "request_id", None) or request_id(None))
        CURRENT.set("")


def methods_of(resource: object) -> tuple[str, ...]:
    """Return the methods that *resource* takes, HEAD and OPTIONS among them."""
    own = [method for method in ("GET", "POST", "PUT", "PATCH", "DELETE") if hasattr(resource, f"on_{method.lower()}")]
    head = ["HEAD"] if "GET" in own else []
    return (*own, *head, "OPTIONS")
