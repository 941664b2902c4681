"""What reading a file of contacts gives: rows, columns, the file's text, and the one error.

Every format fills a `Record`, so the rules of what becomes a field and what becomes a
line of the notes are here, once. `app.contacts.interchange` is the door to all of this.
"""

import codecs
import io
import re
import unicodedata
from collections.abc import Buffer, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import BinaryIO, Literal

from app.contacts.contact import ContactDraft

Format = Literal["csv", "vcf", "json"]
ROWS_LIMIT = 100_000  # rows of one file

_PHONE = re.compile(r"[0-9+\-().\/xX ]+")  # the characters that the rule of contacts allows
_EXTENSION = re.compile(r"\s*(?:;ext=|\bextension\b\.?|\bext\b\.?|(?<=\d)ext\.?|#)\s*(?=\d)", re.IGNORECASE)
_LINE_END = re.compile(r"\r\n|\r|\n")
_NAME_PARTS = ("prefix", "given", "middle", "family", "suffix")  # in the order of a full name


class UnreadableFile(Exception):
    """A file, or all the rest of it, cannot be read; the message says what to do.

    line: where, counted from 1; 0 when it is no particular line.
    """

    def __init__(self, message: str, line: int = 0) -> None:
        super().__init__(message)
        self.line = line


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a CSV file.

    header: as it stands in the file.
    field: what it can fill (name, email, phone, company, notes, tags). The first value
        that a row has for email, phone or company fills it; further ones go to the notes.
        "" is kept as a labelled line of the notes, "-" is ignored, such as a photo.
    """

    header: str
    field: str


@dataclass(frozen=True, slots=True)
class ReadRow:
    """One record of a file.

    line: where it begins, counted from 1.
    draft: not cleaned yet, so it may break the rules; empty beside a problem.
    problem: why the record cannot be read at all; "" if it can.
    cells: of a CSV file, as they stand in it; () for the other formats.
    """

    line: int
    draft: ContactDraft
    problem: str = ""
    cells: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Source:
    """A file whose kind is known. It reads from the open file, in one thread at a time.

    encoding: "utf-8", "utf-16" or "cp1252".
    delimiter: "," or ";" or tab; "" unless CSV.
    dialect: who wrote it, in words for a person: "Google Contacts", "Outlook", "Apple",
        "vCard 3.0", "Contacts" (our own CSV or JSON), "CSV".
    columns: in the order of the file; () unless CSV.
    """

    format: Format
    encoding: str
    delimiter: str
    dialect: str
    columns: tuple[Column, ...]
    read: Callable[[], Iterator[ReadRow]] = field(repr=False, compare=False)

    def rows(self) -> Iterator[ReadRow]:
        """Read the records in the order of the file, in constant memory; each call starts anew.

        Raises UnreadableFile, with the line, once nothing behind it can be read.
        """
        for count, row in enumerate(self.read()):
            if count == ROWS_LIMIT:
                raise UnreadableFile(
                    f"This file has more than {ROWS_LIMIT:,} contacts. Split it and import the parts.",
                    row.line,
                )
            yield row


@dataclass(frozen=True, slots=True)
class TextFile:
    """The text of a seekable binary file, read from its beginning each time. It stays open."""

    file: BinaryIO
    encoding: str

    def lines(self) -> Iterator[str]:
        """The lines with their ends, which are CR LF, CR or LF and nothing else (not U+2028).

        Raises UnreadableFile, with the line, at a NUL and at bytes that are no text.
        """
        with self._text() as text:
            for number, line in enumerate(text, 1):
                if "\0" in line:
                    raise UnreadableFile(
                        f"Line {number:,} holds a NUL byte, so the file is damaged. Export it again.",
                        number,
                    )
                yield line

    def chunks(self, size: int = 65_536) -> Iterator[str]:
        """The text, `size` characters at a time; raises UnreadableFile at bytes that are no text."""
        with self._text() as text:
            while chunk := text.read(size):
                yield chunk

    @contextmanager
    def _text(self) -> Iterator[io.TextIOWrapper]:
        codec = "utf-8-sig" if self.encoding == "utf-8" else self.encoding
        try:
            with io.TextIOWrapper(io.BufferedReader(_View(self.file), 65_536), codec, newline="") as text:
                yield text
        except UnicodeError:
            line = self._line_of_bad_bytes(codec)
            raise UnreadableFile(
                f"Line {line:,} holds bytes that are no {self.encoding} text. Save the file as UTF-8.", line
            ) from None

    def _line_of_bad_bytes(self, codec: str) -> int:
        self.file.seek(0)
        decoder, line, last = codecs.getincrementaldecoder(codec)(), 1, ""
        while block := self.file.read(1024):
            for position in range(len(block)):  # byte by byte: slow, and only for a broken file
                try:
                    text = decoder.decode(block[position : position + 1])
                except UnicodeError:
                    return line
                for char in text:
                    line += char == "\r" or (char == "\n" and last != "\r")
                    last = char
        return line


class _View(io.RawIOBase):
    """The bytes of a file from its beginning, with a place of its own; closing it leaves the file open."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._place = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Buffer, /) -> int:
        view = memoryview(buffer)
        self._file.seek(self._place)
        data = self._file.read(len(view))
        view[: len(data)] = data
        self._place += len(data)
        return len(data)


class Record:
    """What one record of a file says, gathered value by value, and the draft that it makes.

    The first email, phone and company fill their fields; every other value becomes a line of
    the notes, such as "Email (work): ada@example.com". What fills a field loses its label.
    """

    __slots__ = ("companies", "emails", "lines", "names", "nickname", "notes", "parts", "phones", "tags")

    def __init__(self) -> None:
        self.names: list[str] = []  # full names
        self.parts: dict[str, str] = {}  # of the name: prefix, given, middle, family, suffix
        self.nickname = ""
        self.emails: dict[str, str] = {}  # value: label
        self.phones: dict[str, str] = {}
        self.companies: dict[str, str] = {}
        self.notes: list[str] = []
        self.tags: list[str] = []
        self.lines: list[str] = []

    def add_part(self, part: str, value: str) -> None:
        """Add a part of the name: prefix, given, middle, family or suffix."""
        earlier = self.parts.get(part)
        self.parts[part] = f"{earlier} {value}" if earlier else value

    def add_email(self, value: str, label: str = "") -> None:
        """Add an email address as it is written."""
        if value := value.strip():
            self.emails.setdefault(value, label)

    def add_phone(self, value: str, label: str = "") -> None:
        """Add a phone number, in the characters that the rules allow as far as that is harmless."""
        if value := plain_phone(value):
            self.phones.setdefault(value, label)

    def add_nickname(self, value: str) -> None:
        """Add a nickname; several are joined."""
        self.nickname = f"{self.nickname}, {value}" if self.nickname else value

    def add_line(self, label: str, value: str) -> None:
        """Add a line of the notes; the lines of a value are joined with commas."""
        self.lines.append(labelled(label, value))

    def draft(self) -> ContactDraft:
        """The draft. Without a name it takes the nickname, the company or the email as its name."""
        name, names = self._name()
        email, emails = _first(self.emails, "Email")
        phone, phones = _first(self.phones, "Phone")
        company, companies = _first(self.companies, "Company")
        return ContactDraft(
            name=name or self.nickname or company or email,
            email=email,
            phone=phone,
            company=company,
            notes="\n".join([*self.notes, *names, *emails, *phones, *companies, *self.lines]),
            tags=tuple(self.tags),
        )

    def _name(self) -> tuple[str, list[str]]:
        """The full name or else its parts joined, and lines for what it does not say."""
        if not self.names:
            name = " ".join([self.parts[part] for part in _NAME_PARTS if part in self.parts])
            return name, [labelled("Nickname", self.nickname)] if self.nickname and name else []
        name, *others = self.names
        lines = [labelled("Nickname", self.nickname)] if self.nickname else []
        lines += [labelled("Name", other) for other in others]
        if self.parts:
            known = " ".join(name.split())
            lines += [
                labelled(of_kind("Name", part), value)
                for part, value in self.parts.items()
                if " ".join(value.split()) not in known
            ]
        return name, lines


def labelled(label: str, value: str) -> str:
    """One line of the notes: `labelled("Address (home)", "1 Main St\\nLondon")`."""
    if "\n" in value or "\r" in value:
        value = ", ".join(part.strip(" ,") for part in _LINE_END.split(value) if part.strip(" ,"))
    return f"{label}: {value.strip()}"


def of_kind(kind: str, label: str) -> str:
    """The label of a line: `of_kind("Email", "* Work")` is "Email (work)"."""
    label = label.removeprefix("* ").strip().lower()
    return f"{kind} ({label})" if label else kind


def plain_phone(text: str) -> str:
    """A phone number in the characters that contacts allow, as far as no digit is lost.

    "tel:" goes, "ext.", "#" and RFC 3966's ";ext=" become x, dashes of all kinds become -,
    spaces of all kinds a space, digits of other scripts 0 to 9, and invisible direction
    marks go. Whatever else a number holds stays, for the rules to refuse.
    """
    text = text.strip()
    if _PHONE.fullmatch(text):
        return text
    text = "".join([_plain_character(char) for char in text])
    text = re.sub(r"^tel:\s*", "", text, flags=re.IGNORECASE)
    return _EXTENSION.sub(" x", text).strip()


def _plain_character(char: str) -> str:
    if char.isascii():
        return " " if char.isspace() else char
    category = unicodedata.category(char)
    if category == "Nd":
        return str(unicodedata.digit(char))
    if category == "Pd" or char == "\u2212":  # the minus sign
        return "-"
    if category == "Cf":
        return ""
    return " " if char.isspace() else unicodedata.normalize("NFKC", char)


def _first(values: dict[str, str], kind: str) -> tuple[str, list[str]]:
    """The first value, and a line for each of the others."""
    if len(values) < 2:
        return next(iter(values), ""), []
    first, *others = values.items()
    return first[0], [labelled(of_kind(kind, label), value) for value, label in others]
