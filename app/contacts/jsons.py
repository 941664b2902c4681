"""JSON files of contacts: our own export, or a bare list of objects with the names of our fields."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import fields
from datetime import UTC, datetime
from typing import Any, NoReturn

from app.contacts.contact import Contact, ContactDraft, split_tags
from app.contacts.records import ReadRow, Record, Source, TextFile, UnreadableFile

_TEXTS = ("name", "email", "phone", "company", "notes")
_IGNORED = {"id", "created_at", "updated_at", "version"}  # the store gives them anew
_FIELDS = [field.name for field in fields(Contact)]
_SPACE = " \t\r\n"
_READ = 65_536  # characters


# --- reading


def open_json(text: TextFile) -> Source:
    """Our export is `{"contacts": [{"name": ...}]}`; the list alone will do."""
    return Source("json", text.encoding, "", "Contacts", (), lambda: _Reader(text).rows())


class _Reader:
    """Reads a document value by value, with no more of it in memory than one contact needs."""

    def __init__(self, text: TextFile) -> None:
        self._chunks = text.chunks()
        self._decoder = json.JSONDecoder()
        self._buffer = ""
        self._place = 0
        self._line = 1  # of _place
        self._ended = False

    def rows(self) -> Iterator[ReadRow]:
        found = False
        if self._next() == "[":
            yield from self._list()
            found = True
        else:
            self._expect("{")
            while self._next() != "}":
                key = self._value()
                self._expect(":")
                if key == "contacts" and not found and self._next() == "[":
                    yield from self._list()
                    found = True
                else:
                    self._value()
                if self._next() != "}":
                    self._expect(",")
            self._expect("}")
        if not found:
            raise UnreadableFile('This JSON file has no list of contacts: {"contacts": [...]} or [...].')
        if self._next():
            self._fail("Something stands behind the end of the document.")

    def _list(self) -> Iterator[ReadRow]:
        self._expect("[")
        while self._next() != "]":
            line = self._line
            yield _row(line, self._value())
            if self._next() != "]":
                self._expect(",")
                if self._next() == "]":
                    self._fail("A comma stands before the end of the list.")
        self._expect("]")

    def _next(self) -> str:
        """The character behind the space that comes next, which is passed; "" at the end."""
        while True:
            rest = self._buffer[self._place : self._place + 1]
            if rest and rest not in _SPACE:
                return rest
            if rest:
                self._pass(self._place + 1)
            elif not self._more():
                return ""

    def _expect(self, char: str) -> None:
        if (found := self._next()) != char:
            self._fail(f"“{char}” is missing before {f'“{found}”' if found else 'the end of the file'}.")
        self._pass(self._place + 1)

    def _value(self) -> object:
        """Parse the next value; more of the file is read as long as it does not end."""
        self._next()
        while True:
            try:
                value, end = self._decoder.raw_decode(self._buffer, self._place)
            except (ValueError, RecursionError) as error:
                if isinstance(error, RecursionError) or not self._more():
                    self._fail(str(error).partition(":")[0] + ".")
                continue
            if end < len(self._buffer) or not self._more():  # a number may go on behind the buffer
                self._pass(end)
                return value

    def _more(self) -> bool:
        """Read on, each time as much again as there is, so a long value is not parsed too often."""
        self._buffer, self._place = self._buffer[self._place :], 0
        wanted = max(_READ, len(self._buffer))
        parts = [self._buffer]
        while wanted > 0 and (chunk := next(self._chunks, "")):
            parts.append(chunk)
            wanted -= len(chunk)
        self._buffer = "".join(parts)
        return len(parts) > 1

    def _pass(self, place: int) -> None:
        self._line += self._buffer.count("\n", self._place, place)
        self._place = place

    def _fail(self, reason: str) -> NoReturn:
        raise UnreadableFile(f"The JSON is broken in or behind line {self._line:,}: {reason}", self._line)


def _row(line: int, value: object) -> ReadRow:
    if not isinstance(value, dict):
        return ReadRow(line, ContactDraft(), 'This is no contact: it must be an object, {"name": ...}.')
    if not is_storable(value):
        return ReadRow(
            line,
            ContactDraft(),
            "A text holds half of a character (a lone surrogate), or lists are nested too deep.",
        )
    record = Record()
    for key, content in value.items():
        if content is None or (isinstance(content, str) and not content.strip()) or key in _IGNORED:
            continue
        if key in _TEXTS and not isinstance(content, str):
            return ReadRow(line, ContactDraft(), f"“{key}” must be text.")
        match key:
            case "name":
                record.names.append(content)
            case "email":
                record.add_email(content)
            case "phone":
                record.add_phone(content)
            case "company":
                record.companies[content] = ""
            case "notes":
                record.notes.append(content)
            case "tags":
                tags = split_tags(content) if isinstance(content, str) else content
                if not isinstance(tags, (list, tuple)) or not all(isinstance(tag, str) for tag in tags):
                    return ReadRow(line, ContactDraft(), "“tags” must be a list of texts.")
                record.tags += tags
            case _:
                text = content if isinstance(content, str) else json.dumps(content, ensure_ascii=False)
                record.add_line(key, text)
    return ReadRow(line, record.draft())


def is_storable(value: object) -> bool:
    """Whether what JSON held can be written again: no half of a character, no lists nested too deep."""
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError, RecursionError:
        return False
    return True


# --- writing


def write_json(contacts: Iterable[Contact]) -> Iterator[str]:
    """Write one document, `{"contacts": [...]}`, with every field, one contact a line.

    See `as_json` for the fields.
    """
    yield '{"contacts": ['
    mark = "\n"
    for contact in contacts:
        yield mark + json.dumps(as_json(contact), ensure_ascii=False)
        mark = ",\n"
    yield "\n]}\n"


def as_json(contact: Contact) -> dict[str, Any]:
    """Every field of a contact as JSON has it; times as `moment` writes them."""
    values = {name: getattr(contact, name) for name in _FIELDS}
    values |= {name: moment(values[name]) for name in ("created_at", "updated_at")}
    return values | {"tags": list(contact.tags)}


def moment(at: datetime) -> str:
    """A time in ISO 8601, in UTC with milliseconds: `2026-01-31T09:30:00.000Z`."""
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
