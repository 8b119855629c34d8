"""What Alembic runs: our migrations, on the connection and in the transaction that it is given."""

from alembic import context

from rustrak_storage.sql.schema import VERSION_TABLE, metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    version_table=VERSION_TABLE,
    # The caller holds the transaction and a lock.
    transactional_ddl=False,
)
context.run_migrations()
