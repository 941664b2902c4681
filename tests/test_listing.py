"""What a search finds, what comes before what, and how a list is written into a URL and read back."""

import base64
import json
import sys
import unicodedata
from dataclasses import replace
from itertools import pairwise
from urllib.parse import parse_qs

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.contacts.contact import Contact, ContactDraft, now
from app.contacts.listing import (
    SORTS,
    TERMS_LIMIT,
    ContactPage,
    ListQuery,
    Place,
    Sort,
    fold,
    haystack,
    is_id,
    marked,
    matches,
    read_place,
    sort_keys,
    terms,
    write_place,
)
from tests.making import draft


def contact(name: str = "Ada", **fields: str) -> Contact:
    return Contact.create(1, draft(name, **fields).clean(), now())


def found(text: str, name: str = "Ada", **fields: str) -> bool:
    """Whether a search text finds a contact."""
    return matches(terms(text), haystack(contact(name, **fields)))


# --- search


@pytest.mark.parametrize(
    "text", ["", "  ", "ada", "ADA", "love", "LOVE", "lace", "ada love", "love ada", "a lo"]
)
def test_words_are_found_in_any_order_and_case(text: str) -> None:
    assert found(text, "Ada Lovelace")


@pytest.mark.parametrize("text", ["grace", "ada hopper", "adalove", "adaa"])
def test_every_word_must_be_found(text: str) -> None:
    assert not found(text, "Ada Lovelace")


@pytest.mark.parametrize(
    "text", ["lovelace", "ada@example", "example.com", "7946", "engines", "first program", "vip", "book"]
)
def test_every_field_is_searched(text: str) -> None:
    assert found(
        text,
        "Ada Lovelace",
        email="ada@example.com",
        phone="+44 20 7946 0101",
        company="Engines",
        notes="Wrote the\nfirst program.",
        tags="VIP,Book club",
    )


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("rozsa peter", "Rózsa Péter"),
        ("RÓZSA", "Rózsa Péter"),
        ("lukasz", "Łukasz"),
        ("soren", "Søren"),
        ("strasse", "Straße"),
        ("STRASSE", "Straße"),
        ("straße", "Strasse"),
        ("yilmaz", "Yılmaz"),
        ("istanbul", "İstanbul"),
        ("office", "o\ufb03ce"),
        ("σοφος", "ΣΟΦΌΣ"),
        ("夏培", "夏培肃"),
        ("김", "김민준"),
        ("aether", "Æther"),
    ],
)
def test_case_and_accents_do_not_matter(text: str, name: str) -> None:
    assert found(text, name)


def test_one_or_two_letters_are_found_only_where_a_word_begins() -> None:
    assert found("l", "Ada Lovelace")
    assert found("lo", "Ada Lovelace")
    assert not found("ve", "Ada Lovelace")
    assert found("vel", "Ada Lovelace")


@pytest.mark.parametrize(
    "text", ["754292", "754-292", "754 292", "+48754292", "(48)", "+48 (754) 292", "48754", "4292", "292 754"]
)
def test_a_number_is_found_without_regard_to_its_punctuation(text: str) -> None:
    assert found(text, phone="+48 (754) 292")


def test_a_number_in_the_notes_is_found_too() -> None:
    assert found("20261121", notes="Invoice 2026-11-21")


@pytest.mark.parametrize("sign", ["%", "_", "%da", "a_a", "*", '"', "'", "\\", "%%%", "___", "--"])
def test_signs_that_mean_something_to_databases_stand_for_themselves(sign: str) -> None:
    assert not found(sign, "Ada Lovelace", phone="1")
    assert found(sign, f"Ada {sign}Lovelace", phone="1")


@pytest.mark.parametrize("text", ["ada\x00love", "\x1fada", "ada\ud800", "\udfff"])
def test_control_characters_and_lone_surrogates_count_as_space(text: str) -> None:
    assert found(text, "Ada Lovelace")


def test_a_search_looks_at_eight_words_at_most() -> None:
    text = "one two three four five six seven eight nine"

    assert terms(text) == tuple(text.split()[:TERMS_LIMIT])


def test_a_search_text_is_cut_after_200_characters() -> None:
    assert terms("x" * 500) == ("x" * 200,)


@given(
    st.text(st.characters(exclude_categories=("Cc", "Cs")), max_size=60),
    st.text(st.characters(exclude_categories=("Cc", "Cs")), max_size=60),
)
def test_each_word_of_a_contact_finds_it(name: str, notes: str) -> None:
    made = Contact.create(1, ContactDraft(name=f"A {name}", phone="1", notes=notes).clean(), now())
    straw = haystack(made)

    for word in f"{made.name} {made.notes}".split():
        assert matches(terms(word), straw), word


@given(st.text())
def test_folding_twice_changes_nothing(text: str) -> None:
    assert fold(fold(text)) == fold(text)


# --- order


def test_names_are_ordered_without_regard_to_case_and_accents() -> None:
    names = ["Zoë", "élan", "Eve", "adam", "Åsa", "Bo"]

    ordered = sorted(names, key=lambda name: sort_keys(contact(name))["name"])

    assert ordered == ["adam", "Åsa", "Bo", "élan", "Eve", "Zoë"]


@pytest.mark.parametrize("sort", ["email", "company"])
def test_contacts_without_the_field_come_last(sort: Sort) -> None:
    without = contact("Aaron", phone="1")
    last = contact("Zoë", email="zzz@example.com", company="\U0001f9ff 夏")

    ordered = sorted([without, last], key=lambda person: sort_keys(person)[sort])

    assert ordered == [last, without]


def test_contacts_of_one_company_are_ordered_by_name() -> None:
    people = [
        contact("Bo", company="ACME"),
        contact("Ada", company="Ácme"),
        contact("Al", company="Acme Ltd"),
    ]

    ordered = sorted(people, key=lambda person: sort_keys(person)["company"])

    assert [person.name for person in ordered] == ["Ada", "Bo", "Al"]


def test_the_time_of_the_last_change_is_compared_in_milliseconds() -> None:
    made = contact()

    key = sort_keys(made)["updated"]

    assert key == round(made.updated_at.timestamp() * 1_000)


# --- a list in a URL


def test_the_plain_list_has_an_empty_query_string() -> None:
    assert ListQuery().url_query() == ""
    assert ListQuery.from_params({}) == ListQuery()


@pytest.mark.parametrize(
    "query",
    [
        ListQuery(text="ada & bo = 1%"),
        ListQuery(tags=("VIP", "Book club", "a&b")),
        ListQuery(only="no-phone"),
        ListQuery(text="ada", tags=("VIP",), only="stale", sort="company"),
        ListQuery(sort="email", descending=True),
        ListQuery(sort="updated", descending=True),
        ListQuery(sort="updated"),
        ListQuery(sort="updated", descending=True, after=(1_700_000_000_000, 7)),
        ListQuery(sort="company", after=("ácme\x01夏", 2**62)),
    ],
)
def test_a_list_comes_back_from_its_url(query: ListQuery) -> None:
    params = parse_qs(query.url_query())
    single = {name: values[0] for name, values in params.items()}

    assert ListQuery.from_params(single, tuple(params.get("tag", ()))) == query


def test_a_url_may_be_made_with_other_values() -> None:
    query = ListQuery(text="ada", after=("ada", 1))

    assert query.url_query(sort="email", after=None) == "q=ada&sort=email"


def test_the_newest_changes_come_first_unless_a_url_says_otherwise() -> None:
    assert ListQuery.from_params({"sort": "updated"}).descending
    assert not ListQuery.from_params({"sort": "updated", "dir": "asc"}).descending


@pytest.mark.parametrize(
    "params",
    [
        {"sort": "id; DROP TABLE contact"},
        {"sort": ""},
        {"dir": "sideways"},
        {"only": "no-name"},
        {"after": "nonsense"},
        {"after": "é"},
        {"after": "====="},
        {"q": "   "},
    ],
)
def test_what_a_url_says_wrongly_is_left_at_its_default(params: dict[str, str]) -> None:
    assert ListQuery.from_params(params) == ListQuery()


def test_a_search_text_from_a_url_is_tidied_and_cut() -> None:
    assert ListQuery.from_params({"q": "  ada   lovelace "}).text == "ada lovelace"
    assert len(ListQuery.from_params({"q": "x" * 1_000}).text) == 200


def test_tags_from_a_url_count_once_and_not_when_empty() -> None:
    assert ListQuery.from_params({}, ("VIP", "", "VIP", "Work")).tags == ("VIP", "Work")


def test_a_list_is_filtered_by_a_text_a_tag_or_what_is_missing() -> None:
    assert ListQuery(text="a").is_filtered
    assert ListQuery(tags=("a",)).is_filtered
    assert ListQuery(only="stale").is_filtered
    assert not ListQuery(sort="email", after=("a", 1)).is_filtered


# --- places


@given(st.text(st.characters(exclude_categories=("Cc", "Cs"))), st.integers(0, 2**63 - 1))
def test_a_place_comes_back_from_its_text(key: str, contact_id: int) -> None:
    place: Place = (key, contact_id)

    text = write_place("name", place)

    assert read_place(text) == ("name", place)
    assert text.replace("-", "").replace("_", "").isalnum()


@pytest.mark.parametrize("sort", SORTS)
def test_the_place_of_every_sort_comes_back(sort: Sort) -> None:
    place: Place = (sort_keys(contact("Ada", company="Engines"))[sort], 1)

    assert read_place(write_place(sort, place)) == (sort, place)


@pytest.mark.parametrize(
    "value",
    [
        None,
        [],
        ["name"],
        ["ada", 1],
        ["name", "ada", 1, 2],
        ["age", "ada", 1],
        [["name"], "ada", 1],
        ["name", 1, 1],
        ["updated", "ada", 1],
        ["updated", 2**63, 1],
        ["name", "ada", "1"],
        ["name", "ada", 1.0],
        ["name", "ada", True],
        ["name", "ada", -1],
        ["name", "ada", 2**63],
        {"name": 1, "a": 2, "b": 3},
        "abc",
    ],
)
def test_a_place_that_was_never_written_is_none(value: object) -> None:
    text = base64.urlsafe_b64encode(json.dumps(value).encode()).decode()

    assert read_place(text) is None


def test_a_place_in_a_list_of_another_order_is_none_in_this_one() -> None:
    text = write_place("name", ("ada", 1))

    assert ListQuery.from_params({"after": text}).after == ("ada", 1)
    assert ListQuery.from_params({"after": text, "sort": "company"}).after is None


@given(st.text())
def test_any_text_at_all_is_a_place_or_none(text: str) -> None:
    found = read_place(text)

    assert found is None or is_id(found[1][1])


def test_a_place_holds_nothing_that_a_database_cannot_take() -> None:
    text = base64.urlsafe_b64encode(b'["name", "a\\ud800b\\u0000c", 1]').decode()

    assert read_place(text) == ("name", ("a b c", 1))


# --- pages


def test_a_page_knows_whether_it_shows_a_contact() -> None:
    shown, other = contact(), replace(contact(), id=2)

    page = ContactPage((shown,), 2, None)

    assert page.holds(shown.id)
    assert not page.holds(other.id)


# --- what a search matched


def test_folding_ascii_the_short_way_gives_what_the_long_way_gives() -> None:
    for code in range(128):
        text = f"A{chr(code)}z"
        assert fold(text) == fold(text + "é").removesuffix("e")


def test_every_accent_is_folded_away() -> None:
    accents = [chr(code) for code in range(sys.maxunicode + 1) if unicodedata.combining(chr(code))]

    kept = {accent for accent in accents if fold(f"a{accent}") not in ("a", "a\u03b9")}

    assert kept == set()


@pytest.mark.parametrize(
    ("text", "typed", "expected"),
    [
        ("Ada Lovelace", "lo", "Ada [Lo]velace"),
        ("Ada Lovelace", "ove ada", "[Ada] L[ove]lace"),
        ("Ada Lovelace", "ve", "Ada Lovelace"),
        ("Ada Lovelace", "", "Ada Lovelace"),
        ("Zoë Groß", "zoe ss", "[Zoë] Groß"),
        ("Zoë Groß", "ross", "Zoë G[roß]"),
        ("Groß", "gros", "[Groß]"),
        ("Łukasz", "łukasz", "[Łukasz]"),
        ("Łukasz", "luk", "[Łuk]asz"),
        ("Zoe\u0308!", "oe", "Zoe\u0308!"),
        ("Zoe\u0308!", "zoe", "[Zoe\u0308]!"),
        ("o\ufb03ce", "off", "[o\ufb03]ce"),
        ("+48 754 292", "754292", "+48 [754 292]"),
        ("+48 (754) 292", "754-292", "+48 ([754) 292]"),
        ("+44 (0)20 7946 0101", "+44 20 7946", "+[44 (0)20 7946] 0101"),
        ("+44 20 7946 0101", "02079460101", "+44 [20 7946 0101]"),
        ("+44 20 7946 0101", "46", "+44 20 7946 0101"),
        ("room42 42nd (42)", "42", "room42 [42]nd ([42])"),
        ("山田太郎", "太", "山田[太]郎"),
        ("김철수", "철수", "김[철수]"),
        ("ada ADA", "ada da", "[ada] [ADA]"),
        ("aaaa", "aaa", "[aaaa]"),
        ("<b>&amp;", "<b>", "[<b>]&amp;"),
    ],
)
def test_what_a_search_matched_is_marked(text: str, typed: str, expected: str) -> None:
    pieces = marked(text, terms(typed))

    assert "".join(f"[{piece}]" if hit else piece for piece, hit in pieces) == expected


def test_an_empty_text_has_no_pieces() -> None:
    assert marked("", terms("ada")) == []


letters = st.sampled_from("aAéßŁﬃ\u0308 日本ー김ガ 012(0)+-.x 山") | st.characters(
    exclude_categories=("Cs", "Cc")
)


@given(st.text(letters, max_size=30), st.text(letters, max_size=12))
def test_the_pieces_of_a_text_are_the_text(text: str, typed: str) -> None:
    pieces = marked(text, terms(typed))

    assert "".join(piece for piece, _ in pieces) == text
    assert all(piece for piece, _ in pieces)
    assert all(one != other for (_, one), (_, other) in pairwise(pieces))


@given(st.text(letters, min_size=1, max_size=30), st.integers(0, 29), st.integers(1, 12))
def test_every_term_that_finds_a_text_is_marked_in_it(text: str, start: int, length: int) -> None:
    tidy = " ".join(text.split())
    for term in terms(tidy[start : start + length]):
        if matches((term,), haystack(replace(contact(), name=tidy, email=""))):
            assert any(hit for _, hit in marked(tidy, (term,)))
