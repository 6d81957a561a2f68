"""Alembic's entry: it runs on the connection and in the transaction that `ergaster_support_sql.migrate` hands over."""

from alembic import context

connection = context.config.attributes["connection"]
layout = context.config.attributes["layout"]
context.configure(
    connection=connection,
    version_table=layout.version,
    version_table_schema=layout.schema,
    transactional_ddl=True,
)
with context.begin_transaction():
    context.run_migrations()
