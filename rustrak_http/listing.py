"""Lists: the cursor that came in, the page that goes out, and the links between them."""

from collections.abc import Callable
from typing import Any, TypeVar
from urllib.parse import quote, urlencode

import falcon

from rustrak_core.errors import InvalidCursorError
from rustrak_core.page import Keyset, Page, decode_cursor, encode_cursor
from rustrak_http.answers import answer
from rustrak_http.base_url import BaseUrl
from rustrak_http.query import text

T = TypeVar("T")

_BITS = (63, 63, 128)
"""How large the integers of a keyset may be; the third is an event id. A store is never asked for larger ones."""


class Listing:
    """Writes pages, and reads the cursors that lead to the next ones."""

    def __init__(self, base_url: BaseUrl) -> None:
        self._base_url = base_url

    def after(self, req: falcon.Request, *, of: str, width: int) -> Keyset | None:
        """Return where the page asked for begins, or None for the first one.

        Raises:
            InvalidCursorError: the cursor was made up, or given out for another list than *of*.
        """
        cursor = text(req, "cursor")
        if cursor is None:
            return None
        keyset = decode_cursor(cursor, of=of, width=width)
        if any(abs(value) >> bits for value, bits in zip(keyset.values, _BITS, strict=False)):
            raise InvalidCursorError
        return keyset

    def write(
        self,
        req: falcon.Request,
        resp: falcon.Response,
        page: Page[T],
        to_json: Callable[[T], dict[str, Any]],
        *,
        of: str,
    ) -> None:
        """Answer with *page*; where more follows, its cursor stands in the body and in a ``Link`` header."""
        body: dict[str, Any] = {"data": [to_json(item) for item in page.items]}
        if page.after is not None:
            cursor = encode_cursor(page.after, of=of)
            body["next_cursor"] = cursor
            resp.append_header("Link", f'<{self._next(req, cursor)}>; rel="next"')
        answer(resp, body)

    def _next(self, req: falcon.Request, cursor: str) -> str:
        kept = {name: value for name, value in req.params.items() if name != "cursor"}
        query = urlencode({**kept, "cursor": cursor}, doseq=True, quote_via=quote)
        return f"{self._base_url.of(req)}{quote(req.path)}?{query}"


def list_name(path: str, **filters: object) -> str:
    """Return what a cursor is bound to: the list's path, and the sort and filters that are set."""
    return "&".join([path, *(f"{name}={value!r}" for name, value in sorted(filters.items()) if value is not None)])
