"""Likely duplicates: who is found, who is not, and that the time it takes does not run away."""

import random
from collections.abc import Callable, Sequence
from itertools import combinations

import pytest

from app.contacts import duplicates
from app.contacts.contact import Contact, ContactDraft, now
from app.contacts.duplicates import GROUP_LIMIT, Group, find
from app.contacts.merging import combined, with_the_rest
from tests.making import draft

NOW = now()


def kept(*drafts: ContactDraft) -> list[Contact]:
    """Contacts as a store keeps them, numbered from 1."""
    return [Contact.create(number, draft.clean(), NOW) for number, draft in enumerate(drafts, 1)]


def groups(*drafts: ContactDraft) -> list[list[int]]:
    """The groups that are found, as the numbers of the drafts."""
    return [[contact.id for contact in group.contacts] for group in find(kept(*drafts))]


def reasons(*drafts: ContactDraft) -> list[str]:
    """What speaks for the only group that is found."""
    [group] = find(kept(*drafts))
    return list(group.reasons)


# ---- the same name


def test_the_same_name_is_a_likely_duplicate() -> None:
    assert reasons(draft("Ada Lovelace"), draft("Ada Lovelace", email="ada@example.org")) == ["Same name"]


@pytest.mark.parametrize(
    ("name", "other"),
    [
        ("Ada Lovelace", "ADA LOVELACE"),
        ("Ada Lovelace", "Lovelace, Ada"),
        ("Ada Lovelace", "Dr. Ada Lovelace"),
        ("Kurt Gödel", "Kurt Godel"),
        ("Stanisław Ulam", "Stanislaw Ulam"),
        ("Seán O'Brien", "Sean O’Brien"),
        ("Jean-Marie Curie", "Jean Marie Curie"),
        ("佐藤 健", "健 佐藤"),
        ("Ada", "Ada"),
    ],
)
def test_a_name_is_the_same_however_it_is_written(name: str, other: str) -> None:
    assert reasons(draft(name, email="a@example.com"), draft(other, email="b@example.com"))[0] == "Same name"


def test_nobody_is_the_duplicate_of_somebody_else() -> None:
    assert groups(draft("Ada Lovelace"), draft("Grace Hopper"), draft("Alan Turing")) == []
    assert groups() == []


def test_several_with_the_same_name_are_one_group_the_oldest_first() -> None:
    drafts = [draft("Ada Lovelace", email=f"{number}@example.com") for number in range(4)]

    assert groups(*drafts) == [[1, 2, 3, 4]]


def test_the_order_of_the_contacts_makes_no_difference() -> None:
    contacts = kept(*(draft("Ada Lovelace", email=f"{number}@example.com") for number in range(4)))

    assert find(reversed(contacts)) == find(contacts)


def test_a_name_that_very_many_have_needs_something_else_in_common() -> None:
    many = [draft("Ada Lovelace", email=f"{number}@example.com") for number in range(GROUP_LIMIT + 5)]
    colleagues = [draft("Ada Lovelace", email=f"e{n}@example.com", company="Engines") for n in range(2)]

    assert groups(*many) == []
    assert groups(*many, *colleagues) == [[len(many) + 1, len(many) + 2]]


# ---- the same phone


@pytest.mark.parametrize(
    ("phone", "other"),
    [
        ("+44 20 7946 0101", "+442079460101"),
        ("+44 20 7946 0101", "020 7946 0101"),
        ("+44 20 7946 0101", "0044 20 7946 0101"),
        ("+44 20 7946 0101", "+44 (0)20 7946 0101"),
        ("+1 202-555-0101", "(202) 555-0101"),
        ("+1 202-555-0101", "1.202.555.0101"),
        ("+48 754 292 555", "754292555"),
        ("+353 1 555 0101", "01 555 0101"),
        ("555-0101", "555 0101"),
        ("202-555-0101 x7", "202.555.0101x7"),
    ],
)
def test_a_phone_is_the_same_however_it_is_written(phone: str, other: str) -> None:
    assert "Same phone" in reasons(draft("Ada Lovelace", phone=phone), draft("Ada Lovelace", phone=other))


@pytest.mark.parametrize(
    ("phone", "other"),
    [
        ("+44 20 7946 0101", "+44 20 7946 0102"),
        ("+1 202-555-0101", "+1 302-555-0101"),
        ("202-555-0101", "302-555-0101"),
        ("+1 202 555 0101", "+49 202 555 0101"),
        ("+1 202 555 0101", "+202 555 0101"),
        ("202-555-0101 x7", "202-555-0101 x8"),
        ("55501", "55501"),
    ],
)
def test_other_phones_say_nothing(phone: str, other: str) -> None:
    assert groups(draft("Ada Lovelace", phone=phone), draft("Grace Hopper", phone=other)) == []


def test_the_same_phone_is_worth_a_look_whatever_the_names() -> None:
    assert reasons(draft("Ada Lovelace", phone="202-555-0101"), draft("Countess", phone="202-555-0101")) == [
        "Same phone"
    ]


def test_colleagues_who_share_an_office_phone_are_not_duplicates() -> None:
    office = {"phone": "202-555-0101", "company": "Engines"}

    assert groups(draft("Ada Lovelace", **office), draft("Charles Babbage", **office)) == []


def test_a_phone_that_many_share_is_a_switchboard() -> None:
    people = ["Ada Lovelace", "Grace Hopper", "Alan Turing", "Kurt Gödel", "Mary Somerville", "Emmy Noether"]

    assert groups(*(draft(name, phone="202-555-0101") for name in people)) == []


def test_numbers_that_only_end_alike_are_no_switchboard() -> None:
    others = [draft(f"{name} Smith", phone=f"{area}2-555-0101") for area, name in enumerate(GIVEN[:6], 20)]

    assert groups(*others) == []
    assert groups(*others, draft("Countess", phone="(202) 555-0101")) == [[1, 7]]


# ---- similar names


@pytest.mark.parametrize(
    ("name", "other"),
    [
        ("Ada Lovelace", "Ada Lovelac"),
        ("Ada Lovelace", "Ada Lovelave"),
        ("Ada Lovelace", "Ada Lvoelace"),
        ("Ada Lovelace", "A. Lovelace"),
        ("Ada Lovelace", "Lovelace, A."),
        ("Ada Lovelace", "Ada King Lovelace"),
        ("Grace Hopper", "Grcae Hopper"),
    ],
)
def test_a_similar_name_at_the_same_company_is_a_likely_duplicate(name: str, other: str) -> None:
    found = reasons(
        draft(name, email="a@example.com", company="Engines"),
        draft(other, phone="555-0102", company="ENGINES"),
    )

    assert found == ["Similar name", "Same company"]
    assert groups(draft(name, email="a@example.com"), draft(other, phone="555-0102")) == []


def test_a_similar_name_with_the_same_mailbox_elsewhere_is_a_likely_duplicate() -> None:
    assert reasons(
        draft("Ada Lovelace", email="ada@example.com"), draft("Ada Lovelave", email="ada@example.org")
    ) == ["Similar name", "Similar email"]


@pytest.mark.parametrize(
    ("name", "other"),
    [
        ("Jan Kowalski", "Jana Kowalski"),
        ("Anna Kowalska", "Anne Kowalska"),
        ("Ada Lovelace", "Anna Lovelace"),
        ("Ada Lovelace", "Ada Hopper"),
        ("A. Lovelace", "B. Lovelace"),
        ("A. L.", "Ada L."),
        ("Lovelace", "Lovelave"),
    ],
)
def test_colleagues_with_other_names_are_not_duplicates(name: str, other: str) -> None:
    assert (
        groups(
            draft(name, email="a@example.com", company="Engines"),
            draft(other, phone="555-0102", company="Engines"),
        )
        == []
    )


def test_phone_and_email_together_outweigh_a_similar_name() -> None:
    marta = draft("Marta Silva", email="marta@example.com", phone="555-0101", company="Engines")
    maria = draft("Maria Silva", email="maria@example.com", phone="555-0102", company="Engines")

    assert groups(marta, maria) == []


def test_similar_names_are_found_among_very_many_at_one_company() -> None:
    letters = "abcdefghijklmnopqrstuvwxyz"
    crowd = [draft(f"{letter * 7} Smith", company="Engines") for letter in letters]
    typo = draft("gggxggg Smith", phone="555-0102", company="Engines")

    assert groups(*crowd, typo) == [[letters.index("g") + 1, len(crowd) + 1]]


# ---- groups


def test_sure_links_make_one_group_and_weak_ones_do_not_chain() -> None:
    ada = draft("Ada Lovelace", email="a@example.com", phone="202-555-0101")
    lovelace = draft("Lovelace, Ada", email="b@example.com", phone="202-555-0102")
    typo = draft("Ada Lovelave", phone="202-555-0102")
    household = draft("William King", phone="202-555-0101")

    assert groups(ada, lovelace, typo, household) == [[1, 2, 3]]


def test_an_initial_joins_one_of_those_whom_it_could_mean() -> None:
    company = {"company": "Engines"}

    assert groups(
        draft("A Lovelace", **company), draft("Ada Lovelace", **company), draft("Anne Lovelace", **company)
    ) == [[1, 2]]


@pytest.mark.parametrize("short", ["K. Johnson", "Johnson"])
def test_a_name_that_is_not_whole_does_not_join_two_people(short: str) -> None:
    assert groups(
        draft("Katherine Johnson", phone="202-555-0101"),
        draft(short, phone="202-555-0101"),
        draft("Karen Johnson", phone="202-555-0102"),
        draft(short, phone="202-555-0102"),
    ) == [[3, 4], [1, 2]]


def test_a_weak_link_brings_in_who_is_like_everybody() -> None:
    assert groups(
        draft("Ada Lovelace", company="Engines"),
        draft("Ada Lovelave", company="Engines"),
        draft("Ada Lovelaxe", company="Engines"),
    ) == [[1, 2, 3]]


def test_a_group_does_not_grow_beyond_its_limit() -> None:
    numbers = range(GROUP_LIMIT)
    adas = [draft("Ada Lovelace", phone=f"202-555-01{number:02}") for number in numbers]
    typos = [draft("Ada Lovelave", phone=f"202-555-01{number:02}") for number in numbers]

    assert [len(group) for group in groups(*adas, *typos)] == [GROUP_LIMIT, GROUP_LIMIT]


def test_a_contact_is_in_one_group_at_most() -> None:
    found = [number for group in groups(*address_book(7)[0]) for number in group]

    assert found
    assert len(found) == len(set(found))


def test_the_strongest_groups_come_first_then_the_alphabet() -> None:
    assert groups(
        draft("Zuse", email="z1@example.com"),
        draft("Zuse", email="z2@example.com"),
        draft("Alan Turing", email="a1@example.com", company="Bletchley", phone="555-0101"),
        draft("Alan Turing", email="a2@example.com", company="Manchester", phone="555-0102"),
        draft("Grace Hopper", email="g1@example.com"),
        draft("Grace Hopper", email="g2@example.com"),
        draft("Mary Somerville", phone="202-555-0103"),
        draft("Mary Somerville", phone="202-555-0103"),
    ) == [[7, 8], [5, 6], [1, 2], [3, 4]]


# ---- a whole address book

GIVEN = [
    *("Ada", "Alan", "Barbara", "Charles", "Claude", "Donald", "Dorothy", "Edsger", "Evelyn", "Frances"),
    *("Grace", "Hedy", "Jean", "Joan", "John", "Karen", "Katherine", "Kathleen", "Konrad", "Kurt"),
    *(
        "Leslie",
        "Margaret",
        "Mary",
        "Niklaus",
        "Radia",
        "Richard",
        "Robert",
        "Shafrira",
        "Sophie",
        "Stephanie",
    ),
]
FAMILY = [
    *("Allen", "Babbage", "Bartik", "Booth", "Clarke", "Dijkstra", "Easley", "Engelbart", "Goldwasser"),
    *("Gödel", "Hamilton", "Hopper", "Johnson", "Kernighan", "Knuth", "Lamarr", "Lamport", "Liskov"),
    *("Lovelace", "McCarthy", "Perlman", "Ritchie", "Shannon", "Shirley", "Spärck", "Thompson", "Turing"),
    *("Vaughan", "Wilkes", "Wilson", "Wirth", "Zuse"),
]
PLACES = ["Engines", "Bletchley", "Navy", "Princeton", "Zürich Lab", "Harwell", "Manchester", "Bell", ""]

Corruption = Callable[[random.Random, ContactDraft], ContactDraft]


def _typo(chance: random.Random, original: ContactDraft) -> ContactDraft:
    given, family = original.name.split()
    place = chance.randrange(1, len(family) - 1)
    slip = chance.choice(
        [
            family[:place] + family[place + 1 :],
            family[:place] + "q" + family[place:],
            family[: place - 1] + family[place] + family[place - 1] + family[place + 1 :],
        ]
    )
    return ContactDraft(f"{given} {slip}", phone=original.phone, company=original.company)


def _initial(chance: random.Random, original: ContactDraft) -> ContactDraft:
    given, family = original.name.split()
    return ContactDraft(f"{given[0]}. {family}", phone=original.phone)


def _swapped(chance: random.Random, original: ContactDraft) -> ContactDraft:
    given, family = original.name.split()
    return ContactDraft(f"{family}, {given}", f"x{original.email}", company=original.company)


def _shouted(chance: random.Random, original: ContactDraft) -> ContactDraft:
    return ContactDraft(original.name.upper().replace("Ö", "O").replace("Ä", "A"), f"x{original.email}")


def _local_phone(chance: random.Random, original: ContactDraft) -> ContactDraft:
    phone = original.phone.replace("+44 ", "0").replace(" ", chance.choice(["", "-", "."]))
    return ContactDraft(original.name.split()[0], phone=phone)


def _other_mailbox(chance: random.Random, original: ContactDraft) -> ContactDraft:
    return ContactDraft(original.name, original.email.replace("example.com", "example.org"))


CORRUPTIONS: Sequence[Corruption] = (_typo, _initial, _swapped, _shouted, _local_phone, _other_mailbox)


def address_book(seed: int) -> tuple[list[ContactDraft], set[tuple[int, int]]]:
    """800 people who are all different, 120 of them a second time with something changed.

    Returns the contacts and the pairs that are the same person, as numbers from 1.
    """
    chance = random.Random(seed)
    people = chance.sample([f"{given} {family}" for given in GIVEN for family in FAMILY], 800)
    drafts = [
        ContactDraft(
            name,
            f"{name.replace(' ', '.').casefold()}{number}@example.com".replace("ö", "o").replace("ä", "a"),
            f"+44 20 {7_946_0000 + number}",
            chance.choice(PLACES),
        )
        for number, name in enumerate(people)
    ]
    doubled = chance.sample(range(len(drafts)), 120)
    pairs = set()
    for number, place in enumerate(doubled):
        drafts.append(CORRUPTIONS[number % len(CORRUPTIONS)](chance, drafts[place]))
        pairs.add((place + 1, len(drafts)))
    return drafts, pairs


@pytest.mark.parametrize("seed", range(5))
def test_nearly_all_duplicates_of_an_address_book_are_found_and_hardly_anybody_else(seed: int) -> None:
    drafts, pairs = address_book(seed)

    found = {pair for group in groups(*drafts) for pair in combinations(group, 2)}

    assert len(found & pairs) >= 0.95 * len(pairs), sorted(
        (drafts[a - 1], drafts[b - 1]) for a, b in pairs - found
    )
    assert len(found & pairs) >= 0.95 * len(found), [(drafts[a - 1], drafts[b - 1]) for a, b in found - pairs]


def test_the_work_grows_with_the_number_of_contacts_and_no_faster(monkeypatch: pytest.MonkeyPatch) -> None:
    compared = 0
    really_close = duplicates._close

    def close(one: str, other: str) -> bool:
        nonlocal compared
        compared += 1
        return really_close(one, other)

    def work(count: int) -> int:
        nonlocal compared
        compared = 0
        chance = random.Random(count)
        # All at one company, all with one of thirty family names: the worst that a real firm can be.
        names = ["".join(chance.choices("abcdefghijklmnopqrstuvwxyz", k=9)) for _ in range(count)]
        find(kept(*(draft(f"{n} {FAMILY[i % 30]}", company="Engines") for i, n in enumerate(names))))
        return compared

    monkeypatch.setattr(duplicates, "_close", close)

    assert work(4_000) < 8_000


# ---- what becomes of them


def merged(*drafts: ContactDraft) -> ContactDraft:
    return combined(kept(*drafts))


def test_the_first_contact_has_the_say_and_the_others_fill_its_gaps() -> None:
    one = draft("Ada Lovelace", email="ada@example.com", tags="VIP")
    other = draft("Ada King", phone="555-0102", company="Engines", tags="vip,Friends")

    assert merged(one, other) == ContactDraft(
        "Ada Lovelace", "ada@example.com", "555-0102", "Engines", "Name: Ada King", ("Friends", "VIP")
    )


def test_what_finds_no_place_is_kept_in_the_notes() -> None:
    one = draft("Ada", email="ada@example.com", phone="555-0101", company="Engines", notes="Likes numbers.")
    other = draft("Ada", email="ada@example.org", phone="555-0102", company="Looms", notes="Met in 1833.")

    assert merged(one, other).notes == (
        "Likes numbers.\nMet in 1833.\nEmail: ada@example.org\nPhone: 555-0102\nCompany: Looms"
    )


def test_a_value_that_is_only_a_part_of_the_notes_is_kept_nevertheless() -> None:
    one = draft("Ada", phone="555-01012", notes="Not 555-01010, that is Charles. Email: ada@example.org.uk")
    other = draft("Ada", phone="555-0101", email="ada@example.org")

    assert merged(one, other).notes.splitlines()[1:] == ["Phone: 555-0101"]
    assert "Email: ada@example.org" in with_the_rest(merged(one), kept(other)).notes.splitlines()


def test_the_same_value_written_otherwise_is_not_kept_twice() -> None:
    one = draft("Ada Lovelace", phone="+44 20 7946 0101", company="Engines")
    other = draft("ADA LOVELACE", phone="+44 (20) 79460101", company="engines")

    assert merged(one, other).notes == ""


def test_a_contact_that_was_merged_once_can_be_merged_again() -> None:
    first = merged(draft("Ada", phone="555-0101"), draft("Ada", phone="555-0102"))

    assert merged(first, draft("Ada", phone="555-0102")).notes == "Phone: 555-0102"


def test_a_group_is_immutable() -> None:
    assert len({Group((), ()), Group((), ())}) == 1  # only what is immutable has a hash; threads share groups
