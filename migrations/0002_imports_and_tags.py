"""Imports that are written in many small transactions, and tags counted without reading them all.

A batch is open while an import writes it. One that is open though no import runs is what an
import left that was cut off; app/store/sqlite.py undoes it.
"""

from sqlite_utils import Database, Migrations

migrations = Migrations("contacts")

SCHEMA = """
ALTER TABLE batch ADD COLUMN open INTEGER NOT NULL DEFAULT 0;

CREATE INDEX batch_open ON batch (id) WHERE open;

-- What an import knows a contact without an email by: there are few of them, and many of one name.
CREATE INDEX contact_without_email ON contact (by_name) WHERE email_key IS NULL;

-- The number of contacts that have a tag, since counting them takes longer than listing a page.
CREATE TABLE tag_count (
    tag      TEXT PRIMARY KEY,
    contacts INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

INSERT INTO tag_count SELECT tag, count(*) FROM contact_tag GROUP BY tag;

CREATE TRIGGER tag_count_insert AFTER INSERT ON contact_tag BEGIN
    INSERT INTO tag_count VALUES (new.tag, 1) ON CONFLICT (tag) DO UPDATE SET contacts = contacts + 1;
END;

CREATE TRIGGER tag_count_delete AFTER DELETE ON contact_tag BEGIN
    UPDATE tag_count SET contacts = contacts - 1 WHERE tag = old.tag;
    DELETE FROM tag_count WHERE tag = old.tag AND contacts = 0;
END;
"""


@migrations(name="0002_imports_and_tags")
def imports_and_tags(db: Database) -> None:
    """Mark batches that are being written, and count the contacts of each tag."""
    db.executescript(SCHEMA)
