"""Where this server is reached: as configured, else as the request says. Forwarding headers are not trusted."""

import re
from urllib.parse import quote, urlsplit

import falcon

from rustrak_core.dsn import Dsn
from rustrak_core.errors import ConfigurationError, MalformedDsnError
from rustrak_core.project import ProjectId

_HOST = re.compile(r"(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?")
_ANY_KEY = "0" * 32


class BaseUrl:
    """Gives the URL under which our paths begin, without a slash at its end.

    Args:
        public_url: As applications reach the server, with a path where it is mounted under one; None takes each
            request's own scheme, host and mount point.

    Raises:
        ConfigurationError: *public_url* is not such a URL.
    """

    def __init__(self, public_url: str | None) -> None:
        self._public = None if public_url is None else _checked(public_url)

    def of(self, req: falcon.Request) -> str:
        """Return the URL as the sender of *req* may use it."""
        if self._public is not None:
            return self._public
        env = req.env
        host = env.get("HTTP_HOST") or ""
        if not _is_host(host):
            name = env["SERVER_NAME"]
            host = f"[{name}]:{env['SERVER_PORT']}" if ":" in name else f"{name}:{env['SERVER_PORT']}"
        mounted_at = env.get("SCRIPT_NAME", "").encode("latin-1", "replace").rstrip(b"/")
        return f"{env['wsgi.url_scheme']}://{host}{quote(mounted_at)}"


def _is_host(text: str) -> bool:
    """Say whether *text*, of a Host header, can stand in a URL."""
    return _HOST.fullmatch(text) is not None and _has_dsns(f"http://{text}")


def _has_dsns(url: str) -> bool:
    """Say whether a project's DSN can be made of *url*: better known before there is a project than after."""
    try:
        Dsn.at(url, sentry_key=_ANY_KEY, project_id=ProjectId(1))
    except MalformedDsnError:
        return False
    return True


def _checked(public_url: str) -> str:
    url = public_url.strip().rstrip("/")
    try:
        parts = urlsplit(url)
        good = parts.scheme in {"http", "https"} and bool(parts.hostname) and "@" not in parts.netloc
        good = good and not parts.query and not parts.fragment and (parts.port or 1) > 0
    except ValueError:
        good = False
    if not good or not _has_dsns(url):
        raise ConfigurationError("public_url: must be as in https://errors.example.com, with a path at most")
    return url
