"""CSV files of contacts: what their columns mean, reading them, writing our own (RFC 4180).

Headers are compared as words: without regard to case, dashes, underscores and runs of space.
Our own file has Google's columns and, beside them, Outlook's names for the same values (the
twins), so that both import it; `_role` knows it by having both.

A spreadsheet runs a cell that begins like a formula (OWASP, CSV Injection), so writing puts
an apostrophe in front of such a cell, and reading takes it off again: `guarded`, `unguarded`.
"""

import csv
import io
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from app.contacts.contact import Contact, ContactDraft
from app.contacts.records import Column, ReadRow, Record, Source, TextFile, UnreadableFile, of_kind

CELL_LIMIT = 100_000  # characters
CONTACTS_PER_CHUNK = 200

# The limit of the csv module is process-wide, so it is set here, once, above every file that is
# read: a quote that is never closed then ends as an error at the end of the file.
csv.field_size_limit(64 * 1024 * 1024)

OWN_HEADER = (
    "First Name",  # all words of the name but the last
    "Last Name",
    "Organization Name",
    "E-mail 1 - Value",
    "Phone 1 - Value",
    "Labels",
    "Notes",
)
TWINS = ("Company", "E-mail Address", "Primary Phone", "Categories")  # Outlook's names for values above
MENDING = ("Line", "Problem")  # what a file of failed rows has beside its own columns

_FORMULA = re.compile(r"'*[=+\-@\t\r]")
_PHONE_CELL = re.compile(r"[0-9+\-().\/xX ]*")
_LABEL_MARK = " ::: "  # Google's, between the values of one cell

# What a header means, in words (`_words`), and the label of its line where it is a line.
_ROLES = {
    role: frozenset(headers.split("|"))
    for role, headers in {
        "name": "name|full name|fullname|display name|contact name|contact|nom|nom complet|nombre"
        "|nombre completo|vollständiger name",
        "prefix": "name prefix|prefix|salutation|anrede",
        "given": "first name|firstname|given name|forename|vorname|prénom|prenom|nombre de pila",
        "middle": "middle name|middlename|additional name|zweiter vorname",
        "family": "last name|lastname|family name|surname|nachname|familienname|nom de famille"
        "|apellido|apellidos",
        "suffix": "name suffix|suffix",
        "nickname": "nickname|nick name|spitzname|surnom|apodo",
        "company": "company|company name|organization|organisation|organization name|organisation name"
        "|organization 1 name|employer|firma|unternehmen|société|societe|entreprise|empresa|organización",
        "notes": "notes|note|comment|comments|remarks|notizen|notiz|bemerkung|bemerkungen|kommentar"
        "|remarque|remarques|commentaire|commentaires|notas|nota|comentarios",
        "tags": "tags|tag|labels|label|categories|category|groups|group|group membership|kategorie"
        "|kategorien|gruppe|gruppen|catégorie|catégories|groupe|groupes|étiquettes|categorías|etiquetas|grupos",
        "ignored": "photo",
    }.items()
}
_LINES = {
    "birthday": "Birthday",
    "job title": "Job title",
    "title": "Job title",
    "organization title": "Job title",
    "organization 1 title": "Job title",
    "organization department": "Department",
    "organization 1 department": "Department",
    "web page": "Website",
    "website": "Website",
    "url": "Website",
}
_EMAIL_WORDS = r"(?:email|mail|courriel|correo|correo electrónico|adresse email|adresse mail)"
_EMAIL = re.compile(
    r"(?:(home|business|work|other|primary|secondary|main|personal|private|office|school|privat) )?"
    rf"{_EMAIL_WORDS}(?: address| adresse)?(?: \d+)?(?: address)?(?: value)?(?: (home|work|business|other))?"
)
_PHONE = re.compile(
    r"(?:(home|business|work|car|other|primary|main|company main|private|office|direct|personal|mobile|cell"
    r"|privat|mobil) )?"
    r"(phone|telephone|tel|mobile|cell|cellphone|iphone|telefon|telefonnummer|handy|mobiltelefon|téléphone"
    r"|telephone|portable|teléfono|telefono|móvil|movil)(?: (?:phone|number|no|nummer))?(?: \d+)?(?: value)?"
    r"(?: (home|work|business|mobile|cell|other))?"
)
_PART = (
    r"street|street 2|street 3|city|state|region|province|postal code|postcode|zip|zip code|country"
    r"|country region|po box|extended address|formatted"
)
_ADDRESS = re.compile(
    rf"(?:(home|business|work|other|mailing|postal) )?"
    rf"(?:(?:(address(?: \d+)?) )?({_PART})|(?:street )?(?:address|adresse|anschrift|dirección))"
)
_GROUP = re.compile(r"(email|phone|address|website|event|relation|custom field|im) (\d+) (\w+)")
_GROUP_LINES = {
    "website": "Website",
    "event": "Event",
    "relation": "Relation",
    "custom field": "Field",
    "im": "IM",
}
_NAMES = ("name", "prefix", "given", "middle", "family", "suffix")
_OUTLOOK = {
    "email 2 address", "email display name", "business phone", "business fax", "business street",
    "company main phone",
}  # fmt: skip
# What Outlook and Google write where a person wrote nothing.
_DEFAULTS = {
    ("priority", "Normal"), ("sensitivity", "Normal"), ("private", "FALSE"), ("private", "False"),
    ("gender", "Unspecified"), ("birthday", "0/0/00"), ("anniversary", "0/0/00"),
    ("email type", "SMTP"), ("email 2 type", "SMTP"), ("email 3 type", "SMTP"), ("email type", "EX"),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Cell:
    """What to do with one column.

    role: name, prefix, given, middle, family, suffix, nickname, email, phone, company, notes,
        tags, address, line, label (of another column), display, ignored.
    label: of its line in the notes. label_at: the column that holds a label of its own, or -1.
    """

    index: int
    role: str
    words: str
    label: str = ""
    label_at: int = -1
    group: str = ""


# --- reading


def open_csv(text: TextFile) -> Source:
    """Read the header and say what each column fills.

    Raises UnreadableFile for a header without a name, email or phone, or that ends inside a quote.
    """
    delimiter, skipped, header = _header(text)
    words = [_words(name) for name in header]
    dialect = _dialect(set(words))
    plan = _plan(header, words, dialect)
    if not {cell.role for cell in plan} & {*_NAMES, "email", "phone"}:
        found = ", ".join(f"“{name.strip()[:40]}”" for name in header[:12] if name.strip())
        raise UnreadableFile(
            "No column of this file is a name, an email or a phone number. Its first line must name the"
            " columns, such as Name, First Name, Last Name, Email, Phone, Company, Notes or Tags;"
            f" it has {found or 'nothing'}.",
            skipped + 1,
        )
    columns = tuple(Column(header[cell.index].strip(), _field(cell)) for cell in plan)
    reader = _Reader(text, delimiter, skipped, plan, dialect)
    return Source("csv", text.encoding, delimiter, dialect, columns, reader.rows)


def is_guarded(source: Source) -> bool:
    """Whether the cells of a CSV file are guarded: it is ours, or one of failed rows."""
    return source.dialect == "Contacts" or any(map(_is_mending, source.columns))


def _is_mending(column: Column) -> bool:
    """Whether this is the Line or the Problem of a file of failed rows, which has both."""
    return column.field == "-" and _words(column.header) in ("line", "problem")


def _header(text: TextFile) -> tuple[str, int, list[str]]:
    """The delimiter, how many lines stand before the header, and the header's cells.

    Excel's line `sep=;` names the delimiter; otherwise it is the most frequent one of the
    header, outside quotes.
    """
    lines = text.lines()
    first = next(lines, "")
    if named := re.fullmatch(r'"?sep=([,;|\t])"?[\r\n]*', first, re.IGNORECASE):
        return named[1], 1, _cells(lines, named[1], 2)
    skipped = 0
    while not first.strip():
        first = next(lines)  # a file of nothing but space is told apart before
        skipped += 1
    header, open_quote = [first], first.count('"') % 2
    while open_quote and (more := next(lines, "")):
        header.append(more)  # a header cell has a line break
        open_quote ^= more.count('"') % 2
    bare = re.sub(r'"[^"]*"', "", "".join(header))
    delimiter = max(",;\t", key=bare.count)
    return delimiter, skipped, _cells(header, delimiter, skipped + 1)


def _cells(lines: Iterable[str], delimiter: str, line: int) -> list[str]:
    try:
        return [unguarded(name) for name in next(csv.reader(lines, delimiter=delimiter, strict=True), [])]
    except csv.Error as error:
        raise UnreadableFile(_quote_problem(line, error), line) from None


def _quote_problem(line: int, error: csv.Error) -> str:
    if "unexpected end" in str(error):
        return f"The row in line {line:,} opens a quotation mark that is never closed. Close it or remove it."
    return f"The row in line {line:,} has a quotation mark inside a quoted cell. Double it or remove it."


def _words(header: str) -> str:
    """A header for comparison: `"E-mail 1 - Value"` is "email 1 value"."""
    words = re.sub(r"[\s\-_/:.*()]+", " ", header.casefold().replace("'", "").replace("’", "")).strip()
    return re.sub(r"\be mail\b", "email", words)


def _dialect(words: set[str]) -> str:
    own, mending = {_words(name) for name in OWN_HEADER}, {_words(name) for name in MENDING}
    if words >= own and (words >= {_words(name) for name in TWINS} or words == own | mending):
        return "Contacts"
    if "group membership" in words or any(re.fullmatch(r"(email|phone) \d+ value", word) for word in words):
        return "Google Contacts"
    if words & _OUTLOOK and words & {"first name", "last name", "email address"}:
        return "Outlook"
    return "CSV"


def _plan(header: list[str], words: list[str], dialect: str) -> list[_Cell]:
    """What to do with each column, in the order of the file."""
    places = {word: index for index, word in enumerate(words)}
    mending = places.keys() >= {"line", "problem"}
    plan = []
    for index, word in enumerate(words):
        if mending and word in ("line", "problem"):
            cell = _Cell(index, "ignored", word)
        else:
            cell = _role(index, word, header[index].strip() or f"Column {index + 1}", places, dialect)
        plan.append(cell)
    return _with_one_name(plan)


def _role(index: int, word: str, header: str, places: Mapping[str, int], dialect: str) -> _Cell:
    if dialect == "Outlook" and word == "title":
        return _Cell(index, "prefix", word)
    for role, headers in _ROLES.items():
        if word in headers:
            return _Cell(index, role, word)
    if word in _LINES:
        return _Cell(index, "line", word, _LINES[word])
    if word.endswith("display name"):
        return _Cell(index, "display", word, header)
    group = _GROUP.fullmatch(word)
    if (
        group
        and group[3] in ("label", "type")
        and (group[1] == "address" or f"{group[1]} {group[2]} value" in places)
    ):
        return _Cell(index, "label", word)
    label_at = _label_at(f"{group[1]} {group[2]}", places) if group else -1
    if group and group[3] == "value" and group[1] in _GROUP_LINES:
        return _Cell(index, "line", word, _GROUP_LINES[group[1]], label_at)
    if found := _EMAIL.fullmatch(word):
        return _Cell(index, "email", word, found[1] or found[2] or "", label_at)
    if found := _PHONE.fullmatch(word):
        kind = found[1] or found[3] or (found[2] if found[2] in ("mobile", "cell", "handy", "iphone") else "")
        return _Cell(index, "phone", word, kind, label_at)
    if found := _ADDRESS.fullmatch(word):
        label_at = _label_at(found[2] or "", places)
        group_name = f"{found[1] or ''} {found[2] or ''}".strip()
        return _Cell(
            index, "address", found[3] or "street", of_kind("Address", found[1] or ""), label_at, group_name
        )
    return _Cell(index, "line", word, header)


def _label_at(group: str, places: Mapping[str, int]) -> int:
    """Where the label of Google's values stands: of "phone 1" in the column "Phone 1 - Label"; or -1."""
    return places.get(f"{group} label", places.get(f"{group} type", -1))


def _with_one_name(plan: list[_Cell]) -> list[_Cell]:
    """Name (Nom, Nombre) means one part of a name where a column stands beside it for the other part only."""
    roles = {cell.role for cell in plan}
    part = {(True, False): "family", (False, True): "given"}.get(("given" in roles, "family" in roles))
    return [
        _Cell(cell.index, part, cell.words) if part and cell.words in ("name", "nom", "nombre") else cell
        for cell in plan
    ]


def _field(cell: _Cell) -> str:
    if cell.role in _NAMES:
        return "name"
    if cell.role in ("email", "phone", "company", "notes", "tags"):
        return cell.role
    return "-" if cell.role == "ignored" else ""


def _remembered(lines: Iterable[str], last: list[str]) -> Iterator[str]:
    """The lines; `last` holds the one that was read last."""
    for line in lines:
        last[0] = line
        yield line


class _Reader:
    """Reads the rows of one CSV file by its plan."""

    def __init__(self, text: TextFile, delimiter: str, skipped: int, plan: list[_Cell], dialect: str) -> None:
        self._text = text
        self._delimiter = delimiter
        self._skipped = skipped
        self._width = len(plan)
        self._dialect = dialect
        self._guarded = dialect == "Contacts" or {"line", "problem"} <= {
            cell.words for cell in plan if cell.role == "ignored"
        }
        # What depends on other columns comes last: our Categories repeat Labels, a display name the name.
        late = ("categories",) if dialect == "Contacts" else ()
        wanted = [cell for cell in plan if cell.role not in ("ignored", "label")]
        self._plan = sorted(wanted, key=lambda cell: cell.words in late or cell.role == "display")

    def rows(self) -> Iterator[ReadRow]:
        """Read each row that is not empty; a row that breaks on one line is a problem of its own."""
        lines = self._text.lines()
        for _ in range(self._skipped):
            next(lines, "")
        last = [""]
        reader = csv.reader(_remembered(lines, last), delimiter=self._delimiter, strict=True)
        next(reader, None)  # the header
        while True:
            line = self._skipped + reader.line_num + 1
            try:
                cells = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                problem = _quote_problem(line, error)
                if "unexpected end" in str(error) or self._skipped + reader.line_num > line:
                    raise UnreadableFile(problem, line) from None
                sloppy = next(csv.reader(last, delimiter=self._delimiter), [])
                yield ReadRow(line, ContactDraft(), problem, tuple(sloppy))
                continue
            if any(map(str.strip, cells)):
                yield self._row(line, cells)

    def _row(self, line: int, cells: list[str]) -> ReadRow:
        problem = ""
        if len(cells) > self._width and any(cell.strip() for cell in cells[self._width :]):
            problem = (
                f"This row has {len(cells):,} cells, but the header has {self._width:,}."
                " Put quotation marks around a cell that holds the separator."
            )
        elif max(map(len, cells)) > CELL_LIMIT:
            problem = f"A cell of this row has more than {CELL_LIMIT:,} characters. Shorten it."
        original = tuple(cells)
        if problem:
            return ReadRow(line, ContactDraft(), problem, original)
        if len(cells) < self._width:
            cells = cells + [""] * (self._width - len(cells))
        if self._guarded:
            cells = [unguarded(cell) if cell[:1] == "'" else cell for cell in cells]
        return ReadRow(line, self._draft(cells), "", original)

    def _draft(self, cells: list[str]) -> ContactDraft:
        record = Record()
        addresses: dict[str, list[str]] = {}
        for cell in self._plan:
            value = cells[cell.index]
            if not value or value.isspace():
                continue
            match cell.role:
                case "name":
                    record.names.append(value)
                case "prefix" | "given" | "middle" | "family" | "suffix":
                    record.add_part(cell.role, value)
                case "nickname":
                    record.add_nickname(value)
                case "email" | "phone":
                    label = cells[cell.label_at] if cell.label_at >= 0 else cell.label
                    for one in self._values(value):
                        if cell.role == "email":
                            record.add_email(one, label)
                        else:
                            record.add_phone(one, label)
                case "company":
                    record.companies.setdefault(value, "")
                case "notes":
                    record.notes.append(value)
                case "tags":
                    if cell.words != "categories" or self._dialect != "Contacts" or not record.tags:
                        record.tags += self._tags(cell.words, value)
                case "address":
                    label = of_kind("Address", cells[cell.label_at]) if cell.label_at >= 0 else cell.label
                    parts = addresses.setdefault(f"{label}\n{cell.group}", [])
                    if cell.words == "formatted":
                        parts[:] = ["", *self._values(value)]  # the whole address: its parts say no more
                    elif parts[:1] != [""]:
                        parts.append(value)
                case "display":  # Outlook's "Ada Lovelace (ada@example.com)" says nothing new
                    known = [*record.emails, *record.names, *record.parts.values()]
                    if not any(text in value for text in known):
                        record.add_line(cell.label, value)
                case _:
                    self._add_line(record, cell, cells, value)
        for key, parts in addresses.items():
            record.add_line(key.partition("\n")[0], "\n".join(parts))
        return record.draft()

    def _add_line(self, record: Record, cell: _Cell, cells: list[str], value: str) -> None:
        if (cell.words, value.strip()) in _DEFAULTS:
            return
        label = cell.label
        if cell.label_at >= 0 and (own := cells[cell.label_at].removeprefix("* ").strip()):
            label = of_kind(label, own) if label in ("Website", "IM") else own
        record.add_line(label, ", ".join(self._values(value)))

    def _values(self, value: str) -> list[str]:
        """The values of one cell: Google puts several into one."""
        return value.split(_LABEL_MARK) if self._dialect == "Google Contacts" else [value]

    def _tags(self, words: str, value: str) -> list[str]:
        """The tags of one cell. A tag holds no comma, so a comma always separates."""
        if self._dialect == "Contacts" and words == "labels":
            return [_unescaped(tag) for tag in value.split(_LABEL_MARK)]
        if self._dialect == "Google Contacts" and words in ("labels", "group membership"):
            found = [tag.strip() for tag in re.split(r"\s*:::\s*|,", value)]
            return [
                tag.removeprefix("* ")
                for tag in found
                if tag.lower() not in ("* mycontacts", "* my contacts")
            ]
        return [tag.strip() for tag in re.split(r"\s*:::\s*|[;,]", value) if tag.strip()]


# --- writing


def write_csv(contacts: Iterable[Contact]) -> Iterator[str]:
    """Write our own CSV, a few contacts at a time: UTF-8 with BOM (for Excel), lines end with CR LF."""
    page = _Page(",")
    page.add([*OWN_HEADER, *TWINS])
    yield "\ufeff" + page.take()
    for count, contact in enumerate(contacts, 1):
        page.add(_own_cells(ContactDraft.of(contact)) + _twin_cells(contact))
        if count % CONTACTS_PER_CHUNK == 0:
            yield page.take()
    if rest := page.take():
        yield rest


def write_failed(source: Source, failed: Iterable[tuple[ReadRow, Mapping[str, str] | str]]) -> Iterator[str]:
    """Write rows that failed, to mend and import again: their columns, then Line and Problem.

    Rows of a foreign CSV file keep its columns and their cells; all others get our own. The
    cells that a row has beyond its header stand behind Problem, so it is refused until mended.
    failed: each row with its messages by field, or with one message.
    """
    foreign = source.format == "csv"
    twins = TWINS if source.dialect == "Contacts" else ()  # a value that stands twice is mended once only
    kept = [
        (index, column)
        for index, column in enumerate(source.columns)
        if column.header not in twins and not _is_mending(column)
    ]
    page = _Page(source.delimiter or ",")
    page.add([*([guarded(column.header) for _, column in kept] if foreign else OWN_HEADER), *MENDING])
    yield "\ufeff" + page.take()
    plain = unguarded if is_guarded(source) else str
    for row, errors in failed:
        if foreign:
            cells = [
                guarded(plain(row.cells[index]), phone=column.field == "phone")
                if index < len(row.cells)
                else ""
                for index, column in kept
            ]
            extra = [guarded(plain(cell)) for cell in row.cells[len(source.columns) :]]
        else:
            cells, extra = _own_cells(row.draft), []
        page.add([*cells, str(row.line), guarded(_message(errors)), *extra])
        yield page.take()


def guarded(cell: str, *, phone: bool = False) -> str:
    """A cell that no spreadsheet takes for a formula: `"=1+1"` gets an apostrophe in front.

    So do cells that begin with apostrophes before such a character, so that `unguarded` gives
    every cell back as it was. phone: the characters of a phone number may stay, "+" and all.
    OWASP, CSV Injection: such a cell begins with = + - @ tab or CR.
    """
    if not _FORMULA.match(cell) or (phone and _PHONE_CELL.fullmatch(cell)):
        return cell
    return f"'{cell}"


def unguarded(cell: str) -> str:
    """The cell that `guarded` made this one from; other cells as they are."""
    return cell[1:] if cell[:1] == "'" and _FORMULA.match(cell) else cell


def _own_cells(draft: ContactDraft) -> list[str]:
    """The cells of OWN_HEADER. Company and notes may hold anything, tags " ::: " (see `_escaped`)."""
    first, _, last = draft.name.rpartition(" ")
    if not first:
        first, last = last, ""
    return [
        guarded(first),
        guarded(last),
        guarded(draft.company),
        guarded(draft.email),
        guarded(draft.phone, phone=True),
        guarded(_LABEL_MARK.join([_escaped(tag) for tag in draft.tags])),
        guarded(draft.notes),
    ]


def _twin_cells(contact: Contact) -> list[str]:
    """The cells of TWINS; Outlook separates categories by semicolons."""
    return [
        guarded(contact.company),
        guarded(contact.email),
        guarded(contact.phone, phone=True),
        guarded(";".join(contact.tags)),
    ]


def _escaped(tag: str) -> str:
    """A tag that is no more than one label: a backslash is doubled, and ":::" gets three."""
    return tag.replace("\\", "\\\\").replace(":::", "\\:\\:\\:")


def _unescaped(label: str) -> str:
    return re.sub(r"\\(.)", r"\1", label) if "\\" in label else label


def _message(errors: Mapping[str, str] | str) -> str:
    if isinstance(errors, str):
        return errors
    return "; ".join(f"{field}: {message}" for field, message in errors.items())


class _Page:
    """Rows of CSV, written here and taken away as text."""

    def __init__(self, delimiter: str) -> None:
        self._text = io.StringIO(newline="")
        self._writer = csv.writer(self._text, delimiter=delimiter, lineterminator="\r\n")

    def add(self, cells: list[str]) -> None:
        """Write one row; what no file can hold (NUL, half of a character) goes."""
        self._writer.writerow([_storable(cell) for cell in cells])

    def take(self) -> str:
        """The rows written since the last call."""
        text = self._text.getvalue()
        self._text.seek(0)
        self._text.truncate()
        return text


def _storable(cell: str) -> str:
    if "\0" in cell:
        cell = cell.replace("\0", "")
    return cell if cell.isascii() else cell.encode("utf-8", "replace").decode()
