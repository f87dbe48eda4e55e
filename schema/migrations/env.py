"""Runs the migrations on the connection that store/migrate.py hands over."""

from alembic import context

from schema.tables import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata, compare_type=True)
with context.begin_transaction():
    context.run_migrations()
