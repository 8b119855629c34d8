"""`rustrak grouping`."""

import io
import sys
from pathlib import Path

import pytest
from falcon import testing

from rustrak_core.testing import error
from rustrak_core.token import token_hash
from rustrak_http.app import create_app
from tests.cli.conftest import Rustrak

RULES = '[[rule]]\ntype = ["ConnectionError", "*Timeout*"]\nfingerprint = ["network"]\n'
PIN = 'mechanism = "message@1"\n'
TOKEN = "a1b2c3d4" * 5


@pytest.fixture
def shop(rustrak: Rustrak) -> Rustrak:
    rustrak("project", "create", "shop")
    return rustrak


@pytest.fixture
def rules(tmp_path: Path) -> Path:
    path = tmp_path / "rules.toml"
    path.write_text(RULES)
    return path


def test_set_and_show(shop: Rustrak, rules: Path) -> None:
    """Rules come from a file, and are shown with what is in force."""
    assert shop("grouping", "show", "shop").out == "shop has no rules and the mechanism anchor@1, the default.\n"
    assert (
        shop("grouping", "set", "shop", rules).out == "shop now has 1 rule and the mechanism anchor@1, the default.\n"
    )
    first, second, *rest = shop("grouping", "show", "1").out.splitlines()
    assert first == "shop has 1 rule and the mechanism anchor@1, the default."
    assert second.startswith("Its rules were set at 20")
    assert "\n".join(rest).strip() == RULES.strip()
    shop("grouping", "set", "shop", "/dev/null")
    assert shop.json("grouping", "show", "shop")["rules"] == ""


def test_show_prints_what_the_api_answers(shop: Rustrak, rules: Path) -> None:
    """With --json it is GET /api/projects/{id}/grouping, after `set` and `pin` too."""
    with shop.tracker() as tracker:
        tracker.ingest_event(error("KeyError: 'a'"), "shop")
    shop("grouping", "set", "shop", rules)
    pinned = shop.json("grouping", "pin", "shop", "message@1")
    with shop.tracker() as tracker:
        tracker.ingest_event(error("KeyError: 'b'"), "shop")
        sha256 = token_hash(TOKEN)
        assert sha256 is not None
        tracker.store.create_token(sha256=sha256, prefix=TOKEN[:4], description=None, now=tracker.clock())
        answer = testing.TestClient(create_app(tracker.store)).simulate_get(
            "/api/projects/1/grouping", headers={"Authorization": f"Bearer {TOKEN}"}
        )
    shown = shop.json("grouping", "show", "shop")
    assert shown == answer.json == {**pinned, "used": ["anchor@1", "message@1"]}
    assert shown["rules"] == f"{PIN}\n{RULES}"
    assert "It has used the mechanisms anchor@1, message@1, in this order." in shop("grouping", "show", "shop").out


def test_pin_and_unpin(shop: Rustrak, rules: Path) -> None:
    """A pin is a line of the rules, which else stay."""
    shop("grouping", "set", "shop", rules)
    said = shop("grouping", "pin", "shop", "message@1").out
    assert said == "shop now has 1 rule and the mechanism message@1, pinned.\n"
    said = shop("grouping", "unpin", "shop").out
    assert said == "shop now has 1 rule and the mechanism anchor@1, the default.\n"
    assert shop.json("grouping", "show", "shop")["rules"] == RULES
    assert "must be one of message@1, anchor@1" in shop.fails("grouping", "pin", "shop", "newest")


def test_an_event_goes_by_the_rules_and_is_explained(shop: Rustrak, rules: Path) -> None:
    """What is filed after rules were set says that a rule decided; once they are gone, that they have changed."""
    shop("grouping", "set", "shop", rules)
    with shop.tracker() as tracker:
        tracker.ingest_event(error("ReadTimeout: took 31 s", at="a.py:f"), "shop")
        tracker.ingest_event(error("ConnectionError: refused", at="b.py:g"), "shop")
    said = shop("explain", "SHOP-1").out
    assert "A rule of the project sets a fingerprint" in said
    assert "rule 1 (line 1): sets the fingerprint" in said
    shop("grouping", "set", "shop", "/dev/null")
    said = shop("explain", "SHOP-1").out
    assert "they have changed since." in said
    assert "By the project's rules of today, its key would be anchor@1:" in said
    assert "cannot be told" in shop("diff", "SHOP-1", "SHOP-1").out


def test_standard_input(shop: Rustrak, monkeypatch: pytest.MonkeyPatch) -> None:
    """A dash stands for standard input; a byte order mark is no part of the rules."""
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"\xef\xbb\xbf" + RULES.encode())))
    shop("grouping", "set", "shop", "-")
    assert shop.json("grouping", "show", "shop")["rules"] == RULES
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"x")))
    assert shop.fails("grouping", "set", "shop", "-").startswith("rustrak: standard input: line 1: no TOML")


def test_check_needs_no_store(rustrak: Rustrak, rules: Path) -> None:
    """A file is checked where there is no installation, and none is made."""
    said = rustrak("grouping", "check", rules).out
    assert said == "rules.toml is right: 1 rule and the mechanism anchor@1, the default.\n"
    rules.write_text(f"{PIN}{RULES}{RULES}")
    assert rustrak.json("grouping", "check", rules) == {
        "mechanism": "message@1",
        "pinned": "message@1",
        "rules_count": 2,
    }
    assert not rustrak.data_dir.exists()


@pytest.mark.parametrize(
    ("data", "fault"),
    [
        (b"[[rule]]\nmask = 'x'\n\n[[rule]]\ntipe = 1", "rules.toml: line 5: `tipe` is unknown"),
        (b'[[rule]]\n"\\u001b[31m" = 1', "rules.toml: line 2: `\\x1b[31m` is unknown"),
        (b"# fine\n\xff", "rules.toml: line 2: no text in UTF-8"),
        (b"#" * 70_000, "rules.toml: line 1: longer than 65,536 bytes"),
        (b"#" * 2_000_000, "rules.toml: far too long"),
    ],
)
def test_faults_name_file_and_line(shop: Rustrak, rules: Path, data: bytes, fault: str) -> None:
    """What is no rule is told with file and line, and nothing is changed."""
    shop("grouping", "set", "shop", rules)
    rules.write_bytes(data)
    assert shop.fails("grouping", "check", rules).startswith(f"rustrak: {fault}")
    assert shop.fails("grouping", "set", "shop", rules).startswith(f"rustrak: {fault}")
    assert shop.json("grouping", "show", "shop")["rules"] == RULES


def test_what_is_not_there(shop: Rustrak, tmp_path: Path) -> None:
    """A file or a project that does not exist is told in a line."""
    assert "missing.toml" in shop.fails("grouping", "check", tmp_path / "missing.toml")
    assert "no such project" in shop.fails("grouping", "show", "till")
    assert "no such project" in shop.fails("grouping", "pin", "till", "message@1")


def test_rules_that_this_version_cannot_read(shop: Rustrak) -> None:
    """They are shown with why they are not in force."""
    with shop.tracker() as tracker:
        tracker.store.set_grouping(tracker.project("shop").id, "[[rule]]\nfuture = 1", now=tracker.clock())
    said = shop("grouping", "show", "shop").out
    assert "Mind: the rules are not in force, since line 2: `future` is unknown" in said
    assert said.endswith("\n[[rule]]\nfuture = 1\n")
