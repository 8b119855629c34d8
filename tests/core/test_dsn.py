"""DSNs: what SDKs are given and what envelopes name."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rustrak_core.dsn import Dsn
from rustrak_core.errors import MalformedDsnError
from rustrak_core.project import ProjectId

KEY = "0123456789abcdef0123456789abcdef"
DASHED = "01234567-89ab-cdef-0123-456789abcdef"

LABEL = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,10}[a-z0-9])?", fullmatch=True)
HOSTS = st.one_of(
    st.lists(LABEL, min_size=1, max_size=4).map(".".join),
    st.ip_addresses(v=4).map(str),
    st.ip_addresses(v=6).map(str),
)
SEGMENT = st.text(st.characters(categories=["L", "N"], include_characters="-_.~%@:"), min_size=1, max_size=8)
DSNS = st.builds(
    Dsn,
    scheme=st.sampled_from(["http", "https"]),
    host=HOSTS,
    port=st.none() | st.integers(1, 65535),
    path=st.lists(SEGMENT, max_size=3).map(lambda parts: "".join(f"/{part}" for part in parts)),
    public_key=st.integers(0, 2**128 - 1).map(lambda number: f"{number:032x}"),
    project_id=st.integers(0, 2**53 - 1).map(ProjectId),
)


@given(DSNS)
def test_what_is_written_is_read_back(dsn: Dsn) -> None:
    """Formatting and parsing are inverse, whatever host, port, prefix and project."""
    assert Dsn.parse(str(dsn)) == dsn


@given(DSNS)
def test_the_key_is_written_without_hyphens(dsn: Dsn) -> None:
    """JavaScript SDKs refuse a DSN with a hyphen in its key, so none is ever written there."""
    user = str(dsn).split("://", 1)[1].split("@", 1)[0]
    assert user == dsn.public_key
    assert len(user) == 32


@given(st.text() | st.from_regex(r"https?://[0-9a-f]{32}@.*", fullmatch=True))
def test_any_text_is_a_dsn_or_our_error(text: str) -> None:
    """No text raises anything but MalformedDsnError, and what parses is stable from then on."""
    try:
        dsn = Dsn.parse(text)
    except MalformedDsnError:
        return
    assert Dsn.parse(str(dsn)) == dsn


@pytest.mark.parametrize(
    ("text", "host", "port", "path", "url"),
    [
        (f"http://{KEY}@localhost:8080/1", "localhost", 8080, "", "http://localhost:8080/api/1/envelope/"),
        (f"https://{DASHED}@errors.example.org/1", "errors.example.org", None, "", None),
        (f"https://{DASHED.upper()}@Errors.Example.ORG/1", "errors.example.org", None, "", None),
        (f"http://{KEY}:secret@h/1", "h", None, "", "http://h/api/1/envelope/"),
        (f"http://{KEY}:@h/1", "h", None, "", None),
        (f"http://{KEY}@h/sub/path/1", "h", None, "/sub/path", "http://h/sub/path/api/1/envelope/"),
        (f"http://{KEY}@h//sub//1", "h", None, "/sub", None),
        (f"http://{KEY}@[::1]:8080/1", "::1", 8080, "", "http://[::1]:8080/api/1/envelope/"),
        (f"http://{KEY}@[2001:DB8::1]/p/1", "2001:db8::1", None, "/p", "http://[2001:db8::1]/p/api/1/envelope/"),
    ],
)
def test_forms(text: str, host: str, port: int | None, path: str, url: str | None) -> None:
    """Both forms of the key, a secret, a prefix and IPv6 hosts are understood."""
    dsn = Dsn.parse(text)
    assert (dsn.host, dsn.port, dsn.path, dsn.public_key, dsn.project_id) == (host, port, path, KEY, 1)
    if url is not None:
        assert dsn.envelope_url() == url


@pytest.mark.parametrize(
    "text",
    [
        "",
        "garbage",
        f"ftp://{KEY}@h/1",
        f"http://{KEY}@h",
        f"http://{KEY}@h/",
        f"http://{KEY}@h/1/",
        f"http://{KEY}@h/3f25-x",
        f"http://{KEY}@h/my-app",
        f"http://{KEY}@h/-1",
        f"http://{KEY}@h/1?a=b",
        f"http://{KEY}@h/1#f",
        f"http://{KEY}@h/99999999999999999999",
        f"http://{KEY}@h/٣",
        f"http://{KEY}@/1",
        f"http://{KEY}@h:0/1",
        f"http://{KEY}@h:65536/1",
        f"http://{KEY}@h:port/1",
        f"http://{KEY}@[::g]/1",
        f"http://{KEY}@[1.2.3.4]/1",
        f"http://{KEY}@h /1",
        f"http://{KEY}@h/1\n",
        f"http://{KEY}@h/{'a' * 3000}/1",
        f"http://{KEY[:-1]}@h/1",
        f"http://{KEY}0@h/1",
        "http://01234567-89ab-cdef-0123456789abcdef-@h/1",
        "http://@h/1",
        "http://h/1",
    ],
)
def test_what_is_no_dsn_is_refused_and_not_repeated(text: str) -> None:
    """The error tells how a DSN looks, and never holds the text, which may hold a key."""
    with pytest.raises(MalformedDsnError) as refusal:
        Dsn.parse(text)
    assert KEY[:-1] not in str(refusal.value)
    assert refusal.value.status_hint == 400


def test_a_dsn_hides_its_key_in_logs() -> None:
    """The representation that ends up in logs and tracebacks has no key."""
    assert KEY not in repr(Dsn.parse(f"http://{KEY}@h/1"))


@pytest.mark.parametrize(
    ("base", "text"),
    [
        ("http://localhost:8080", f"http://{KEY}@localhost:8080/7"),
        ("https://errors.example.org/", f"https://{KEY}@errors.example.org/7"),
        ("HTTPS://Errors.example.org/a/b/", f"https://{KEY}@errors.example.org/a/b/7"),
        ("http://[::1]:8080/", f"http://{KEY}@[::1]:8080/7"),
    ],
)
def test_a_dsn_is_made_from_a_public_url(base: str, text: str) -> None:
    """The server's public URL, with or without a prefix, and a key in either form give the DSN to hand out."""
    assert str(Dsn.at(base, sentry_key=DASHED, project_id=ProjectId(7))) == text
    assert str(Dsn.at(base, sentry_key=KEY, project_id=ProjectId(7))) == text


@pytest.mark.parametrize("base", ["", "localhost:8080", "ftp://h", "http://", "http://h/?a=b", "http://h:99999"])
def test_a_bad_public_url_is_refused(base: str) -> None:
    """A public URL that no SDK could use is refused where it is given."""
    with pytest.raises(MalformedDsnError):
        Dsn.at(base, sentry_key=KEY, project_id=ProjectId(7))


def test_a_bad_key_is_refused() -> None:
    """A DSN is never made with what is no key."""
    with pytest.raises(MalformedDsnError):
        Dsn.at("http://h", sentry_key="x", project_id=ProjectId(7))
    with pytest.raises(ValueError, match="public_key"):
        Dsn(scheme="http", host="h", public_key=DASHED, project_id=ProjectId(7))
