"""A Google Contacts export as strangers have them: thousands of rows, untidy, some of them wrong.

The header and the habits are Google's: several values in one cell joined by ` ::: `, labels
that begin with `* `, columns for what this app has no field for.
"""

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass


def _words(text: str, between: str | None = None) -> tuple[str, ...]:
    return tuple(text.split(between))


HEADER = _words(
    "First Name,Middle Name,Last Name,Nickname,Organization Name,Organization Title,Birthday,Notes,Photo,"
    "Labels,E-mail 1 - Label,E-mail 1 - Value,E-mail 2 - Label,E-mail 2 - Value,Phone 1 - Label,"
    "Phone 1 - Value,Address 1 - Label,Address 1 - Formatted,Website 1 - Value",
    ",",
)
GIVEN = _words(
    "Ada Alan Annie Barbara Betty Claude Donald Dorothy Edith Edsger Frances Grace Hedy Ida Jean Joan John "
    "Karen Katherine Kathleen Lynn Margaret Marlyn Mary Niklaus Peter Radia Rózsa Ruth Shafi Stephanie Tim"
)
FAMILY = _words(
    "Allen Antonelli Bartik Berners-Lee Booth Clarke Dijkstra Easley Goldwasser Hamilton Holberton Hopper "
    "Johnson Keller Knuth Lamarr Liskov Lovelace McNulty Meltzer Perlman Péter Shannon Shirley "
    "Teitelbaum Turing Vaughan Wirth"
)
COMPANIES = ("Analytical Engine", "Bletchley Park", "Bell Labs", "NASA", "Eckert & Mauchly, Inc.", "")


@dataclass(frozen=True)
class Export:
    """The file, and what is in it. rows: all of them; wrong: those that break a rule."""

    content: bytes
    rows: int
    wrong: int
    twice: int


def google_export(rows: int) -> Export:
    """Make an export with this many rows: the same one each time."""
    written = list(_strange()) + list(_wrong())
    wrong = sum(1 for _ in _wrong())
    pairs = list(_twice())
    written += pairs
    written += [_plain(number) for number in range(rows - len(written))]
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, HEADER, restval="")
    writer.writeheader()
    writer.writerows(written)
    return Export(text.getvalue().encode("utf-8-sig"), rows, wrong, len(pairs) // 2)


def _plain(number: int) -> dict[str, str]:
    """One of the many. Names do not repeat before some hundred thousand rows."""
    given, family = GIVEN[number % len(GIVEN)], FAMILY[number // len(GIVEN) % len(FAMILY)]
    middle = _letters(number)
    person = {
        "First Name": given,
        "Middle Name": middle,
        "Last Name": family,
        "Organization Name": COMPANIES[number % len(COMPANIES)],
        "Labels": "* myContacts"
        + (" ::: Choir" if number % 7 == 0 else "")
        + (" ::: Work" * (number % 3 == 0)),
        "E-mail 1 - Label": "* ",
        "E-mail 1 - Value": f"person{number}@example.com",
    }
    if number % 2:
        person["Phone 1 - Label"] = "Mobile"
        person["Phone 1 - Value"] = f"+1 202-555-{number % 10_000:04} x{number}"
    if number % 5 == 0:
        person["E-mail 2 - Value"] = f"second{number}@example.org"
    if number % 11 == 0:
        person["Birthday"] = "1906-12-09"
        person["Address 1 - Label"] = "Home"
        person["Address 1 - Formatted"] = "12 St James's Square\nLondon"
    return person


def _letters(number: int) -> str:
    """A middle name of its own for each number, in letters: 0 gives `Qa`, 27 gives `Qbb`."""
    text = ""
    while True:
        number, letter = divmod(number, 26)
        text = chr(ord("a") + letter) + text
        if not number:
            return f"Q{text}"


def _strange() -> Iterator[dict[str, str]]:
    """Rows that are right, however they look."""
    yield {
        "First Name": "  Grace ",
        "Last Name": "Hopper ",
        "E-mail 1 - Value": " grace@strange.example.com ",
    }
    yield {"First Name": '=HYPERLINK("https://example.com")', "E-mail 1 - Value": "formula@example.com"}
    yield {"First Name": "<script>alert(1)</script>", "E-mail 1 - Value": "markup@example.com"}
    yield {"First Name": "محمد", "Last Name": "الخوارزمي", "Phone 1 - Value": "+964 1 555 0100"}
    yield {"First Name": "👩‍🚀 Annie", "Last Name": "Easley", "E-mail 1 - Value": "annie@example.com"}
    yield {
        "Organization Name": "Bell Labs, Reception",
        "Phone 1 - Value": "+1 908-555-0101 ::: +1 908-555-0102",
    }
    yield {
        "First Name": "Hedy",
        "Last Name": "Lamarr",
        "E-mail 1 - Value": "hedy@example.com",
        "Notes": 'Said: "Hope,\nand curiosity"',
    }


def _wrong() -> Iterator[dict[str, str]]:
    """Rows that break a rule."""
    yield {"First Name": "Without", "Last Name": "Any Address"}
    yield {"First Name": "Donald", "Last Name": "Knuth", "E-mail 1 - Value": "no longer has email"}
    yield {"First Name": "Long " * 60, "E-mail 1 - Value": "long@example.com"}
    yield {"First Name": "Letters", "Last Name": "In Phone", "Phone 1 - Value": "call the office"}


def _twice() -> Iterator[dict[str, str]]:
    """People who are there twice, one below the other, differently written."""
    yield {
        "First Name": "Radia",
        "Last Name": "Perlman",
        "Phone 1 - Value": "+1 425-555-0111",
        "Organization Name": "Digital",
    }
    yield {
        "First Name": "R.",
        "Last Name": "Perlman",
        "Phone 1 - Value": "(425) 555-0111",
        "E-mail 1 - Value": "radia@example.com",
    }
    yield {
        "First Name": "Karen",
        "Last Name": "Spärck Jones",
        "E-mail 1 - Value": "karen@example.com",
        "Labels": "Search",
    }
    yield {"First Name": "Karen", "Last Name": "Sparck Jones", "Phone 1 - Value": "+44 1223 555 0107"}
