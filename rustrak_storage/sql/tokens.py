"""API tokens in SQL."""

from datetime import datetime

from sqlalchemy import Connection, delete, insert, or_, select, update

from rustrak_core.errors import InvalidInputError, UnknownTokenError
from rustrak_core.page import Keyset, ListQuery, Page
from rustrak_core.ports import TokenStore
from rustrak_core.times import to_micros
from rustrak_core.token import Token, TokenId
from rustrak_storage.sql import schema
from rustrak_storage.sql.base import SqlPart
from rustrak_storage.sql.ids import allocate
from rustrak_storage.sql.keyset import behind, bounded
from rustrak_storage.sql.projects import mark_started
from rustrak_storage.sql.rows import token
from rustrak_storage.texts import clean_or_none

_TABLE = schema.token
_MINUTE = 60_000_000


class SqlTokens(SqlPart, TokenStore):
    """See `rustrak_core.ports.TokenStore`."""

    def create_token(self, *, sha256: bytes, prefix: str, description: str | None, now: datetime) -> Token:
        """See `rustrak_core.ports.TokenStore.create_token`."""
        return self._database.write(
            lambda connection: insert_token(connection, sha256=sha256, prefix=prefix, description=description, now=now)
        )

    def tokens(self, query: ListQuery) -> Page[Token]:
        """See `rustrak_core.ports.TokenStore.tokens`."""
        first = query.after.values if query.after is not None else (0,)
        rows = (
            select(_TABLE)
            .where(behind([_TABLE.c.id], first, descending=False))
            .order_by(_TABLE.c.id)
            .limit(query.limit + 1)
        )
        with self._database.reading() as connection:
            found = [token(row) for row in connection.execute(rows)]
        chosen = found[: query.limit]
        after = Keyset(values=(chosen[-1].id,)) if len(found) > query.limit else None
        return Page(items=chosen, after=after)

    def token_by_hash(self, sha256: bytes) -> Token | None:
        """See `rustrak_core.ports.TokenStore.token_by_hash`."""
        with self._database.reading() as connection:
            row = connection.execute(select(_TABLE).where(_TABLE.c.sha256 == sha256)).one_or_none()
        return None if row is None else token(row)

    def touch_token(self, token_id: TokenId, *, now: datetime) -> None:
        """See `rustrak_core.ports.TokenStore.touch_token`."""
        moment = to_micros(now)
        old = or_(_TABLE.c.last_used_at.is_(None), _TABLE.c.last_used_at <= moment - _MINUTE)
        with self._database.reading() as connection:
            # Most calls end here, without waiting for a writer.
            if connection.execute(select(_TABLE.c.id).where(_TABLE.c.id == bounded(token_id), old)).first() is None:
                return
        changed = update(_TABLE).where(_TABLE.c.id == bounded(token_id), old).values(last_used_at=moment)
        self._database.write(lambda connection: connection.execute(changed))

    def delete_token(self, token_id: TokenId) -> Token:
        """See `rustrak_core.ports.TokenStore.delete_token`."""

        def work(connection: Connection) -> Token:
            query = select(_TABLE).where(_TABLE.c.id == bounded(token_id)).with_for_update()
            row = connection.execute(query).one_or_none()
            if row is None:
                raise UnknownTokenError("no such token; list them to find its id")
            connection.execute(delete(_TABLE).where(_TABLE.c.id == bounded(token_id)))
            return token(row)

        return self._database.write(work)


def insert_token(
    connection: Connection, *, sha256: bytes, prefix: str, description: str | None, now: datetime
) -> Token:
    """Keep a new token; see `TokenStore.create_token`."""
    mark_started(connection)
    if connection.execute(select(_TABLE.c.id).where(_TABLE.c.sha256 == sha256)).first() is not None:
        raise InvalidInputError("token", "a token with that hash exists; make a new one")
    description = clean_or_none(description, 255)
    (number,) = allocate(connection, _TABLE, 1)
    connection.execute(
        insert(_TABLE).values(
            id=number, sha256=sha256, prefix=prefix, description=description, created_at=to_micros(now)
        )
    )
    return Token(id=TokenId(number), prefix=prefix, sha256=sha256, description=description, created_at=now)
