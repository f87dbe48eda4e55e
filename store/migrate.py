"""Brings the database to a revision of the schema, one process at a time."""

from importlib.resources import files

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, create_engine, text

_MIGRATION_LOCK = 7_281_001
"""Any number that nothing else in this database locks: two migrating processes must queue, not race."""


def _config(connection: Connection | None = None) -> Config:
    config = Config(str(files("schema") / "alembic.ini"))
    config.attributes["connection"] = connection
    return config


def migrate(database_url: str, revision: str = "head") -> None:
    """Goes up, or down when the revision is older than the database's (`base` is empty)."""
    engine = create_engine(database_url)
    try:
        with engine.connect() as connection:
            connection.execute(text("SELECT pg_advisory_lock(:lock)"), {"lock": _MIGRATION_LOCK})
            connection.commit()
            known = _current(connection)
            connection.commit()
            down = revision == "base" or (known is not None and _is_older(revision, known))
            (command.downgrade if down else command.upgrade)(_config(connection), revision)
            connection.commit()
            connection.execute(text("SELECT pg_advisory_unlock(:lock)"), {"lock": _MIGRATION_LOCK})
            connection.commit()
    finally:
        engine.dispose()


def _current(connection: Connection) -> str | None:
    return MigrationContext.configure(connection).get_current_revision()


def _is_older(revision: str, than: str) -> bool:
    if revision == "head":
        return False
    script = ScriptDirectory.from_config(_config())
    return revision != than and revision in {entry.revision for entry in script.iterate_revisions(than, "base")}


def head_revision() -> str:
    """The newest revision this release knows."""
    head = ScriptDirectory.from_config(_config()).get_current_head()
    assert head is not None, "there is at least one migration"
    return head


def unknown_to_this_release(revision: str | None) -> bool:
    """Whether the database is at a revision that this release has never heard of: newer than we are (S-6)."""
    known = {entry.revision for entry in ScriptDirectory.from_config(_config()).walk_revisions()}
    return revision is not None and revision not in known
