"""Event ids: the forms that SDKs write, and what is none."""

from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rustrak_core.errors import InvalidInputError
from rustrak_core.event_id import parse_event_id

HEX = "0123456789abcdef0123456789abcdef"
ID = UUID(HEX)


@pytest.mark.parametrize(
    "text",
    [
        HEX,
        HEX.upper(),
        str(ID),
        str(ID).upper(),
        f"{{{ID}}}",
        f"{{{HEX}}}",
        ID.urn,
        f"urn:uuid:{HEX}",
        f"URN:UUID:{ID}",
    ],
)
def test_forms(text: str) -> None:
    """With or without hyphens, in any case, in braces, as a URN."""
    assert parse_event_id(text) == ID


@pytest.mark.parametrize("value", [None, "", "0" * 32, str(UUID(int=0)), f"{{{UUID(int=0)}}}"])
def test_none(value: object) -> None:
    """Null, an empty text and the nil id name no event."""
    assert parse_event_id(value) is None


@pytest.mark.parametrize(
    "value",
    [
        HEX[:-1],
        HEX + "0",
        "g" * 32,
        f"{{{HEX}",
        f"{HEX}}}",
        HEX[:8] + "-" + HEX[8:],
        str(ID).replace("-", "_"),
        HEX[:-2] + "_0",
        "+" + HEX[1:],
        " " + HEX,
        HEX + "\n",
        "٣" * 32,
        "\ud800" * 32,
        "{" * 100_000,
        7,
        1.5,
        True,
        [HEX],
        {"id": HEX},
    ],
)
def test_what_is_no_event_id(value: object) -> None:
    """400 that names the field, without repeating what was sent."""
    with pytest.raises(InvalidInputError, match="event_id: ") as refusal:
        parse_event_id(value)
    assert refusal.value.path == "event_id"
    assert len(str(refusal.value)) < 100


@given(st.uuids())
def test_any_uuid(event_id: UUID) -> None:
    """Both forms of any id are read."""
    assert parse_event_id(event_id.hex) == parse_event_id(str(event_id)) == (event_id if event_id.int else None)


@given(st.text())
def test_any_text(text: str) -> None:
    """Any text names an id, none, or is our error."""
    try:
        parse_event_id(text)
    except InvalidInputError:
        return
    assert text == "" or len(text) >= 32
