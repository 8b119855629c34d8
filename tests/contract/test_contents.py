"""Contents of payload rows: details and payload in one, and apart again."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rustrak_core.project import ProjectId
from rustrak_storage.filing import filed
from rustrak_storage.sql.contents import content_of, details_of, payload_of
from rustrak_storage.testing.values import digested

TEXT = st.text(max_size=50)
PAIRS = st.dictionaries(TEXT, TEXT, max_size=5).map(lambda pairs: tuple(sorted(pairs.items())))


@given(
    payload=st.none() | st.binary(max_size=300),
    kind=st.sampled_from(["event", "csp"]),
    texts=st.fixed_dictionaries(dict.fromkeys(("type", "message", "culprit"), TEXT)),
    tags=PAIRS,
    hints=st.lists(st.tuples(TEXT, TEXT), max_size=3).map(tuple),
    remote_addr=st.none() | st.just("::1"),
    sdk_client=st.none() | TEXT,
)
def test_there_and_back(texts: dict[str, Any], **parts: Any) -> None:
    """Whatever an event holds, line feeds among it, details and payload come back as they were filed."""
    source = digested(ProjectId(1), 1, **texts, **parts)
    event = filed(source)
    content = content_of(event)
    details = details_of(content)
    assert payload_of(content) == source.payload
    assert (details.type, details.message, details.culprit) == (event.type, event.message, event.culprit)
    assert (details.level, details.platform, details.kind) == (event.level, event.platform, source.kind)
    assert (details.tags, details.hints, details.remote_addr) == (source.tags, source.hints, source.remote_addr)
    assert details.sdk_client == (source.sdk_client and source.sdk_client.replace("\0", ""))


def test_lone_surrogates() -> None:
    """What digesting should have replaced costs no event."""
    source = digested(ProjectId(1), 1, tags=(("a", "\ud800"),), hints=(("\ud800", "b"),))
    details = details_of(content_of(filed(source)))
    assert (details.tags, details.hints) == ((("a", "\ufffd"),), (("\ufffd", "b"),))


@given(st.binary(max_size=60) | st.sampled_from([b"{}", b"[1]", b"null", b'{"kind":"event","type":1,"tags":3}']))
def test_no_content(data: bytes) -> None:
    """Bytes that are no content are refused, and never with another error."""
    with pytest.raises(ValueError, match=r".*"):
        details_of(data)
