"""What a `Shuffle` has made different, written by lists."""

from collections.abc import Collection
from operator import attrgetter

from sqlalchemy import Connection, bindparam, delete, insert, update

from rustrak_storage.merging import below
from rustrak_storage.refiling import Shuffle
from rustrak_storage.sql import bulk, schema
from rustrak_storage.sql.chunks import chunks
from rustrak_storage.sql.refilings import note_refiling
from rustrak_storage.sql.rows import ISSUE_COLUMNS

_EVENT = schema.event
_ISSUE = schema.issue
_KEY = schema.grouping_key
_UNSETTLED = schema.unsettled

_MOVE = update(_EVENT).where(_EVENT.c.id == bindparam("b_id"))
_MOVED = ("issue_id", "mechanism", "grouping_value", "b_id")
_UPDATE_ISSUE = update(_ISSUE).where(_ISSUE.c.id == bindparam("b_id"))
_INSERT_ISSUE = insert(_ISSUE)
_INSERT_KEY = insert(_KEY)
_INSERT_DOOMED = insert(schema.doomed)
_INSERT_UNSETTLED = insert(_UNSETTLED)
_INSERTED_KEY = ("project_id", "value", "mechanism", "issue_id")
_ONE_KEY = (
    _KEY.c.project_id == bindparam("b_project_id"),
    _KEY.c.value == bindparam("b_value"),
    _KEY.c.mechanism == bindparam("b_mechanism"),
)
_BOUND_KEY = ("b_project_id", "b_value", "b_mechanism")
_DELETE_KEY = delete(_KEY).where(*_ONE_KEY)
_UPDATE_KEY = update(_KEY).where(*_ONE_KEY)
_KEEP_ORIGIN = update(_KEY).where(*_ONE_KEY, _KEY.c.origin_id.is_(None))
_LEAD = update(_ISSUE).where(_ISSUE.c.leads_to == bindparam("b_id"))
_issue_values = attrgetter(*ISSUE_COLUMNS)


def write_shuffle(connection: Connection, shuffle: Shuffle, now: int) -> None:
    """Write all that *shuffle* has made different at *now*, in microseconds."""
    bulk.write(connection, _INSERT_ISSUE, ISSUE_COLUMNS, [_issue_values(row) for row in shuffle.opened])
    moved = sorted(
        (number, int(new.issue_id), new.key.mechanism, bytes.fromhex(new.key.value))
        for (_old, new), numbers in shuffle.moved.items()
        for number in numbers
    )
    bulk.write(connection, _MOVE, _MOVED, [(*place, number) for number, *place in moved])
    if moved:
        note_refiling(connection, shuffle.project.id, now)
    touched = shuffle.touched()
    counts = [(shuffle.issues[issue].event_count, issue) for issue in touched]
    bulk.write(connection, _UPDATE_ISSUE, ("event_count", "b_id"), counts)
    _write_keys(connection, shuffle)
    _retire(connection, shuffle, now)
    _return(connection, shuffle)
    closed = [int(issue) for issue in shuffle.closed]
    bulk.write(connection, _UPDATE_ISSUE, ("deleted_at", "b_id"), [(now, issue) for issue in closed])
    bulk.write(connection, _INSERT_DOOMED, ("kind", "id"), [("issue", issue) for issue in closed])
    note_unsettled(connection, shuffle.project.id, touched)
    _write_project(connection, shuffle)


def _write_keys(connection: Connection, shuffle: Shuffle) -> None:
    project = shuffle.project.id
    rows = sorted(
        ((project, bytes.fromhex(key.value), key.mechanism), before, after)
        for key, (before, after) in shuffle.rekeyed.items()
        if before != after
    )
    removed = [row for row, before, after in rows if before is not None and after is None]
    added = [(*row, int(after)) for row, before, after in rows if before is None and after is not None]
    changed = [(int(after), *row) for row, before, after in rows if before is not None and after is not None]
    bulk.write(connection, _DELETE_KEY, _BOUND_KEY, removed)
    bulk.write(connection, _INSERT_KEY, _INSERTED_KEY, added)
    bulk.write(connection, _UPDATE_KEY, ("issue_id", *_BOUND_KEY), changed)
    for chunk in chunks(shuffle.closed):
        connection.execute(delete(_KEY).where(_KEY.c.issue_id.in_(chunk)))


def _retire(connection: Connection, shuffle: Shuffle, now: int) -> None:
    """Have issues that have no events left lead to their heirs, as if somebody had merged them."""
    if not shuffle.retiring:
        return
    pairs = [(int(heir), int(issue)) for issue, heir in sorted(shuffle.retiring.items())]
    bulk.write(connection, _LEAD, ("leads_to", "b_id"), pairs)
    led = [(heir, heir, now, issue) for heir, issue in pairs]
    bulk.write(connection, _UPDATE_ISSUE, ("merged_into", "leads_to", "merged_at", "b_id"), led)
    project = shuffle.project.id
    own = [(int(issue), project, bytes.fromhex(key.value), key.mechanism) for key, issue in shuffle.handed.items()]
    bulk.write(connection, _KEEP_ORIGIN, ("origin_id", *_BOUND_KEY), own)
    for table in (schema.facet, schema.facet_key, schema.issue_user):
        for chunk in chunks([issue for _heir, issue in pairs]):
            connection.execute(delete(table).where(table.c.issue_id.in_(chunk)))


def _return(connection: Connection, shuffle: Shuffle) -> None:
    """Have issues that were retired live again, with what was merged into them before."""
    if not shuffle.returned:
        return
    roots = {int(shuffle.retired[issue][1]) for issue in shuffle.returned}
    led = bulk.find(connection, _ISSUE, ("id", "leads_to"), ("id",), [int(issue) for issue in shuffle.returned])
    roots.update(root for _issue, root in led)
    parents = dict(bulk.find(connection, _ISSUE, ("id", "merged_into"), ("leads_to",), roots))
    follow = {one: int(issue) for issue in shuffle.returned for one in below(issue, parents)}
    alone = [(None, None, None, int(issue)) for issue in shuffle.returned]
    bulk.write(connection, _UPDATE_ISSUE, ("leads_to", "b_id"), [(issue, one) for one, issue in follow.items()])
    bulk.write(connection, _UPDATE_ISSUE, ("merged_into", "leads_to", "merged_at", "b_id"), alone)
    for chunk in chunks(shuffle.returned):
        connection.execute(
            update(_KEY).where(_KEY.c.issue_id.in_(chunk), _KEY.c.origin_id == _KEY.c.issue_id).values(origin_id=None)
        )


def note_unsettled(connection: Connection, project: int, issues: Collection[int]) -> None:
    """Note that what *issues* say of their events is to be worked out anew."""
    there = {issue for (issue,) in bulk.find(connection, _UNSETTLED, ("issue_id",), ("issue_id",), issues)}
    rows = [(project, issue) for issue in issues if issue not in there]
    bulk.write(connection, _INSERT_UNSETTLED, ("project_id", "issue_id"), rows)


def _write_project(connection: Connection, shuffle: Shuffle) -> None:
    row, table = shuffle.project, schema.project
    values = {"issue_count": row.issue_count, "last_number": row.last_number}
    connection.execute(update(table).where(table.c.id == row.id).values(values))
