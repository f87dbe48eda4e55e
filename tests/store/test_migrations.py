"""The schema goes up, down to nothing, and up again; and what the code believes is what the migrations make."""

from collections.abc import Iterator
from urllib.parse import quote

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, create_engine, inspect, text

from schema.tables import metadata
from store.migrate import head_revision, migrate, unknown_to_this_release


@pytest.fixture
def empty_database(postgres_url: str) -> Iterator[str]:
    """A database of its own beside the tests' one."""
    name = "migrations_test"
    engine = create_engine(postgres_url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {quote(name)}"))
    yield postgres_url.replace("localhost/travelhub", f"localhost/{name}")
    with engine.connect() as connection:
        connection.execute(text(f"DROP DATABASE {quote(name)} WITH (FORCE)"))
    engine.dispose()


def tables_of(url: str) -> set[str]:
    engine = create_engine(url)
    try:
        return set(inspect(engine).get_table_names()) - {"alembic_version"}
    finally:
        engine.dispose()


def test_up_down_and_up_again(empty_database: str) -> None:
    migrate(empty_database)
    assert tables_of(empty_database) == set(metadata.tables)
    migrate(empty_database, "base")
    assert tables_of(empty_database) == set()
    migrate(empty_database)
    migrate(empty_database)
    assert tables_of(empty_database) == set(metadata.tables)


def test_the_code_and_the_migrations_agree(empty_database: str) -> None:
    migrate(empty_database)
    engine = create_engine(empty_database)

    def differences(connection: Connection) -> object:
        return compare_metadata(MigrationContext.configure(connection, opts={"compare_type": True}), metadata)

    with engine.connect() as connection:
        assert differences(connection) == []
    engine.dispose()


def test_a_revision_from_the_future_is_recognised() -> None:
    assert not unknown_to_this_release(head_revision())
    assert not unknown_to_this_release(None)
    assert unknown_to_this_release("9999")
