"""The rules that a contact keeps, and the message that says what to do when one is broken."""

import unicodedata
from datetime import UTC

import pytest

from app.contacts.contact import Contact, ContactDraft, InvalidContact, email_key, now, split_tags
from tests.making import ADA


def errors(draft: ContactDraft) -> dict[str, str]:
    """The messages for a draft, by field."""
    with pytest.raises(InvalidContact) as refused:
        draft.clean()
    return refused.value.errors


# --- what is kept


def test_a_draft_that_keeps_the_rules_comes_back_as_it_is() -> None:
    assert ADA.clean() == ADA


def test_space_at_the_ends_goes_and_inner_runs_become_one() -> None:
    draft = ContactDraft(
        name="  Ada \t  Lovelace\n", email=" ada@example.com ", phone=" 1   2 ", company=" A  B "
    )

    clean = draft.clean()

    assert clean == ContactDraft(name="Ada Lovelace", email="ada@example.com", phone="1 2", company="A B")


def test_notes_keep_their_line_breaks_and_lose_other_space() -> None:
    draft = ContactDraft(name="Ada", phone="1", notes="\r\n first  line \r\n\r\nlast\rend\n\n")

    assert draft.clean().notes == "first line\n\nlast\nend"


def test_text_is_kept_in_one_unicode_form() -> None:
    decomposed = unicodedata.normalize("NFD", "Rózsa Péter")

    clean = ContactDraft(name=decomposed, phone="1", tags=(unicodedata.normalize("NFD", "Café"),)).clean()

    assert clean.name == "Rózsa Péter"
    assert clean.tags == ("Café",)


def test_tags_are_sorted_and_named_once_without_regard_to_case() -> None:
    draft = ContactDraft(name="Ada", phone="1", tags=("work", "  ", "VIP", " Work ", "book  club"))

    assert draft.clean().tags == ("book club", "VIP", "work")


@pytest.mark.parametrize("fields", [{"email": "ada@example.com"}, {"phone": "12"}])
def test_an_email_or_a_phone_is_enough(fields: dict[str, str]) -> None:
    clean = ContactDraft.from_form({"name": "Ada"} | fields).clean()

    assert clean.name == "Ada"


@pytest.mark.parametrize(
    "name", ["夏培肃", "مريم", "Ḥabīb", "O'Brien-Smith", "Σοφία", "👩‍💻 Ada", "می‌خواهم", "A"]
)
def test_a_name_may_be_in_any_script(name: str) -> None:
    assert ContactDraft(name=name, phone="1").clean().name == name


@pytest.mark.parametrize(
    "email",
    [
        "ada@example.com",
        "ADA@EXAMPLE.COM",
        "ada.byron+lists@mail.example.co.uk",
        "o'brien_{x}@example.org",
        "1@2.example",
        "用户@例え.jp",
        "a@xn--bcher-kva.example",
    ],
)
def test_an_email_is_kept_as_typed(email: str) -> None:
    assert ContactDraft(name="Ada", email=email).clean().email == email


@pytest.mark.parametrize("phone", ["1", "+44 (0)20 7946-0101", "555.0101 x12", "030/23125041 X9"])
def test_a_phone_is_kept_as_typed(phone: str) -> None:
    assert ContactDraft(name="Ada", phone=phone).clean().phone == phone


@pytest.mark.parametrize(
    ("field", "limit"), [("name", 200), ("phone", 40), ("company", 200), ("notes", 5_000)]
)
def test_a_field_may_be_as_long_as_its_limit(field: str, limit: int) -> None:
    draft = ContactDraft.from_form({"name": "Ada", "phone": "1"} | {field: "1" * limit})

    assert len(getattr(draft.clean(), field)) == limit


def test_an_email_may_have_254_characters() -> None:
    email = "a" * 180 + "@" + "b" * 63 + ".example.x"

    assert len(email) == 254
    assert ContactDraft(name="Ada", email=email).clean().email == email


def test_a_contact_may_have_20_tags_of_40_characters() -> None:
    tags = tuple(f"{number:040}" for number in range(20))

    assert ContactDraft(name="Ada", phone="1", tags=tags).clean().tags == tags


# --- what is refused


@pytest.mark.parametrize("name", ["", "   ", "\n\t", "\u2003"])
def test_a_name_is_required(name: str) -> None:
    assert errors(ContactDraft(name=name, phone="1")) == {"name": "This field is required. Enter a name."}


def test_an_email_or_a_phone_is_required() -> None:
    assert errors(ContactDraft(name="Ada")) == {"email": "Enter an email address or a phone number."}


@pytest.mark.parametrize(
    "email",
    [
        "ada",
        "ada@",
        "@example.com",
        "ada@example",
        "ada@@example.com",
        "ada lovelace@example.com",
        "ada@exam ple.com",
        "ada@example..com",
        "ada@.example.com",
        "ada@example.com.",
        "ada@-example.com",
        "ada@example-.com",
        "ada@exam_ple-.com",
        ".ada@example.com",
        "ada.@example.com",
        "a..da@example.com",
        "ada@example.com, grace@example.org",
        "ada@example.com;grace@example.org",
        "Ada <ada@example.com>",
        '"ada"@example.com',
        "ada@[127.0.0.1]",
        "ada@" + "b" * 64 + ".com",
        "mailto:ada@example.com",
    ],
)
def test_an_email_must_be_one_mailbox(email: str) -> None:
    draft = ContactDraft(name="Ada", email=email)

    assert errors(draft) == {"email": "Enter a valid email address, such as ada@example.com."}


@pytest.mark.parametrize(
    "phone", ["call me", "+", "()", "12a", "555#1", "\uff11\uff12", "12\u200b3", "\u0663"]
)
def test_a_phone_must_be_digits_and_phone_marks(phone: str) -> None:
    draft = ContactDraft(name="Ada", phone=phone)

    assert errors(draft) == {"phone": "Enter a phone number with digits, spaces and + - ( ) . / x only."}


@pytest.mark.parametrize(
    ("field", "length", "message"),
    [
        ("name", 201, "Use at most 200 characters; this has 201."),
        ("email", 255, "Use at most 254 characters; this has 255."),
        ("phone", 41, "Use at most 40 characters; this has 41."),
        ("company", 201, "Use at most 200 characters; this has 201."),
        ("notes", 5_001, "Use at most 5,000 characters; this has 5,001."),
    ],
)
def test_a_field_that_is_too_long_says_by_how_much(field: str, length: int, message: str) -> None:
    draft = ContactDraft.from_form({"name": "Ada", "phone": "1"} | {field: "1" * length})

    assert errors(draft) == {field: message}


def test_length_is_counted_after_tidying() -> None:
    draft = ContactDraft(name=" " * 300 + "Ada" + " " * 300, phone="1")

    assert draft.clean().name == "Ada"


@pytest.mark.parametrize("field", ["name", "company", "notes"])
@pytest.mark.parametrize("character", ["\x00", "\x07", "\x1b", "\x7f", "\x9f", "\ud800"])
def test_control_characters_and_lone_surrogates_are_refused(field: str, character: str) -> None:
    draft = ContactDraft.from_form({"name": "Ada", "phone": "1"} | {field: f"A{character}da"})

    assert errors(draft) == {field: "Remove the invisible control characters."}


def test_a_surrogate_in_an_email_is_refused() -> None:
    assert set(errors(ContactDraft(name="Ada", email="a\ud800@example.com"))) == {"email"}


def test_more_than_20_tags_are_refused() -> None:
    draft = ContactDraft(name="Ada", phone="1", tags=tuple(map(str, range(21))))

    assert errors(draft) == {"tags": "Use at most 20 tags; this has 21."}


def test_a_tag_of_more_than_40_characters_is_refused() -> None:
    draft = ContactDraft(name="Ada", phone="1", tags=("x" * 41,))

    assert errors(draft) == {"tags": f"Use at most 40 characters for each tag; “{'x' * 40}…” is longer."}


@pytest.mark.parametrize("tag", ["a,b", "a\x00b", "a\ud800"])
def test_a_tag_with_a_comma_or_a_control_character_is_refused(tag: str) -> None:
    draft = ContactDraft(name="Ada", phone="1", tags=(tag,))

    assert errors(draft) == {"tags": "Use tags without commas and invisible control characters."}


def test_every_broken_rule_is_reported_in_the_order_of_the_form() -> None:
    draft = ContactDraft(name="", email="ada", phone="x", company="c" * 201, notes="\x00", tags=("a,b",))

    found = errors(draft)

    assert list(found) == ["name", "email", "phone", "company", "notes", "tags"]


def test_an_invalid_contact_reads_as_its_messages() -> None:
    invalid = InvalidContact({"name": "Enter a name.", "phone": "Enter a number."})

    assert str(invalid) == "name: Enter a name.; phone: Enter a number."
    assert invalid.taken_by is None


# --- forms, versions, keys


def test_a_draft_is_read_from_a_form_and_lacks_what_the_form_lacks() -> None:
    draft = ContactDraft.from_form({"name": "Ada", "tags": " Work, ,VIP,", "id": "7"})

    assert draft == ContactDraft(name="Ada", tags=("Work", "VIP"))


def test_tags_in_one_text_are_separated_by_commas() -> None:
    assert split_tags("work, , VIP") == ("work", "VIP")
    assert split_tags("") == ()


def test_a_new_contact_has_version_1_and_a_change_makes_it_2() -> None:
    at, later = now(), now()
    contact = Contact.create(7, ADA, at)

    changed = contact.changed(ContactDraft(name="Ada King", phone="1"), later)

    assert (contact.version, changed.version) == (1, 2)
    assert (changed.id, changed.created_at, changed.updated_at) == (7, at, later)
    assert (changed.name, changed.email, changed.company) == ("Ada King", "", "")


def test_a_contact_knows_whether_a_draft_would_change_it() -> None:
    contact = Contact.create(7, ADA, now())

    assert contact.holds(ADA)
    assert contact.holds(ContactDraft.of(contact))
    assert not contact.holds(ContactDraft(name="Ada", email="ada@example.com"))


def test_times_are_utc_in_whole_milliseconds() -> None:
    moment = now()

    assert moment.tzinfo is UTC
    assert moment.microsecond % 1_000 == 0


@pytest.mark.parametrize(
    ("one", "other"),
    [("ada@example.com", "ADA@Example.COM"), ("zoë@x.org", "ZOE\u0308@x.org"), ("ß@x.de", "SS@x.de")],
)
def test_emails_are_the_same_without_regard_to_case(one: str, other: str) -> None:
    assert email_key(one) == email_key(other)


def test_no_email_is_the_same_as_no_other() -> None:
    assert email_key("") is None
