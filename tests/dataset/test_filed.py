"""What other rules would do is told of a dataset as of the store that it was exported from."""

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import attrs
import orjson
import pytest

from rustrak_core.accepted import AcceptedEvent, EventKind
from rustrak_core.digest import digest
from rustrak_core.errors import UnknownIssueError, UnknownProjectError
from rustrak_core.grouping import Rules, settings_of
from rustrak_core.issue import IssueId
from rustrak_core.ports import Selection, Store
from rustrak_core.project import ProjectId
from rustrak_core.regroup import Source, StoreSource
from rustrak_core.regroup.undo import UndoHeader
from rustrak_http.regroup.journal import Journal
from rustrak_http.regroup.report import Report
from rustrak_http.regroup.work import Applying, mark_of, survey
from rustrak_storage.duck import Dataset, DatasetError, FiledProject, export
from rustrak_storage.factory import open_store
from tests.dataset.conftest import EXPORTED, FORMS
from tests.dataset.facts import accepted, at, made_payload, new_project
from tests.dataset.test_export import agrees, make_version_1

SPLITTING = '[[rule]]\ntags.region = "eu"\nfingerprint = ["{{ default }}", "eu"]\n'
MERGING = '[[rule]]\ntype = "*Error"\nfingerprint = ["all errors"]\n'
POLICY = '[[rule]]\ntype = "CSP"\nfingerprint = ["policy", "{{ default }}"]\n'
CASES = {
    "own": None,
    "default": "",
    "split": SPLITTING,
    "merge": MERGING,
    "both": SPLITTING + MERGING + POLICY,
    "message": 'mechanism = "message@1"\n',
    "message-split": 'mechanism = "message@1"\n' + SPLITTING + POLICY,
}


def csp(project: ProjectId, number: int, hints: tuple[tuple[str, str], ...]) -> AcceptedEvent:
    fields = {"document-uri": "https://a.example.com/pay?x=1", "blockedURL": f"https://cdn{number % 2}.example.com"}
    report = {"body": {**fields, "effectiveDirective": "script-src"}, "user_agent": "Agent/1"}
    event = accepted(project, orjson.dumps(report), at(number), number)
    return attrs.evolve(event, kind=EventKind.CSP, hints=hints)


def odd(number: int) -> dict[str, Any] | bytes | None:
    """Return payloads that are not as usual, for some numbers."""
    plain = {key: value for key, value in made_payload(number).items() if key != "fingerprint"}
    match number % 20:
        case 3:
            return b'{"message": "half a pair \\ud83d", "fingerprint": ["\\udead", "x"], "tags": {"region": "eu"}}'
        case 5:
            return b'\xef\xbb\xbf{\n  "message": "laid out for people",\r\n  "level": "error"\n}'
        case 9:
            return {"exception": {"values": [{"type": "CSP", "value": "an exception"}]}, "type": "csp", "csp": {}}
        case 11 | 12 | 13 | 14 | 15 | 16:
            return plain
    return None


def fill(store: Store) -> None:
    """Fill an empty store with all that makes a difference."""
    chance = random.Random(7)
    shop, office = (new_project(store, name) for name in ("Shop", "Office"))
    store.set_grouping(office.id, SPLITTING, now=EXPORTED)
    for number in chance.sample(range(160), 160):  # not in the order of their days
        project = shop if number % 3 else office
        if number % 20 == 17:
            event = csp(project.id, number, (("release", "1.0"),) if number % 40 == 17 else ())
        else:
            event = accepted(project.id, odd(number) or made_payload(number), at(number), number)
        rules = settings_of(store.grouping(project.id).rules).rules
        digested = digest(event, rules=rules, later=("message@1",) if number % 2 else ())
        if number % 6 == 1 or number % 35 == 0:
            digested = attrs.evolve(digested, payload=None)
        store.record([digested])
    for project in (shop, office):
        mine = sorted(store.memberships(Selection(project_ids=(project.id,)), upto=store.last_event_number()))
        store.merge_issues(mine[0], [mine[4], mine[1]], now=EXPORTED)
        store.delete_issue(mine[2], now=EXPORTED)


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Store, dict[str, Path]]]:
    """A store, and datasets of it in both forms."""
    folder = tmp_path_factory.mktemp("filed")
    store = open_store(f"sqlite:///{folder}/rustrak.db")
    fill(store)
    for name in FORMS.values():
        export(store, folder / name, now=EXPORTED)
    yield store, {form: folder / name for form, name in FORMS.items()}
    store.close()


def told(source: Source, project: ProjectId, kept: str, rules: str) -> dict[str, Any]:
    """Return the report of a plan, with all its cases, each with its reasons."""
    plan = survey(source, rules).plan
    report = Report(source, project, plan, before=settings_of(kept).rules, after=Rules.from_toml(rules))
    return report.to_json(cases=100, reasons=100)


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("form", FORMS)
def test_a_dataset_tells_what_its_store_does(filled: tuple[Store, dict[str, Path]], form: str, case: str) -> None:
    """The plan, its figures, cases and reasons are the same, for each project."""
    store, paths = filled
    totals = dict.fromkeys(("merged", "split", "opened", "moved", "rekeyed", "unread"), 0)
    with Dataset.open(paths[form]) as dataset:
        for slug in ("shop", "office"):
            project = store.project_by_slug(slug)
            kept = store.grouping(project.id).rules
            found = FiledProject.find(dataset, slug)
            assert (found.id, found.slug, found.rules) == (project.id, slug, kept)
            rules = kept if CASES[case] is None else str(CASES[case])
            expected = told(StoreSource(store, project.id), project.id, kept, rules)
            assert told(found, found.id, found.rules, rules) == expected
            assert found.event_count == expected["events"]
            totals = {name: count + expected[name] for name, count in totals.items()}
    assert totals["unread"]
    assert case in {"own", "default"} or totals["moved"]  # so that there was something to tell


def test_a_dataset_follows_what_was_applied(store: Store, dest: Path, tmp_path: Path) -> None:
    """Exported again after events were filed anew, it has their keys, and tells what the store does, both ways."""
    fill(store)
    export(store, dest, now=EXPORTED)
    project, rules = store.project_by_slug("shop"), CASES["message"] or ""
    header = UndoHeader(
        project_id=project.id, slug="shop", mark=mark_of(project), rules=rules, before="", sets_rules=True
    )
    journal = Journal.create(tmp_path / "undo.jsonl", header)

    def applying(wanted: str) -> Applying:
        def set_rules() -> None:
            store.set_grouping(project.id, wanted, now=EXPORTED)

        return Applying(
            store=store,
            project_id=project.id,
            journal=journal,
            rules=wanted,
            clock=lambda: EXPORTED,
            set_rules=set_rules,
        )

    def agrees_with_store(kept: str) -> None:
        done = export(store, dest, now=EXPORTED)
        assert done.moved > 0
        agrees(store, dest)
        with Dataset.open(dest) as dataset:
            for other in CASES.values():
                expected = told(StoreSource(store, project.id), project.id, kept, other or "")
                assert told(FiledProject.find(dataset, "shop"), project.id, kept, other or "") == expected

    assert applying(rules).run(survey(StoreSource(store, project.id), rules)) > 0
    agrees_with_store(rules)
    assert applying("").undo() > 0
    journal.close()
    agrees_with_store("")


def test_a_project_is_found(filled: tuple[Store, dict[str, Path]]) -> None:
    """By its number or its slug; another name is told which there are."""
    store, paths = filled
    with Dataset.open(paths["file"]) as dataset:
        number = store.project_by_slug("office").id
        found = FiledProject.find(dataset, str(number))
        assert found.slug == "office"
        assert found.event(2**40) is None
        with pytest.raises(UnknownIssueError):
            found.name(IssueId(2**40))
        for name in ("99", "shopp", "", "9" * 40):
            with pytest.raises(UnknownProjectError, match="it has office, shop"):
                FiledProject.find(dataset, name)


def test_a_version_without_keys_is_refused(store: Store, dest: Path) -> None:
    """It says what to do; once that is done, it can be asked."""
    new_project(store, "Shop")
    export(store, dest, now=EXPORTED)
    make_version_1(dest)
    with Dataset.open(dest) as dataset, pytest.raises(DatasetError, match="`rustrak export"):
        FiledProject.find(dataset, "shop")
    export(store, dest, now=EXPORTED)
    with Dataset.open(dest) as dataset:
        assert FiledProject.find(dataset, "shop").event_count == 0
