"""vCards of contacts: reading 2.1, 3.0 and 4.0 (RFC 2426, RFC 6350), writing 4.0.

Left out on purpose when reading: pictures, sounds, logos and keys (PHOTO, SOUND, LOGO, KEY),
and what only programs need (PRODID, REV, UID, VERSION and a few more, `_IGNORED`).
"""

import quopri
import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from app.contacts.contact import Contact, ContactDraft
from app.contacts.records import ReadRow, Record, Source, TextFile, labelled, of_kind

LINE_OCTETS = 75  # RFC 6350, 3.2: of a folded line, without its end

_IGNORED = {
    "VERSION", "PRODID", "REV", "UID", "PHOTO", "KEY", "LOGO", "SOUND", "PROFILE", "CLIENTPIDMAP", "XML",
    "X-ABLABEL", "X-ABUID", "X-ABADR", "X-ABSHOWAS", "X-APPLE-OMIT-YEAR",
}  # fmt: skip
_LABELS = {
    "BDAY": "Birthday",
    "ANNIVERSARY": "Anniversary",
    "TITLE": "Job title",
    "ROLE": "Role",
    "URL": "Website",
    "IMPP": "IM",
    "RELATED": "Related",
    "X-ABRELATEDNAMES": "Related",
    "X-ABDATE": "Date",
    "X-ANNIVERSARY": "Anniversary",
    "X-SOCIALPROFILE": "Social profile",
    "GENDER": "Gender",
    "LANG": "Language",
    "TZ": "Time zone",
    "GEO": "Place",
}
_DATES = {"BDAY", "ANNIVERSARY", "X-ANNIVERSARY", "X-ABDATE"}
_SILENT_TYPES = {"internet", "pref", "voice", "x400", ""}  # types that tell a person nothing
_PARTS = ("family", "given", "middle", "prefix", "suffix")  # of N: RFC 6350, 6.2.2
_NAME = re.compile(r"(?:([A-Za-z0-9_-]+)\.)?([A-Za-z0-9_-]+)")
_PARAMETER = re.compile(r';\s*([^=;:"]+)(?:=((?:"[^"]*"|[^;:"])*))?')
_CHARSET = re.compile(
    r"utf-?8|us-ascii|iso-8859-\d+|(?:windows-|cp)125\d|koi8-[ru]|shift_jis|euc-(?:jp|kr)|gb\w+|big5",
    re.IGNORECASE,
)
_BINARY = re.compile(r"ENCODING=B(?:ASE64)?\b|;BASE64\b", re.IGNORECASE)


class _BadCard(Exception):
    """A line that is no property; the message is for a person."""


class _Property(NamedTuple):
    """One line of a card, such as `item1.EMAIL;TYPE=work:ada@example.com`.

    group: "item1". name: in capitals. params: in capitals to their values; of TYPE in lower case.
    value: as it stands in the file, escapes and all, but with quoted-printable undone.
    """

    group: str
    name: str
    params: dict[str, list[str]]
    value: str


# --- reading


def open_vcard(text: TextFile) -> Source:
    """Say which vCards these are; Apple's programs are told by their PRODID."""
    version, dialect = "", ""
    for count, line in enumerate(text.lines()):
        name, _, value = line.partition(":")
        match name.strip().upper():
            case "VERSION":
                version = version or value.strip()
            case "PRODID" if "apple" in value.lower():
                dialect = "Apple"
            case "END":
                break
        if count == 1_000:
            break
    return Source("vcf", text.encoding, "", dialect or f"vCard {version}".strip(), (), lambda: _rows(text))


def _rows(text: TextFile) -> Iterator[ReadRow]:
    """Read each card; what is no card at all becomes a row with a problem, once for a run of lines."""
    card: list[_Property] = []
    start, problem, inside, stray = 0, "", False, False
    for number, line in _logical_lines(text.lines()):
        mark = line.strip().upper().replace(" ", "") if line[:1] in "BEbe" else ""
        if mark == "BEGIN:VCARD":
            if inside:
                yield ReadRow(start, ContactDraft(), "This card has no END:VCARD before the next one begins.")
            card, start, problem, inside, stray = [], number, "", True, False
        elif mark == "END:VCARD":
            if inside:
                yield ReadRow(start, ContactDraft(), problem) if problem else _row(start, card)
            inside = False
        elif inside and not problem:
            try:
                card.append(_property(line))
            except _BadCard as bad:
                problem = f"Line {number:,} of this card is no vCard line: {bad}"
        elif not inside and not stray and line.strip():
            stray = True
            yield ReadRow(
                number, ContactDraft(), "This stands outside a card: BEGIN:VCARD is missing before it."
            )
    if inside:
        yield ReadRow(start, ContactDraft(), "The file ends inside this card: END:VCARD is missing.")


def _logical_lines(lines: Iterable[str]) -> Iterator[tuple[int, str]]:
    """Unfold: each line with the number of its first part.

    A line goes on behind a space or tab (RFC 6350, 3.2), behind a = of quoted-printable, and,
    as some 2.1 writers do it, in lines of base64 that begin with no space.
    """
    parts: list[str] = []
    start, soft, binary = 0, False, False
    for number, raw in enumerate(lines, 1):
        line = raw.rstrip("\r\n")
        if soft:
            parts[-1] = parts[-1][:-1]
            parts.append(line)
            soft = line.endswith("=")
        elif line[:1] in (" ", "\t") and parts:
            parts.append(line[1:])
        elif binary and line and ":" not in line:
            parts.append(line)
        else:
            if parts:
                yield start, "".join(parts)
            parts, start = [line] if line else [], number
            head = line.partition(":")[0]
            soft = line.endswith("=") and "QUOTED-PRINTABLE" in head.upper()
            binary = ";" in head and _BINARY.search(head) is not None
    if parts:
        yield start, "".join(parts)


def _property(line: str) -> _Property:
    """Parse one unfolded line; raises _BadCard."""
    name = _NAME.match(line)
    if not name:
        raise _BadCard(f"“{line[:60]}”")
    params: dict[str, list[str]] = {}
    place = name.end()
    while found := _PARAMETER.match(line, place):
        key, value = found[1].strip().upper(), found[2]
        if value is None:  # 2.1 writes the bare value: TEL;CELL or NOTE;QUOTED-PRINTABLE
            key, value = ("ENCODING" if key in ("QUOTED-PRINTABLE", "BASE64", "B") else "TYPE"), found[1]
        kept = params.setdefault(key, [])
        for part in re.findall(r'"[^"]*"|[^,"]+', value):
            text = part.strip('"').strip()
            kept.extend(text.lower().split(",") if key == "TYPE" else [text])
        place = found.end()
    if line[place : place + 1] != ":":
        raise _BadCard(f"“{line[:60]}”")
    text = line[place + 1 :]
    if params.get("ENCODING", [""])[0].upper() == "QUOTED-PRINTABLE":
        text = _from_quoted_printable(text, params.get("CHARSET", ["utf-8"])[0])
    return _Property(name[1] or "", name[2].upper(), params, text)


def _from_quoted_printable(text: str, charset: str) -> str:
    """Undo quoted-printable (RFC 2045, 6.7). What the named charset cannot read is read as cp1252."""
    data = quopri.decodestring(text.encode("utf-8"))
    for codec in (charset if _CHARSET.fullmatch(charset) else "utf-8", "cp1252"):
        try:
            return data.decode(codec)
        except UnicodeDecodeError, LookupError:
            continue
    return data.decode("latin-1")


def _row(line: int, card: list[_Property]) -> ReadRow:
    old = any(prop.name == "VERSION" and prop.value.strip() == "2.1" for prop in card)
    labels = {
        prop.group: _unescaped(prop.value, old).removeprefix("_$!<").removesuffix(">!$_")
        for prop in card
        if prop.name == "X-ABLABEL"
    }
    record = Record()
    for prop in sorted(card, key=_preference):
        if prop.name not in _IGNORED and (prop.value.strip() or "LABEL" in prop.params):
            _add(record, prop, labels.get(prop.group, "") if prop.group else "", old)
    return ReadRow(line, record.draft())


def _preference(prop: _Property) -> int:
    """The preferred ones first: PREF=1 to 100 (RFC 6350, 5.3), or TYPE=pref before 4.0."""
    if not prop.params:
        return 101
    if "pref" in prop.params.get("TYPE", ()):
        return 1
    rank = prop.params.get("PREF", [""])[0]
    return int(rank) if rank.isdecimal() and len(rank) <= 3 else 101


def _add(record: Record, prop: _Property, label: str, old: bool) -> None:
    """Add one property to the record. label: of its group; old: escapes are those of 2.1."""
    value = _unescaped(prop.value, old)
    types = [kind for kind in prop.params.get("TYPE", ()) if kind not in _SILENT_TYPES]
    label = label or ", ".join(types)
    match prop.name:
        case "FN":
            record.names.append(value)
        case "N":
            for part, text in zip(_PARTS, _split(prop.value, ";"), strict=False):
                words = [_unescaped(word, old).strip() for word in _split(text, ",")]
                if any(words):
                    record.add_part(part, " ".join(filter(None, words)))
        case "NICKNAME":
            record.add_nickname(value)
        case "EMAIL":
            record.add_email(value, label)
        case "TEL" if "fax" in types:
            record.add_line(of_kind("Fax", ", ".join(kind for kind in types if kind != "fax")), value)
        case "TEL":
            record.add_phone(value, label)
        case "ORG":
            company, *units = [_unescaped(part, old) for part in _split(prop.value, ";")]
            if company.strip():
                record.companies.setdefault(company, label)
            for unit in filter(None, units):
                record.add_line("Department", unit)
        case "NOTE":
            record.notes.append(value)
        case "CATEGORIES":
            for category in _split(prop.value, ","):
                # a tag holds no comma, so one that is escaped separates as well
                record.tags += [tag.strip() for tag in _unescaped(category, old).split(",") if tag.strip()]
        case "ADR":
            parts = [_unescaped(part, old).strip() for part in _split(prop.value, ";")]
            parts = parts if any(parts) else prop.params.get("LABEL", [""])
            if any(parts):
                record.add_line(of_kind("Address", label), "\n".join(parts))
        case _:
            if prop.name in _DATES:
                value = _date(value, prop.params.get("X-APPLE-OMIT-YEAR", [""])[0])
            if value.strip():
                record.lines.append(_line(prop.name, label, value))


def _line(name: str, label: str, value: str) -> str:
    """A line of the notes for a property without a field of its own; a date is named by its label."""
    kind = _LABELS.get(name, name)
    return labelled(label if label and kind == "Date" else of_kind(kind, label), value)


def _date(value: str, unknown_year: str) -> str:
    """A date as people read it: "19900512" is 1990-05-12; Apple's year for "no year" goes."""
    if found := re.fullmatch(r"(\d{4})-?(\d\d)-?(\d\d)(?:T.*)?", value.strip()):
        year = "-" if found[1] == unknown_year else found[1]
        return f"{year}-{found[2]}-{found[3]}"
    return value


def _split(value: str, mark: str) -> list[str]:
    """Split at marks that no backslash escapes; the parts keep their escapes."""
    if "\\" not in value:
        return value.split(mark)
    parts = [""]
    for token in re.findall(rf"\\.|{mark}|[^\\{mark}]+|\\", value, re.DOTALL):
        if token == mark:
            parts.append("")
        else:
            parts[-1] += token
    return parts


def _unescaped(value: str, old: bool) -> str:
    """A value without its escapes (RFC 6350, 3.4). In 2.1 a backslash escapes ; and , alone."""
    if "\\" not in value:
        return value
    if old:
        return re.sub(r"\\([;,])", r"\1", value)
    return re.sub(r"\\(.)", lambda found: "\n" if found[1] in "nN" else found[1], value, flags=re.DOTALL)


# --- writing


def write_vcard(contacts: Iterable[Contact]) -> Iterator[str]:
    """Write vCard 4.0 (RFC 6350), one contact at a time; lines end with CR LF."""
    for contact in contacts:
        yield "".join([f"{folded(line)}\r\n" for line in _card(contact)])


def _card(contact: Contact) -> Iterator[str]:
    first, _, last = contact.name.rpartition(" ")
    family, given = (last, first) if first else ("", last)
    yield "BEGIN:VCARD"
    yield "VERSION:4.0"
    yield f"FN:{_escaped(contact.name)}"
    yield f"N:{_escaped(family)};{_escaped(given)};;;"
    if contact.email:
        yield f"EMAIL:{_escaped(contact.email)}"
    if contact.phone:
        yield f"TEL;VALUE=text:{_escaped(contact.phone)}"
    if contact.company:
        yield f"ORG:{_escaped(contact.company)}"
    if contact.tags:
        yield f"CATEGORIES:{','.join([_escaped(tag) for tag in contact.tags])}"
    if contact.notes:
        yield f"NOTE:{_escaped(contact.notes)}"
    yield "END:VCARD"


def _escaped(text: str) -> str:
    """A text value (RFC 6350, 3.4); the backslash first, as the others add some."""
    for mark in "\\,;":
        text = text.replace(mark, f"\\{mark}")
    return text.replace("\n", "\\n")


def folded(line: str) -> str:
    """The line in parts of at most 75 octets, cut between characters (RFC 6350, 3.2)."""
    if len(line) * 4 <= LINE_OCTETS or len(data := line.encode()) <= LINE_OCTETS:
        return line
    parts, start, room = [], 0, LINE_OCTETS
    while start < len(data):
        end = min(start + room, len(data))
        while end < len(data) and data[end] & 0xC0 == 0x80:  # inside a character of UTF-8
            end -= 1
        parts.append(data[start:end].decode())
        start, room = end, LINE_OCTETS - 1  # the space in front counts
    return "\r\n ".join(parts)
