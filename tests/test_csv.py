"""CSV files of contacts: what their columns fill, what a broken row says, and what ours look like."""

import csv
import io

import pytest

from app.contacts.contact import Contact, ContactDraft, now
from app.contacts.interchange import Column, ReadRow, Source, UnreadableFile, failed_csv, open_source, write
from tests.making import ADA

# Shortened from what the programs export: the columns in their order, one row.
GOOGLE = """\
First Name,Middle Name,Last Name,Name Prefix,Name Suffix,Nickname,Organization Name,Organization Title,\
Organization Department,Birthday,Notes,Photo,Labels,E-mail 1 - Label,E-mail 1 - Value,E-mail 2 - Label,\
E-mail 2 - Value,Phone 1 - Label,Phone 1 - Value,Phone 2 - Label,Phone 2 - Value,Address 1 - Label,\
Address 1 - Formatted,Address 1 - Street,Address 1 - City,Address 1 - Postal Code,Website 1 - Label,\
Website 1 - Value,Event 1 - Label,Event 1 - Value,Relation 1 - Label,Relation 1 - Value,\
Custom Field 1 - Label,Custom Field 1 - Value
Grace,Brewster,Hopper,Rear Admiral,PhD,Amazing Grace,U.S. Navy,Programmer,Reserve,1906-12-09,Wrote A-0,\
https://example.org/grace.jpg,* myContacts ::: Navy ::: * starred,* Work,grace@example.org,Home,\
hopper@example.com ::: g.hopper@example.net,Mobile,+1 202-555-0101 ::: 202-555-0102,* Home,202-555-0103,Home,\
"1 Navy Yard
Washington
20374",1 Navy Yard,Washington,20374,Blog,https://example.org,Anniversary,1930-06-15,Spouse,Vincent,\
Ship,USS Hopper
"""
GOOGLE_BEFORE = """\
Name,Given Name,Additional Name,Family Name,Birthday,Notes,Group Membership,E-mail 1 - Type,E-mail 1 - Value,\
IM 1 - Type,IM 1 - Service,IM 1 - Value,Phone 1 - Type,Phone 1 - Value,Address 1 - Type,Address 1 - Street,\
Address 1 - City,Organization 1 - Type,Organization 1 - Name,Organization 1 - Title
Alan Turing,Alan,Mathison,Turing,,,* My Contacts ::: Bletchley,* ,alan@example.net,Home,Jabber,alan,\
Work,555-0104,Work,Oxford Road,Manchester,,University of Manchester,Reader
"""
OUTLOOK = """\
First Name,Middle Name,Last Name,Title,Suffix,E-mail Address,E-mail Type,E-mail Display Name,\
E-mail 2 Address,Home Phone,Business Phone,Mobile Phone,Business Fax,Assistant's Phone,Job Title,Company,\
Business Street,Business City,Business Country/Region,Home City,Birthday,Priority,Sensitivity,\
Web Page,Notes,Categories
Ada,,Lovelace,Countess,,ada@example.com,SMTP,Ada Lovelace (ada@example.com),ada@example.org,,\
555-0105,555-0106,555-0107,555-0108,Analyst,Engines,12 St James's Sq,London,UK,Ockham,0/0/00,Normal,Normal,\
https://example.com,First line,Work;VIP
"""


def opened(content: str | bytes) -> Source:
    """The source of a CSV file with this content."""
    return open_source(io.BytesIO(content.encode() if isinstance(content, str) else content))


def rows(content: str | bytes) -> list[ReadRow]:
    """All rows of a CSV file."""
    return list(opened(content).rows())


def row(header: str, cells: str) -> ContactDraft:
    """The draft of the only row of a CSV file."""
    (only,) = rows(f"{header}\r\n{cells}\r\n")
    assert only.problem == ""
    return only.draft


def fields(content: str) -> dict[str, str]:
    """What each column fills, by header."""
    return {column.header: column.field for column in opened(content).columns}


def exported(*drafts: ContactDraft) -> str:
    """Our own CSV of these drafts."""
    return "".join(write([Contact.create(1, draft.clean(), now()) for draft in drafts], "csv"))


def cells_of(text: str, delimiter: str = ",") -> list[list[str]]:
    """The cells of a CSV text that begins with a BOM."""
    assert text.startswith("\ufeff")
    return list(csv.reader(io.StringIO(text[1:], newline=""), delimiter=delimiter, strict=True))


# --- exports of well-known programs


def test_google_contacts() -> None:
    source = opened(GOOGLE)

    (only,) = source.rows()
    assert source.dialect == "Google Contacts"
    assert only.draft == ContactDraft(
        name="Rear Admiral Grace Brewster Hopper PhD",
        email="grace@example.org",
        phone="+1 202-555-0101",
        company="U.S. Navy",
        notes="""\
Wrote A-0
Nickname: Amazing Grace
Email (home): hopper@example.com
Email (home): g.hopper@example.net
Phone (mobile): 202-555-0102
Phone (home): 202-555-0103
Job title: Programmer
Department: Reserve
Birthday: 1906-12-09
Website (blog): https://example.org
Anniversary: 1930-06-15
Spouse: Vincent
Ship: USS Hopper
Address (home): 1 Navy Yard, Washington, 20374""",
        tags=("Navy", "starred"),
    )


def test_google_contacts_says_what_its_columns_fill() -> None:
    found = fields(GOOGLE)

    assert {header for header, field in found.items() if field == "name"} == {
        "First Name",
        "Middle Name",
        "Last Name",
        "Name Prefix",
        "Name Suffix",
    }
    assert [found["E-mail 2 - Value"], found["Phone 1 - Value"], found["Labels"]] == [
        "email",
        "phone",
        "tags",
    ]
    assert [found["Birthday"], found["Phone 1 - Label"], found["Photo"]] == ["", "", "-"]


def test_google_contacts_as_it_was_before() -> None:
    source = opened(GOOGLE_BEFORE)

    (only,) = source.rows()
    assert source.dialect == "Google Contacts"
    assert only.draft == ContactDraft(
        name="Alan Turing",
        email="alan@example.net",
        phone="555-0104",
        company="University of Manchester",
        notes="""\
Name (middle): Mathison
IM 1 - Service: Jabber
IM (home): alan
Job title: Reader
Address (work): Oxford Road, Manchester""",
        tags=("Bletchley",),
    )


def test_outlook() -> None:
    source = opened(OUTLOOK.encode("cp1252"))

    (only,) = source.rows()
    assert source.dialect == "Outlook"
    assert only.draft == ContactDraft(
        name="Countess Ada Lovelace",
        email="ada@example.com",
        phone="555-0105",
        company="Engines",
        notes="""\
First line
Email: ada@example.org
Phone (mobile): 555-0106
Business Fax: 555-0107
Assistant's Phone: 555-0108
Job title: Analyst
Website: https://example.com
Address (business): 12 St James's Sq, London, UK
Address (home): Ockham""",
        tags=("Work", "VIP"),
    )


@pytest.mark.parametrize(
    ("header", "name"),
    [
        ("First name,Last name,Company,Mobile,Home phone,Email", "Ada,Lovelace"),
        ("FIRST_NAME,LAST-NAME,Organisation,Phone,Phone (home),E-Mail (work)", "Ada,Lovelace"),
        ("name,organization,telephone,home-phone,mail", "Ada Lovelace"),
        ("Vorname,Nachname,Firma,Telefon,Home Phone,E-Mail-Adresse", "Ada,Lovelace"),
        ("Name,Vorname,Firma,Handy,Home Phone,Mail", "Lovelace,Ada"),
        ("Nom,Prénom,Société,Téléphone,Home Phone,Courriel", "Lovelace,Ada"),
        ("Nombre,Apellidos,Empresa,Móvil,Home Phone,Correo electrónico", "Ada,Lovelace"),
        ('"Full\n name",Employer,Primary Phone,HOME PHONE 2,Work Email', "Ada Lovelace"),
    ],
)
def test_plain_headers_of_many_kinds(header: str, name: str) -> None:
    assert row(header, f"{name},Engines,555-0101,555-0102,ada@example.com") == ContactDraft(
        name="Ada Lovelace",
        email="ada@example.com",
        phone="555-0101",
        company="Engines",
        notes="Phone (home): 555-0102",
    )


# --- what becomes of a row


def test_columns_that_are_not_known_become_lines_of_the_notes() -> None:
    draft = row("Name,Shoe size,Notes,,Comment", 'Ada,"37\r\n½",First,x,Second')

    assert draft.notes == "First\nSecond\nShoe size: 37, ½\nColumn 4: x"


def test_the_first_value_fills_the_field_and_the_same_value_is_kept_once() -> None:
    draft = row("Name,Email,Work email,Other email,Company,Employer", "Ada,,b@x.org,b@x.org,,Engines")

    assert draft == ContactDraft(name="Ada", email="b@x.org", company="Engines")


@pytest.mark.parametrize(
    ("cells", "name", "notes"),
    [
        ("Ada,Countess,Engines,ada@example.com", "Ada", "Nickname: Countess"),
        (",Countess,Engines,ada@example.com", "Countess", ""),
        (",,Engines,ada@example.com", "Engines", ""),
        (" , ,,ada@example.com", "ada@example.com", ""),
    ],
)
def test_a_row_without_a_name_is_named_by_what_it_has(cells: str, name: str, notes: str) -> None:
    draft = row("First name,Nickname,Company,Email", cells)

    assert (draft.name, draft.notes) == (name, notes)


def test_an_email_that_breaks_the_rules_stays_as_it_is() -> None:
    assert row("Name,Email", "Ada,Ada at example").email == "Ada at example"


@pytest.mark.parametrize(
    ("written", "kept"),
    [
        ("555-0101 ext. 5", "555-0101 x5"),
        ("555-0101ext5", "555-0101 x5"),
        ("555-0101 Extension 5", "555-0101 x5"),
        ("555-0101#5", "555-0101 x5"),
        ("tel:+1-202-555-0101;ext=5", "+1-202-555-0101 x5"),
        ("\u202a+1\u00a0202\u2011555\u20130101\u202c", "+1 202-555-0101"),
        ("٠١٢ \uff0b\uff13", "012 +3"),
        ("555 0101 x5", "555 0101 x5"),
        ("ask Ada", "ask Ada"),
    ],
)
def test_a_phone_is_brought_into_allowed_characters_without_losing_a_digit(written: str, kept: str) -> None:
    assert row("Name,Phone", f"Ada,{written}").phone == kept


def test_a_value_without_anything_in_it_fills_no_field() -> None:
    draft = row("Name,E-mail 1 - Value,Phone 1 - Value,Nickname", "Ada, ::: ada@example.com,\u200e ::: 1,")

    assert draft == ContactDraft(name="Ada", email="ada@example.com", phone="1")


@pytest.mark.parametrize("cell", ["work;VIP", "work ::: VIP", '"work, VIP"', '" work ;; VIP;"'])
def test_tags_are_separated_in_any_common_way(cell: str) -> None:
    assert row("Name,Tags", f"Ada,{cell}").tags == ("work", "VIP")


def test_title_is_a_job_title_where_it_is_not_outlooks() -> None:
    assert row("Name,Title,Email Address,Mobile Phone", "Ada,Analyst,,").notes == "Job title: Analyst"


def test_someone_elses_email_and_phone_fill_no_field() -> None:
    draft = row("Name,Manager Email,Emergency phone", "Ada,boss@example.com,555-0101")

    assert draft == ContactDraft(
        name="Ada", notes="Manager Email: boss@example.com\nEmergency phone: 555-0101"
    )


def test_empty_rows_are_skipped_and_short_rows_are_filled_up() -> None:
    found = rows("\r\nName,Phone,Notes\r\n\r\nAda\r\n,,\r\n ,\t,\r\nGrace,1\r\n")

    assert [(one.line, one.draft.name, one.problem) for one in found] == [(4, "Ada", ""), (7, "Grace", "")]


def test_a_row_says_the_line_where_it_begins_and_keeps_its_cells() -> None:
    found = rows('Name,Notes\rAda,"one\rtwo"\r\nGrace,\u2028x\x85y\nAlan,=1')

    assert [one.line for one in found] == [2, 4, 5]
    assert [one.cells for one in found] == [("Ada", "one\rtwo"), ("Grace", "\u2028x\x85y"), ("Alan", "=1")]


# --- delimiters


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_the_delimiter_is_the_most_frequent_of_the_header(delimiter: str) -> None:
    quoted = '"Notes ' + ",;\t".replace(delimiter, "") * 5 + '"'
    source = opened(f"{delimiter.join(['Name', quoted, 'Phone'])}\n{delimiter.join(['Ada', '', '1'])}\n")

    assert source.delimiter == delimiter
    assert [(one.draft.name, one.draft.phone) for one in source.rows()] == [("Ada", "1")]


def test_excels_first_line_names_the_delimiter() -> None:
    source = opened("sep=|\r\nName|Phone\r\nAda|1\r\n")

    assert source.delimiter == "|"
    assert [(one.line, one.draft.name, one.draft.phone) for one in source.rows()] == [(3, "Ada", "1")]


# --- what is wrong with a row or a file


def test_a_row_with_more_cells_than_the_header_is_a_problem() -> None:
    found = rows("Name,Phone\nAda,1,2\nGrace,2,,\nAlan,3")

    assert [one.problem for one in found] == [
        "This row has 3 cells, but the header has 2."
        " Put quotation marks around a cell that holds the separator.",
        "",
        "",
    ]
    assert (found[0].draft, found[0].cells) == (ContactDraft(), ("Ada", "1", "2"))


def test_a_cell_that_is_too_long_is_a_problem() -> None:
    found = rows(f"Name,Notes\nAda,{'x' * 100_000}\nGrace,{'x' * 100_001}\nAlan,{'x' * 1_000_000}\nRózsa,")

    assert [one.problem for one in found] == [
        "",
        *["A cell of this row has more than 100,000 characters. Shorten it."] * 2,
        "",
    ]


def test_a_stray_quote_on_one_line_is_a_problem_of_that_row() -> None:
    found = rows('Name,Notes\nAda,"said "hi" there"\nGrace,x')

    assert [(one.line, one.draft.name) for one in found] == [(2, ""), (3, "Grace")]
    assert (
        found[0].problem
        == "The row in line 2 has a quotation mark inside a quoted cell. Double it or remove it."
    )
    assert found[0].cells == ("Ada", 'said hi" there"')


@pytest.mark.parametrize(
    ("end", "message"),
    [
        (
            '"x\nGrace,1\n',
            "The row in line 3 opens a quotation mark that is never closed. Close it or remove it.",
        ),
        (
            '"x\nGrace,"1"\n',
            "The row in line 3 has a quotation mark inside a quoted cell. Double it or remove it.",
        ),
    ],
)
def test_a_quote_that_is_not_closed_stops_the_reading(end: str, message: str) -> None:
    reading = opened(f"Name,Notes\nAda,x\nAlan,{end}").rows()
    first = next(reading)

    with pytest.raises(UnreadableFile) as stopped:
        next(reading)

    assert first.draft.name == "Ada"
    assert (str(stopped.value), stopped.value.line) == (message, 3)


@pytest.mark.parametrize(
    ("content", "message", "line"),
    [
        (
            "Shoe size,Colour\n37,blue",
            "No column of this file is a name, an email or a phone number. Its first line must name"
            " the columns, such as Name, First Name, Last Name, Email, Phone, Company, Notes or Tags;"
            " it has “Shoe size”, “Colour”.",
            1,
        ),
        (
            "Name,Email\r\n,\r\n",
            "This file has a header and no rows. Export the contacts again and choose the new file.",
            0,
        ),
        (
            'Name,"Email\nAda,1',
            "The row in line 1 opens a quotation mark that is never closed. Close it or remove it.",
            1,
        ),
    ],
)
def test_a_file_that_is_no_list_of_contacts_is_refused(content: str, message: str, line: int) -> None:
    with pytest.raises(UnreadableFile) as refused:
        opened(content)

    assert (str(refused.value), refused.value.line) == (message, line)


# --- our own file


def test_our_file_has_googles_columns_and_outlooks() -> None:
    draft = ContactDraft(
        "Augusta Ada Lovelace", "ada@example.com", "+44 1", "Engines", "One\nTwo", ("a;b", "c")
    )

    text = exported(draft)

    assert text.count("\r\n") == 2
    header, cells = cells_of(text)
    assert dict(zip(header, cells, strict=True)) == {
        "First Name": "Augusta Ada",
        "Last Name": "Lovelace",
        "Organization Name": "Engines",
        "E-mail 1 - Value": "ada@example.com",
        "Phone 1 - Value": "+44 1",
        "Labels": "a;b ::: c",
        "Notes": "One\nTwo",
        "Company": "Engines",
        "E-mail Address": "ada@example.com",
        "Primary Phone": "+44 1",
        "Categories": "a;b;c",
    }


def test_our_file_without_contacts_is_its_header() -> None:
    assert len(cells_of("".join(write([], "csv")))) == 1


def test_our_file_may_be_changed_in_either_programs_column() -> None:
    text = exported(ContactDraft("Ada", "ada@example.com"), ContactDraft("Grace", "grace@example.org"))
    changed = text.replace(",ada@example.com,", ",,", 1).replace("grace@example.org", "g@example.org", 1)

    assert [(one.draft.email, one.draft.notes) for one in rows(changed)] == [
        ("ada@example.com", ""),
        ("g@example.org", "Email: grace@example.org"),
    ]


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "'=", "''@", "=\t"])
def test_no_cell_of_ours_begins_like_a_formula(start: str) -> None:
    text = exported(
        ContactDraft(f"{start}a {start}b", "", "+1", f"{start}c", f"{start}d", (f"{start}e",)),
        ContactDraft("Ada", "=1+1@example.com"),
    )

    cells = [cell for line in cells_of(text)[1:] for cell in line]
    assert [cell for cell in cells if cell[:1] in ("=", "+", "-", "@", "\t", "\r") and cell != "+1"] == []
    assert cells.count("+1") == 2


def test_an_apostrophe_of_a_foreign_file_stays() -> None:
    assert row("Name,Notes", "'=Ada,'-x") == ContactDraft(name="'=Ada", notes="'-x")


# --- rows that failed


def test_failed_rows_have_their_columns_and_what_is_wrong() -> None:
    source = opened(
        "Vorname;E-Mail;Photo;Phone;Schuhgröße\r\nAda;ada@;x;+44;=1\r\nGrace;grace@example.org;;1;2;3\r\n"
    )
    first, second = source.rows()
    failed = "".join(
        failed_csv(source, [(first, {"email": "Enter it.", "phone": "No."}), (second, "=Too many.")])
    )

    assert cells_of(failed, ";") == [
        ["Vorname", "E-Mail", "Photo", "Phone", "Schuhgröße", "Line", "Problem"],
        ["Ada", "ada@", "x", "+44", "'=1", "2", "email: Enter it.; phone: No."],
        ["Grace", "grace@example.org", "", "1", "2", "3", "'=Too many.", "3"],
    ]


def test_mended_rows_are_read_without_line_and_problem_and_may_fail_again() -> None:
    source = opened("Name,Email\r\nx,\r\nAda,ada@\r\n")
    failed = "".join(failed_csv(source, [(list(source.rows())[1], "Enter an email.")]))

    mended = opened(failed.replace("ada@", "ada@example.com"))

    (only,) = mended.rows()
    assert only.draft == ContactDraft(name="Ada", email="ada@example.com")
    assert mended.columns[2:] == (Column("Line", "-"), Column("Problem", "-"))
    again = cells_of("".join(failed_csv(mended, [(only, "It is taken.")])))
    assert again == [["Name", "Email", "Line", "Problem"], ["Ada", "ada@example.com", "2", "It is taken."]]


@pytest.mark.parametrize("content", [exported(ADA), "BEGIN:VCARD\nFN:Ada Lovelace\nTEL:+44 1\nEND:VCARD"])
def test_failed_rows_of_our_file_and_of_other_formats_have_our_columns_once(content: str) -> None:
    source = opened(content)

    header, cells = cells_of("".join(failed_csv(source, [(row, "It is taken.") for row in source.rows()])))

    assert header == [
        *[
            "First Name",
            "Last Name",
            "Organization Name",
            "E-mail 1 - Value",
            "Phone 1 - Value",
            "Labels",
            "Notes",
        ],
        *["Line", "Problem"],
    ]
    assert (cells[:2], cells[4][:3], cells[-1]) == (["Ada", "Lovelace"], "+44", "It is taken.")


def test_what_no_file_can_hold_is_left_out_of_failed_rows() -> None:
    source = opened('[{"name": "A\\u0000da"}]')

    text = "".join(failed_csv(source, [(row, "Mend it.") for row in source.rows()]))

    assert cells_of(text)[1][0] == "Ada"
