"""DSNs: the one line that tells an SDK where to send events, and with which key (SDK.md, facts 1 and 2)."""

import ipaddress
import re
from typing import Any

import attrs

from rustrak_core.errors import MalformedDsnError
from rustrak_core.project import ProjectId, key_hex

_TEXT_MAX = 2048
_PORT_MAX = 65535
_INT64_MAX = 2**63 - 1
_DSN = re.compile(
    r"(?P<scheme>https?)://"
    r"(?P<key>[0-9a-f-]{32,36})(?P<secret>:[^\s:/?#@]*)?@"
    r"(?P<host>\[[0-9a-f:.%_~-]+\]|[^\s/?#@:\[\]\\\0]{1,255})(?::(?P<port>[0-9]{1,5}))?"
    r"(?P<path>(?:/++[^\s/?#\\\0]++)*)/++(?P<project>[0-9]{1,19})",
    re.IGNORECASE | re.ASCII,
)
_BASE = re.compile(
    r"(?P<scheme>https?)://"
    r"(?P<host>\[[0-9a-f:.%_~-]+\]|[^\s/?#@:\[\]\\\0]{1,255})(?::(?P<port>[0-9]{1,5}))?"
    r"(?P<path>(?:/++[^\s/?#\\\0]++)*)/*",
    re.IGNORECASE | re.ASCII,
)


def _key(_dsn: object, _attribute: object, value: str) -> None:
    if key_hex(value) != value:
        message = "public_key must be 32 lower-case hex digits"
        raise ValueError(message)


@attrs.frozen(kw_only=True)
class Dsn:
    """Where an SDK sends events, and with which key; ``str()`` gives the text that an SDK takes.

    In the text the key has no hyphens, since JavaScript SDKs refuse a hyphen there, and no slash follows the project.

    Attributes:
        scheme: ``http`` or ``https``.
        host: A name in lower case or an address; IPv6 without its brackets.
        port: None where the text has none.
        path: What stands before ``/api/``: empty, or begins with a slash and ends without.
        public_key: The sentry key, 32 lower-case hex digits.
    """

    scheme: str = attrs.field(validator=attrs.validators.in_(("http", "https")))
    host: str
    port: int | None = None
    path: str = ""
    public_key: str = attrs.field(validator=_key, repr=False)
    project_id: ProjectId

    @classmethod
    def parse(cls, text: str) -> "Dsn":
        """Return the DSN in *text*. A secret behind the key, also an empty one, is dropped.

        Raises:
            MalformedDsnError: it is none. The error does not repeat the text, which holds a key.
        """
        match = _DSN.fullmatch(text) if len(text) <= _TEXT_MAX else None
        key = key_hex(match["key"]) if match else None
        if match is None or key is None or int(match["project"]) > _INT64_MAX:
            message = (
                "not a DSN: it must look like http://KEY@HOST/PROJECT, KEY being 32 hex digits "
                "and PROJECT a number without a slash behind it"
            )
            raise MalformedDsnError(message)
        return cls(public_key=key, project_id=ProjectId(int(match["project"])), **_place(match))

    @classmethod
    def at(cls, base_url: str, *, sentry_key: str, project_id: ProjectId) -> "Dsn":
        """Return the DSN of a project of the server at *base_url*, as in ``https://errors.example.org/prefix``.

        Args:
            base_url: With or without a port, a path prefix and a slash at its end.
            sentry_key: In either of its forms.
            project_id: The project that the key belongs to.

        Raises:
            MalformedDsnError: *base_url* is no http or https URL, or *sentry_key* is no key.
        """
        match = _BASE.fullmatch(base_url) if len(base_url) <= _TEXT_MAX else None
        if match is None:
            message = "the base URL must look like https://HOST or http://HOST:PORT/PREFIX"
            raise MalformedDsnError(message)
        key = key_hex(sentry_key)
        if key is None:
            message = "the sentry key must be 32 hex digits, with or without the hyphens of a UUID"
            raise MalformedDsnError(message)
        return cls(public_key=key, project_id=project_id, **_place(match))

    @property
    def base_url(self) -> str:
        """The server's URL without a slash at its end, as in ``http://[::1]:8080/prefix``."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        port = "" if self.port is None else f":{self.port}"
        return f"{self.scheme}://{host}{port}{self.path}"

    def envelope_url(self) -> str:
        """Return the URL to which envelopes are posted."""
        return f"{self.base_url}/api/{self.project_id}/envelope/"

    def __str__(self) -> str:
        """Return the DSN as an SDK takes it."""
        before, _, after = self.base_url.partition("://")
        return f"{before}://{self.public_key}@{after}/{self.project_id}"


def _place(match: re.Match[str]) -> dict[str, Any]:
    """Return scheme, host, port and path of a match, in one form.

    Raises:
        MalformedDsnError: the port is none, or the address in brackets.
    """
    host, port = match["host"], match["port"]
    if host.isascii():
        host = host.lower()
    if host.startswith("["):
        host = host[1:-1]
        try:
            ipaddress.IPv6Address(host)
        except ValueError:
            message = "not a DSN: what stands in brackets is no IPv6 address"
            raise MalformedDsnError(message) from None
    if port is not None and not 0 < int(port) <= _PORT_MAX:
        message = f"not a DSN: the port must be 1 to {_PORT_MAX}"
        raise MalformedDsnError(message)
    return {
        "scheme": match["scheme"].lower(),
        "host": host,
        "port": None if port is None else int(port),
        "path": re.sub("/+", "/", match["path"]),
    }
