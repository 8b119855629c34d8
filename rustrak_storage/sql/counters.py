"""Counters and positions in SQL, read."""

from datetime import date

from sqlalchemy import select

from rustrak_core.accepted import Count, Outcome, SpoolPosition
from rustrak_core.ports import CounterStore, Ledger
from rustrak_core.project import ProjectId
from rustrak_storage.sql import schema
from rustrak_storage.sql.base import SqlPart
from rustrak_storage.sql.keyset import bounded
from rustrak_storage.sql.projects import live_project

_COUNTER = schema.counter
_POSITION = schema.position
_EPOCH_ORDINAL = date(1970, 1, 1).toordinal()


class SqlCounters(SqlPart, CounterStore):
    """See `rustrak_core.ports.CounterStore`."""

    def ledger(self, project_id: ProjectId, *, since: date, until: date) -> Ledger:
        """See `rustrak_core.ports.CounterStore.ledger`."""
        first, last = since.toordinal() - _EPOCH_ORDINAL, until.toordinal() - _EPOCH_ORDINAL
        rows = (
            select(_COUNTER)
            .where(_COUNTER.c.project_id == project_id, _COUNTER.c.day.between(first, last))
            .order_by(_COUNTER.c.day.desc(), _COUNTER.c.category, _COUNTER.c.outcome, _COUNTER.c.reason)
        )
        with self._database.reading(snapshot=True) as connection:
            live_project(connection, schema.project.c.id == bounded(project_id))
            counters = connection.execute(rows).all()
            positions = connection.execute(select(_POSITION).order_by(_POSITION.c.lane)).all()
        return Ledger(
            counts=[
                Count(
                    project_id=project_id,
                    day=date.fromordinal(row.day + _EPOCH_ORDINAL),
                    category=row.category,
                    outcome=Outcome(row.outcome),
                    reason=row.reason,
                    quantity=row.quantity,
                )
                for row in counters
            ],
            positions=[SpoolPosition(lane=row.lane, segment=row.segment, offset=row.offset) for row in positions],
        )

    def position(self, lane: str) -> SpoolPosition | None:
        """See `rustrak_core.ports.CounterStore.position`."""
        with self._database.reading() as connection:
            row = connection.execute(select(_POSITION).where(_POSITION.c.lane == lane)).one_or_none()
        return None if row is None else SpoolPosition(lane=row.lane, segment=row.segment, offset=row.offset)
