"""What Alembic runs for every migration: on the connection that the store hands it."""

from __future__ import annotations

from alembic import context

from service.store.sql.tables import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata, render_as_batch=True)
with context.begin_transaction():
    context.run_migrations()
