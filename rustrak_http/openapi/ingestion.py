"""The ingestion routes, described. Use a Sentry SDK rather than these."""

from typing import Any

from rustrak_http.openapi.parts import parameters, refusals, success

_REFUSALS = refusals(400, 401, 404, 413, 415, 429, 500, 503, prefix="ingestion_")
_KEY: list[dict[str, list[str]]] = [{"sentryKey": []}, {"sentryAuth": []}]


def _post(name: str, summary: str, schema: str, content: dict[str, Any], *more: str) -> dict[str, Any]:
    return {
        "parameters": parameters("project_id"),
        "post": {
            "tags": ["ingestion"],
            "operationId": name,
            "summary": summary,
            "security": _KEY,
            "parameters": parameters(*more),
            "requestBody": {"required": True, "content": content},
            "responses": {**success(200, schema, "Accepted, and kept."), **_REFUSALS},
        },
    }


_ANY: dict[str, Any] = {"schema": {}}
_REPORT_CONTENT = {"application/csp-report": _ANY, "application/reports+json": _ANY}
_HINTS = ("sentry_release", "sentry_environment")

INGESTION_PATHS: dict[str, Any] = {
    "/api/{project_id}/envelope/": _post(
        "sendEnvelope",
        "Send an envelope, whatever its Content-Type says; its own `dsn` may be the credentials",
        "Accepted",
        {"text/plain": _ANY},
    ),
    "/api/{project_id}/store/": _post(
        "sendEvent", "Send one event, as older SDKs do", "Accepted", {"application/octet-stream": _ANY}
    ),
    "/api/{project_id}/security/": _post(
        "sendReport", "Send what a browser reports of a violated policy", "Nothing", _REPORT_CONTENT, *_HINTS
    ),
    "/api/{project_id}/csp-report/": _post(
        "sendCspReport", "Another name for `/security/`", "Nothing", _REPORT_CONTENT, *_HINTS
    ),
}
