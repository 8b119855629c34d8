"""Request bodies: read in bounded pieces, however the HTTP server hands them over; and the JSON of management."""

from collections.abc import Iterator
from typing import Any, NewType, TypeVar

import attrs
import falcon
from cattrs import ClassValidationError, Converter, ForbiddenExtraKeysError, IterableValidationError

from rustrak_core import jsontext
from rustrak_core.compression import Decompressor
from rustrak_core.errors import InvalidInputError, MalformedJsonError, TooLargeError
from rustrak_http.errors import IncompleteBodyError

MANAGEMENT_BODY_BYTES = 1024 * 1024
_CHUNK_BYTES = 64 * 1024

T = TypeVar("T")


@attrs.frozen(kw_only=True)
class ProjectBody:
    """What creates or renames a project."""

    name: str


@attrs.frozen(kw_only=True)
class IssueBody:
    """What changes an issue."""

    state: str


IssueNames = NewType("IssueNames", tuple[str, ...])
"""Issues by number or short id, as the body has them; numbers in digits."""


@attrs.frozen(kw_only=True)
class MergeBody:
    """Which issues are merged into another, or taken out of it."""

    issue_ids: IssueNames


@attrs.frozen(kw_only=True)
class RulesBody:
    """What gives a project other rules on grouping."""

    rules: str


@attrs.frozen(kw_only=True)
class PinBody:
    """What pins a mechanism, or none."""

    mechanism: str | None


@attrs.frozen(kw_only=True)
class TokenBody:
    """What creates an API token."""

    description: str | None = None


def chunks(env: dict[str, Any], *, limit_bytes: int) -> Iterator[bytes]:
    """Yield the body of a WSGI request in pieces of at most 64 KiB.

    A body announced as larger than *limit_bytes* is refused before any of it is read. SDKs for JavaScript send chunks
    without Content-Length; a server that takes them either says so by ``wsgi.input_terminated`` or sets the length.

    Raises:
        TooLargeError: the body is over *limit_bytes*.
        IncompleteBodyError: it ended early, or cannot be read here.
    """
    length = _content_length(env)
    stream = env["wsgi.input"]
    if length is None:
        yield from _to_the_end(env, limit_bytes)
        return
    if length > limit_bytes:
        raise TooLargeError("body", limit=limit_bytes)
    missing = length
    while missing:
        chunk = _read(stream, min(missing, _CHUNK_BYTES))
        if not chunk:
            raise IncompleteBodyError(f"the body ended {missing} bytes before its Content-Length of {length}")
        missing -= len(chunk)
        yield chunk


def _to_the_end(env: dict[str, Any], limit_bytes: int) -> Iterator[bytes]:
    if not env.get("wsgi.input_terminated"):
        if env.get("HTTP_TRANSFER_ENCODING"):
            raise IncompleteBodyError(
                "this HTTP server does not pass on bodies without Content-Length; serve Rustrak by `rustrak serve`"
            )
        return  # no length and no chunks: HTTP says that there is no body
    read = 0
    while chunk := _read(env["wsgi.input"], _CHUNK_BYTES):
        read += len(chunk)
        if read > limit_bytes:
            raise TooLargeError("body", limit=limit_bytes)
        yield chunk


def _read(stream: Any, size: int) -> bytes:
    try:
        chunk: bytes = stream.read(size)
    except OSError as error:  # the client went away: nobody reads the answer, and it is no fault of ours
        raise IncompleteBodyError("the connection broke while the body was read") from error
    return chunk


def _content_length(env: dict[str, Any]) -> int | None:
    text = env.get("CONTENT_LENGTH") or ""
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= 18):
        raise IncompleteBodyError("Content-Length is not a number")
    return int(text)


def read_object(req: falcon.Request, shape: type[T]) -> T:
    """Return the JSON body of *req* as a value of *shape*, whatever its Content-Type says.

    Raises:
        InvalidInputError: it is no JSON object, or has a wrong type, or an unknown or missing field.
        TooLargeError: it is over 1 MiB.
    """
    decoder = Decompressor(req.env.get("HTTP_CONTENT_ENCODING"), limit_bytes=MANAGEMENT_BODY_BYTES)
    pieces: list[bytes] = []
    for chunk in chunks(req.env, limit_bytes=MANAGEMENT_BODY_BYTES):
        pieces.extend(decoder.feed(chunk))
    pieces.extend(decoder.finish())
    try:
        value = jsontext.loads(b"".join(pieces))
    except MalformedJsonError as error:
        raise InvalidInputError("body", str(error)) from error
    if not isinstance(value, dict):
        raise InvalidInputError("body", "must be a JSON object")
    try:
        return _converter.structure(value, shape)
    except (ClassValidationError, IterableValidationError) as error:
        raise _fault(error, "") from error


def _strict_text(value: Any, _type: Any) -> str:
    if not isinstance(value, str):
        message = "must be a string"
        raise TypeError(message)
    return value


def _text_or_null(value: Any, _type: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    message = "must be a string or null"
    raise TypeError(message)


def _issue_names(value: Any, _type: Any) -> IssueNames:
    if not isinstance(value, list):
        message = "must be a list of numbers or short ids"
        raise TypeError(message)
    for index, name in enumerate(value):
        if isinstance(name, bool) or not isinstance(name, int | str):
            raise InvalidInputError(f"issue_ids[{index}]", "must be a number, or a short id as in MY-APP-1")
    return IssueNames(tuple(name if isinstance(name, str) else _digits(name) for name in value))


def _digits(number: int) -> str:
    return str(number) if abs(number) < 2**63 else "0"  # no issue has such a number, nor 0


def _fault(error: BaseException, path: str) -> InvalidInputError:
    """Return the first fault that *error* holds, with the path to it."""
    if isinstance(error, ClassValidationError):
        with_notes, without_notes = error.group_exceptions()
        for fault, note in with_notes:
            return _fault(fault, note.name)
        for fault in without_notes:
            return _fault(fault, path)
    if isinstance(error, InvalidInputError):
        return error
    if isinstance(error, ForbiddenExtraKeysError):
        return InvalidInputError(min(error.extra_fields)[:100] or '""', "unknown; leave it out")
    if isinstance(error, KeyError):
        return InvalidInputError(str(error.args[0]), "required")
    return InvalidInputError(path or "body", str(error) if isinstance(error, TypeError) else "not valid")


_converter = Converter(forbid_extra_keys=True)
_converter.register_structure_hook(str, _strict_text)
_converter.register_structure_hook(str | None, _text_or_null)
_converter.register_structure_hook(IssueNames, _issue_names)
