"""What Maintenance must do."""

import hashlib
from uuid import UUID

import pytest

from rustrak_core.errors import StoreUnavailableError
from rustrak_core.page import EventQuery, IssueQuery, ListQuery
from rustrak_core.ports import Store
from rustrak_core.project import Project, ProjectId
from rustrak_core.token import Token
from rustrak_storage.testing.values import NOW, StoreContract, create_project, digested, record_one, sentry_key, user


def first_start(store: Store, text: str = "k") -> tuple[Project, Token] | None:
    """Ask for the first project and token."""
    return store.first_start(
        name="default",
        sentry_key=sentry_key(text),
        token_sha256=hashlib.sha256(text.encode()).digest(),
        token_prefix="a1b2",  # noqa: S106 - four digits are no secret
        now=NOW,
    )


class MaintenanceContract(StoreContract):
    """`rustrak_core.ports.Maintenance`."""

    def test_first_start(self, store: Store) -> None:
        """An empty store gets a project and a token, once."""
        created = first_start(store)
        assert created is not None
        project, token = created
        assert (project.name, project.slug, project.sentry_key) == ("default", "default", sentry_key("k"))
        assert store.project(project.id) == project
        assert store.token_by_hash(hashlib.sha256(b"k").digest()) == token
        assert first_start(store, "other") is None
        assert len(store.projects(ListQuery()).items) == len(store.tokens(ListQuery()).items) == 1

    def test_no_first_start_after_a_project(self, store: Store) -> None:
        """A store that had a project, also one that is deleted and purged, is not new."""
        project = create_project(store, "x")
        assert first_start(store) is None
        store.delete_project(project.id, now=NOW)
        while store.purge():
            pass
        assert first_start(store) is None

    def test_no_first_start_after_a_token(self, store: Store) -> None:
        """Nor is one that had a token."""
        token = store.create_token(sha256=b"x" * 32, prefix="a1b2", description=None, now=NOW)
        store.delete_token(token.id)
        assert first_start(store) is None

    def test_purge(self, store: Store, project: Project) -> None:
        """What was deleted is removed in pieces of the size asked for, and all else stays."""
        other = create_project(store, "Other")
        kept = record_one(store, digested(other, 1, user=user(1), environment="prod"))
        store.record([digested(project, n, str(n % 3), user=user(n), tags=(("n", str(n)),)) for n in range(30)])
        big = store.issues(IssueQuery(project_id=project.id)).items[0]
        store.delete_issue(big.id, now=NOW)
        store.delete_project(project.id, now=NOW)
        for _ in range(1000):
            removed = store.purge(limit=7)
            assert 0 <= removed <= 7
            if removed == 0:
                break
        assert store.purge() == 0
        assert store.issue(kept.id) == kept
        assert store.event(UUID(int=1)).summary.issue_id == kept.id
        assert list(store.issues(IssueQuery(project_id=other.id, environment="prod")).items) == [kept]
        assert len(store.ledger(other.id, since=NOW.date(), until=NOW.date()).counts) == 1

    def test_purge_of_nothing(self, store: Store, project: Project) -> None:
        """Where nothing was deleted, nothing is removed."""
        record_one(store, digested(project, 1))
        assert store.purge() == 0

    def test_check(self, store: Store) -> None:
        """A store that can be read says so by returning, and so does one whose events can."""
        store.check()
        store.examine()

    def test_closed(self, store: Store, project: Project) -> None:
        """Once closed, every call says that the store is not available."""
        store.close()
        store.close()
        for call in (
            store.check,
            store.examine,
            store.purge,
            lambda: store.projects(ListQuery()),
            lambda: store.project(ProjectId(1)),
            lambda: store.record([digested(project, 1)]),
            lambda: store.events(EventQuery(issue_id=1)),  # type: ignore[arg-type]
            lambda: store.token_by_hash(b"x" * 32),
            lambda: store.position("x"),
            lambda: store.grouping(project.id),
            lambda: store.set_grouping(project.id, "", now=NOW),
            lambda: store.use_mechanism(project.id, "anchor@1"),
            lambda: store.groupings(ListQuery()),
            store.grouping_changes,
            lambda: first_start(store),
        ):
            with pytest.raises(StoreUnavailableError):
                call()
