"""The first schema: contacts, their search index, and the change log.

Applied by `python -m app migrate` and at every start, or by hand:
`sqlite-utils migrate contacts.db migrations/0001_contacts.py`. Never edited after release:
a change to the schema is a new file, numbered one higher, named in its decorator as here.
"""

from sqlite_utils import Database, Migrations

migrations = Migrations("contacts")

SCHEMA = """
-- tags: a JSON array, sorted. created_at, updated_at: milliseconds since 1970.
-- From email_key on: computed by app/store/entry.py, so that SQLite only compares bytes.
-- AUTOINCREMENT: the id of a deleted contact never comes back, except to that contact.
CREATE TABLE contact (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    name        TEXT NOT NULL,
    email       TEXT NOT NULL,
    phone       TEXT NOT NULL,
    company     TEXT NOT NULL,
    notes       TEXT NOT NULL,
    tags        TEXT NOT NULL,
    created_at  INTEGER NOT NULL,
    updated_at  INTEGER NOT NULL,
    version     INTEGER NOT NULL,
    email_key   TEXT,
    company_key TEXT NOT NULL,
    by_name     TEXT NOT NULL,
    by_email    TEXT NOT NULL,
    by_company  TEXT NOT NULL,
    haystack    TEXT NOT NULL
) STRICT;

CREATE UNIQUE INDEX contact_email ON contact (email_key);

-- One index for each sort. Lists page by (key, id), forwards and backwards.
CREATE INDEX contact_by_name    ON contact (by_name, id);
CREATE INDEX contact_by_email   ON contact (by_email, id);
CREATE INDEX contact_by_company ON contact (by_company, id);
CREATE INDEX contact_by_updated ON contact (updated_at, id);

CREATE TABLE contact_tag (
    tag        TEXT NOT NULL,
    contact_id INTEGER NOT NULL REFERENCES contact (id) ON DELETE CASCADE,
    PRIMARY KEY (tag, contact_id)
) STRICT, WITHOUT ROWID;

CREATE INDEX contact_tag_contact ON contact_tag (contact_id);

-- The number of contacts, since counting a large table takes longer than listing a page of it.
CREATE TABLE contact_count (
    one   INTEGER PRIMARY KEY CHECK (one = 1),
    total INTEGER NOT NULL
) STRICT;

INSERT INTO contact_count VALUES (1, 0);

CREATE TRIGGER contact_count_insert AFTER INSERT ON contact BEGIN
    UPDATE contact_count SET total = total + 1;
END;

CREATE TRIGGER contact_count_delete AFTER DELETE ON contact BEGIN
    UPDATE contact_count SET total = total - 1;
END;

-- Substring search. The text stays in contact; detail=none makes the index a third of the size.
CREATE VIRTUAL TABLE contact_search USING fts5 (
    haystack, content='contact', content_rowid='id', tokenize='trigram', detail=none, columnsize=0
);

CREATE TRIGGER contact_search_insert AFTER INSERT ON contact BEGIN
    INSERT INTO contact_search (rowid, haystack) VALUES (new.id, new.haystack);
END;

CREATE TRIGGER contact_search_delete AFTER DELETE ON contact BEGIN
    INSERT INTO contact_search (contact_search, rowid, haystack) VALUES ('delete', old.id, old.haystack);
END;

CREATE TRIGGER contact_search_update AFTER UPDATE OF haystack ON contact
WHEN old.haystack <> new.haystack BEGIN
    INSERT INTO contact_search (contact_search, rowid, haystack) VALUES ('delete', old.id, old.haystack);
    INSERT INTO contact_search (rowid, haystack) VALUES (new.id, new.haystack);
END;

-- The change log. before, after: a contact as JSON, NULL where there was or is none.
CREATE TABLE batch (
    id        INTEGER PRIMARY KEY AUTOINCREMENT,
    at        INTEGER NOT NULL,
    kind      TEXT NOT NULL,
    size      INTEGER NOT NULL,
    undoes    INTEGER,
    undone_by INTEGER
) STRICT;

CREATE INDEX batch_sample ON batch (id) WHERE kind = 'sample';

CREATE TABLE change (
    seq        INTEGER PRIMARY KEY AUTOINCREMENT,
    batch      INTEGER NOT NULL REFERENCES batch (id),
    contact_id INTEGER NOT NULL,
    before     TEXT,
    after      TEXT
) STRICT;

CREATE INDEX change_batch ON change (batch, seq);
CREATE UNIQUE INDEX change_contact ON change (contact_id, batch);
"""


@migrations(name="0001_contacts")
def contacts(db: Database) -> None:
    """Make every table, index and trigger of the first release."""
    db.executescript(SCHEMA)
