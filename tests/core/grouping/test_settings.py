"""The text of a project's rules, as it is kept: read again and again, and a mechanism pinned in it."""

import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rustrak_core.errors import InvalidInputError, MalformedRulesError
from rustrak_core.grouping import MECHANISMS, Rules, settings_of, with_mechanism

PIN = 'mechanism = "message@1"\n'
RULE = '[[rule]]\nmask = "x"\n'

_texts = st.sampled_from(["KeyError", "a*", "*", "é\U0001f98a", "", "\\\\d+", "(", "{{ type }}", "{{ no }}", "\\u0000"])
_scalars = st.one_of(_texts.map(lambda text: f'"{text}"'), st.sampled_from(["true", "5", "1979-05-27", "nan", "'a'"]))
_values = st.one_of(
    _scalars,
    st.lists(_scalars, max_size=3).map(lambda values: f"[{', '.join(values)}]"),
    st.lists(_scalars, max_size=2).map(lambda values: "\n".join(["[", *(f"  {value}," for value in values), "]"])),
    st.sampled_from(['"""\nmechanism = "x"\n[[rule]]\n"""', "'''\n[[rule]]'''", '{ region = "eu" }']),
)
_conditions = ["type", "message", "message_regex", "release", "environment", "path", "module", "function"]
_names = st.sampled_from(
    [
        *_conditions,
        "tags",
        "tags.region",
        "tags.'a b'",
        "fingerprint",
        "in_app",
        "mask",
        "mechanism",
        "rule",
        "# x",
        "x",
    ]
)
_lines = st.tuples(_names, _values).map(lambda pair: f"{pair[0]} = {pair[1]}")
_heads = st.sampled_from(["", "[[rule]]", "[[ rule ]]  # one", "[rule]", "[x]", "\n"])
_likely = st.sampled_from(
    ['[[rule]]\nmask = "x"', '[[rule]]\nfingerprint = [\n  "a",\n]', 'mechanism = "anchor@1"  # x']
)
_sections = st.tuples(_heads, st.lists(_lines, max_size=4)).map(lambda section: "\n".join([section[0], *section[1]]))
documents = st.lists(st.one_of(_likely, _sections), max_size=5).map("\n".join)


def fault_of(text: str, mechanism: str | None = None, *, pins: bool = False) -> MalformedRulesError | None:
    """Return why a text, or a pin in it, is refused."""
    try:
        if pins:
            with_mechanism(text, mechanism)
        else:
            Rules.from_toml(text)
    except MalformedRulesError as refused:
        return refused
    return None


@given(documents)
def test_documents_are_rules_or_refused_with_a_line(text: str) -> None:
    """What looks much like rules is read, or refused with a line that the text has; nothing else is raised."""
    fault = fault_of(text)
    if fault is not None:
        assert 1 <= fault.line <= text.count("\n") + 1
        assert str(fault).startswith(f"line {fault.line}: ")
        return
    rules, document = Rules.from_toml(text), tomllib.loads(text)
    assert len(rules.rules) == len(document.get("rule", ()))
    assert (rules.mechanism if rules.pinned else None) == document.get("mechanism")
    lines = text.split("\n")
    assert all("rule" in lines[rule.line - 1] for rule in rules.rules)


@given(documents, st.sampled_from([None, *MECHANISMS]))
def test_a_pin_changes_one_thing(text: str, mechanism: str | None) -> None:
    """Whatever the text, pinning leaves all rules as they are; it is refused where the text is."""
    before, fault = settings_of(text), fault_of(text, mechanism, pins=True)
    if before.problem is not None or fault is not None:
        assert str(before.problem) == str(fault)
        return
    changed = with_mechanism(text, mechanism)
    after = tomllib.loads(changed)
    assert after.pop("mechanism", None) == mechanism
    assert after == {name: value for name, value in tomllib.loads(text).items() if name != "mechanism"}
    if not before.rules.pinned:
        assert with_mechanism(changed, None) == text


@pytest.mark.parametrize(
    ("text", "mechanism", "changed"),
    [
        ("", "message@1", PIN),
        (PIN, None, ""),
        (RULE, "message@1", f"{PIN}\n{RULE}"),
        (f"{PIN}\n{RULE}", None, RULE),
        (f"{PIN}{RULE}", None, RULE),
        (f"# ours\n\n{PIN}\n{RULE}", None, f"# ours\n\n\n{RULE}"),
        (f"# ours\n'mechanism'='message@1'  # for now\r\n{RULE}", "anchor@1", None),
        (f"{PIN}{RULE}", "message@1", f"{PIN}{RULE}"),
        ('mechanism = "anchor@1" # why\n', "message@1", 'mechanism = "message@1" # why\n'),
    ],
)
def test_pins(text: str, mechanism: str | None, changed: str | None) -> None:
    """The pin is a line of its own; where there is one, only its value changes, comments stay."""
    wanted = changed if changed is not None else text.replace("'message@1'", f'"{mechanism}"')
    assert with_mechanism(text, mechanism) == wanted


@pytest.mark.parametrize("mechanism", ["anchor@99", "", 'message@1"\n[[rule]]'])
def test_no_such_mechanism(mechanism: str) -> None:
    """Only what this version knows can be pinned."""
    with pytest.raises(InvalidInputError, match=r"^mechanism: must be one of"):
        with_mechanism(RULE, mechanism)


def test_what_only_a_person_can_change() -> None:
    """A mechanism in a text of several lines is left to whoever wrote it."""
    text = 'mechanism = """\nmessage@1"""\n'
    assert settings_of(text).rules.pinned
    with pytest.raises(MalformedRulesError, match=r"^line 1: .* change it there yourself"):
        with_mechanism(text, "anchor@1")


def test_a_pin_that_does_not_fit() -> None:
    """A text that is as long as can be has no room for another line."""
    with pytest.raises(MalformedRulesError, match="longer than"):
        with_mechanism("#" * 65_536, "message@1")


def test_lone_surrogates_are_refused() -> None:
    """JSON can hold what no file and no database can."""
    with pytest.raises(MalformedRulesError, match=r"^line 2: a lone surrogate"):
        Rules.from_toml('\nmechanism = "\udc80"')


def test_long_texts_are_not_repeated_whole() -> None:
    """What a fault quotes of the rules is bounded."""
    with pytest.raises(MalformedRulesError) as refused:
        Rules.from_toml(f"[[rule]]\n{'x' * 50_000} = 1")
    assert len(str(refused.value)) < 600
