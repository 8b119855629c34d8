"""Query parameters of the management routes. One that is known and wrong is 400 and named; unknown ones are ignored."""

import datetime as dt
import re

import falcon

from rustrak_core.errors import InvalidInputError
from rustrak_core.page import LIMIT_DEFAULT, LIMIT_MAX

_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
TEXT_MAX = 1000


def text(req: falcon.Request, name: str) -> str | None:
    """Return the parameter *name*, or None where it is absent.

    Raises:
        InvalidInputError: it stands there twice, holds NUL, or is over 1,000 characters.
    """
    value = req.params.get(name)
    if value is None:
        return None
    if not isinstance(value, str):
        raise InvalidInputError(name, "given more than once; give it once")
    if "\0" in value:
        raise InvalidInputError(name, "must not hold NUL")
    if len(value) > TEXT_MAX:
        raise InvalidInputError(name, f"must have at most {TEXT_MAX} characters")
    return value


def filled(req: falcon.Request, name: str) -> str | None:
    """Return the parameter *name*, which says something where it is given.

    Raises:
        InvalidInputError: it is empty, or not a `text`.
    """
    value = text(req, name)
    if value == "":
        raise InvalidInputError(name, "must not be empty; leave it out to have all")
    return value


def choice(req: falcon.Request, name: str, options: tuple[str, ...]) -> str | None:
    """Return the parameter *name*, one of *options*, or None where it is absent.

    Raises:
        InvalidInputError: it is something else.
    """
    value = text(req, name)
    if value is not None and value not in options:
        raise InvalidInputError(name, f"must be {', '.join(options[:-1])} or {options[-1]}")
    return value


def limit(req: falcon.Request, default: int = LIMIT_DEFAULT) -> int:
    """Return how many rows a page may have; *default* where nobody says.

    Raises:
        InvalidInputError: ``limit`` is no number from 1 to 100.
    """
    value = text(req, "limit")
    if value is None:
        return default
    if value.isascii() and value.isdigit() and len(value) <= 3 and 1 <= int(value) <= LIMIT_MAX:
        return int(value)
    raise InvalidInputError("limit", f"must be a number from 1 to {LIMIT_MAX}")


def day(req: falcon.Request, name: str) -> dt.date | None:
    """Return the parameter *name*, a date as in ``2024-01-15``, or None where it is absent.

    Raises:
        InvalidInputError: it is no such date.
    """
    value = text(req, name)
    if value is None:
        return None
    try:
        if _DATE.fullmatch(value) and value.isascii():
            return dt.date.fromisoformat(value)
    except ValueError:
        pass
    raise InvalidInputError(name, "must be a date, as in 2024-01-15")
