"""What a SimilarStore must do."""

import json
from typing import Any

import pytest

from rustrak_core.digested import Digested
from rustrak_core.errors import UnknownIssueError
from rustrak_core.issue import IssueId, ShortId
from rustrak_core.ports import Store
from rustrak_core.project import Project
from rustrak_storage.testing.values import NOW, StoreContract, create_project, digested, record_one


def error(project: Project, number: int, type_: str, message: str, *functions: str) -> Digested:
    """Return an event, of an issue of its own, that was raised in the last of *functions*."""
    frames = [{"module": "shop.app", "function": function, "in_app": True} for function in functions]
    value: dict[str, Any] = {"type": type_, "value": message, "stacktrace": {"frames": frames}}
    payload = json.dumps({"exception": {"values": [value]}}).encode()
    return digested(project, number, str(number), type=type_, message=message, payload=payload)


class SimilarContract(StoreContract):
    """`rustrak_core.ports.SimilarStore`."""

    @pytest.fixture
    def issues(self, store: Store, project: Project) -> list[IssueId]:
        """Issues 0 and 1 are nearly the same, 2 is a bit like them, and 3 to 9 are like each other only."""
        events = [
            error(project, 0, "PaymentError", "cannot pay with this card", "buy", "pay"),
            error(project, 1, "PaymentError", "cannot pay with that card", "buy", "pay", "charge"),
            error(project, 2, "PaymentError", "no such currency", "convert"),
            *(error(project, n, "ValueError", f"unknown fruit number {n}", "list_fruits") for n in range(3, 10)),
        ]
        recorded = store.record(events)
        return [one.issue_id or IssueId(0) for one in recorded]

    def test_the_most_similar_first(self, store: Store, issues: list[IssueId]) -> None:
        """Issues that have rare terms in common come first, with the terms; those that have none do not come."""
        found = store.similar_issues(issues[0], limit=10)
        assert [each.issue.id for each in found] == [issues[1], issues[2]]
        assert [each.issue for each in found] == [store.issue(number) for number in (issues[1], issues[2])]
        assert 1 >= found[0].score > 0.6 > found[1].score >= 0.05
        held = {reason.term.text: reason for reason in found[0].why}
        assert {"shop.app in pay", "pay"} & set(held)
        assert len(found[0].why) == 5
        assert sum(reason.share for reason in found[0].why) <= 1.01
        (reason,) = [reason for reason in found[1].why if reason.term.kind == "type"]
        assert (reason.term.text, reason.issues) == ("PaymentError", 3)
        assert reason.text == "the type PaymentError, in 3 issues"

    def test_both_ways(self, store: Store, issues: list[IssueId]) -> None:
        """What is similar to an issue finds it in turn."""
        assert store.similar_issues(issues[1], limit=1)[0].issue.id == issues[0]
        assert {each.issue.id for each in store.similar_issues(issues[5], limit=6)} == set(issues[3:]) - {issues[5]}

    def test_limit(self, store: Store, issues: list[IssueId]) -> None:
        """No more come than were asked for; of issues that are alike the older ones."""
        assert [each.issue.id for each in store.similar_issues(issues[9], limit=3)] == issues[3:6]

    def test_of_one_project(self, store: Store, issues: list[IssueId]) -> None:
        """Issues of other projects do not come."""
        other = create_project(store, "Other")
        alone = record_one(store, error(other, 0, "PaymentError", "cannot pay with this card", "buy", "pay"))
        assert store.similar_issues(alone.id, limit=10) == []
        assert other.id not in {each.issue.project_id for each in store.similar_issues(issues[0], limit=10)}

    def test_merged_ones(self, store: Store, issues: list[IssueId]) -> None:
        """What was merged is found by its own terms, as the issue that it is part of, but not as similar to itself."""
        store.merge_issues(issues[3], [issues[1]], now=NOW)
        found = store.similar_issues(issues[0], limit=10)
        assert [each.issue.id for each in found] == [issues[3], issues[2]]
        assert found[0].issue.merged
        store.merge_issues(issues[0], [issues[3]], now=NOW)
        for ref in (issues[0], issues[1], ShortId("MY-APP-2")):
            assert [each.issue.id for each in store.similar_issues(ref, limit=10)] == [issues[2]]
        store.unmerge_issues(issues[0], [issues[3]])
        store.unmerge_issues(issues[3], [issues[1]])
        assert [each.issue.id for each in store.similar_issues(issues[0], limit=1)] == [issues[1]]

    def test_deleted_ones(self, store: Store, issues: list[IssueId]) -> None:
        """What was deleted does not come, and is not asked about."""
        store.delete_issue(issues[1], now=NOW)
        assert [each.issue.id for each in store.similar_issues(issues[0], limit=10)] == [issues[2]]
        while store.purge():
            pass
        assert [each.issue.id for each in store.similar_issues(issues[0], limit=10)] == [issues[2]]
        for ref in (issues[1], IssueId(2**60), ShortId("NONE-1")):
            with pytest.raises(UnknownIssueError):
                store.similar_issues(ref, limit=10)

    def test_without_payload(self, store: Store, project: Project) -> None:
        """Issues whose payload was shed, or is no JSON, are found by type and message."""
        payloads = [None, b"\xff no json", b"[]", json.dumps({"message": "the last plum is gone"}).encode()]
        for n, payload in enumerate(payloads):
            record_one(
                store, digested(project, n, str(n), type="Message", message="the last plum is gone", payload=payload)
            )
        found = store.similar_issues(ShortId("MY-APP-1"), limit=10)
        assert [(each.issue.short_id, each.score) for each in found] == [(f"MY-APP-{n}", 1.0) for n in (2, 3, 4)]

    def test_odd_terms(self, store: Store, project: Project) -> None:
        """Texts of any kind and number can be terms."""
        odd = " ".join(["\ud800\0'\"%_\\", "ß", "\U0001f98a", *(f"w{'x' * n}" for n in range(200))])
        frames = [f"\0{n}\udfff" for n in range(300)]
        store.record([error(project, n, "\ud800", odd, *frames) for n in range(2)])
        (found,) = store.similar_issues(ShortId("MY-APP-1"), limit=10)
        assert found.score == 1.0
