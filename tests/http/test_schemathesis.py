"""API.md, Conventions S8: what `/openapi.json` says is what the application does, by generated requests."""

import itertools
import json
import re
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import schemathesis
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from rustrak_core.token import token_hash
from rustrak_http.app import create_app
from rustrak_storage.factory import open_store
from tests.http.conftest import TOKEN, Api, Clock, envelope, error

INGESTION = re.compile("/(envelope|store|security|csp-report)/$")
KEY = "a1b2c3d4e5f67890abcdef1234567890"
EVENT_ID = "5e0a7f3c2b1d4c6f8a9b0c1d2e3f4a5b"
_numbers = itertools.count(1)

_payload = st.dictionaries(st.sampled_from(["message", "level", "release", "tags", "user", "extra"]), st.text())
_event = _payload.map(lambda payload: {"event_id": f"{next(_numbers):032x}", **payload})
schemathesis.openapi.media_type("text/plain", _event.map(envelope))
schemathesis.openapi.media_type("application/octet-stream", _event.map(lambda event: json.dumps(event).encode()))
_report = st.text().map(lambda text: json.dumps({"csp-report": {"blocked-uri": text}}).encode())
schemathesis.openapi.media_type("application/csp-report", _report)
schemathesis.openapi.media_type("application/reports+json", _report)


PROJECTS = 5
"""The last one has the key and is left alone; the others are there to be changed and deleted."""


def _described() -> Any:
    """Return the schema of an application that holds projects, a few issues and events, and tokens."""
    store = open_store("memory://")
    sha256 = token_hash(TOKEN)
    assert sha256 is not None
    ids = (UUID(int=number << 96 | 0x4000 << 64) for number in itertools.count(1))
    now = datetime(2024, 1, 15, tzinfo=UTC)
    for number in range(5):
        store.create_token(sha256=bytes([number]) * 32, prefix="0000", description=None, now=now)
    store.create_token(sha256=sha256, prefix=TOKEN[:4], description=None, now=now)
    app = create_app(store, clock=Clock(), new_id=lambda: next(ids))
    api = Api(app, Clock(), store)
    for number in range(1, PROJECTS + 1):
        sentry_key = str(UUID(KEY) if number == PROJECTS else next(ids))
        store.create_project("my-app", sentry_key=sentry_key, now=now)
        project = {"id": number, "sentry_key": sentry_key}
        api.send(project, error(), event_id=EVENT_ID)
        api.send(project, error("ValueError"), event_id="6" * 32, user={"id": 1}, release="1.0", environment="e")
    config = schemathesis.Config.from_dict({"generation": {"with-security-parameters": False}})
    return schemathesis.openapi.from_wsgi("/openapi.json", app=app, config=config)


schema = _described()


@schema.parametrize()  # type: ignore[untyped-decorator]
@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
def test_the_application_is_as_described(case: Any) -> None:
    """API.md Conventions S8: generated requests, good and bad ones, get the answers that the document promises."""
    if case.meta is None or case.meta.generation.mode == schemathesis.GenerationMode.POSITIVE:
        _aim(case)
    header = {"Authorization": f"Bearer {TOKEN}"}
    if INGESTION.search(case.operation.path):
        header = {"X-Sentry-Auth": f"Sentry sentry_key={KEY}"}
    case.call_and_validate(headers=header)


RULES = ["", "# none\n", 'mechanism = "message@1"\n', "[[rule]]\nmask = '[0-9]+ apples'\n"]
"""Documents of a language that no schema tells of."""


def _aim(case: Any) -> None:
    """Point a good request at something that exists, where chance would seldom find it."""
    if case.operation.definition.raw.get("operationId") == "setGroupingRules":
        case.body = {"rules": RULES[len(case.body["rules"]) % len(RULES)]}
    for name, value in case.path_parameters.items():
        if INGESTION.search(case.operation.path):
            case.path_parameters[name] = PROJECTS
        elif isinstance(value, int):
            case.path_parameters[name] = value % (PROJECTS - 1) + 1
        elif name == "event_id":
            case.path_parameters[name] = EVENT_ID
