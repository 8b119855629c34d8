"""What a ProjectStore must do."""

import pytest

from rustrak_core.accepted import Outcome
from rustrak_core.errors import InvalidInputError, UnknownEventError, UnknownIssueError, UnknownProjectError
from rustrak_core.page import EventQuery, IssueQuery, ListQuery
from rustrak_core.ports import Store
from rustrak_core.project import Project, ProjectId
from rustrak_storage.testing.values import NOW, StoreContract, after, create_project, digested, record_one, sentry_key


class ProjectStoreContract(StoreContract):
    """`rustrak_core.ports.ProjectStore`."""

    def test_create(self, store: Store) -> None:
        """A project is read back as it was created, to the microsecond."""
        created = store.create_project("My App", sentry_key=sentry_key("k"), now=NOW)
        assert created == Project(
            id=created.id, name="My App", slug="my-app", sentry_key=sentry_key("k"), created_at=NOW
        )
        assert store.project(created.id) == created
        assert store.project_by_slug("my-app") == created
        assert list(store.projects(ListQuery()).items) == [created]

    @pytest.mark.parametrize("name", ["é" * 255, "\U0001f98a" * 255, "名前", "a'b\"c\\d%e_f\n"])
    def test_names_of_any_script(self, store: Store, name: str) -> None:
        """Names come back to the letter."""
        assert store.project(create_project(store, name).id).name == name

    def test_slugs_count_up(self, store: Store) -> None:
        """Of equal names, the second slug ends in -2."""
        slugs = [create_project(store, "My App", number).slug for number in range(3)]
        assert slugs == ["my-app", "my-app-2", "my-app-3"]

    def test_many_equal_names(self, store: Store) -> None:
        """A name may be given any number of times."""
        slugs = [create_project(store, "x", number).slug for number in range(60)]
        assert slugs == ["x", *(f"x-{number}" for number in range(2, 61))]

    def test_slug_of_nothing(self, store: Store) -> None:
        """A name without anything for a slug has its id there."""
        project = create_project(store, "名前")
        assert project.slug == f"project-{project.id}"

    def test_deleted_slug_stays_used(self, store: Store, project: Project) -> None:
        """A deleted project's slug is not used again, so that a short id keeps its meaning."""
        store.delete_project(project.id, now=NOW)
        assert create_project(store, "My App", 2).slug == "my-app-2"

    def test_deleted_slug_stays_used_when_purged(self, store: Store, project: Project) -> None:
        """Nor is it once the rows are gone."""
        store.delete_project(project.id, now=NOW)
        while store.purge():
            pass
        assert create_project(store, "My App", 2).slug == "my-app-2"
        with pytest.raises(InvalidInputError):
            store.create_project("x", sentry_key=project.sentry_key, now=NOW)

    def test_rename(self, store: Store, project: Project) -> None:
        """Another name leaves the slug and all else."""
        renamed = store.rename_project(project.id, "Other")
        assert (renamed.name, renamed.slug, renamed.sentry_key) == ("Other", "my-app", project.sentry_key)
        assert store.project(project.id) == renamed

    @pytest.mark.parametrize("delete", [False, True])
    def test_key_is_used_once(self, store: Store, project: Project, *, delete: bool) -> None:
        """A key that a project has or had is refused, in either form, and nothing is created."""
        if delete:
            store.delete_project(project.id, now=NOW)
        for form in (project.sentry_key, project.sentry_key.replace("-", "")):
            with pytest.raises(InvalidInputError, match=r"^sentry_key: ") as caught:
                store.create_project("Two", sentry_key=form, now=NOW)
            assert caught.value.path == "sentry_key"
        assert len(store.projects(ListQuery()).items) == (0 if delete else 1)
        assert create_project(store, "Two").slug == "two"

    def test_unknown(self, store: Store, project: Project) -> None:
        """What does not exist raises, whatever its id looks like."""
        for number in (0, -1, project.id + 1, 2**53 - 1, 2**63, -(2**64)):
            unknown = ProjectId(number)
            with pytest.raises(UnknownProjectError):
                store.project(unknown)
            with pytest.raises(UnknownProjectError):
                store.rename_project(unknown, "x")
            with pytest.raises(UnknownProjectError):
                store.delete_project(unknown, now=NOW)
        for slug in ("", "MY-APP", "my-app ", "my_app", "x"):
            with pytest.raises(UnknownProjectError):
                store.project_by_slug(slug)

    def test_pages(self, store: Store) -> None:
        """Pages follow one another by id; rows that go meanwhile make no other repeat or vanish."""
        projects = [create_project(store, "x", number) for number in range(7)]
        first = store.projects(ListQuery(limit=3))
        assert list(first.items) == projects[:3]
        store.delete_project(projects[2].id, now=NOW)
        store.delete_project(projects[4].id, now=NOW)
        second = store.projects(ListQuery(limit=3, after=first.after))
        assert list(second.items) == [projects[3], projects[5], projects[6]]
        assert second.after is None

    def test_full_last_page(self, store: Store) -> None:
        """Where nothing follows, no page does."""
        for number in range(3):
            create_project(store, "x", number)
        assert store.projects(ListQuery(limit=3)).after is None

    def test_delete(self, store: Store, project: Project) -> None:
        """A deleted project is returned as it was, and gone at once with all that was in it."""
        issue = record_one(store, digested(project, 1))
        before = store.project(project.id)
        assert (before.event_count, before.issue_count) == (1, 1)
        assert store.delete_project(project.id, now=after(1)) == before
        assert list(store.projects(ListQuery()).items) == []
        for call in (
            lambda: store.project(project.id),
            lambda: store.project_by_slug(project.slug),
            lambda: store.rename_project(project.id, "x"),
            lambda: store.delete_project(project.id, now=NOW),
            lambda: store.issues(IssueQuery(project_id=project.id)),
            lambda: store.ledger(project.id, since=NOW.date(), until=NOW.date()),
        ):
            with pytest.raises(UnknownProjectError):
                call()
        for ref in (issue.id, issue.short_id):
            with pytest.raises(UnknownIssueError):
                store.issue(ref)
        with pytest.raises(UnknownIssueError):
            store.events(EventQuery(issue_id=issue.id))
        with pytest.raises(UnknownEventError):
            store.event(digested(project, 1).event_id)

    def test_events_of_a_deleted_project(self, store: Store, project: Project) -> None:
        """Events still queued for a deleted project, or one that never was, are told as deleted."""
        store.delete_project(project.id, now=NOW)
        for number in (project.id, ProjectId(project.id + 7), ProjectId(2**64)):
            (recorded,) = store.record([digested(number, 5)])
            assert (recorded.outcome, recorded.issue_id, recorded.is_new) == (Outcome.DELETED, None, False)

    def test_ids_are_never_used_again(self, store: Store) -> None:
        """Not even that of the newest project, once it is deleted and purged."""
        first = create_project(store, "One")
        store.delete_project(first.id, now=NOW)
        while store.purge():
            pass
        assert create_project(store, "Two").id > first.id
