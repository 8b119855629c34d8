"""The user whom an event happened to."""

import ipaddress
import re
from collections.abc import Mapping
from typing import Any, Final

from rustrak_core.digested import User
from rustrak_core.event.attributes import attribute
from rustrak_core.event.problems import Problems
from rustrak_core.event.scalars import cut, lenient_text

_AUTO = "{{auto}}"
_OCTET = "(?:25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])"
_IPV4 = re.compile(rf"{_OCTET}\.{_OCTET}\.{_OCTET}\.{_OCTET}")
_LIMITS: Final = {"id": 128, "email": 75, "username": 128}


def user_of(payload: Mapping[str, Any], remote_addr: str | None) -> User | None:
    """Return the user that columns hold; None where the SDK sent none, or nothing that tells one from another.

    Args:
        payload: The event.
        remote_addr: The connection's address, which ``{{auto}}`` stands for.
    """
    sent = attribute(payload, "user")
    if not sent or not isinstance(sent, dict):
        return None
    texts = {name: cut(text, limit) for name, limit in _LIMITS.items() if (text := lenient_text(sent.get(name)))}
    address = ip_address(sent.get("ip_address"), remote_addr) or _reported_address(payload)
    return User(**texts, ip_address=address) if texts or address else None


def ip_address(value: Any, remote_addr: str | None) -> str | None:
    """Return the IP address of *value*, or None where it is none."""
    if value == _AUTO:
        value = remote_addr
    if not isinstance(value, str) or len(value) > 64:
        return None
    if _IPV4.fullmatch(value):  # most of them, and ten times as quick as what follows
        return value
    try:
        return str(ipaddress.ip_address(value.strip()))
    except ValueError:
        return None


def _reported_address(payload: Mapping[str, Any]) -> str | None:
    """Return the client's address as the web server passed it to the application."""
    request = attribute(payload, "request")
    env = request.get("env") if isinstance(request, dict) else None
    return ip_address(env.get("REMOTE_ADDR"), None) if isinstance(env, dict) else None


def user_form(payload: Mapping[str, Any], remote_addr: str | None, problems: Problems) -> dict[str, Any] | None:
    """Return the one form of a user: the four names of `User` as strings or null, beside what else was sent."""
    sent = attribute(payload, "user")
    if sent is None or sent == {}:
        return None
    if not isinstance(sent, dict):
        problems.add("user", "not an object", sent)
        return None
    form: dict[str, Any] = {}
    for name in _LIMITS:
        value = sent.get(name)
        form[name] = lenient_text(value)
        if value is not None and form[name] is None:
            problems.add(f"user.{name}", "not a string or number", value)
    address = sent.get("ip_address")
    form["ip_address"] = ip_address(address, remote_addr) or _reported_address(payload)
    if address is not None and address != _AUTO and ip_address(address, None) is None:
        problems.add("user.ip_address", "not an IP address", address)
    return {**form, **{name: value for name, value in sent.items() if name not in form}}
