"""API.md, Conventions S8: `/openapi.json` describes every route, and these tests hold it to the routes."""

import re
from typing import Any

from falcon.inspect import inspect_routes

from rustrak_http.middleware import methods_of
from rustrak_http.openapi import document
from tests.http.conftest import Api

METHODS = ("get", "post", "put", "patch", "delete")


def test_every_route_is_described(api: Api) -> None:
    """API.md Conventions S8: an OpenAPI 3.1 document at `/openapi.json` describes every route, and nothing else."""
    described = {
        (path.rstrip("/"), method)
        for path, item in api.get("/openapi.json", token=None).json["paths"].items()
        for method in item
        if method in METHODS
    }
    routed = {
        (route.path, method.method.lower())
        for route in inspect_routes(api.app)
        for method in route.methods
        if method.method.lower() in METHODS and not method.internal
    }
    assert described == routed


def test_the_document_is_whole() -> None:
    """Each reference leads somewhere, each part is used, and each operation has a name of its own."""
    described = document()
    assert described["openapi"].startswith("3.1.")
    text = str(described)
    references = set(re.findall(r"'#/components/([a-zA-Z]+)/([A-Za-z0-9_]+)'", text))
    parts = {(kind, name) for kind in ("schemas", "parameters", "responses") for name in described["components"][kind]}
    assert references == parts
    names = [
        operation["operationId"]
        for item in described["paths"].values()
        for method, operation in item.items()
        if method in METHODS
    ]
    assert len(names) == len(set(names))


def test_path_parameters_are_declared() -> None:
    """Each variable part of a path has its parameter."""
    described = document()
    for path, item in described["paths"].items():
        declared = [part["$ref"].rpartition("/")[2] for part in item.get("parameters", [])]
        assert declared == re.findall(r"{(\w+)}", path)


def test_methods_are_those_of_the_resource() -> None:
    """API.md Conventions S2: `Allow` names what a resource takes, HEAD beside GET, OPTIONS always."""

    class Resource:
        def on_get(self, req: Any, resp: Any) -> None: ...

        def on_delete(self, req: Any, resp: Any) -> None: ...

    assert methods_of(Resource()) == ("GET", "DELETE", "HEAD", "OPTIONS")
