"""Credentials: every form that SDKs send, and what is no credential."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rustrak_core.auth import Credentials, agreed_credentials, find_credentials
from rustrak_core.dsn import Dsn
from rustrak_core.errors import ConflictingCredentialsError, CredentialsError
from rustrak_core.project import ProjectId

KEY = "0123456789abcdef0123456789abcdef"
DASHED = "01234567-89ab-cdef-0123-456789abcdef"
OTHER = "f" * 32
ONE = ProjectId(1)


def find(
    sentry_auth: str | None = None, authorization: str | None = None, query: dict[str, str] | None = None
) -> Credentials | None:
    return find_credentials(sentry_auth=sentry_auth, authorization=authorization, query=query or {})


def basic(user: str, password: str = "") -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


@pytest.mark.parametrize(
    "header",
    [
        f"Sentry sentry_key={KEY}",
        f"sentry sentry_key={KEY}",
        f"SENTRY   sentry_key={KEY}",
        f"  Sentry sentry_key={KEY}",
        f"Sentry sentry_key={DASHED}",
        f"Sentry sentry_key={KEY.upper()}",
        f"Sentry sentry_key={KEY}.production",
        f"Sentry sentry_version=7, sentry_key={KEY}, sentry_secret=, anything=else, odd,=,",
        f"Sentry sentry_timestamp=1700000000.5,sentry_version=4,sentry_key={KEY},sentry_secret={OTHER}",
        f"Sentry sentry_key = {KEY} , sentry_version=99",
    ],
)
def test_header_forms(header: str) -> None:
    """Prefix and key in any case, pairs in any order, unknown ones beside them; in either header."""
    assert find(header) == Credentials(sentry_key=KEY)
    assert find(None, header) == Credentials(sentry_key=KEY)


def test_client_is_kept() -> None:
    """The client's name and version come from the same source, or from a second one that agrees."""
    assert find(f"Sentry sentry_key={KEY}, sentry_client=sentry.python/2.75.0") == Credentials(
        sentry_key=KEY, client="sentry.python/2.75.0"
    )
    query = {"sentry_key": KEY, "sentry_version": "7", "sentry_client": "sentry.javascript.browser/11.12.0"}
    found = find(f"Sentry sentry_key={KEY}", None, query)
    assert found == Credentials(sentry_key=KEY, client="sentry.javascript.browser/11.12.0")


@pytest.mark.parametrize("client", ["", "a\x00b", "\ud800", "a\nb"])
def test_an_odd_client_is_not_kept(client: str) -> None:
    """What could harm a log or a database is not taken for a client's name; the credentials stay good."""
    assert find(None, None, {"sentry_key": KEY, "sentry_client": client}) == Credentials(sentry_key=KEY)


def test_a_long_client_is_cut() -> None:
    """A client's name costs a bounded number of bytes with every event."""
    found = find(None, None, {"sentry_key": KEY, "sentry_client": "c" * 5000})
    assert found is not None
    assert found.client == "c" * 128


@pytest.mark.parametrize("header", [basic(KEY), basic(DASHED, "secret"), basic(KEY).replace("Basic", "bAsIc")])
def test_basic(header: str) -> None:
    """The key may be the user of HTTP's Basic scheme."""
    assert find(None, header) == Credentials(sentry_key=KEY)


@pytest.mark.parametrize(
    "header", ["", "Bearer abc", f"Bearer {KEY}", f"sentry_key={KEY}", f"Sentryy sentry_key={KEY}", "Digest x", " "]
)
def test_other_headers_are_ignored(header: str) -> None:
    """A header of another scheme is no credential, and no error either."""
    assert find(header, header) is None
    assert find(header, header, {"sentry_key": KEY}) == Credentials(sentry_key=KEY)


@pytest.mark.parametrize("header", [basic("proxy", "password"), "Basic !!!", "Basic", "Basic w7w6", f"{basic(KEY)}="])
def test_basic_of_a_proxy_is_ignored(header: str) -> None:
    """A reverse proxy's own user is no sentry key, and does not stand in the way of one."""
    assert find(None, header, {"sentry_key": KEY}) == Credentials(sentry_key=KEY)


def test_basic_is_not_read_from_x_sentry_auth() -> None:
    """X-Sentry-Auth knows the Sentry scheme only."""
    assert find(basic(KEY)) is None


def test_no_source_is_none() -> None:
    """Without any source the envelope may still name a DSN, so that this is no error yet."""
    assert find() is None
    assert find(None, None, {"sentry_version": "7", "other": "x"}) is None


def test_sources_that_agree_are_fine() -> None:
    """Keys are compared without hyphens and case."""
    found = find(f"Sentry sentry_key={KEY}", f"Sentry sentry_key={DASHED}", {"sentry_key": KEY.upper()})
    assert found == Credentials(sentry_key=KEY)


@pytest.mark.parametrize(
    "sources",
    [
        (f"Sentry sentry_key={KEY}", f"Sentry sentry_key={OTHER}", {}),
        (f"Sentry sentry_key={KEY}", None, {"sentry_key": OTHER}),
        (None, basic(KEY), {"sentry_key": OTHER}),
    ],
)
def test_sources_that_disagree_are_refused(sources: tuple[str | None, str | None, dict[str, str]]) -> None:
    """Nobody can tell which of two keys is meant: 400."""
    with pytest.raises(ConflictingCredentialsError) as refusal:
        find(*sources)
    assert refusal.value.status_hint == 400


@pytest.mark.parametrize("key", ["zz", KEY[:-1], KEY + "0", "g" * 32, DASHED + "-", ".", "\ud800" * 32, "٣" * 32])
def test_a_malformed_key_is_refused(key: str) -> None:
    """A key that is none is 401, and the answer does not repeat it."""
    header: tuple[str, None, dict[str, str]] = (f"Sentry sentry_key={key}", None, {})
    for sources in (header, (None, None, {"sentry_key": key})):
        with pytest.raises(CredentialsError) as refusal:
            find(*sources)
        assert refusal.value.status_hint == 401
        assert key == "." or key not in str(refusal.value)


@pytest.mark.parametrize("header", ["Sentry", "Sentry ", "Sentry sentry_version=7", "Sentry sentry_key=", "sentry ,,="])
def test_a_sentry_header_without_a_key_is_refused_if_nothing_else_has_one(header: str) -> None:
    """The sender meant to identify itself and did not: 401; a key elsewhere makes it good."""
    with pytest.raises(CredentialsError):
        find(header)
    assert find(header, None, {"sentry_key": KEY}) == Credentials(sentry_key=KEY)


@given(st.none() | st.text(), st.none() | st.text(), st.dictionaries(st.sampled_from(["sentry_key", "x"]), st.text()))
def test_anything_is_credentials_none_or_our_error(
    sentry_auth: str | None, authorization: str | None, query: dict[str, str]
) -> None:
    """No headers and no query raise anything but our errors."""
    for prefix in ("", "Sentry ", "Sentry sentry_key=", "Basic "):
        try:
            found = find(prefix + (sentry_auth or ""), prefix + (authorization or ""), query)
        except (CredentialsError, ConflictingCredentialsError):
            continue
        assert found is None or len(found.sentry_key) == 32


def dsn(key: str = KEY, project: int = 1) -> Dsn:
    return Dsn.parse(f"https://{key}@elsewhere.example.org/{project}")


def test_the_envelopes_dsn_is_enough() -> None:
    """A tunnel sends no other credentials; the DSN's host does not matter."""
    assert agreed_credentials(None, dsn(), project_id=ONE) == Credentials(sentry_key=KEY)


def test_the_envelopes_dsn_may_agree() -> None:
    """Beside other credentials the DSN must have the same key, in whatever form; the client is kept."""
    found = Credentials(sentry_key=KEY, client="c/1")
    assert agreed_credentials(found, dsn(DASHED), project_id=ONE) == found
    assert agreed_credentials(found, None, project_id=ONE) == found


@pytest.mark.parametrize(
    ("found", "named"),
    [
        (Credentials(sentry_key=KEY), dsn(OTHER)),
        (Credentials(sentry_key=KEY), dsn(project=2)),
        (None, dsn(project=2)),
    ],
)
def test_the_envelopes_dsn_must_not_disagree(found: Credentials | None, named: Dsn) -> None:
    """Another key or another project than the path's is 400."""
    with pytest.raises(ConflictingCredentialsError):
        agreed_credentials(found, named, project_id=ONE)


def test_no_credentials_anywhere_is_401() -> None:
    """Neither header nor query nor DSN."""
    with pytest.raises(CredentialsError) as refusal:
        agreed_credentials(None, None, project_id=ONE)
    assert refusal.value.status_hint == 401


def test_credentials_hide_their_key_in_logs() -> None:
    """The representation that ends up in logs and tracebacks has no key."""
    assert KEY not in repr(Credentials(sentry_key=KEY))
