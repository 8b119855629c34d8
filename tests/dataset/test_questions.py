"""The stock questions, each against a plain computation over the same events."""

import math
import re
import statistics
from collections import Counter
from datetime import UTC, datetime, timedelta
from itertools import combinations
from typing import Any

import pytest

from rustrak_core.errors import InvalidInputError, UnknownIssueError, UnknownProjectError
from rustrak_core.issue import Issue
from rustrak_storage.duck import Dataset, UnknownQuestionError, questions
from rustrak_storage.duck.question import read_question
from tests.dataset.conftest import EXPORTED
from tests.dataset.facts import Fact, World, grouped

UNTIL = EXPORTED + timedelta(seconds=60)
SPANS = (30, None)
ALL = 10_000

pytestmark = pytest.mark.parametrize("days", SPANS)


def since(days: int | None) -> datetime:
    return datetime.min.replace(tzinfo=UTC) if days is None else UNTIL - timedelta(days=days)


def asked(dataset: Dataset, name: str, days: int | None, **own: Any) -> list[dict[str, Any]]:
    return dataset.ask(name, days=days, **{"limit": ALL, **own}).dicts()


def recent(world: World, days: int | None, project: str | None = None) -> list[Fact]:
    return world.within(since(days), UNTIL, project)


def users(facts: list[Fact]) -> int:
    return len({(fact.project, fact.user) for fact in facts if fact.user})


def naive(moment: datetime) -> datetime:
    return moment.astimezone(UTC).replace(tzinfo=None)


def largest(issues: list[Issue]) -> str:
    best = sorted(issues, key=lambda issue: (-issue.event_count, issue.id))
    return ", ".join(issue.short_id for issue in best[:5])


@pytest.mark.parametrize("by", ["events", "users"])
def test_top_issues(dataset: Dataset, world: World, days: int | None, by: str) -> None:
    """Events and distinct users of each issue, the most first."""
    rows = asked(dataset, "top-issues", days, by=by)
    expected = {
        issue: (len(facts), users(facts), naive(max(fact.at for fact in facts)), facts[0].type)
        for issue, facts in grouped(recent(world, days), lambda fact: fact.issue).items()
    }
    assert {r["issue"]: (r["events"], r["users"], r["last_event"], r["type"]) for r in rows} == expected
    assert [r[by] for r in rows] == sorted((r[by] for r in rows), reverse=True)
    assert {r["issue"]: r["state"] for r in rows} == {
        issue.short_id: issue.state.value for issue in world.issues if issue.short_id in expected
    }


def test_new_issues(dataset: Dataset, world: World, days: int | None) -> None:
    """Issues that were first seen in the time, by the release of their first event."""
    found = grouped(
        (issue for issue in world.issues if since(days) <= issue.first_seen < UNTIL),
        lambda issue: (world.slugs[issue.project_id], issue.first_release),
    )
    rows = asked(dataset, "new-issues", days)
    assert {
        (r["project"], r["release"]): (r["new_issues"], r["events"], r["first_seen"], r["largest"]) for r in rows
    } == {
        key: (
            len(issues),
            sum(issue.event_count for issue in issues),
            naive(min(issue.first_seen for issue in issues)),
            largest(issues),
        )
        for key, issues in found.items()
    }
    assert rows


def test_regressions(dataset: Dataset, world: World, days: int | None) -> None:
    """Issues that came back in the time, by the release of the event that reopened them."""
    found = grouped(
        (issue for issue in world.issues if issue.regressed_at and since(days) <= issue.regressed_at < UNTIL),
        lambda issue: (world.slugs[issue.project_id], issue.regressed_in),
    )
    rows = asked(dataset, "regressions", days)
    assert {(r["project"], r["release"]): (r["regressions"], r["last_regression"], r["largest"]) for r in rows} == {
        key: (len(issues), naive(max(i.regressed_at for i in issues if i.regressed_at)), largest(issues))
        for key, issues in found.items()
    }
    assert rows


def test_error_rates(dataset: Dataset, world: World, days: int | None) -> None:
    """Events a day, and their share, by transaction and environment."""
    facts = recent(world, days)
    span = max((UNTIL - min(fact.at for fact in facts)).total_seconds() / 86400, 1)
    found = grouped(facts, lambda f: (f.project, f.payload["transaction"], f.payload.get("environment")))
    rows = asked(dataset, "error-rates", days)
    assert {
        (r["project"], r["transaction"], r["environment"]): (r["events"], r["issues"], r["users"]) for r in rows
    } == {key: (len(group), len({fact.issue for fact in group}), users(group)) for key, group in found.items()}
    for row in rows:
        assert row["per_day"] == pytest.approx(row["events"] / span, abs=0.006)
        assert row["share"] == pytest.approx(row["events"] / len(facts), abs=0.0001)


def test_heatmap(dataset: Dataset, world: World, days: int | None) -> None:
    """Each hour of each weekday, those without events among them."""
    counted = Counter((fact.at.isoweekday(), fact.at.hour) for fact in recent(world, days))
    rows = dataset.ask("heatmap", days=days).rows()
    assert rows == [(day, hour, counted[day, hour]) for day in range(1, 8) for hour in range(24)]


def test_lift(dataset: Dataset, world: World, days: int | None) -> None:
    """Tags of an issue that are more common in it than in its project, by whole days."""
    first = datetime.combine(since(days).date(), datetime.min.time(), UTC)
    whole = world.within(first, UNTIL + timedelta(days=1))
    issue = next(name for name, _ in Counter(fact.issue for fact in whole if fact.project == "shop").most_common(4))
    ours = [fact for fact in whole if fact.issue == issue]
    project = [fact for fact in whole if fact.project == "shop"]
    here = Counter(pair for fact in ours for pair in fact.tags.items())
    there = Counter(pair for fact in project for pair in fact.tags.items())
    lifts = {pair: (here[pair] / len(ours)) / (there[pair] / len(project)) for pair in here if here[pair] >= 2}
    rows = asked(dataset, "lift", days, issue=issue.lower())
    assert {(r["key"], r["value"]): (r["events"], r["lift"]) for r in rows} == {
        pair: (here[pair], pytest.approx(lift, abs=0.006)) for pair, lift in lifts.items() if lift > 1
    }
    assert [r["lift"] for r in rows] == sorted((r["lift"] for r in rows), reverse=True)
    assert rows


@pytest.mark.parametrize("by", ["users", "traces"])
def test_together(dataset: Dataset, world: World, days: int | None, by: str) -> None:
    """Pairs of issues that share at least three of whom they strike."""
    struck: dict[str, set[Any]] = {}
    for fact in recent(world, days):
        whom = (fact.project, fact.user) if by == "users" else fact.trace
        if by == "traces" or fact.user:
            struck.setdefault(fact.issue, set()).add(whom)
    numbers = {issue.short_id: issue.id for issue in world.issues}
    expected = {
        (one, other): (len(struck[one] & struck[other]), len(struck[one]), len(struck[other]))
        for one, other in combinations(sorted(struck, key=lambda name: numbers[name]), 2)  # type: ignore[index]
        if len(struck[one] & struck[other]) >= 3
    }
    rows = asked(dataset, "together", days, by=by)
    found = {(r["issue"], r["other"]): (r["shared"], r["issue_strikes"], r["other_strikes"]) for r in rows}
    assert found == expected
    assert expected
    for row in rows:
        union = len(struck[row["issue"]] | struck[row["other"]])
        assert row["similarity"] == pytest.approx(row["shared"] / union, abs=0.0001)
    assert [r["similarity"] for r in rows] == sorted((r["similarity"] for r in rows), reverse=True)


def test_types(dataset: Dataset, world: World, days: int | None) -> None:
    """Types with their last two weeks."""
    week, before = UNTIL - timedelta(days=7), UNTIL - timedelta(days=14)
    rows = asked(dataset, "types", days)
    expected = {}
    for key, facts in grouped(recent(world, days), lambda fact: (fact.project, fact.type)).items():
        new, old = sum(f.at >= week for f in facts), sum(before <= f.at < week for f in facts)
        growth = None if old == 0 else pytest.approx(new / old - 1, abs=0.0001)
        expected[key] = (len(facts), len({fact.issue for fact in facts}), new, old, growth)
    assert expected == {
        (r["project"], r["type"]): (r["events"], r["issues"], r["week"], r["week_before"], r["growth"]) for r in rows
    }
    assert any(row["growth"] is not None for row in rows)


def test_resolution(dataset: Dataset, world: World, days: int | None) -> None:
    """Ages, and times to resolution, by project and state."""

    def age(issue: Issue) -> float:
        return (UNTIL - issue.first_seen).total_seconds() / 86400

    chosen = [
        issue for issue in world.issues if max(issue.last_seen, issue.resolved_at or issue.last_seen) >= since(days)
    ]
    rows = asked(dataset, "resolution", days)
    found = grouped(chosen, lambda issue: (world.slugs[issue.project_id], issue.state.value))
    assert {(r["project"], r["state"]): r["issues"] for r in rows} == {key: len(group) for key, group in found.items()}
    for row in rows:
        group = found[row["project"], row["state"]]
        assert row["median_age"] == pytest.approx(statistics.median(map(age, group)), abs=0.006)
        assert row["oldest"] == pytest.approx(max(map(age, group)), abs=0.006)
        taken = sorted((i.resolved_at - i.first_seen).total_seconds() / 86400 for i in group if i.resolved_at)
        if not taken:
            assert (row["days_to_resolve"], row["days_to_resolve_p90"]) == (None, None)
            continue
        assert row["days_to_resolve"] == pytest.approx(statistics.median(taken), abs=0.006)
        rank = 0.9 * (len(taken) - 1)
        low, high = taken[math.floor(rank)], taken[math.ceil(rank)]
        assert row["days_to_resolve_p90"] == pytest.approx(low + (high - low) * (rank % 1), abs=0.006)
    assert any(row["days_to_resolve"] is not None for row in rows)


def test_reopen_rate(dataset: Dataset, world: World, days: int | None) -> None:
    """Of those that were resolved, the part that came back."""

    def recently(moment: datetime | None) -> bool:
        return moment is not None and since(days) <= moment < UNTIL

    chosen = [issue for issue in world.issues if recently(issue.resolved_at) or recently(issue.regressed_at)]
    expected = {
        slug: (len(group), sum(recently(issue.regressed_at) for issue in group))
        for slug, group in grouped(chosen, lambda issue: world.slugs[issue.project_id]).items()
    }
    rows = asked(dataset, "reopen-rate", days)
    assert {r["project"]: (r["resolved"], r["reopened"]) for r in rows} == expected
    for row in rows:
        assert row["rate"] == pytest.approx(row["reopened"] / row["resolved"], abs=0.0001)
    assert any(row["reopened"] for row in rows)


def test_one_event_issues(dataset: Dataset, world: World, days: int | None) -> None:
    """Issues of one event, by type; types without any are left out."""
    new = [issue for issue in world.issues if issue.first_seen >= since(days)]
    expected = {
        key: (sum(issue.event_count == 1 for issue in group), len(group))
        for key, group in grouped(new, lambda issue: (world.slugs[issue.project_id], issue.type)).items()
        if any(issue.event_count == 1 for issue in group)
    }
    rows = asked(dataset, "one-event-issues", days)
    assert {(r["project"], r["type"]): (r["one_event"], r["issues"]) for r in rows} == expected
    if days is None:
        assert rows


def test_near_duplicates(dataset: Dataset, world: World, days: int | None) -> None:
    """Issues whose titles are the same but for numbers and quoted text."""

    def title(issue: Issue) -> str:
        text = re.sub(r"'[^']*'|\"[^\"]*\"", "<text>", issue.message.partition("\n")[0].lower())
        return re.sub("[0-9]+", "<number>", re.sub(r"\b[0-9a-f]{8,}(-[0-9a-f]{4,})*\b", "<id>", text))

    seen = [issue for issue in world.issues if issue.last_seen >= since(days)]
    expected = {
        key: (len(group), sum(issue.event_count for issue in group), largest(group))
        for key, group in grouped(seen, lambda i: (world.slugs[i.project_id], i.type, title(i))).items()
        if len(group) > 1
    }
    rows = asked(dataset, "near-duplicates", days)
    assert expected == {(r["project"], r["type"], r["title"]): (r["issues"], r["events"], r["largest"]) for r in rows}
    assert any(row["title"] == "order <number> is <text>" for row in rows)


def test_bytes(dataset: Dataset, world: World, days: int | None) -> None:
    """Bytes of payloads as they were sent, by issue."""
    facts = recent(world, days)
    total = sum(fact.size for fact in facts)
    found = grouped(facts, lambda fact: (fact.project, fact.issue))
    rows = asked(dataset, "bytes", days)
    assert {(r["project"], r["issue"]): (r["events"], r["bytes"]) for r in rows} == {
        key: (len(group), sum(fact.size for fact in group)) for key, group in found.items()
    }
    for row in rows:
        assert row["share"] == pytest.approx(row["bytes"] / total, abs=0.0001)
        assert row["bytes_per_event"] == pytest.approx(row["bytes"] / row["events"], abs=0.51)
    assert [r["bytes"] for r in rows] == sorted((r["bytes"] for r in rows), reverse=True)


@pytest.mark.parametrize("which", ["own", "all"])
def test_failing_frames(dataset: Dataset, world: World, days: int | None, which: str) -> None:
    """Issues and events by frame; a frame that an event has twice counts once."""
    issues: dict[tuple[str, str], set[str]] = {}
    events: Counter[tuple[str, str]] = Counter()
    for fact in recent(world, days):
        for place in {(f["module"], f["function"]) for f in fact.frames if which == "all" or f["in_app"]}:
            issues.setdefault(place, set()).add(fact.issue)
            events[place] += 1
    rows = asked(dataset, "failing-frames", days, which=which)
    assert {(r["file"], r["function"]): (r["issues"], r["events"]) for r in rows} == {
        place: (len(issues[place]), events[place]) for place in issues
    }
    assert {"shop.main", "lib.http"} & {rows[0]["file"]}
    assert ("lib.http", "call") in issues or which == "own"


def test_sdks(dataset: Dataset, world: World, days: int | None) -> None:
    """SDKs with their versions."""
    found = grouped(recent(world, days), lambda f: (f.payload["sdk"]["name"], f.payload["sdk"]["version"]))
    rows = asked(dataset, "sdks", days)
    assert {(r["sdk"], r["version"]): (r["events"], r["projects"], r["last_event"]) for r in rows} == {
        key: (len(g), ", ".join(sorted({f.project for f in g})), naive(max(f.at for f in g)))
        for key, g in found.items()
    }


def test_every_question_has_a_test(days: int | None) -> None:
    """And is described, and takes what all take."""
    for name, question in questions().items():
        assert f"test_{name.replace('-', '_')}" in globals(), name
        assert question.text.partition("\n")[0].endswith("?")
        assert {"days", "project"} & set(question.shared)


def test_projects_and_limits(dataset: Dataset, world: World, days: int | None) -> None:
    """A project, a limit, and another end narrow an answer."""
    for name in questions():
        own: dict[str, Any] = {"issue": world.facts[-1].issue} if name == "lift" else {}
        rows = dataset.ask(name, days=days, limit=1, **own).rows()
        assert len(rows) <= 1 or name == "heatmap"
    office = dataset.ask("top-issues", days=days, project="office", limit=ALL).dicts()
    assert {row["issue"] for row in office} == {fact.issue for fact in recent(world, days, "office")}
    end = datetime(2026, 2, 1, tzinfo=UTC)
    begin = datetime.min.replace(tzinfo=UTC) if days is None else end - timedelta(days=days)
    heat = dataset.ask("heatmap", days=days, until=end).rows()
    assert sum(events for _day, _hour, events in heat) == len(world.within(begin, end))


def test_what_is_asked_wrongly_is_told(dataset: Dataset, days: int | None) -> None:
    """An error says what there is, or what is wanted."""
    wrongs: tuple[tuple[type[Exception], str, str, dict[str, Any]], ...] = (
        (UnknownQuestionError, "top-issues", "top", {}),
        (InvalidInputError, "lift needs it: The issue", "lift", {}),
        (InvalidInputError, "takes no such parameter; it takes by, days, project, limit", "top-issues", {"at": 1}),
        (InvalidInputError, "events or users", "top-issues", {"by": "cost"}),
        (InvalidInputError, "whole number", "lift", {"issue": "SHOP-1", "least": "many"}),
        (InvalidInputError, "whole number", "lift", {"issue": "SHOP-1", "least": 10**30}),
        (InvalidInputError, "must be 1 to", "top-issues", {"limit": 0}),
        (InvalidInputError, "must be 1 to", "top-issues", {"limit": 2**63}),
        (InvalidInputError, "takes no such parameter", "top-issues", {"self": 1, "name": "sdks"}),
        (InvalidInputError, "UTF-8", "top-issues", {"project": "\udcff"}),
        (UnknownProjectError, "office, shop", "top-issues", {"project": "nobody"}),
        (UnknownIssueError, "top-issues", "lift", {"issue": "SHOP-999"}),
    )
    for error, said, name, own in wrongs:
        with pytest.raises(error, match=said):
            dataset.ask(name, days=days, **own)
    for wrong in (0, -1, 10**9):
        with pytest.raises(InvalidInputError, match="days"):
            dataset.ask("sdks", days=wrong)


def test_heads_are_read(days: int | None) -> None:
    """The head of a file says what a question takes."""
    question = read_question(
        "q", "-- Why?\n-- So.\n--\n-- $a BIGINT = 2: How many.\n-- $b x|y: Which.\nSELECT $a, $until"
    )
    assert question.text == "Why?\nSo."
    assert [(p.name, p.type, p.default, p.text) for p in question.own] == [
        ("a", "BIGINT", "2", "How many."),
        ("b", "x|y", None, "Which."),
    ]
