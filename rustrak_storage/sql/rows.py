"""Rows to values, and back."""

from typing import Any

import attrs
import orjson
from sqlalchemy import Connection, Row, Select, select, update

from rustrak_core.digested import User
from rustrak_core.times import from_micros
from rustrak_core.token import Token, TokenId
from rustrak_storage.batch import ProjectRow
from rustrak_storage.filing import IssueRow
from rustrak_storage.sql import schema
from rustrak_storage.texts import clean_or_none

ISSUE_COLUMNS = tuple(field.name for field in attrs.fields(IssueRow))
ISSUE_CHANGES = tuple(name for name in ISSUE_COLUMNS if name not in {"id", "project_id", "number"})
"""What events change in an issue."""

PROJECT_COLUMNS = tuple(field.name for field in attrs.fields(ProjectRow))


def select_issues() -> Select[Any]:
    """Return a query for all that an IssueRow holds."""
    return select(*(schema.issue.c[name] for name in ISSUE_COLUMNS))


def select_projects() -> Select[Any]:
    """Return a query for all that a ProjectRow holds."""
    return select(*(schema.project.c[name] for name in PROJECT_COLUMNS))


def save_issue(connection: Connection, row: IssueRow) -> None:
    """Write all that events change in an issue."""
    values = {name: getattr(row, name) for name in ISSUE_CHANGES}
    connection.execute(update(schema.issue).where(schema.issue.c.id == row.id).values(values))


def issue_row(row: Row[Any]) -> IssueRow:
    """Return what `select_issues` found, further columns left out."""
    return IssueRow(**dict(zip(ISSUE_COLUMNS, row, strict=False)))


def project_row(row: Row[Any]) -> ProjectRow:
    """Return what `select_projects` found."""
    return ProjectRow(**dict(zip(PROJECT_COLUMNS, row, strict=True)))


def token(row: Row[Any]) -> Token:
    """Return the token in a whole row of its table."""
    return Token(
        id=TokenId(row.id),
        prefix=row.prefix,
        sha256=bytes(row.sha256),
        description=row.description,
        created_at=from_micros(row.created_at),
        last_used_at=None if row.last_used_at is None else from_micros(row.last_used_at),
        scope=row.scope,
    )


def user_json(user: User | None) -> str | None:
    """Return *user* as the text that its column holds."""
    if user is None:
        return None
    parts = [user.id, user.email, user.username, user.ip_address]
    try:
        return orjson.dumps(parts).decode()
    except TypeError:  # lone surrogates, which digesting should have replaced
        return orjson.dumps([clean_or_none(part, len(part or "")) for part in parts]).decode()


def user_of(text: str | None) -> User | None:
    """Return the user in the column's *text*."""
    if text is None:
        return None
    number, email, username, ip_address = orjson.loads(text)
    return User(id=number, email=email, username=username, ip_address=ip_address)
