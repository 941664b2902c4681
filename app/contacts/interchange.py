"""Contacts in and out of files: CSV, vCard and JSON.

    source = open_source(file, "contacts.csv")   # what it is, and what its columns fill
    for row in source.rows(): row.draft.clean()  # one contact at a time
    write(contacts, "vcf")                       # the other way

The formats are in `csvs`, `vcard` and `jsons`, what they share is in `records`. Nothing that
a file says is lost silently: what has no field becomes a labelled line of the notes, and
what cannot be read is a row with a problem.
"""

import codecs
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import BinaryIO, get_args

from app.contacts.contact import Contact
from app.contacts.csvs import open_csv, write_csv, write_failed
from app.contacts.jsons import open_json, write_json
from app.contacts.records import ROWS_LIMIT, Column, Format, ReadRow, Source, TextFile, UnreadableFile
from app.contacts.vcard import open_vcard, write_vcard

__all__ = [
    "FILE_LIMIT",
    "FORMATS",
    "MEDIA_TYPES",
    "ROWS_LIMIT",
    "Column",
    "Format",
    "ReadRow",
    "Source",
    "UnreadableFile",
    "failed_csv",
    "failures",
    "open_source",
    "write",
]

FORMATS: tuple[Format, ...] = get_args(Format)
FILE_LIMIT = 32 * 1024 * 1024  # bytes
MEDIA_TYPES: Mapping[Format, str] = {
    "csv": "text/csv; charset=utf-8",
    "vcf": "text/vcard; charset=utf-8",  # RFC 6350, 10.1
    "json": "application/json",  # RFC 8259, 11: always UTF-8
}

_HEAD = 4_096  # bytes that tell what a file is
# How files begin that people take for contacts, and what to do with them.
_STRANGERS = {
    b"PK\x03\x04": "This is an Excel workbook. Save it as CSV and choose that file.",
    b"\xd0\xcf\x11\xe0": "This is an Excel workbook. Save it as CSV and choose that file.",
    b"%PDF": "This is a PDF document. Export the contacts as CSV or vCard and choose that file.",
    b"\x1f\x8b": "This file is compressed. Unpack it and choose the file inside.",
}
_ARCHIVE = "This is a ZIP archive. Unpack it and choose the CSV or vCard file inside."


def open_source(file: BinaryIO, name: str = "") -> Source:
    """Find out what a file is, by its content and only then by its name, and read its header.

    file: seekable; it is read from its beginning, and must stay open while rows are read.
    Raises UnreadableFile for a file that is empty, larger than FILE_LIMIT, no text, without
    a column for a name, email or phone, or without any contact.
    """
    size = file.seek(0, os.SEEK_END)
    file.seek(0)
    head = file.read(_HEAD)
    if size > FILE_LIMIT:
        raise UnreadableFile(
            f"This file has {size / 1024**2:.1f} MB; at most {FILE_LIMIT // 1024**2} MB can be read."
            " Split it and import the parts."
        )
    text = TextFile(file, _encoding(file, head, name.lower()))
    start = next((line for line in text.chunks(_HEAD) if line.strip()), "").lstrip()
    if not start:
        raise UnreadableFile("This file is empty. Export the contacts again and choose the new file.")
    source = _open(text, start, name.lower())
    _require_a_row(source)
    return source


def write(contacts: Iterable[Contact], format: Format) -> Iterator[str]:
    """Write contacts in their order, one or a few in each chunk of text, to be encoded as UTF-8.

    Reading the result gives the same fields again for every contact that keeps the rules.
    """
    match format:
        case "csv":
            return write_csv(contacts)
        case "vcf":
            return write_vcard(contacts)
        case "json":
            return write_json(contacts)


def failures(
    source: Source, refused: Mapping[int, Mapping[str, str]]
) -> Iterator[tuple[ReadRow, Mapping[str, str] | str]]:
    """The rows that were left out with their reasons, in the order of the file, as `failed_csv` takes them.

    refused: what is wrong with the drafts that were not taken, by their position, from 1, among
    those that could be read.
    """
    position = 0
    for row in source.rows():
        if row.problem:
            yield row, row.problem
            continue
        position += 1
        if position in refused:
            yield row, refused[position]


def failed_csv(source: Source, failed: Iterable[tuple[ReadRow, Mapping[str, str] | str]]) -> Iterator[str]:
    """Write the rows that failed as CSV, to mend and import again; see `csvs.write_failed`."""
    return write_failed(source, failed)


def _encoding(file: BinaryIO, head: bytes, name: str) -> str:
    """UTF-16 by its BOM, UTF-8 if all of the file is, else cp1252 (Windows), where any bytes may be text."""
    for start, message in _STRANGERS.items():
        if head.startswith(start):
            raise UnreadableFile(_ARCHIVE if start == b"PK\x03\x04" and name.endswith(".zip") else message)
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    if b"\0" in head:
        raise UnreadableFile(
            "This file is no text. Export the contacts as CSV or vCard and choose that file."
        )
    if head.startswith(codecs.BOM_UTF8):
        return "utf-8"
    decoder = codecs.getincrementaldecoder("utf-8")()
    file.seek(0)
    try:
        while block := file.read(65_536):
            decoder.decode(block)
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return "cp1252"
    return "utf-8"


def _open(text: TextFile, start: str, name: str) -> Source:
    if re.match(r"BEGIN\s*:\s*VCARD\b", start, re.IGNORECASE):
        return open_vcard(text)
    if start.startswith(("{", "[")):
        return open_json(text)
    if name.endswith((".vcf", ".vcard")):
        return open_vcard(text)
    return open_json(text) if name.endswith(".json") else open_csv(text)


def _require_a_row(source: Source) -> None:
    """Raise UnreadableFile for a file without any contact. What else is broken, `rows` says later."""
    try:
        row = next(source.rows(), None)
    except UnreadableFile:
        return
    if row is None:
        what = "a header and no rows" if source.format == "csv" else "no contacts"
        raise UnreadableFile(f"This file has {what}. Export the contacts again and choose the new file.")
