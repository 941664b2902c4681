"""Sample contacts: pioneers of computing first, then people made up as real address books have them."""

import itertools
import subprocess
import sys
import unicodedata
from pathlib import Path

import pytest

from app.contacts.contact import email_key
from app.contacts.listing import ListQuery, fold
from app.contacts.samples import samples
from app.store import ContactStore


def test_the_first_samples_are_pioneers_of_computing() -> None:
    names = [draft.name for draft in samples(12)]

    assert names[:3] == ["Ada Lovelace", "Grace Hopper", "Alan Turing"]
    assert len(set(names)) == 12


@pytest.mark.parametrize("seed", [1, 2])
def test_the_same_seed_gives_the_same_samples(seed: int) -> None:
    assert list(samples(200, seed)) == list(samples(200, seed))


def test_another_process_gives_the_same_samples() -> None:
    code = "from app.contacts.samples import samples; print(list(samples(100)))"

    ran = subprocess.run(
        [sys.executable, "-c", code],
        cwd=Path(__file__).parents[1],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )

    assert ran.stdout == f"{list(samples(100))}\n"


def test_another_seed_gives_others_after_the_pioneers() -> None:
    one, other = list(samples(200, 1)), list(samples(200, 2))

    assert one[:12] == other[:12]
    assert one[12:] != other[12:]


@pytest.mark.parametrize("count", [0, 1, 11, 12, 13, 100])
def test_fewer_samples_are_the_first_of_more(count: int) -> None:
    assert list(samples(count)) == list(itertools.islice(samples(500), count))
    assert len(list(samples(count))) == count


def test_every_sample_keeps_the_rules_as_it_is() -> None:
    for draft in samples(5_000):
        clean = draft.clean()

        assert sorted(clean.tags) == sorted(draft.tags)
        assert (clean.name, clean.email, clean.phone) == (draft.name, draft.email, draft.phone)
        assert (clean.company, clean.notes) == (draft.company, draft.notes)


def test_no_two_samples_have_the_same_email() -> None:
    emails = [email_key(draft.email) for draft in samples(5_000) if draft.email]

    assert len(set(emails)) == len(emails)


def test_no_sample_can_reach_a_real_person() -> None:
    free = ("+1 ", "+44 20 7946 0", "+49 30 23125 ")
    for draft in samples(5_000):
        assert not draft.email or draft.email.endswith(("@example.com", "@example.org", "@example.net"))
        assert not draft.phone or draft.phone.startswith(free)
        assert not draft.phone.startswith("+1 ") or draft.phone[6:13] == "-555-01"


def test_the_pioneers_have_gaps_and_letters_as_real_contacts_do() -> None:
    pioneers = list(samples(12))

    assert sum(not draft.email for draft in pioneers) == 1
    assert sum(not draft.phone for draft in pioneers) == 1
    assert any(not draft.notes for draft in pioneers)
    assert sum(not draft.name.isascii() for draft in pioneers) >= 2
    assert all(draft.company and draft.tags for draft in pioneers)


def test_many_samples_have_gaps_scripts_and_lengths_as_real_address_books_do() -> None:
    drafts = list(samples(5_000))

    share = {
        field: sum(not getattr(draft, field) for draft in drafts) / 5_000
        for field in ("email", "phone", "company", "notes", "tags")
    }
    scripts = {
        unicodedata.name(letter).split()[0] for draft in drafts for letter in draft.name if letter.isalpha()
    }
    lengths = [len(draft.company) for draft in drafts]

    assert all(0.05 < missing < 0.9 for missing in share.values()), share
    assert scripts >= {"LATIN", "CJK", "HIRAGANA", "HANGUL", "CYRILLIC", "GREEK", "ARABIC", "DEVANAGARI"}
    assert max(lengths) > 40
    assert len({fold(draft.name) for draft in drafts}) > 2_000


def test_a_store_keeps_every_sample(store: ContactStore) -> None:
    result = store.import_many(samples(2_000), kind="sample")

    assert (result.added, result.skipped, result.failed) == (2_000, 0, ())
    assert str(result.batch) == "Added 2,000 sample contacts"
    assert len(store.samples()) == store.count(ListQuery()) == 2_000
