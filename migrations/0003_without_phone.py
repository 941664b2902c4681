"""The contacts without a phone number, which a list can be narrowed to, found without reading all others."""

from sqlite_utils import Database, Migrations

migrations = Migrations("contacts")

SCHEMA = """
CREATE INDEX contact_without_phone ON contact (id) WHERE phone = '';
"""


@migrations(name="0003_without_phone")
def without_phone(db: Database) -> None:
    """Index the contacts that have no phone number."""
    db.executescript(SCHEMA)
