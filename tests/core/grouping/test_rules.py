"""A project's own rules on grouping."""

import contextlib
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rustrak_core import grouping
from rustrak_core.errors import MalformedRulesError
from rustrak_core.grouping import Rules
from rustrak_core.grouping.lines import line_of, lines_of_tables
from rustrak_core.testing import assert_grouped, assert_separate, error, message

EVENT = error(
    "PoolTimeout: waited 5 s for db-eu",
    at=["shop/views.py:buy", "shop/vendor/pool.py:acquire", "-lib/a.py:wait"],
    release="shop@2.1.0",
    environment="production",
    tags={"region": "eu-west"},
)


def rules(*tables: str) -> Rules:
    """Return the rules of *tables*, with ``anchor@1``."""
    return Rules.from_toml("\n".join(['mechanism = "anchor@1"', *(f"[[rule]]\n{table}" for table in tables)]))


@pytest.mark.parametrize(
    ("condition", "other"),
    [
        ('type = "PoolTimeout"', 'type = "pooltimeout"'),
        ('type = ["A", "Pool*"]', 'type = ["A", "Pool"]'),
        ('message = "waited ? s for *"', 'message = "waited"'),
        ('message_regex = "for db-(eu|us)$"', 'message_regex = "^for"'),
        ('path = "*/vendor/*"', 'path = "vendor"'),
        ('function = "acquire"', 'function = "release"'),
        ('path = "*pool.py"\nfunction = "acquire"', 'path = "*pool.py"\nfunction = "buy"'),
        ('release = "shop@2.*"', 'release = "shop@3.*"'),
        ('environment = "production"', 'environment = "staging"'),
        ('tags.region = "eu-*"', 'tags.region = "us-*"'),
        ('tags.region = "eu-*"\ntype = "PoolTimeout"', 'tags.region = "eu-*"\ntype = "KeyError"'),
        ('tags.none = ""', 'tags.none = "?*"'),
    ],
)
def test_conditions(condition: str, other: str) -> None:
    """A rule acts where all its conditions hold; those on frames for one frame."""
    does = grouping.key(EVENT, rules(f'{condition}\nfingerprint = ["pool"]'))
    assert (does.mechanism, does.explanation.decided_by) == ("fingerprint@1", "rule")
    assert grouping.key(EVENT, rules(f'{other}\nfingerprint = ["pool"]')) == grouping.key(EVENT, rules())


def test_the_first_rule_that_sets_a_fingerprint_wins_also_over_the_sdk() -> None:
    """Order decides among rules; a rule knows more than the code that sent the event."""
    both = rules('type = "Pool*"\nfingerprint = ["one"]', 'type = "*"\nfingerprint = ["two"]')
    sent = {"fingerprint": ["sdk"]}
    one = rules('type = "*"\nfingerprint = ["one"]')
    assert_grouped({**EVENT, **sent}, EVENT, {**message("x"), **sent}, rules=one)
    explained = grouping.key({**EVENT, "fingerprint": ["sdk"]}, both).explanation
    assert [part.value for part in explained.parts] == ["one"]
    assert "rule 1 (line 2): sets the fingerprint" in str(explained)
    assert "is overruled by a rule of the project" in str(explained)


def test_a_rule_s_fingerprint_has_variables() -> None:
    """A rule may split what the mechanism joins."""
    split = rules('type = "PoolTimeout"\nfingerprint = ["{{ default }}", "{{ tags.region }}"]')
    assert_separate(EVENT, {**EVENT, "tags": {"region": "us"}}, rules=split)


def test_rules_mark_frames() -> None:
    """A vendored library is not the application's own, and a framework of one's own is."""
    where = [part.value for part in grouping.key(EVENT, rules('path = "*/vendor/*"\nin_app = false')).explanation.parts]
    assert where[-1] == "shop/views in buy"
    own = grouping.key(EVENT, rules('path = "lib/*"\nin_app = true'))
    assert [part.value for part in own.explanation.parts][-1] == "lib/a in wait"
    assert "rule 1 (line 2): frames are the application's own" in own.explanation.rules


def test_rules_mask_more() -> None:
    """What only the project knows to be a value is masked, in each mechanism."""
    for mechanism in grouping.MECHANISMS:
        masking = Rules.from_toml(f'mechanism = "{mechanism}"\n[[rule]]\nmask = "[Bb]erlin|[Pp]aris"')
        assert_grouped(message("no way to Berlin"), message("no way to paris"), rules=masking)
        assert_grouped(error("E: no way to Berlin"), error("E: no way to paris"), rules=masking)


@pytest.mark.parametrize(
    ("text", "line", "reason"),
    [
        ('mechanism = "anchor@0"', 1, "is one of"),
        ("\nmechanism = 5", 2, "is one of"),
        ('\n\nrules = "x"', 3, "unknown"),
        ("rule = 5", 1, "tables"),
        ('a = "', 1, "no TOML"),
        ('\n\n[[rule]\ntype = "x"', 3, "no TOML"),
        ('[[rule]]\ntype = "x"', 1, "does nothing"),
        ('[[rule]]\nmask = "x"\n\n[[rule]]\ntipe = "x"', 5, "`tipe` is unknown"),
        ('[[rule]]\ntype = 5\nmask = "x"', 2, "a pattern or a list"),
        ('[[rule]]\nmask = "x"\ntype = []', 3, "a pattern or a list"),
        ('[[rule]]\nmask = "x"\nmessage_regex = "(a"', 3, "no regular expression"),
        ('[[rule]]\nmask = "(?<=a)b"', 2, "no regular expression"),
        ('[[rule]]\nmask = "a*"', 2, "everywhere"),
        ('[[rule]]\nmask = ""', 2, "is a regular expression"),
        ("[[rule]]\nin_app = true", 1, "to say which frames"),
        ('[[rule]]\npath = "x"\nin_app = "yes"', 3, "true or false"),
        ('[[rule]]\nfingerprint = "x"', 2, "list of texts"),
        ("[[rule]]\nfingerprint = []", 2, "list of texts"),
        ('[[rule]]\nfingerprint = [\n  "x",\n  "{{ typ }}",\n]', 2, "no variable"),
        ('[[rule]]\nmask = "x"\ntags = "x"', 3, "is a table"),
        ('[[rule]]\nmask = "x"\ntags.region = 5', 3, "tags.region"),
        ("# x\n" * 20_000, 1, "longer than"),
    ],
)
def test_a_rule_with_an_error_is_refused_with_its_line(text: str, line: int, reason: str) -> None:
    """Who writes rules is told where to look."""
    with pytest.raises(MalformedRulesError, match=reason) as caught:
        Rules.from_toml(text)
    assert caught.value.line == line
    assert str(caught.value).startswith(f"line {line}: ")


def test_there_are_so_many_rules_and_no_more() -> None:
    """Two hundred rules do; the next one is refused where it begins."""
    table = '[[rule]]\nmask = "x"\n'
    assert len(Rules.from_toml(table * 200).rules) == 200
    with pytest.raises(MalformedRulesError, match="more than 200") as caught:
        Rules.from_toml(table * 201)
    assert caught.value.line == 401


def test_lines_are_those_of_the_file() -> None:
    """Texts and lists of several lines, and what looks like a table within them, do not confuse the count."""
    text = 'a = """\n[[rule]]\n"""\n[[rule]]\nx = [\n  1,\n]\n\n[[rule]]\ny.z = 1 # [[rule]]\n'
    paths = [("a",), ("rule", 0), ("rule", 0, "x"), ("rule", 1), ("rule", 1, "y", "z")]
    assert [line_of(text, path) for path in paths] == [1, 4, 5, 9, 10]
    assert lines_of_tables(text, "rule", 2) == [4, 9]
    assert lines_of_tables('x = 1\nrule = [{ mask = "a" }, { mask = "b" }]', "rule", 2) == [2, 2]
    assert lines_of_tables('[["rule"]]\n[[ rule ]] # x', "rule", 2) == [1, 2]


@given(st.text(max_size=40))
def test_any_text_is_rules_or_refused(text: str) -> None:
    """Reading rules raises nothing but its own error."""
    with contextlib.suppress(MalformedRulesError):
        Rules.from_toml(text)


@pytest.mark.parametrize(
    ("glob", "text", "is_like"),
    [
        ("a*", "a", True),
        ("*a", "ba", True),
        ("a*a", "a", False),
        ("a*a", "aa", True),
        ("a*b*a", "aba", True),
        ("ab*ba", "aba", False),
        ("*", "", True),
        ("**", "x", True),
        ("a?c", "abc", True),
        ("a?c", "ac", False),
        ("?*.p?", "x.py", True),
        ("a.c", "abc", False),
        ("*[x]*", "a[x]b", True),
        ("?", "\n", True),
    ],
)
def test_globs(glob: str, text: str, is_like: bool) -> None:
    """A star is any text, also none; a question mark is one character; the whole must match."""
    one = Rules.from_toml(f"[[rule]]\nmessage = '{glob}'\nfingerprint = ['x']")
    assert (grouping.key(message(text), one).mechanism == "fingerprint@1") == is_like


@given(st.text("ab*", max_size=8), st.text("ab", max_size=8))
def test_globs_are_those_of_a_slower_reading(glob: str, text: str) -> None:
    """Stars mean what they mean in a regular expression."""
    one = Rules.from_toml(f"[[rule]]\nmessage = '{glob}'\nfingerprint = ['x']")
    is_like = re.fullmatch(glob.replace("*", ".*"), text) is not None
    assert (grouping.key(message(text), one).mechanism == "fingerprint@1") == is_like


PLAIN = st.text(
    st.characters(codec="utf-8", exclude_characters="*?'", exclude_categories=["Cc"]), min_size=1, max_size=9
)


@given(PLAIN, PLAIN)
def test_globs_take_all_characters_but_two_literally(glob: str, text: str) -> None:
    """Only ``*`` and ``?`` are special in a glob, whatever a regular expression makes of the rest."""
    one = Rules.from_toml(f"[[rule]]\nmessage = '{glob}'\nfingerprint = ['x']")
    for said, matches in ((glob, True), (text, text == glob)):
        assert (grouping.key(message(said), one).mechanism == "fingerprint@1") == matches
