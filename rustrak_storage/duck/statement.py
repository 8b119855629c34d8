"""Only what reads: which statements in SQL may be asked of a dataset."""

from collections.abc import Mapping
from typing import Any

import duckdb

from rustrak_storage.duck.errors import StatementError, check_text, first_line
from rustrak_storage.interrupting import interruptible


def check_statement(
    connection: duckdb.DuckDBPyConnection, text: str, parameters: Mapping[str, Any] | None = None
) -> None:
    """Return if *text* is one statement that only reads.

    That it reads nothing but the dataset is the connection's to see to; here it is that nothing is written, set or
    loaded. A WITH may hold a DELETE or a COPY, and the whole is a SELECT all the same; DuckDB takes these at the top
    level only, so that the statement is bound below it.

    Raises:
        InvalidInputError: it is no text.
        StatementError: it is wrong, or several, or does something else.
    """
    check_text("SQL", text)
    try:
        statements = connection.extract_statements(text)
    except duckdb.Error as error:
        raise StatementError(first_line(error)) from error
    if len(statements) != 1:
        found = "nothing" if not statements else f"{len(statements)} statements"
        raise StatementError(f"one statement is wanted, and this is {found}")
    statement = statements[0]
    if statement.type == duckdb.StatementType.MULTI:  # it would look for the values first, and make a type of them
        raise StatementError("PIVOT needs its values, as in PIVOT events ON level IN ('error', 'fatal') USING count(*)")
    if statement.type != duckdb.StatementType.SELECT:
        kind = statement.type.name
        raise StatementError(f"a dataset is only read, so that {kind} is refused; write SELECT, FROM, WITH or DESCRIBE")
    bare = statement.query.strip().rstrip(";")
    try:
        interruptible(  # which works out what is constant
            connection, lambda: connection.execute(f"EXPLAIN SELECT * FROM (\n{bare}\n)", dict(parameters or {}))
        )
    except duckdb.Error as error:
        raise StatementError(first_line(error)) from error
