"""Projects in SQL."""

from datetime import datetime
from itertools import islice

from sqlalchemy import ColumnElement, Connection, insert, select, update

from rustrak_core.errors import InvalidInputError, UnknownProjectError
from rustrak_core.page import Keyset, ListQuery, Page
from rustrak_core.ports import ProjectStore
from rustrak_core.project import Project, ProjectId, key_hex, slugs
from rustrak_core.times import to_micros
from rustrak_storage.batch import ProjectRow
from rustrak_storage.sql import schema
from rustrak_storage.sql.base import SqlPart
from rustrak_storage.sql.ids import allocate
from rustrak_storage.sql.keyset import behind, bounded
from rustrak_storage.sql.rows import project_row, select_projects

_TABLE = schema.project
_SLUGS_AT_ONCE = 50


class SqlProjects(SqlPart, ProjectStore):
    """See `rustrak_core.ports.ProjectStore`."""

    def create_project(self, name: str, *, sentry_key: str, now: datetime) -> Project:
        """See `rustrak_core.ports.ProjectStore.create_project`."""
        return self._database.write(lambda connection: insert_project(connection, name, sentry_key, now))

    def projects(self, query: ListQuery) -> Page[Project]:
        """See `rustrak_core.ports.ProjectStore.projects`."""
        first = query.after.values if query.after is not None else (0,)
        rows = (
            select_projects()
            .where(_TABLE.c.deleted_at.is_(None), behind([_TABLE.c.id], first, descending=False))
            .order_by(_TABLE.c.id)
            .limit(query.limit + 1)
        )
        with self._database.reading() as connection:
            found = [project_row(row).to_project() for row in connection.execute(rows)]
        chosen = found[: query.limit]
        after = Keyset(values=(chosen[-1].id,)) if len(found) > query.limit else None
        return Page(items=chosen, after=after)

    def project(self, project_id: ProjectId) -> Project:
        """See `rustrak_core.ports.ProjectStore.project`."""
        with self._database.reading() as connection:
            return live_project(connection, _TABLE.c.id == bounded(project_id)).to_project()

    def project_by_slug(self, slug: str) -> Project:
        """See `rustrak_core.ports.ProjectStore.project_by_slug`."""
        with self._database.reading() as connection:
            return live_project(connection, _TABLE.c.slug == slug).to_project()

    def rename_project(self, project_id: ProjectId, name: str) -> Project:
        """See `rustrak_core.ports.ProjectStore.rename_project`."""

        def work(connection: Connection) -> Project:
            row = live_project(connection, _TABLE.c.id == bounded(project_id), lock=True)
            connection.execute(update(_TABLE).where(_TABLE.c.id == row.id).values(name=name))
            row.name = name
            return row.to_project()

        return self._database.write(work)

    def delete_project(self, project_id: ProjectId, *, now: datetime) -> Project:
        """See `rustrak_core.ports.ProjectStore.delete_project`."""

        def work(connection: Connection) -> Project:
            row = live_project(connection, _TABLE.c.id == bounded(project_id), lock=True)
            connection.execute(update(_TABLE).where(_TABLE.c.id == row.id).values(deleted_at=to_micros(now)))
            connection.execute(insert(schema.doomed).values(kind="project", id=project_id))
            return row.to_project()

        return self._database.write(work)


def live_project(connection: Connection, condition: ColumnElement[bool], *, lock: bool = False) -> ProjectRow:
    """Return the project of which *condition* holds; with *lock*, no other transaction changes or records in it.

    Raises:
        UnknownProjectError: there is none, or it was deleted.
    """
    query = select_projects().where(condition, _TABLE.c.deleted_at.is_(None))
    row = connection.execute(query.with_for_update() if lock else query).one_or_none()
    if row is None:
        raise UnknownProjectError("no such project; list them to find its id")
    return project_row(row)


def insert_project(connection: Connection, name: str, sentry_key: str, now: datetime) -> Project:
    """Create a project; see `ProjectStore.create_project`."""
    mark_started(connection)
    digits = key_hex(sentry_key)
    taken = select(_TABLE.c.id).where(_TABLE.c.sentry_key == digits)
    if digits is None or connection.execute(taken).first() is not None:
        raise InvalidInputError("sentry_key", "a project has, or had, that key; choose another")
    (number,) = allocate(connection, _TABLE, 1)
    row = ProjectRow(
        id=number,
        name=name,
        slug=_free_slug(connection, name, ProjectId(number)),
        sentry_key=digits,
        created_at=to_micros(now),
    )
    connection.execute(
        insert(_TABLE).values(
            id=number,
            name=name,
            slug=row.slug,
            sentry_key=digits,
            created_at=row.created_at,
            event_count=0,
            issue_count=0,
            last_number=0,
        )
    )
    return row.to_project()


def mark_started(connection: Connection) -> bool:
    """Note that the store is in use, and hold the lock of what is created once; return whether it was in use before."""
    table = schema.state
    started = table.c.name == "started"
    before = connection.execute(select(table.c.value).where(started).with_for_update()).scalar_one()
    if not before:
        connection.execute(update(table).where(started).values(value=1))
    return bool(before)


def _free_slug(connection: Connection, name: str, number: ProjectId) -> str:
    candidates = slugs(name, number)
    while True:
        some = list(islice(candidates, _SLUGS_AT_ONCE))
        taken = set(connection.execute(select(_TABLE.c.slug).where(_TABLE.c.slug.in_(some))).scalars())
        for slug in some:
            if slug not in taken:
                return slug
