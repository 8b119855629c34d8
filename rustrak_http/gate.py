"""Who may use the management routes: the bearer of an API token.

The store is asked on each request, so that a deleted token stops working at once, everywhere. A token that this
process has not met is looked up once for many that ask at the same time, and a refusal is remembered for a second.
"""

import contextlib
import threading
import time
from collections.abc import Callable
from datetime import datetime, timedelta

from rustrak_core.errors import StoreUnavailableError
from rustrak_core.ports import TokenStore
from rustrak_core.token import Token, TokenId, token_hash
from rustrak_http.errors import UnauthorizedError

REFUSAL_S = 1.0
_TOUCH_EVERY = timedelta(minutes=1)
_TOUCH_WAIT_S = 0.5
_REMEMBERED_MAX = 1024


class TokenGate:
    """Lets requests with a valid API token pass. Thread-safe."""

    def __init__(
        self,
        store: TokenStore,
        *,
        clock: Callable[[], datetime],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store = store
        self._clock = clock
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._met: set[bytes] = set()
        self._refused: dict[bytes, float] = {}
        self._touched: dict[TokenId, datetime] = {}
        self._noting = threading.Lock()

    def check(self, authorization: str | None) -> Token:
        """Return the token that the ``Authorization`` header bears, having noted its use at most once a minute.

        Raises:
            UnauthorizedError: there is none, or it is no token of ours.
            StoreUnavailableError: it cannot be looked up.
        """
        scheme, _, text = (authorization or "").strip().partition(" ")
        sha256 = token_hash(text.strip()) if scheme.lower() == "bearer" else None
        token = None if sha256 is None else self._find(sha256)
        if token is None:
            raise UnauthorizedError
        self._touch(token)
        return token

    def _find(self, sha256: bytes) -> Token | None:
        if sha256 in self._met:
            token = self._store.token_by_hash(sha256)
            if token is None:
                self._met.discard(sha256)
            return token
        with self._lock:
            if self._monotonic() < self._refused.get(sha256, float("-inf")):
                return None
            token = self._store.token_by_hash(sha256)
            if token is None:
                _make_room(self._refused)
                self._refused[sha256] = self._monotonic() + REFUSAL_S
            else:
                if len(self._met) >= _REMEMBERED_MAX:
                    self._met.clear()
                self._met.add(sha256)
            return token

    def _touch(self, token: Token) -> None:
        now = self._clock()
        known = self._touched.get(token.id)
        if known is not None and timedelta(0) <= now - known < _TOUCH_EVERY:
            return
        _make_room(self._touched)
        self._touched[token.id] = now
        # A note is no reason to refuse a request, nor to have it wait: where the database is locked by another program,
        # reading goes on and writing does not.
        noting = threading.Thread(target=self._note_use, args=(token.id, now), name="token-use", daemon=True)
        noting.start()
        noting.join(_TOUCH_WAIT_S)

    def _note_use(self, token_id: TokenId, now: datetime) -> None:
        if not self._noting.acquire(blocking=False):
            return  # one that waits is enough; the next minute brings another
        try:
            with contextlib.suppress(StoreUnavailableError):
                self._store.touch_token(token_id, now=now)
        finally:
            self._noting.release()


def _make_room(remembered: "dict[bytes, float] | dict[TokenId, datetime]") -> None:
    if len(remembered) >= _REMEMBERED_MAX:
        remembered.clear()
