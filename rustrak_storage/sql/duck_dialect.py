"""What SQLAlchemy has to know of DuckDB, as far as the store uses it.

Tables have neither keys nor indexes: one writer at a time checks what must be unique, and columns are scanned. DuckDB's
indexes would refuse rows that come again, or change, while a reader still sees them as they were.
"""

from typing import Any

import duckdb
from sqlalchemy import text, types
from sqlalchemy.dialects import registry
from sqlalchemy.engine.default import DefaultDialect
from sqlalchemy.sql.compiler import RESERVED_WORDS, DDLCompiler, IdentifierPreparer, SQLCompiler

from rustrak_storage.sql.duck_connection import DuckConnection

DRIVER = "duckdb+rustrak"
"""What URLs call the dialect, so that another one for DuckDB may be installed beside it."""

# Those of DuckDB that SQLAlchemy has not among its own.
_RESERVED = {"describe", "lambda", "lateral", "pivot", "qualify", "returning", "show", "summarize", "unpivot", "window"}
_TABLES = "SELECT table_name FROM information_schema.tables WHERE table_schema = 'main'"
_TYPES = {"BIGINT": types.BigInteger, "INTEGER": types.Integer, "BLOB": types.LargeBinary, "VARCHAR": types.String}


class DuckCompiler(SQLCompiler):
    """Writes statements."""

    def for_update_clause(self, select: Any, **kw: Any) -> str:
        """Lock no rows: writers come one at a time."""
        return ""

    def visit_empty_set_expr(self, element_types: Any, **kw: Any) -> str:
        """Return a query for no values of those types."""
        process = self.dialect.type_compiler_instance.process
        columns = (
            "NULL" if isinstance(each, types.NullType) else f"CAST(NULL AS {process(each)})" for each in element_types
        )
        return f"SELECT {', '.join(columns)} WHERE 1 = 0"

    def update_from_clause(
        self, update_stmt: Any, from_table: Any, extra_froms: Any, from_hints: Any, **kw: Any
    ) -> str:
        """Return what rows to update are joined with."""
        return f"FROM {self._joined(extra_froms, from_hints, **kw)}"

    def delete_extra_from_clause(
        self, delete_stmt: Any, from_table: Any, extra_froms: Any, from_hints: Any, **kw: Any
    ) -> str:
        """Return what rows to delete are joined with."""
        return f"USING {self._joined(extra_froms, from_hints, **kw)}"

    def _joined(self, tables: Any, hints: Any, **kw: Any) -> str:
        kw["asfrom"] = True
        found = (table._compiler_dispatch(self, fromhints=hints, **kw) for table in tables)  # noqa: SLF001 - the only way
        return ", ".join(found)


class DuckDDLCompiler(DDLCompiler):
    """Writes tables, without keys, and sequences, whose numbers DuckDB keeps no cache of."""

    def create_table_constraints(self, table: Any, _include_foreign_key_constraints: Any = None, **kw: Any) -> str:
        """Declare none."""
        return ""

    def visit_create_sequence(self, create: Any, prefix: Any = None, **kw: Any) -> str:
        """Return the statement that creates a sequence."""
        return f"CREATE SEQUENCE {self.preparer.format_sequence(create.element)}"


class DuckPreparer(IdentifierPreparer):
    """Quotes names."""

    reserved_words = RESERVED_WORDS | _RESERVED


class DuckDialect(DefaultDialect):
    """DuckDB by its own driver."""

    name = "duckdb"
    driver = "rustrak"
    default_paramstyle = "qmark"
    default_schema_name = "main"
    supports_statement_cache = True
    supports_sequences = True
    sequences_optional = False
    supports_native_boolean = True
    supports_sane_rowcount = True
    supports_sane_multi_rowcount = False
    postfetch_lastrowid = False
    supports_comments = True
    statement_compiler = DuckCompiler
    ddl_compiler = DuckDDLCompiler
    preparer = DuckPreparer

    @classmethod
    def import_dbapi(cls) -> Any:
        """Return the driver, with what DB-API asks for and it lacks."""
        return _Driver

    def do_begin(self, dbapi_connection: Any) -> None:
        """Begin a transaction, which the driver does not by itself."""
        dbapi_connection.begin()

    def has_table(self, connection: Any, table_name: str, schema: str | None = None, **kw: Any) -> bool:
        """Tell whether there is such a table."""
        return connection.execute(text(f"{_TABLES} AND table_name = :name"), {"name": table_name}).first() is not None

    def get_table_names(self, connection: Any, schema: str | None = None, **kw: Any) -> list[str]:
        """Return the names of all tables."""
        return list(connection.execute(text(_TABLES)).scalars())

    def get_sequence_names(self, connection: Any, schema: str | None = None, **kw: Any) -> list[str]:
        """Return the names of all sequences."""
        return list(connection.execute(text("SELECT sequence_name FROM duckdb_sequences()")).scalars())

    def get_columns(self, connection: Any, table_name: str, schema: str | None = None, **kw: Any) -> list[Any]:
        """Return the columns of a table, in their order."""
        query = text(
            "SELECT column_name, data_type, is_nullable, column_default, comment FROM duckdb_columns()"
            " WHERE NOT internal AND table_name = :name ORDER BY column_index"
        )
        return [
            {
                "name": row.column_name,
                "type": _TYPES.get(row.data_type, types.NullType)(),
                "nullable": row.is_nullable,
                "default": row.column_default,
                "comment": row.comment,
            }
            for row in connection.execute(query, {"name": table_name})
        ]


class _Driver:
    paramstyle = "qmark"
    Binary = bytes
    Error = duckdb.Error
    DatabaseError = duckdb.DatabaseError
    IntegrityError = duckdb.IntegrityError
    OperationalError = duckdb.OperationalError
    connect = DuckConnection


registry.register(DRIVER.replace("+", "."), __name__, DuckDialect.__name__)
