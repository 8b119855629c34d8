"""A store of events that are known, and what a plain reading of them says."""

import random
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar
from uuid import UUID

import attrs
import orjson

from rustrak_core.accepted import AcceptedEvent
from rustrak_core.digest import digest
from rustrak_core.issue import Issue, IssueState, ShortId
from rustrak_core.page import IssueQuery, walk
from rustrak_core.ports import Store
from rustrak_core.project import Project, ProjectId

T = TypeVar("T")

BEGIN = datetime(2026, 1, 5, tzinfo=UTC)
END = BEGIN + timedelta(days=60)
EVENTS = 700
_TYPES = ("ValueError", "KeyError", "TimeoutError", "OSError")
_SDKS = (("sentry.python", "2.75.0"), ("sentry.python", "2.74.1"), ("sentry.javascript.node", "10.0.0"))


@attrs.frozen(kw_only=True)
class Fact:
    """An event as it was made, and the issue where it was filed."""

    project: str
    issue: str
    at: datetime
    payload: dict[str, Any]
    size: int

    @property
    def user(self) -> str | None:
        sent = self.payload.get("user")
        return f"id:{sent['id']}" if sent else None

    @property
    def trace(self) -> str:
        return str(self.payload["contexts"]["trace"]["trace_id"])

    @property
    def type(self) -> str:
        return str(self.payload["exception"]["values"][0]["type"])

    @property
    def frames(self) -> list[dict[str, Any]]:
        return list(self.payload["exception"]["values"][0]["stacktrace"]["frames"])

    @property
    def tags(self) -> dict[str, str]:
        own = {name: self.payload[name] for name in ("environment", "release", "level") if name in self.payload}
        return {**self.payload["tags"], "server_name": self.payload["server_name"], **own}


@attrs.frozen(kw_only=True)
class World:
    """All that is known: what was sent, and the issues as the store has them."""

    facts: Sequence[Fact]
    issues: Sequence[Issue]
    slugs: dict[int, str]

    def within(self, since: datetime, until: datetime, project: str | None = None) -> list[Fact]:
        return [f for f in self.facts if since <= f.at < until and project in {None, f.project}]


def made_payload(number: int) -> dict[str, Any]:
    """Return the *number*-th event as an SDK sends it."""
    chance = random.Random(number)
    issue = min(int(chance.expovariate(0.25)), 24)
    name = f"step_{issue % 9}"
    frames = [
        {"module": "shop.main", "function": "run", "lineno": 10, "in_app": True},
        {"module": "lib.http", "function": "call", "lineno": 7, "in_app": False},
        {"module": f"shop.part_{issue % 5}", "function": name, "lineno": issue, "in_app": True},
        {"module": f"shop.part_{issue % 5}", "function": name, "lineno": issue + 1, "in_app": True},
    ]
    event: dict[str, Any] = {
        "event_id": UUID(int=number + 1).hex,
        "timestamp": (BEGIN + (END - BEGIN) * (number / EVENTS)).isoformat(),
        "platform": "python",
        "level": chance.choice(("error", "error", "warning")),
        "release": f"shop@1.{number * 4 // EVENTS}",
        "server_name": f"web-{chance.randrange(3)}",
        "transaction": f"/page/{issue % 6}",
        "tags": {
            "region": chance.choice(("eu", "us")),
            "plan": "free" if issue % 3 else chance.choice(("free", "team")),
        },
        "contexts": {"trace": {"trace_id": f"{chance.randrange(150):032x}", "span_id": "0" * 16}},
        "sdk": dict(zip(("name", "version"), chance.choice(_SDKS), strict=True)),
        "request": {"url": f"https://shop.example.com/page/{issue % 6}"},
        "fingerprint": [f"issue-{issue}"],
        "exception": {
            "values": [
                {
                    "type": _TYPES[issue % 4],
                    "value": f"order {issue % 2}{issue} is 'wrong'" if issue > 12 else "a value is wrong",
                    "stacktrace": {"frames": frames},
                }
            ]
        },
        "breadcrumbs": {"values": [{"category": "query", "message": f"SELECT {number}", "level": "info"}]},
    }
    if chance.random() < 0.8:
        event["user"] = {"id": str(chance.randrange(40))}
    if chance.random() < 0.9:
        event["environment"] = chance.choice(("production", "staging"))
    return event


def accepted(project_id: ProjectId, payload: dict[str, Any] | bytes, at: datetime, number: int) -> AcceptedEvent:
    """Return an event as it is accepted."""
    data = payload if isinstance(payload, bytes) else orjson.dumps(payload)
    return AcceptedEvent(project_id=project_id, event_id=UUID(int=number + 1), received_at=at, payload=data)


def record(store: Store, *events: AcceptedEvent) -> list[int]:
    """Digest and record events; return their issues."""
    return [int(done.issue_id or 0) for done in store.record([digest(event) for event in events])]


def at(number: int) -> datetime:
    """Return the time of the *number*-th event, to the microsecond."""
    return datetime.fromisoformat(made_payload(number)["timestamp"])


def new_project(store: Store, name: str) -> Project:
    return store.create_project(name, sentry_key=str(UUID(int=abs(hash(name)) % 2**100)), now=BEGIN)


def make_world(store: Store) -> World:
    """Fill an empty store, two thirds into one project, and resolve some issues on the way."""
    projects = [new_project(store, name) for name in ("Shop", "Office")]
    facts: list[Fact] = []
    issue_ids: list[int] = []
    for number in range(EVENTS):
        project = projects[0 if number % 3 else 1]
        payload = made_payload(number)
        event = accepted(project.id, payload, at(number) + timedelta(seconds=1), number)
        issue_ids += record(store, event)
        facts.append(
            Fact(project=project.slug, issue="", at=at(number), payload=payload, size=len(event.payload or b""))
        )
        if number in {200, 450}:
            for issue in all_issues(store, projects)[::4]:
                store.set_issue_state(issue.short_id, IssueState.RESOLVED, now=at(number))
    issues = all_issues(store, projects)
    names = {int(issue.id): str(issue.short_id) for issue in issues}
    filed = [attrs.evolve(fact, issue=names[issue]) for fact, issue in zip(facts, issue_ids, strict=True)]
    return World(facts=filed, issues=issues, slugs={int(project.id): project.slug for project in projects})


def all_issues(store: Store, projects: Iterable[Project]) -> list[Issue]:
    """Return all issues, by their numbers."""

    def of(project: Project) -> list[Issue]:
        query = IssueQuery(project_id=project.id)
        return list(walk(lambda after: store.issues(attrs.evolve(query, after=after))))

    return sorted((issue for project in projects for issue in of(project)), key=lambda issue: issue.id)


def grouped(facts: Iterable[T], key: Callable[[T], Any]) -> dict[Any, list[T]]:
    """Return *facts* by a key."""
    found: dict[Any, list[T]] = {}
    for fact in facts:
        found.setdefault(key(fact), []).append(fact)
    return found


def short(text: str) -> ShortId:
    return ShortId(text)
