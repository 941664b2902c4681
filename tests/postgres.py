"""A PostgreSQL cluster for the tests, and empty databases in it."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql

from app.store.postgres import PostgresStore
from scripts.provide_postgres import cluster, url

_TABLES = "book, contact, contact_tag, tag_count, batch, change, account, session, api_token, attempt"


@dataclass(frozen=True, slots=True)
class Postgres:
    """The cluster. folder: of its socket."""

    folder: Path

    def url(self, database: str = "contacts", user: str = "postgres") -> str:
        """What CONTACTS_STORE is for a database; `contacts` has its tables already."""
        return url(self.folder, database, user)

    def admin(self, database: str = "contacts") -> psycopg.Connection[Any]:
        """A connection that may do everything, in autocommit mode, and never waits for a standby."""
        return psycopg.connect(
            self.url(database), autocommit=True, options="-c synchronous_commit=local -c lock_timeout=20s"
        )

    def empty(self) -> str:
        """Empty the database `contacts`; return its URL."""
        with self.admin() as conn:
            conn.execute(f"TRUNCATE {_TABLES}")
            conn.execute("INSERT INTO book (total, keys) VALUES (0, 0)")
        return self.url()

    @contextmanager
    def database(self, name: str, template: str = "template0") -> Iterator[str]:
        """Another database, dropped at the end; its URL. From template0 it has nothing at all."""
        with self.admin("postgres") as conn:
            make = sql.SQL("CREATE DATABASE {} TEMPLATE {}")
            conn.execute(make.format(sql.Identifier(name), sql.Identifier(template)))
            try:
                yield self.url(name)
            finally:
                conn.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))

    def kill_backends(self, database: str = "contacts") -> int:
        """End every connection of the app to a database, as a restart of the server would; how many."""
        with self.admin("postgres") as conn:
            return len(
                conn.execute(
                    "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity "
                    "WHERE datname = %s AND application_name = 'chirp-contacts'",
                    (database,),
                ).fetchall()
            )

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """Let all of the server stand still: it takes connections and requests, and says nothing."""
        postmaster = int((self.folder / "data" / "postmaster.pid").read_text().split()[0])
        children = Path(f"/proc/{postmaster}/task/{postmaster}/children").read_text().split()
        processes = [postmaster, *map(int, children)]
        for pid in processes:
            os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            for pid in processes:
                os.kill(pid, signal.SIGCONT)


@contextmanager
def running_postgres() -> Iterator[Postgres]:
    """The cluster for as long as the tests run, with the database `contacts`."""
    with cluster() as folder:
        postgres = Postgres(folder)
        with postgres.admin("postgres") as conn:
            conn.execute("CREATE DATABASE contacts TEMPLATE template0")
        PostgresStore(postgres.url()).close()
        yield postgres
