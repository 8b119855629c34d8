"""What a GroupingStore must do."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from rustrak_core.errors import UnknownProjectError
from rustrak_core.page import ListQuery
from rustrak_core.ports import ProjectGrouping, Store
from rustrak_core.project import Project, ProjectId
from rustrak_storage.testing.values import NOW, StoreContract, after, create_project, digested, key, record_one

RULES = 'mechanism = "message@1"  # as it was\r\n\n[[rule]]\nmask = "Zürich|東京|\U0001f98a"\n'
THREADS = 8


class GroupingStoreContract(StoreContract):
    """`rustrak_core.ports.GroupingStore`."""

    def test_a_new_project_says_nothing(self, store: Store, project: Project) -> None:
        """Before anything is said, there are no rules and no mechanism was used."""
        assert store.grouping(project.id) == ProjectGrouping(project_id=project.id)

    def test_rules_come_back_to_the_letter(self, store: Store, project: Project) -> None:
        """Rules are kept as they were given, of each project its own, and can be taken back."""
        other = create_project(store, "Other")
        kept = store.set_grouping(project.id, RULES, now=NOW)
        assert kept == ProjectGrouping(project_id=project.id, rules=RULES, changed_at=NOW)
        assert store.grouping(project.id) == kept
        assert store.grouping(other.id) == ProjectGrouping(project_id=other.id)
        gone = store.set_grouping(project.id, "", now=after(60))
        assert store.grouping(project.id) == gone == ProjectGrouping(project_id=project.id, changed_at=after(60))

    def test_the_largest_rules(self, store: Store, project: Project) -> None:
        """64 KiB fit, of whatever characters."""
        rules = "# " + "\U0001f98a" * 16_383 + "\n\n"
        store.set_grouping(project.id, rules, now=NOW)
        assert store.grouping(project.id).rules == rules

    def test_used_keeps_the_order_of_first_use(self, store: Store, project: Project) -> None:
        """A mechanism is appended when it comes into use, and going back to it changes nothing."""
        assert store.use_mechanism(project.id, "anchor@1").used == ("anchor@1",)
        assert store.use_mechanism(project.id, "message@1").used == ("anchor@1", "message@1")
        assert store.use_mechanism(project.id, "anchor@1").used == ("anchor@1", "message@1")
        assert store.use_mechanism(project.id, "a mechanism of later@17").used[2:] == ("a mechanism of later@17",)
        assert store.grouping(project.id).used == ("anchor@1", "message@1", "a mechanism of later@17")

    def test_rules_and_use_leave_each_other_alone(self, store: Store, project: Project) -> None:
        """Setting rules keeps what was used; noting a use keeps rules and when they changed."""
        store.use_mechanism(project.id, "anchor@1")
        kept = store.set_grouping(project.id, RULES, now=NOW)
        assert kept == ProjectGrouping(project_id=project.id, rules=RULES, used=("anchor@1",), changed_at=NOW)
        used = store.use_mechanism(project.id, "message@1")
        assert store.grouping(project.id) == used
        assert (used.rules, used.used, used.changed_at) == (RULES, ("anchor@1", "message@1"), NOW)

    @pytest.mark.parametrize("first", ["use", "rules"])
    def test_a_project_of_old_has_used_what_its_keys_say(self, store: Store, project: Project, first: str) -> None:
        """Where nobody noted a use, issues' keys tell which there were, the oldest first; what is noted comes after."""
        made = [
            digested(project, 1, keys=(key("a", "anchor@1"),)),
            digested(project, 2, keys=(key("b", "fingerprint@1:message@1"), key("c", "fingerprint@1"))),
        ]
        store.record(made)
        assert store.grouping(project.id).used == ("message@1", "anchor@1")
        if first == "use":
            store.use_mechanism(project.id, "anchor@1")
        else:
            store.set_grouping(project.id, RULES, now=NOW)
        store.delete_issue(record_one(store, digested(project, 2)).id, now=NOW)  # what was used stays so
        assert store.use_mechanism(project.id, "x@1").used == ("message@1", "anchor@1", "x@1")

    def test_projects_with_rules(self, store: Store, project: Project) -> None:
        """Those that have rules come page by page, by their numbers; others, and deleted ones, are not among them."""
        projects = [project, *(create_project(store, "x", number) for number in range(6))]
        kept = [store.set_grouping(each.id, f"# {each.id}", now=NOW) for each in projects]
        store.set_grouping(projects[1].id, "", now=NOW)
        store.use_mechanism(create_project(store, "y").id, "anchor@1")
        store.delete_project(projects[4].id, now=NOW)
        first = store.groupings(ListQuery(limit=3))
        assert list(first.items) == [kept[0], kept[2], kept[3]]
        second = store.groupings(ListQuery(limit=3, after=first.after))
        assert list(second.items) == kept[5:]
        assert second.after is None

    def test_instead_of(self, store: Store, project: Project) -> None:
        """Rules that somebody else changed meanwhile are left, and returned."""
        first = store.set_grouping(project.id, "# 1", now=NOW, instead_of="")
        assert first.rules == "# 1"
        assert store.set_grouping(project.id, "# 2", now=after(1), instead_of="") == first
        assert store.grouping(project.id) == first
        assert store.set_grouping(project.id, "# 2", now=after(1), instead_of="# 1").rules == "# 2"

    def test_changes_are_counted(self, store: Store, project: Project) -> None:
        """The number tells of each change of rules, of any project, and of nothing else."""
        other = create_project(store, "Other")
        seen = [store.grouping_changes()]
        store.set_grouping(project.id, RULES, now=NOW)
        seen.append(store.grouping_changes())
        store.set_grouping(other.id, RULES, now=NOW)
        seen.append(store.grouping_changes())
        store.set_grouping(other.id, "", now=NOW, instead_of="# others")
        store.use_mechanism(project.id, "anchor@1")
        store.record([digested(project, 1)])
        store.delete_project(project.id, now=NOW)
        while store.purge():
            pass
        assert [seen[0], seen[0] + 1, seen[0] + 2] == [*seen]
        assert store.grouping_changes() == seen[2]

    def test_unknown(self, store: Store, project: Project) -> None:
        """A project that is not, or not any more, has no grouping."""
        store.set_grouping(project.id, RULES, now=NOW)
        store.delete_project(project.id, now=NOW)
        for purged in (False, True):
            while purged and store.purge():
                pass
            for number in (project.id, 0, -1, 2**53, 2**64):
                unknown = ProjectId(number)
                with pytest.raises(UnknownProjectError):
                    store.grouping(unknown)
                with pytest.raises(UnknownProjectError):
                    store.set_grouping(unknown, "", now=NOW)
                with pytest.raises(UnknownProjectError):
                    store.use_mechanism(unknown, "anchor@1")
        assert store.purge() == 0

    def test_many_note_at_once(self, store: Store, project: Project) -> None:
        """However many note mechanisms at once, each stands there once, and none is lost; nor are rules."""
        names = ["a@1", "b@1", "c@1", "d@1"]
        with ThreadPoolExecutor(THREADS) as pool:
            noting = pool.map(lambda n: store.use_mechanism(project.id, names[n % 4]), range(24))
            setting = pool.submit(store.set_grouping, project.id, RULES, now=NOW)
            seen = [kept.used for kept in noting]
            setting.result()
        final = store.grouping(project.id)
        assert sorted(final.used) == names
        assert all(used == final.used[: len(used)] for used in seen)
        assert final.rules == RULES

    def test_one_of_many_changes(self, store: Store, project: Project) -> None:
        """Of those who change the same rules at once, one does, and the others are told what holds."""
        with ThreadPoolExecutor(THREADS) as pool:
            done = list(pool.map(lambda n: store.set_grouping(project.id, f"# {n}", now=NOW, instead_of=""), range(16)))
        assert {kept.rules for kept in done} == {store.grouping(project.id).rules}
        assert store.grouping_changes() == 1
