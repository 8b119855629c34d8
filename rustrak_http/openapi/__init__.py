"""The OpenAPI 3.1 document of every route, and the resource that shows it."""

import functools
from typing import Any

import falcon

from rustrak_core import jsontext
from rustrak_http.openapi.ingestion import INGESTION_PATHS
from rustrak_http.openapi.management import MANAGEMENT_PATHS
from rustrak_http.openapi.parts import PARAMETERS, RESPONSES
from rustrak_http.openapi.schemas import SCHEMAS


def document() -> dict[str, Any]:
    """Return the document; a test holds it to the routes of the application."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Rustrak",
            "version": "1",
            "description": "Self-hosted error tracking that any Sentry SDK can talk to. Responses are JSON.",
        },
        "tags": [{"name": name} for name in ("projects", "issues", "events", "tokens", "health", "ingestion")],
        "paths": {**MANAGEMENT_PATHS, **INGESTION_PATHS},
        "components": {
            "schemas": SCHEMAS,
            "parameters": PARAMETERS,
            "responses": RESPONSES,
            "securitySchemes": {
                "token": {"type": "http", "scheme": "bearer", "description": "An API token: 40 hex digits."},
                "sentryKey": {"type": "apiKey", "in": "query", "name": "sentry_key"},
                "sentryAuth": {"type": "apiKey", "in": "header", "name": "X-Sentry-Auth"},
            },
        },
    }


@functools.cache
def _text() -> bytes:
    return jsontext.dumps(document())


class OpenApiResource:
    """``/openapi.json``: this very interface, described for machines."""

    def on_get(self, _req: falcon.Request, resp: falcon.Response) -> None:
        """Answer with the document."""
        resp.content_type = falcon.MEDIA_JSON
        resp.data = _text()
