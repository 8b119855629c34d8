"""Values for tests of stores, and the fixtures that they share."""

import hashlib
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from rustrak_core.accepted import SpoolAdvance, SpoolPosition
from rustrak_core.digested import Digested, GroupingKey, User
from rustrak_core.issue import Issue, IssueId
from rustrak_core.page import IssueQuery
from rustrak_core.ports import Store
from rustrak_core.project import Project, ProjectId
from rustrak_storage.factory import open_store

NOW = datetime(2026, 3, 1, 12, 0, 0, 123457, tzinfo=UTC)
LANE = "0123456789abcdef" * 2


class StoreContract:
    """Gives an open store to each test; the inheriting module gives its ``store_url``."""

    @pytest.fixture
    def store(self, store_url: str) -> Iterator[Store]:
        """An empty store, closed in the end."""
        store = open_store(store_url)
        yield store
        store.close()

    @pytest.fixture
    def project(self, store: Store) -> Project:
        """A project called My App."""
        return create_project(store, "My App")


def after(seconds: float = 0) -> datetime:
    """Return `NOW`, so many seconds later."""
    return NOW + timedelta(seconds=seconds)


def key(text: str, mechanism: str = "message@1") -> GroupingKey:
    """Return a grouping key made of *text*."""
    return GroupingKey(mechanism=mechanism, value=hashlib.md5(text.encode(), usedforsecurity=False).hexdigest())


def digested(
    project: Project | ProjectId, number: int, *keys: str, at: float = 0, late: float = 0, **parts: Any
) -> Digested:
    """Return event *number* of a project, received *at* seconds after `NOW`.

    Args:
        keys: What its grouping keys are made of; ``a`` unless told.
        late: How many seconds before its receipt it happened.
        parts: Whatever else of `Digested` is to be different.
    """
    values: dict[str, Any] = {
        "project_id": project.id if isinstance(project, Project) else project,
        "event_id": UUID(int=number),
        "received_at": after(at),
        "timestamp": after(at - late),
        "keys": tuple(key(text) for text in keys or ("a",)),
        "kind": "event",
        "type": "ValueError",
        "message": "a value is wrong",
        "culprit": "app.views in handle",
        "level": "error",
        "platform": "python",
        "payload": b'{"number": %d}' % number,
    }
    return Digested(**(values | parts))


def user(number: object) -> User:
    """Return a user with an id."""
    return User(id=str(number), email="someone@example.com")


def create_project(store: Store, name: str, number: int | None = None) -> Project:
    """Create a project with a key made of its name and *number*."""
    return store.create_project(name, sentry_key=sentry_key(f"{name}/{number}"), now=NOW)


def sentry_key(text: str) -> str:
    """Return a sentry key made of *text*."""
    return str(UUID(bytes=hashlib.md5(text.encode(), usedforsecurity=False).digest()))


def record_one(store: Store, event: Digested) -> Issue:
    """Record *event*, and return its issue."""
    (recorded,) = store.record([event])
    assert recorded.issue_id is not None
    return store.issue(recorded.issue_id)


def issue_ids(store: Store, project: Project, **filters: Any) -> list[IssueId]:
    """Return the ids that a list of issues has, on one page."""
    return [issue.id for issue in store.issues(IssueQuery(project_id=project.id, **filters)).items]


def at(number: int, lane: str = LANE) -> SpoolPosition:
    """Return position *number* of a lane."""
    return SpoolPosition(lane=lane, segment=1, offset=number)


def step(number: int, lane: str = LANE) -> SpoolAdvance:
    """Return the advance from position *number* to the one behind it; from none where *number* is 0."""
    return SpoolAdvance(start=at(number, lane) if number else None, end=at(number + 1, lane))
