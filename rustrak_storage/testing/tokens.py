"""What a TokenStore must do."""

import hashlib

import pytest

from rustrak_core.errors import UnknownTokenError
from rustrak_core.page import ListQuery
from rustrak_core.ports import Store
from rustrak_core.token import Token, TokenId
from rustrak_storage.testing.values import NOW, StoreContract, after


def create(store: Store, text: str, description: str | None = None) -> Token:
    """Keep a token made of *text*."""
    return store.create_token(sha256=_hash(text), prefix="a1b2", description=description, now=NOW)


def _hash(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()


class TokenStoreContract(StoreContract):
    """`rustrak_core.ports.TokenStore`."""

    @pytest.mark.parametrize("description", [None, "CI/CD Pipeline", "\U0001f98a" * 255])
    def test_create(self, store: Store, description: str | None) -> None:
        """A token is read back by its hash and in the list, and reaches everything."""
        token = create(store, "t", description)
        assert token == Token(
            id=token.id, prefix="a1b2", sha256=_hash("t"), description=description, created_at=NOW, scope=None
        )
        assert store.token_by_hash(_hash("t")) == token
        assert list(store.tokens(ListQuery()).items) == [token]

    def test_unknown(self, store: Store) -> None:
        """A hash that is not kept finds nothing; an id that is not there raises."""
        assert store.token_by_hash(_hash("t")) is None
        with pytest.raises(UnknownTokenError):
            store.delete_token(TokenId(1))
        with pytest.raises(UnknownTokenError):
            store.delete_token(TokenId(2**64))
        store.touch_token(TokenId(1), now=NOW)

    def test_delete(self, store: Store) -> None:
        """A deleted token is returned as it was, stops working, and its id is not used again."""
        token = create(store, "t")
        assert store.delete_token(token.id) == token
        assert store.token_by_hash(_hash("t")) is None
        assert list(store.tokens(ListQuery()).items) == []
        with pytest.raises(UnknownTokenError):
            store.delete_token(token.id)
        assert create(store, "t").id > token.id

    def test_last_used(self, store: Store) -> None:
        """The last use is noted once a minute."""
        token = create(store, "t")
        noted = []
        for seconds in (0, 59.9, 60, 61, 150):
            store.touch_token(token.id, now=after(seconds))
            found = store.token_by_hash(_hash("t"))
            assert found is not None
            noted.append(found.last_used_at)
        assert noted == [after(0), after(0), after(60), after(60), after(150)]

    def test_pages(self, store: Store) -> None:
        """Pages follow one another by id."""
        tokens = [create(store, str(number)) for number in range(5)]
        first = store.tokens(ListQuery(limit=2))
        second = store.tokens(ListQuery(limit=2, after=first.after))
        third = store.tokens(ListQuery(limit=2, after=second.after))
        assert [*first.items, *second.items, *third.items] == tokens
        assert third.after is None
