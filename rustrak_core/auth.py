"""Credentials: who sends this, from headers, the query, or the envelope's DSN (SDK.md, section 4)."""

import base64
import binascii
import functools
from collections.abc import Iterator, Mapping

import attrs

from rustrak_core.dsn import Dsn
from rustrak_core.errors import ConflictingCredentialsError, CredentialsError
from rustrak_core.project import ProjectId, key_hex

_CLIENT_MAX = 128
_HEADER_MAX = 8192
_REMEMBERED_MAX = 300


@attrs.frozen(kw_only=True)
class Credentials:
    """What a request says about its sender.

    Attributes:
        sentry_key: 32 lower-case hex digits, well-formed but not known to be anyone's.
        client: ``sentry_client``, as in ``sentry.python/2.75.0``; None where it is absent or not printable.
    """

    sentry_key: str = attrs.field(repr=False)
    client: str | None = None


def find_credentials(
    *, sentry_auth: str | None, authorization: str | None, query: Mapping[str, str]
) -> Credentials | None:
    """Return the credentials in a request's headers and query, or None where there are none.

    Headers that begin neither with ``Sentry`` nor, for *authorization*, with ``Basic`` are ignored, and so is a Basic
    user that is no key (a proxy's, likely). Of the pairs only ``sentry_key`` and ``sentry_client`` are read.

    Args:
        sentry_auth: The ``X-Sentry-Auth`` header.
        authorization: The ``Authorization`` header.
        query: The query, decoded.

    Raises:
        CredentialsError: a key is malformed, or there is a ``Sentry`` header or a parameter but no key at all.
        ConflictingCredentialsError: two sources give different keys.
    """
    if sentry_auth and len(sentry_auth) <= _REMEMBERED_MAX and not authorization and "sentry_key" not in query:
        return _in_header(sentry_auth)
    return _in_sources(sentry_auth, authorization, query)


@functools.lru_cache(maxsize=4096)
def _in_header(sentry_auth: str) -> Credentials | None:
    """Return what the one header says; most requests of an SDK bear the same."""
    return _in_sources(sentry_auth, None, {})


def _in_sources(sentry_auth: str | None, authorization: str | None, query: Mapping[str, str]) -> Credentials | None:
    found: Credentials | None = None
    keyless = False
    for text, client in _sources(sentry_auth, authorization, query):
        if not text:
            keyless = True
            continue
        key = _key(text)
        if found is None:
            found = Credentials(sentry_key=key, client=_printable(client))
        elif found.sentry_key != key:
            message = "two sources of credentials (X-Sentry-Auth, Authorization, query) give different keys; send one"
            raise ConflictingCredentialsError(message)
        elif found.client is None and client:
            found = attrs.evolve(found, client=_printable(client))
    if found is None and keyless:
        message = "the credentials name no sentry_key; send the key of the project's DSN"
        raise CredentialsError(message)
    return found


def agreed_credentials(found: Credentials | None, dsn: Dsn | None, *, project_id: ProjectId) -> Credentials:
    """Return the credentials of a request whose envelope may name a *dsn* too; its host does not matter.

    Args:
        found: What headers and query gave.
        dsn: What the envelope's header names.
        project_id: The project in the path.

    Raises:
        CredentialsError: there are none.
        ConflictingCredentialsError: the DSN is that of another project or key.
    """
    if dsn is not None:
        if dsn.project_id != project_id:
            message = "the envelope's dsn names another project than the path"
            raise ConflictingCredentialsError(message)
        if found is None:
            return Credentials(sentry_key=dsn.public_key)
        if found.sentry_key != dsn.public_key:
            message = "the envelope's dsn has another key than the request's credentials"
            raise ConflictingCredentialsError(message)
    if found is None:
        message = "missing credentials: send the DSN's key in X-Sentry-Auth, the query, or the envelope's dsn"
        raise CredentialsError(message)
    return found


def _sources(
    sentry_auth: str | None, authorization: str | None, query: Mapping[str, str]
) -> Iterator[tuple[str, str | None]]:
    """Yield key and client of each source that is there, the key empty where the source names none."""
    for header in (sentry_auth, authorization):
        pairs = _pairs(header) if header else None
        if pairs is not None:
            yield pairs.get("sentry_key", ""), pairs.get("sentry_client")
    if authorization:
        key = _basic_user(authorization)
        if key is not None:
            yield key, None
    key = query.get("sentry_key")
    if key is not None:
        yield key.strip(), query.get("sentry_client")


def _pairs(header: str) -> dict[str, str] | None:
    """Return the pairs of ``Sentry k=v, k=v``, or None if *header* is no such thing."""
    words = header[:_HEADER_MAX].split(None, 1)
    if not words or words[0].lower() != "sentry":
        return None
    pairs: dict[str, str] = {}
    for pair in words[1].split(",") if len(words) > 1 else ():
        name, _, value = pair.partition("=")
        pairs[name.strip().lower()] = value.strip()
    return pairs


def _basic_user(header: str) -> str | None:
    """Return the key that is the user of ``Basic base64(key:...)``, or None if *header* is no such thing."""
    words = header[:_HEADER_MAX].split(None, 1)
    if len(words) != 2 or words[0].lower() != "basic":
        return None
    try:
        user = base64.b64decode(words[1].strip(), validate=True).partition(b":")[0].decode("ascii")
    except (ValueError, binascii.Error):
        return None
    return user if key_hex(user.partition(".")[0]) else None


def _key(text: str) -> str:
    """Return a key as 32 hex digits; a ``.flag`` behind it is dropped."""
    key = key_hex(text.partition(".")[0])
    if key is None:
        message = "malformed sentry_key: it must be the 32 hex digits of the project's DSN"
        raise CredentialsError(message)
    return key


def _printable(client: str | None) -> str | None:
    return client[:_CLIENT_MAX] if client and client.isprintable() else None
