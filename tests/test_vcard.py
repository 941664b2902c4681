"""vCards: what old and new ones say, what a broken one says, and what ours look like."""

import io

import pytest

from app.contacts.contact import Contact, ContactDraft, now
from app.contacts.interchange import ReadRow, open_source, write
from tests.making import ADA

OLD_PHONE = """\
BEGIN:VCARD
VERSION:2.1
N;CHARSET=UTF-8;ENCODING=QUOTED-PRINTABLE:P=C3=A9ter;R=C3=B3zsa;;;
FN;CHARSET=UTF-8;ENCODING=QUOTED-PRINTABLE:R=C3=B3zsa P=C3=A9ter
TEL;CELL;PREF:555-0101
TEL;WORK;FAX:555-0102
EMAIL;X-INTERNET:rozsa@example.com
ORG;CHARSET=ISO-8859-1;QUOTED-PRINTABLE:E=F6tv=F6s University;Mathematics
NOTE;ENCODING=QUOTED-PRINTABLE:First line=0D=0ASecond line, that is=
 long=3B it goes=
=20on.
PHOTO;JPEG;ENCODING=BASE64:/9j/4AAQSkZJRgABAQ
 EASABIAAD/2wBDAAEBAQEB

X-CLASS:PRIVATE
END:VCARD
"""
APPLE = """\
BEGIN:VCARD
VERSION:3.0
PRODID:-//Apple Inc.//iOS 18.0//EN
N:Hopper;Grace;Brewster,Murray;Rear Admiral;
FN:Rear Admiral Grace Brewster Hopper
ORG:U.S. Navy;Reserve;
TITLE:Programmer
EMAIL;type=INTERNET;type=HOME:hopper@example.com
item1.EMAIL;type=INTERNET;type=pref:grace@example.org
item1.X-ABLabel:_$!<Other>!$_
item2.TEL:+1 (202) 555-0102
item2.X-ABLabel:ship
TEL;type=CELL;type=VOICE;type=pref:+1 (202) 555-0101
item3.ADR;type=WORK:;;1 Navy Yard\\, Building 2;Washington;DC;20374;USA
item3.X-ABADR:us
BDAY;X-APPLE-OMIT-YEAR=1604:1604-12-09
item4.X-ABDATE:1930-06-15
item4.X-ABLabel:_$!<Anniversary>!$_
item5.X-ABRELATEDNAMES:Vincent
item5.X-ABLabel:_$!<Spouse>!$_
item6.URL:https\\://example.org
X-SOCIALPROFILE;type=twitter:https://example.org/grace
NOTE:Wrote A-0\\nand COBOL\\; see notes
CATEGORIES:Navy,Computing\\, early
PHOTO;ENCODING=b;TYPE=JPEG:/9j/4AAQSkZJRgABAQ
UID:1906-12-09
REV:2026-01-01T00:00:00Z
END:VCARD
"""
NEW = """\
BEGIN:VCARD
VERSION:4.0
FN:Ada Lovelace
FN:Augusta Ada King
NICKNAME:Enchantress
EMAIL;PREF=2;TYPE=work:ada@example.org
EMAIL;PREF=1:ada@example.com
TEL;VALUE=uri;TYPE="voice,home":tel:+44-20-7946-0101;ext=5
BDAY:18151210
PHOTO:data:image/jpeg;base64,MIICajCCAdOgAwIBAgICBEUwDQ
ADR;LABEL="12 St James's Sq";TYPE=home:;;12 St James's Sq;London;;;
X-ENGINE:Analytical\\nand Difference
RELATED;TYPE=friend;VALUE=text:Charles Babbage
END:VCARD
"""


def rows(content: str | bytes) -> list[ReadRow]:
    """All rows of a vCard file."""
    data = content.encode() if isinstance(content, str) else content
    return list(open_source(io.BytesIO(data), "contacts.vcf").rows())


def card(*lines: str) -> ContactDraft:
    """The draft of one card with these lines."""
    (only,) = rows("\n".join(["BEGIN:VCARD", *lines, "END:VCARD"]))
    assert only.problem == ""
    return only.draft


def exported(draft: ContactDraft) -> str:
    """Our vCard of a draft."""
    return "".join(write([Contact.create(1, draft.clean(), now())], "vcf"))


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_an_old_phones_vcard(end: str) -> None:
    (only,) = rows(OLD_PHONE.replace("\n", end))

    assert only.draft == ContactDraft(
        name="Rózsa Péter",
        email="rozsa@example.com",
        phone="555-0101",
        company="Eötvös University",
        notes="""\
First line\r
Second line, that is long; it goes on.
Fax (work): 555-0102
Department: Mathematics
X-CLASS: PRIVATE""",
    )


def test_apples_vcard() -> None:
    (only,) = rows(APPLE)

    assert only.draft == ContactDraft(
        name="Rear Admiral Grace Brewster Hopper",
        email="grace@example.org",
        phone="+1 (202) 555-0101",
        company="U.S. Navy",
        notes="""\
Wrote A-0
and COBOL; see notes
Name (middle): Brewster Murray
Email (home): hopper@example.com
Phone (ship): +1 (202) 555-0102
Department: Reserve
Job title: Programmer
Address (work): 1 Navy Yard, Building 2, Washington, DC, 20374, USA
Birthday: --12-09
Anniversary: 1930-06-15
Related (spouse): Vincent
Website: https://example.org
Social profile (twitter): https://example.org/grace""",
        tags=("Navy", "Computing", "early"),
    )


def test_a_vcard_4() -> None:
    (only,) = rows(NEW)

    assert only.draft == ContactDraft(
        name="Ada Lovelace",
        email="ada@example.com",
        phone="+44-20-7946-0101 x5",
        notes="""\
Nickname: Enchantress
Name: Augusta Ada King
Email (work): ada@example.org
Birthday: 1815-12-10
Address (home): 12 St James's Sq, London
X-ENGINE: Analytical, and Difference
Related (friend): Charles Babbage""",
    )


# --- single properties


@pytest.mark.parametrize(
    ("lines", "name"),
    [
        (["N:Lovelace;Ada;Augusta,King;Countess;PhD"], "Countess Ada Augusta King Lovelace PhD"),
        ([r"N:Love\;lace;A\,da"], "A,da Love;lace"),
        (["N:;;;;", "NICKNAME:Countess", "ORG:Engines"], "Countess"),
        (["FN:", "ORG:;Mills"], "ada@example.com"),
        (["ORG:Engines"], "Engines"),
        (["FN: ", "NICKNAME: ", "ORG: ;", "EMAIL: ", "TEL: "], "ada@example.com"),
        ([], "ada@example.com"),
    ],
)
def test_a_card_without_fn_is_named_by_what_it_has(lines: list[str], name: str) -> None:
    assert card(*lines, "EMAIL:ada@example.com").name == name


def test_folded_lines_are_joined_without_the_one_space_in_front() -> None:
    draft = card("FN:Ada Love", " lace", "NOTE:one", "  two", "\tthree", " ")

    assert (draft.name, draft.notes) == ("Ada Lovelace", "one twothree")


def test_escapes_are_undone_once() -> None:
    assert card("FN:Ada", r"NOTE:a\\nb\nc\Nd\,e\;f\:g\\").notes == "a\\nb\nc\nd,e;f:g\\"


def test_a_backslash_of_vcard_2_1_is_a_backslash() -> None:
    assert card("VERSION:2.1", "FN:Ada", r"NOTE:C:\new\;x").notes == r"C:\new;x"


def test_quoted_printable_in_a_charset_that_nobody_knows_is_still_read() -> None:
    assert card("FN;ENCODING=QUOTED-PRINTABLE;CHARSET=unicode_escape:P=C3=A9ter").name == "Péter"
    assert card("FN;ENCODING=QUOTED-PRINTABLE;CHARSET=windows-1250:B=F5").name == "Bő"
    assert card("FN;ENCODING=QUOTED-PRINTABLE:P=E9ter").name == "Péter"


def test_a_picture_in_lines_that_are_not_folded_is_passed_over() -> None:
    draft = card("VERSION:2.1", "PHOTO;BASE64;JPEG:", "/9j/4AAQSkZJRg", "ABAQEASABIAAD=", "", "FN:Ada")

    assert draft == ContactDraft(name="Ada")


def test_an_address_may_be_a_label_alone() -> None:
    assert card("FN:Ada", 'ADR;LABEL="12 St James, London":;;;;;;').notes == "Address: 12 St James, London"


def test_a_fax_fills_no_phone() -> None:
    assert card("FN:Ada", "TEL;TYPE=fax,pref:1") == ContactDraft(name="Ada", notes="Fax: 1")


def test_an_email_that_breaks_the_rules_stays_as_it_is() -> None:
    assert card("FN:Ada", "EMAIL:ada at example").email == "ada at example"


def test_other_line_breaks_of_unicode_end_no_line() -> None:
    assert card("FN:Ada", "NOTE:a\u2028b\x85c\x0cd").notes == "a\u2028b\x85c\x0cd"


def test_a_large_picture_costs_little() -> None:
    picture = "\r\n".join(" " + "A" * 74 for _ in range(20_000))

    assert card("FN:Ada", f"PHOTO;ENCODING=b:\r\n{picture}", "TEL:1") == ContactDraft(name="Ada", phone="1")


# --- cards that cannot be read


def test_a_bad_card_is_a_problem_with_its_line_and_the_others_go_on() -> None:
    found = rows("""\
BEGIN:VCARD
FN:Ada
END:VCARD

BEGIN:VCARD
FN:Grace
this is no property
END:VCARD
FN:Nobody
TEL:1
BEGIN:VCARD
FN:Alan
BEGIN:VCARD
FN:Rózsa
END:VCARD
BEGIN:VCARD
FN:Kateryna
""")

    assert [(one.line, one.draft.name, one.problem) for one in found] == [
        (1, "Ada", ""),
        (5, "", "Line 7 of this card is no vCard line: “this is no property”"),
        (9, "", "This stands outside a card: BEGIN:VCARD is missing before it."),
        (11, "", "This card has no END:VCARD before the next one begins."),
        (13, "Rózsa", ""),
        (16, "", "The file ends inside this card: END:VCARD is missing."),
    ]


@pytest.mark.parametrize("line", [":x", "FN", "EMAIL;TYPE=work", "é:x", 'TEL;TYPE="home:1'])
def test_a_line_that_is_no_property_spoils_its_card_alone(line: str) -> None:
    found = rows(f"BEGIN:VCARD\n{line}\nEND:VCARD\nBEGIN:VCARD\nFN:Ada\nEND:VCARD")

    assert [(one.line, one.problem) for one in found] == [
        (1, f"Line 2 of this card is no vCard line: “{line}”"),
        (4, ""),
    ]


# --- our own


def test_our_vcard() -> None:
    draft = ContactDraft("Augusta Ada; King", "ada@example.com", "+44 1", "A, B", "One\nTwo \\", ("a", "b;c"))

    assert exported(draft) == "\r\n".join(
        [
            "BEGIN:VCARD",
            "VERSION:4.0",
            r"FN:Augusta Ada\; King",
            r"N:King;Augusta Ada\;;;;",
            "EMAIL:ada@example.com",
            "TEL;VALUE=text:+44 1",
            r"ORG:A\, B",
            r"CATEGORIES:a,b\;c",
            r"NOTE:One\nTwo \\",
            "END:VCARD",
            "",
        ]
    )


def test_our_vcard_has_only_what_the_contact_has() -> None:
    assert exported(ContactDraft("Ada", phone="1")).split("\r\n")[2:-2] == [
        "FN:Ada",
        "N:;Ada;;;",
        "TEL;VALUE=text:1",
    ]


@pytest.mark.parametrize("text", ["x" * 300, "é" * 300, "夏" * 300, "👩‍💻" * 100, "x" * 70 + "\n" * 20 + "y"])
@pytest.mark.parametrize("shift", range(4))
def test_long_lines_are_folded_at_75_octets_between_characters(text: str, shift: int) -> None:
    notes = "." * shift + text

    lines = exported(ContactDraft("Ada", phone="1", notes=notes)).encode().split(b"\r\n")

    assert max(map(len, lines)) in range(72, 76)
    assert all(line.decode() for line in lines[:-1])
    assert rows(b"\r\n".join(lines))[0].draft.notes == notes


def test_our_vcard_is_read_back() -> None:
    assert rows(exported(ADA))[0].draft.clean() == ADA
