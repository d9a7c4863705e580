"""`python -m service.store.sql.migrate`: brings the database to the newest version, as the service does when it starts."""

from __future__ import annotations

from service.settings import load_settings
from service.store import keep_private
from service.store.sql.database import Database, migrate


def main() -> None:
    """Migrates the database that the environment names."""
    settings = load_settings()
    keep_private(settings.data_dir)
    migrate(Database(settings.database), settings.data_dir)


if __name__ == "__main__":
    main()
