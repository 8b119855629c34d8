"""``/api/tokens``: API tokens, shown whole once, when they are made."""

from collections.abc import Callable
from datetime import datetime

import falcon

from rustrak_core.errors import InvalidInputError
from rustrak_core.page import ListQuery
from rustrak_core.ports import TokenStore
from rustrak_core.token import DESCRIPTION_MAX, token_hash
from rustrak_http.answers import answer
from rustrak_http.body import TokenBody, read_object
from rustrak_http.listing import Listing
from rustrak_http.paths import token_id
from rustrak_http.query import limit
from rustrak_http.shapes import token_created_to_json, token_to_json

_LIST = "/api/tokens"


class TokensResource:
    """``/api/tokens``: all of them, masked, and new ones."""

    def __init__(
        self,
        store: TokenStore,
        *,
        listing: Listing,
        clock: Callable[[], datetime],
        new_token: Callable[[], str],
    ) -> None:
        self._store = store
        self._listing = listing
        self._clock = clock
        self._new_token = new_token

    def on_get(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Answer with a page of tokens, by id; no token in it can be used."""
        page = self._store.tokens(ListQuery(limit=limit(req), after=self._listing.after(req, of=_LIST, width=1)))
        self._listing.write(req, resp, page, token_to_json, of=_LIST)

    def on_post(self, req: falcon.Request, resp: falcon.Response) -> None:
        """Create a token, and answer with all of its digits: the only time that they are shown."""
        description = _description(read_object(req, TokenBody).description)
        secret = self._new_token()
        sha256 = token_hash(secret)
        if sha256 is None:
            raise ValueError("new_token must give 40 lower-case hex digits")
        token = self._store.create_token(sha256=sha256, prefix=secret[:4], description=description, now=self._clock())
        answer(resp, token_created_to_json(token, secret), 201)


class TokenResource:
    """``/api/tokens/{token_id}``: one token, to delete."""

    def __init__(self, store: TokenStore) -> None:
        self._store = store

    def on_delete(self, _req: falcon.Request, resp: falcon.Response, token_id: str) -> None:
        """Delete the token, so that it stops working at once, and answer with it as it was."""
        answer(resp, token_to_json(self._store.delete_token(_token_id(token_id))))


_token_id = token_id  # falcon gives path parameters by name, and that name is taken within the methods


def _description(text: str | None) -> str | None:
    """Return *text* if it can be kept.

    Raises:
        InvalidInputError: it is over 255 characters, or holds NUL or lone surrogates.
    """
    if text is None:
        return None
    if len(text) > DESCRIPTION_MAX:
        raise InvalidInputError("description", f"must have at most {DESCRIPTION_MAX} characters")
    if "\0" in text or any("\ud800" <= c <= "\udfff" for c in text):
        raise InvalidInputError("description", "must hold neither NUL nor lone surrogates")
    return text
