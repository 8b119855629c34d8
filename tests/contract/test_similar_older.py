"""Issues that were opened before terms were kept: they are read when somebody asks for similar ones."""

from sqlalchemy import create_engine, text

from rustrak_core.issue import IssueId
from rustrak_storage.factory import open_store
from rustrak_storage.testing.similar import error
from rustrak_storage.testing.values import NOW, create_project


def test_they_are_read_when_asked_about(sqlite_url: str) -> None:
    """The one asked about at once, of the others a hundred at each call, the ones seen last first; then none again."""
    store = open_store(sqlite_url)
    project = create_project(store, "My App")
    pay = [error(project, n, "PaymentError", "cannot pay", "pay") for n in range(2)]
    others = [error(project, n, f"Error{n}", f"fruit{n}", f"f{n}") for n in range(2, 150)]
    issues = [one.issue_id or IssueId(0) for one in store.record([*pay, *others])]
    store.merge_issues(issues[149], [issues[148]], now=NOW)
    expected = store.similar_issues(issues[0], limit=5)
    assert [each.issue.id for each in expected][:1] == issues[1:2]
    store.close()
    engine = create_engine(sqlite_url)
    with engine.begin() as connection:
        for table in ("rustrak_issue_terms", "rustrak_term"):
            connection.execute(text(f"DELETE FROM {table}"))
    store = open_store(sqlite_url)
    kept, found = [], expected[:0]
    for _ in range(3):
        found = store.similar_issues(issues[0], limit=5)
        with engine.connect() as connection:
            kept.append(connection.execute(text("SELECT COUNT(*) FROM rustrak_issue_terms")).scalar())
    engine.dispose()
    assert kept == [101, 149, 149]
    assert [each.issue.id for each in found] == [each.issue.id for each in expected]
    store.close()
