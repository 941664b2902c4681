"""Files of contacts: what each one is, what cannot be read, and that writing loses nothing."""

import io
import json
from collections.abc import Generator, Iterator

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from app.contacts import records
from app.contacts.contact import Contact, ContactDraft, InvalidContact, now
from app.contacts.interchange import (
    FILE_LIMIT,
    FORMATS,
    MEDIA_TYPES,
    Format,
    ReadRow,
    Source,
    UnreadableFile,
    failed_csv,
    open_source,
    write,
)
from tests.making import ADA, ALAN, GRACE

CARD = "BEGIN:VCARD\r\nVERSION:3.0\r\nFN:Ada Lovelace\r\nEMAIL:ada@example.com\r\nEND:VCARD\r\n"
EXCEL = "This is an Excel workbook. Save it as CSV and choose that file."


def opened(content: str | bytes, name: str = "") -> Source:
    """The source of a file with this content, as UTF-8."""
    return open_source(io.BytesIO(content.encode() if isinstance(content, str) else content), name)


def contacts(*drafts: ContactDraft) -> list[Contact]:
    """Stored contacts of these drafts, with ids from 1."""
    return [Contact.create(number, draft.clean(), now()) for number, draft in enumerate(drafts, 1)]


def written(format: Format, *drafts: ContactDraft) -> str:
    """The file of these drafts."""
    return "".join(write(contacts(*drafts), format))


def refusal(content: str | bytes, name: str = "") -> UnreadableFile:
    """Why a file is refused at once."""
    with pytest.raises(UnreadableFile) as refused:
        opened(content, name)
    return refused.value


def interruption(content: str | bytes, name: str = "") -> tuple[UnreadableFile, list[ReadRow]]:
    """Why reading a file stops, and the rows before."""
    rows: list[ReadRow] = []
    with pytest.raises(UnreadableFile) as refused:
        rows.extend(opened(content, name).rows())
    return refused.value, rows


# --- nothing is lost between writing and reading

NASTY = [
    "id", "=1+1", "'=x", "''+1", "-", "@", "'", "+44", "'-", "\\", "\\n", "\\,", ";", ",", '"', '""',
    "a;b,c", "x\\", ":::", "* Work", "* myContacts", "Email:", "x@y", "sep=;", "Line", "\u202e", "\ufeff",
    "e\u0301", "مريم", "👩\u200d💻", "夏培肃", "\u200b", "END:VCARD", "=", "NOTE;X:", "{", "[",
    "n", "N", "::", ":",
]  # fmt: skip
word = st.one_of(st.sampled_from(NASTY), st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=12))
text = st.lists(word, max_size=5).map(" ".join)
phone = st.text("0123456789+-(). /xX", max_size=20).map(lambda marks: f"{marks}1")
local = st.one_of(
    st.sampled_from(["ada", "=ada", "+ada", "'=ada", "-", "'", "@", "ada*{x}", "用户"]),
    st.text(st.characters(categories=["L", "N", "S", "Pd"]), min_size=1, max_size=8),
)


@st.composite
def drafts(draw: st.DrawFn) -> ContactDraft:
    """A cleaned draft, any that keeps the rules."""
    draft = ContactDraft(
        name=draw(text),
        email=draw(st.one_of(st.just(""), local.map(lambda part: f"{part}@example.com"))),
        phone=draw(st.one_of(st.just(""), phone)),
        company=draw(text),
        notes=draw(st.lists(text, max_size=4).map("\n".join)),
        tags=tuple(draw(st.lists(text.map(lambda tag: tag.replace(",", "")[:30]), max_size=4))),
    )
    try:
        return draft.clean()
    except InvalidContact:
        assume(False)
        raise


@pytest.mark.parametrize("format", FORMATS)
@settings(max_examples=100)
@given(kept=st.lists(drafts(), min_size=1, max_size=4))
@example(
    kept=[
        ContactDraft(name="'=1 -", phone="+44 1", notes="=x\nEmail: a\u2028b\n\n-", tags=(":::", "a ::: b"))
    ]
)
@example(kept=[ContactDraft(name="Ada " + "é," * 90, phone="1", notes="ü;\\" * 900)])
def test_what_is_written_reads_back_the_same(format: Format, kept: list[ContactDraft]) -> None:
    kept = [draft.clean() for draft in kept]

    source = opened(written(format, *kept))

    assert [row.draft.clean() for row in source.rows()] == kept
    assert [row.problem for row in source.rows()] == [""] * len(kept)


@settings(max_examples=60)
@given(kept=st.lists(drafts(), min_size=1, max_size=3))
@pytest.mark.parametrize("format", FORMATS)
def test_rows_that_failed_read_back_the_same(format: Format, kept: list[ContactDraft]) -> None:
    source = opened(written(format, *kept))

    mended = opened("".join(failed_csv(source, [(row, "Mend it.") for row in source.rows()])))

    assert [row.draft.clean() for row in mended.rows()] == kept


@settings(max_examples=100)
@given(cells=st.lists(st.lists(text, min_size=3, max_size=3), min_size=1, max_size=3))
def test_failed_rows_of_a_foreign_file_keep_their_cells(cells: list[list[str]]) -> None:
    body = "\r\n".join(",".join('"' + cell.replace('"', '""') + '"' for cell in row) for row in cells)
    source = opened(f"Name,E-mail,Shoe size\r\nx,,\r\n{body}\r\n")

    mended = opened("".join(failed_csv(source, [(row, "Mend it.") for row in source.rows()])))

    assert [row.draft for row in mended.rows()] == [row.draft for row in source.rows()]


@pytest.mark.parametrize("format", FORMATS)
def test_writing_needs_no_more_than_a_few_contacts_at_a_time(format: Format) -> None:
    taken = 0

    def many() -> Iterator[Contact]:
        nonlocal taken
        for contact in contacts(ADA) * 10_000:
            taken += 1
            yield contact

    chunks = write(many(), format)
    next(chunks)
    next(chunks)

    assert taken <= 200
    assert max(map(len, chunks)) < 100_000
    assert taken == 10_000


@pytest.mark.parametrize("format", FORMATS)
def test_a_source_may_be_read_more_than_once_and_side_by_side(format: Format) -> None:
    source = opened(written(format, ADA, GRACE, ALAN))

    pairs = list(zip(source.rows(), source.rows(), strict=True))

    assert [one.draft.name for one, _ in pairs] == ["Ada Lovelace", "Grace Hopper", "Alan Turing"]
    assert all(one == other for one, other in pairs)


def test_reading_leaves_the_file_open() -> None:
    file = io.BytesIO(CARD.encode())

    rows = open_source(file).rows()
    next(rows)
    assert isinstance(rows, Generator)
    rows.close()

    assert not file.closed


# --- what a file is


@pytest.mark.parametrize(
    ("content", "name", "format", "dialect"),
    [
        (CARD, "contacts.csv", "vcf", "vCard 3.0"),
        (f"\ufeff\r\n{CARD}", "", "vcf", "vCard 3.0"),
        (CARD.replace("BEGIN:VCARD", "begin:vcard"), "", "vcf", "vCard 3.0"),
        (CARD.replace("3.0", "3.0\r\nPRODID:-//Apple Inc.//iOS 18//EN"), "", "vcf", "Apple"),
        (f"Ada's cards\n{CARD}", "ada.VCF", "vcf", "vCard 3.0"),
        ('[{"name": "Ada"}]', "contacts.csv", "json", "Contacts"),
        (' \n{"contacts": [{"name": "Ada"}]}', "", "json", "Contacts"),
        ("Name\nAda", "contacts.vcf.txt", "csv", "CSV"),
        (written("csv", ADA), "", "csv", "Contacts"),
        (written("vcf", ADA), "", "vcf", "vCard 4.0"),
        (written("json", ADA), "", "json", "Contacts"),
    ],
)
def test_a_file_is_known_by_its_content_and_then_by_its_name(
    content: str, name: str, format: str, dialect: str
) -> None:
    source = opened(content, name)

    assert (source.format, source.dialect) == (format, dialect)
    assert "Ada" in [row.draft.name[:3] for row in source.rows()]


@pytest.mark.parametrize(
    ("codec", "encoding"),
    [
        ("utf-8", "utf-8"),
        ("utf-8-sig", "utf-8"),
        ("utf-16", "utf-16"),
        ("cp1252", "cp1252"),
    ],
)
@pytest.mark.parametrize(
    "content", ["Name,Phone\nRózsa Péter,1", CARD.replace("Ada Lovelace", "Rózsa Péter")]
)
def test_text_is_read_in_the_encoding_it_has(content: str, codec: str, encoding: str) -> None:
    source = opened(content.encode(codec))

    assert source.encoding == encoding
    assert [row.draft.name for row in source.rows()] == ["Rózsa Péter"]


def test_utf_16_without_the_order_of_this_machine_is_read() -> None:
    source = opened(b"\xfe\xff" + "Name,Phone\nAda,1".encode("utf-16-be"))

    assert [row.draft.name for row in source.rows()] == ["Ada"]


def test_the_encoding_counts_the_whole_file() -> None:
    source = opened(b"Name,Phone\n" + b"Ada,1\n" * 20_000 + "Péter,2\n".encode("cp1252"))

    assert source.encoding == "cp1252"
    assert [row.draft.name for row in source.rows()][-1] == "Péter"


@settings(max_examples=300)
@given(
    content=st.sampled_from([written(format, ADA, GRACE).encode() for format in FORMATS] + [CARD.encode()]),
    changes=st.lists(
        st.tuples(
            st.integers(0, 400),
            st.integers(0, 3),
            st.one_of(
                st.binary(max_size=3),
                st.sampled_from(
                    [
                        b'"',
                        b"\n",
                        b",",
                        b"\r",
                        b"=",
                        b":",
                        b"\\",
                        b"=00",
                        b"\\ud800",
                        b"[",
                        b"}",
                        b"\0",
                        b"\xff\xfe",
                    ]
                ),
            ),
        ),
        max_size=6,
    ),
)
def test_any_damage_is_told_in_words(content: bytes, changes: list[tuple[int, int, bytes]]) -> None:
    for place, length, new in changes:
        content = content[:place] + new + content[place + length :]

    told = ""
    try:
        source = opened(content)
        rows = list(source.rows())
        "".join(failed_csv(source, [(row, "Mend it.") for row in rows])).encode()
    except UnreadableFile as unreadable:
        told = str(unreadable)

    assert told.endswith((".", "[...].")) if told else rows


def test_each_format_has_a_media_type() -> None:
    assert MEDIA_TYPES == {
        "csv": "text/csv; charset=utf-8",
        "vcf": "text/vcard; charset=utf-8",
        "json": "application/json",
    }


# --- what cannot be read


@pytest.mark.parametrize(
    ("content", "name", "message"),
    [
        (b"", "", "This file is empty. Export the contacts again and choose the new file."),
        (b" \r\n\t", "", "This file is empty. Export the contacts again and choose the new file."),
        (b"\xef\xbb\xbf\n", "", "This file is empty. Export the contacts again and choose the new file."),
        (b"\xff\xfe", "", "This file is empty. Export the contacts again and choose the new file."),
        (b"PK\x03\x04\x14\x00", "contacts.csv", EXCEL),
        (b"\xd0\xcf\x11\xe0\xa1\xb1", "", EXCEL),
        (b"PK\x03\x04", "a.ZIP", "This is a ZIP archive. Unpack it and choose the CSV or vCard file inside."),
        (
            b"%PDF-1.7",
            "",
            "This is a PDF document. Export the contacts as CSV or vCard and choose that file.",
        ),
        (b"\x1f\x8b\x08", "", "This file is compressed. Unpack it and choose the file inside."),
        (
            b"\x89PNG\r\n\x1a\n\0\0",
            "",
            "This file is no text. Export the contacts as CSV or vCard and choose that file.",
        ),
        (b"x" * (FILE_LIMIT + 1), "", "This file has 32.0 MB; at most 32 MB can be read."),
        (b"[]", "", "This file has no contacts."),
        (b'{"contacts": []}', "", "This file has no contacts."),
    ],
)
def test_a_file_without_contacts_is_refused_with_what_to_do(content: bytes, name: str, message: str) -> None:
    assert str(refusal(content, name)).startswith(message)


def test_a_file_may_be_as_large_as_the_limit() -> None:
    row = b"Ada,1," + b"x" * 99_993 + b"\n"  # 100,000 bytes
    content = b"Name,Phone,Notes\n" + row * (FILE_LIMIT // len(row))

    source = opened(content.ljust(FILE_LIMIT))

    assert len(list(source.rows())) == FILE_LIMIT // len(row)


@pytest.mark.parametrize("format", FORMATS)
def test_a_file_may_have_as_many_contacts_as_the_limit(
    format: Format, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(records, "ROWS_LIMIT", 2)

    assert len(list(opened(written(format, ADA, GRACE)).rows())) == 2
    stopped, rows = interruption(written(format, ADA, GRACE, ALAN))
    assert str(stopped) == "This file has more than 2 contacts. Split it and import the parts."
    assert stopped.line == {"csv": 4, "vcf": 16, "json": 4}[format]
    assert len(rows) == 2


@pytest.mark.parametrize(("end", "line"), [("\n", 1_502), ("\r\n", 1_502), ("\r", 1_502)])
def test_bytes_that_are_no_text_are_named_by_their_line(end: str, line: int) -> None:
    start = f"Name,Phone{end}" + f"Ada,1{end}" * 1_500

    stopped, _ = interruption(start.encode() + b"Gr\xe9te,2\x81" + end.encode())

    assert stopped.line == line
    assert str(stopped) == "Line 1,502 holds bytes that are no cp1252 text. Save the file as UTF-8."


def test_a_file_that_says_it_is_utf_8_is_not_read_as_anything_else() -> None:
    stopped, _ = interruption(b"\xef\xbb\xbfName,Phone\nAda,1\nGr\xe9te,2")

    assert (stopped.line, "utf-8" in str(stopped)) == (3, True)


def test_utf_16_that_is_cut_off_is_broken() -> None:
    stopped, _ = interruption("Name,Phone\nAda,1\n".encode("utf-16") + b"A")

    assert stopped.line == 3


def test_a_nul_far_behind_stops_the_reading() -> None:
    stopped, rows = interruption("Name,Phone\n" + "Ada,1\n" * 2_000 + "Gra\0ce,2\n")

    assert (stopped.line, len(rows)) == (2_002, 2_000)
    assert str(stopped) == "Line 2,002 holds a NUL byte, so the file is damaged. Export it again."


# --- JSON


def json_rows(content: str) -> list[ReadRow]:
    return list(opened(content, "contacts.json").rows())


def test_json_has_every_field() -> None:
    contact = Contact.create(7, ADA, now())

    (document,) = json.loads("".join(write([contact], "json")))["contacts"]

    moment = contact.created_at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    assert document == {
        "id": 7,
        "name": "Ada Lovelace",
        "email": "ada@example.com",
        "phone": "+44 20 7946 0101",
        "company": "Engines",
        "notes": "",
        "tags": [],
        "created_at": moment,
        "updated_at": moment,
        "version": 1,
    }


def test_json_without_contacts_is_still_a_document() -> None:
    assert json.loads("".join(write([], "json"))) == {"contacts": []}


def test_json_keys_without_a_field_become_lines_of_the_notes() -> None:
    (row,) = json_rows(
        '[{"name": "Ada", "notes": "First.", "born": 1815, "job": "a\\nb", "y": [1], "x": null, "id": 7}]'
    )

    assert row.draft == ContactDraft(name="Ada", notes="First.\nborn: 1815\njob: a, b\ny: [1]")


def test_json_tags_may_be_one_text() -> None:
    (row,) = json_rows('[{"name": "Ada", "tags": "work, VIP"}]')

    assert row.draft.tags == ("work", "VIP")


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        ("7", 'This is no contact: it must be an object, {"name": ...}.'),
        ('{"name": 7}', "“name” must be text."),
        ('{"email": ["ada@example.com"]}', "“email” must be text."),
        ('{"tags": {"a": 1}}', "“tags” must be a list of texts."),
        ('{"tags": [1]}', "“tags” must be a list of texts."),
        (
            r'{"name": "\ud800"}',
            "A text holds half of a character (a lone surrogate), or lists are nested too deep.",
        ),
    ],
)
def test_a_wrong_json_record_is_a_problem_and_the_others_go_on(value: str, problem: str) -> None:
    rows = json_rows(f'[\n{value},\n\n{{"name": "Ada"}}]')

    assert [(row.line, row.problem) for row in rows] == [(2, problem), (4, "")]
    assert rows[0].draft == ContactDraft()


def test_json_with_other_keys_around_its_contacts_is_read() -> None:
    (row,) = json_rows('{"made": {"by": [1, "]"]}, "contacts": [{"name": "Ada"}], "count": 1}')

    assert row.draft.name == "Ada"


def test_a_json_record_may_be_longer_than_what_is_read_at_once() -> None:
    notes = "x" * 300_000

    (row, other) = json_rows(json.dumps([{"name": "Ada", "notes": notes}, {"name": "Grace"}]))

    assert (row.draft.notes, other.draft.name) == (notes, "Grace")


@pytest.mark.parametrize("cut", [2, 13, 18, 30, 40])
def test_json_that_is_cut_off_is_broken(cut: int) -> None:
    whole = '{"contacts": [\n{"name": "Ada"},\n{"name": "Grace"}]}'

    stopped, _ = interruption(whole[:cut])

    assert str(stopped).startswith(f"The JSON is broken in or behind line {stopped.line}: ")
    assert stopped.line == whole[:cut].rstrip().count("\n") + 1


@pytest.mark.parametrize(
    "content",
    [
        '[{"name": "Ada"},]',
        '[{"name": "Ada"} {"name": "Grace"}]',
        '[{"name": "Ada"}] x',
        '[{"name": Ada}]',
        "[" * 200_000,
        '{"people": []}',
        '"Ada"',
    ],
)
def test_broken_json_stops_the_reading(content: str) -> None:
    stopped, _ = interruption(content, "contacts.json")

    assert "JSON" in str(stopped)
