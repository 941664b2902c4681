"""What a server keeps its contacts in, for tests that begin with the same contacts each.

The tests know no table: they put back whatever there was. Another kind of database takes a class here.
"""

import contextlib
import sqlite3
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, LiteralString, Protocol
from urllib.parse import urlsplit

if TYPE_CHECKING:
    import psycopg


class Database(Protocol):
    """A database that a running server may have open."""

    @property
    def url(self) -> str:
        """What CONTACTS_STORE is for it."""
        ...

    def save(self, copy: Path) -> Path:
        """Copy all that it holds to a path at which there is nothing; the path."""
        ...

    def load(self, copy: Path) -> None:
        """Hold what was copied and nothing else; the server notices it like any other write."""
        ...

    def held(self) -> AbstractContextManager[None]:
        """Have another program write to it for a while, so that nobody else can."""
        ...

    def another(self, folder: Path) -> AbstractContextManager[Database]:
        """An empty database of the same kind, for a while."""
        ...


class SQLiteFile:
    """An SQLite file. A copy is one, too."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.url = f"sqlite:///{path}"

    def save(self, copy: Path) -> Path:
        _back_up(self.path, copy)
        return copy

    def load(self, copy: Path) -> None:
        _back_up(copy, self.path)

    @contextmanager
    def held(self) -> Iterator[None]:
        with contextlib.closing(sqlite3.connect(self.path, autocommit=True)) as conn:
            conn.execute("BEGIN IMMEDIATE")
            yield
            conn.execute("ROLLBACK")

    @contextmanager
    def another(self, folder: Path) -> Iterator[Database]:
        yield SQLiteFile(folder / "another.db")


class PostgreSQL:
    """A database of PostgreSQL, by its URL; whose user must be a superuser. A copy is a folder of tables."""

    def __init__(self, url: str) -> None:
        self.url = url

    def save(self, copy: Path) -> Path:
        copy.mkdir()
        with self._transaction() as conn:
            for name in self._tables(conn):
                with (
                    (copy / name).open("wb") as file,
                    conn.cursor().copy(_on(name, "COPY {} TO STDOUT (FORMAT binary)")) as rows,
                ):
                    for block in rows:
                        file.write(block)
        return copy

    def load(self, copy: Path) -> None:
        with self._transaction() as conn:
            conn.execute("SET LOCAL session_replication_role = replica")  # no trigger, no foreign key
            # Not TRUNCATE, which would have to wait for whoever reads, and whoever reads for it.
            for name in self._tables(conn):
                conn.execute(_on(name, "DELETE FROM {}"))
            for file in copy.iterdir():
                with conn.cursor().copy(_on(file.name, "COPY {} FROM STDIN (FORMAT binary)")) as rows:
                    rows.write(file.read_bytes())
            conn.execute("NOTIFY contacts")  # as the app does with each write, so that windows know at once

    @contextmanager
    def held(self) -> Iterator[None]:
        with self._transaction() as conn:
            for name in self._tables(conn):
                conn.execute(_on(name, "LOCK TABLE {} IN EXCLUSIVE MODE"))
            yield

    @contextmanager
    def another(self, folder: Path) -> Iterator[Database]:
        import psycopg

        name = "another"
        with psycopg.connect(self.url, autocommit=True) as conn:
            conn.execute(_on(name, "CREATE DATABASE {} TEMPLATE template0"))
            try:
                yield PostgreSQL(urlsplit(self.url)._replace(path=f"/{name}").geturl())
            finally:
                conn.execute(_on(name, "DROP DATABASE {} WITH (FORCE)"))

    @contextmanager
    def _transaction(self) -> Iterator[psycopg.Connection[Any]]:
        import psycopg

        with psycopg.connect(self.url) as conn:
            conn.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
            yield conn

    def _tables(self, conn: psycopg.Connection[Any]) -> list[str]:
        names = conn.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'").fetchall()
        return [name for (name,) in names]


def database_at(place: str) -> Database:
    """That of what CONTACTS_STORE says, or of the path of an SQLite file."""
    if place.startswith("postgresql://"):
        return PostgreSQL(place)
    return SQLiteFile(Path(place.removeprefix("sqlite:///")))


def _back_up(source: Path, target: Path) -> None:
    """Copy with SQLite's online backup, which a running server notices like any other write."""
    with (
        contextlib.closing(sqlite3.connect(source)) as a,
        contextlib.closing(sqlite3.connect(target, timeout=10)) as b,
    ):
        a.backup(b)


def _on(name: str, statement: LiteralString) -> psycopg.sql.Composed:
    from psycopg import sql

    return sql.SQL(statement).format(sql.Identifier(name))
