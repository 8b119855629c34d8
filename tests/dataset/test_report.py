"""The report: one page that needs nothing else, and says what the events say."""

import re
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest

from rustrak_core.ports import Store
from rustrak_storage.duck import Dataset, MissingLibraryError, export
from rustrak_storage.duck.report import report
from tests.dataset.conftest import EXPORTED
from tests.dataset.facts import World, accepted, at, made_payload, new_project, record

_VOID = {"meta", "link", "br", "hr", "img", "input"}


class Page(HTMLParser):
    """Checks that what is opened is closed, and gathers what a browser would ask for, and the text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.asked: list[str] = []
        self.tags: set[str] = set()
        self.text = ""
        self.feed(html)
        self.close()
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        if tag not in _VOID:
            self.open.append(tag)
        self.asked += [value or "" for name, value in attrs if name in {"src", "href", "xlink:href", "data", "action"}]

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in _VOID:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def test_it_says_what_is_there(dataset: Dataset, world: World) -> None:
    """Counts, issues and charts; nothing is asked for but what is within the page."""
    html = report(dataset, days=None)
    page = Page(html)
    assert not page.tags & {"script", "iframe", "object", "embed", "image", "img", "link"}
    assert all(asked.startswith("#") for asked in page.asked)
    assert not re.findall(r"url\((?!#)", html)
    assert not re.findall(r"@import", html)
    words = " ".join(page.text.split())
    assert f"{len(world.facts):,} events" in words.replace("events", " events").replace("  ", " ")
    assert f"{len(world.issues)} issues" in words.replace("issues", " issues").replace("  ", " ")
    top = max(world.issues, key=lambda issue: issue.event_count)
    assert top.short_id in page.text
    assert html.count("<svg") == 7
    assert report(dataset, days=None) == html


def test_it_narrows(dataset: Dataset, world: World) -> None:
    """Days and a project choose here too; a time without events has a page all the same."""
    page = Page(report(dataset, days=30, project="office"))
    assert "Errors of office" in page.text
    assert "SHOP-" not in page.text
    nothing = Page(report(dataset, days=30, until=world.facts[0].at))
    assert "no events" in nothing.text


def test_texts_of_events_are_texts(store: Store, tmp_path: Path) -> None:
    """No markup and no mathematics, whatever an application reports; characters that no font has are no trouble."""
    project = new_project(store, "Shop")
    evil = "<script>alert(1)</script> $\\frac{1}{$ & \x01 \U0001f98a 中"
    for number, text in enumerate((evil, "$", "$$", "\\", "x" * 5000)):
        payload = {
            **made_payload(number),
            "exception": {"values": [{"type": text[:200], "value": text}]},
            "transaction": text[:100],
            "release": "1.0$x$",
            "fingerprint": [str(number)],
        }
        record(store, accepted(project.id, payload, at(number), number))
    dest = tmp_path / "errors.duckdb"
    export(store, dest, now=EXPORTED)
    with Dataset.open(dest) as dataset:
        html = report(dataset, days=None)
    page = Page(html)
    assert "script" not in page.tags
    assert "<script>alert(1)</script> $\\frac{1}{$ &" in " ".join(page.text.split())
    assert "\x01" not in html


def test_an_event_of_the_year_1(store: Store, tmp_path: Path) -> None:
    """An application may say so of it: a chart has so many bars and no more, which count all events."""
    project = new_project(store, "Shop")
    for number, moment in enumerate(("0001-01-01T00:00:00Z", "2025-06-01T00:00:00Z", "2026-01-01T00:00:00Z")):
        record(store, accepted(project.id, {**made_payload(number), "timestamp": moment}, at(number), number))
    dest = tmp_path / "errors.duckdb"
    export(store, dest, now=EXPORTED)
    with Dataset.open(dest) as dataset:
        page = Page(html := report(dataset, days=None))
        assert "days are a bar" not in report(dataset, days=365)
    assert len(html) < 400_000
    assert re.search(r"[\d,]+ days are a bar", page.text)


def test_an_empty_dataset(store: Store, dest: Path) -> None:
    """There is a page before there are events."""
    export(store, dest, now=EXPORTED)
    with Dataset.open(dest) as dataset:
        assert "no events" in Page(report(dataset)).text


def test_without_matplotlib(dataset: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    """It says which extra has it."""
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(MissingLibraryError, match=r"rustrak\[report\]"):
        report(dataset)
