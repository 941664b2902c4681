"""Which contacts are likely the same person or firm.

People are never compared all with all. Each clue (a phone number, a name, a name but for one
word at the same company) is a key, and only those who share a key are looked at together; a
key that many share says nothing. So the time grows with the number of contacts and no faster.

Links are of two kinds. The same full name, or the same phone and names that are alike, is sure
enough to chain: A with B and B with C make one group of three. A weaker link makes a pair, or
brings one more to a group in which every name is like its own. What that leaves out shows
after the next merge.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import combinations, pairwise, product, takewhile
from operator import attrgetter

from app.contacts.contact import Contact
from app.contacts.listing import fold

GROUP_LIMIT = 20
PHONE_LIMIT = 5  # more people than these share a switchboard, not an identity
WORDS_LIMIT = 6  # longer names are firms and departments: only the whole name counts

SAME_NAME, SAME_PHONE = "Same name", "Same phone"
SIMILAR_NAME, SIMILAR_EMAIL, SAME_COMPANY = "Similar name", "Similar email", "Same company"
_WEIGHTS = {SAME_NAME: 4, SAME_PHONE: 4, SIMILAR_NAME: 2, SIMILAR_EMAIL: 2, SAME_COMPANY: 1}

_TITLES = frozenset({"dr", "mr", "mrs", "ms", "prof"})
_BETWEEN_WORDS = re.compile(r"[\s,.;:()/\"“”\-–_]+")


@dataclass(frozen=True, slots=True)
class Group:
    """Contacts that are likely the same.

    contacts: 2 to GROUP_LIMIT, the oldest first. reasons: what speaks for it, as on the page,
    the strongest first.
    """

    contacts: tuple[Contact, ...]
    reasons: tuple[str, ...]


def find(contacts: Iterable[Contact]) -> Sequence[Group]:
    """Groups of likely duplicates, the strongest first, then by name; a contact is in one at most.

    contacts: in any order; the answer does not depend on it.
    """
    people = sorted(map(_Clues.of, contacts), key=lambda person: person.contact.id)
    groups = _Groups()
    weak = []
    for link in (*_same_names(people), *_same_phones(people), *_similar_names(people)):
        if link.sure:
            groups.join(link)
        else:
            weak.append(link)
    for link in weak:
        groups.join(link)
    found = sorted(groups.found(), key=lambda group: group.order)
    return tuple(Group(group.contacts, group.reasons) for group in found)


# ---- what is known of one contact


@dataclass(frozen=True, slots=True)
class _Phone:
    """A number that can be compared. digits: without the zeros it begins with; "" for no number."""

    digits: str
    extension: str
    international: bool

    @classmethod
    def of(cls, text: str) -> _Phone:
        """The number in a text; none if it has fewer than seven digits, which many towns have."""
        number, _, extension = text.lower().partition("x")
        number = number.replace("(0)", "")
        digits = _digits(number)
        international = number.startswith("+") or digits.startswith("00")
        digits = digits.lstrip("0")
        return cls(digits if len(digits) >= 7 else "", _digits(extension), international)

    @property
    def key(self) -> str:
        """What numbers have in common that may be the same, with and without country code; "" for none."""
        return f"{self.digits[-8:]}x{self.extension}" if self.digits else ""

    def same(self, other: _Phone) -> bool:
        """Whether the numbers are the same, or would be with a country code before one of them."""
        if self.key != other.key or not self.digits:
            return False
        if self.digits == other.digits:
            return True
        short, long = sorted((self, other), key=lambda phone: len(phone.digits))
        code = long.digits.removesuffix(short.digits)
        is_code = code in ("1", "7") or len(code) in (2, 3)
        return is_code and not short.international


@dataclass(frozen=True, slots=True, eq=False)
class _Clues:
    """A contact and what is compared of it, folded.

    words: of the name, sorted, so that "Lovelace, Ada" is "Ada Lovelace". mailbox: the email up to the @.
    """

    contact: Contact
    words: tuple[str, ...]
    phone: _Phone
    company: str
    mailbox: str

    @classmethod
    def of(cls, contact: Contact) -> _Clues:
        """The clues that a contact holds."""
        words = _BETWEEN_WORDS.split(fold(contact.name.replace("'", "").replace("’", "")))
        words = [word for word in words if word and word not in _TITLES]
        return cls(
            contact,
            tuple(sorted(words)),
            _Phone.of(contact.phone),
            _folded_company(contact.company),
            fold(contact.email.partition("@")[0]),
        )

    @property
    def is_fully_named(self) -> bool:
        """Whether there is more than a given name and initials; in Chinese one word is all."""
        long = [word for word in self.words if len(word) > 1]
        return len(long) > 1 or not all(word.isascii() for word in self.words)

    def contradicts(self, other: _Clues) -> bool:
        """Whether both phone and email say that these are two people."""
        phones = self.phone.digits and other.phone.digits and not self.phone.same(other.phone)
        return bool(phones and self.mailbox and other.mailbox and self.mailbox != other.mailbox)


@lru_cache(maxsize=10_000)
def _folded_company(company: str) -> str:
    return fold(company)


def _digits(text: str) -> str:
    return "".join(filter(str.isdecimal, text))


# ---- links between two contacts


@dataclass(frozen=True, slots=True)
class _Link:
    """Two contacts that may be the same, and why. sure: see the module."""

    one: _Clues
    other: _Clues
    reasons: tuple[str, ...]
    sure: bool


def _same_names(people: Iterable[_Clues]) -> Iterator[_Link]:
    """A name that very many have links only those who share something else, too."""
    name, *finer = map(attrgetter, ("words", "phone.digits", "company", "mailbox"))
    for block in _blocks(people, GROUP_LIMIT, name, *finer):
        for one, other in pairwise(block):
            yield _Link(one, other, (SAME_NAME,), sure=one.is_fully_named)


def _same_phones(people: Iterable[_Clues]) -> Iterator[_Link]:
    """Different names at one company with one number are colleagues; elsewhere it is worth a look."""
    for block in _blocks(people, PHONE_LIMIT, attrgetter("phone.key"), attrgetter("phone.digits")):
        for one, other in combinations(block, 2):
            alike = _alike(one.words, other.words)
            colleagues = one.company and one.company == other.company
            if one.phone.same(other.phone) and (alike or not colleagues):
                yield _Link(one, other, (SAME_PHONE,), sure=alike)


def _similar_names(people: Iterable[_Clues]) -> Iterator[_Link]:
    """Names that differ in one word, at the same company or with the same email up to the @."""
    blocks: dict[tuple[str, str, tuple[str, ...]], dict[str, list[_Clues]]]
    blocks = defaultdict(lambda: defaultdict(list))
    for person in people:
        if 2 <= len(person.words) <= WORDS_LIMIT:
            for kind, place in ((SAME_COMPANY, person.company), (SIMILAR_EMAIL, person.mailbox)):
                for word, rest in _but_one(person.words) if place else ():
                    blocks[kind, place, rest][word].append(person)
    for (kind, _, _), block in blocks.items():
        for word, near in _near(block) if len(block) > 1 else ():
            # Those with one and the same name are linked already: a few of them are enough.
            for one, other in product(block[word][:3], block[near][:3]):
                if not one.contradicts(other):
                    yield _Link(one, other, (SIMILAR_NAME, kind), sure=False)


_Key = Callable[[_Clues], Hashable]


def _blocks(people: Iterable[_Clues], limit: int, key: _Key, *finer: _Key) -> Iterator[Sequence[_Clues]]:
    """Those who share a key, if they are 2 to `limit`; of more, those who share a finer key, too."""
    blocks: dict[Hashable, list[_Clues]] = defaultdict(list)
    for person in people:
        if value := key(person):
            blocks[value].append(person)
    for block in blocks.values():
        if 2 <= len(block) <= limit:
            yield block
        elif len(block) > limit:
            for narrow in finer:
                yield from _blocks(block, limit, narrow)


# ---- names that are alike


def _alike(some: Sequence[str], others: Sequence[str]) -> bool:
    """Whether two names are the same but for one word, or one is a part of the other."""
    rest = [word for word in some if word not in others]
    other_rest = [word for word in others if word not in some]
    if len(rest) == len(some):
        return False
    if not rest or not other_rest:
        return True
    return len(rest) == len(other_rest) == 1 and _close(rest[0], other_rest[0])


def _but_one(words: tuple[str, ...]) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Each word with the rest of the name, which has a word that is no initial; "" with the whole name."""
    for place, word in enumerate(words):
        rest = words[:place] + words[place + 1 :]
        if any(len(other) > 1 for other in rest):
            yield word, rest
    yield "", words


def _near(words: Iterable[str]) -> Iterator[tuple[str, str]]:
    """The pairs of words that are close; "" (a middle name left out) is close to every word.

    Words one slip apart have what is left without one letter in common, so all others never meet.
    """
    meeting: dict[str, list[str]] = defaultdict(list)
    words = sorted(words)
    few = len(words) <= GROUP_LIMIT  # of many an initial could mean anybody
    for word in words:
        if few:
            meeting[""].append(word)
        else:
            for key in {word, *(word[:place] + word[place + 1 :] for place in range(len(word)))}:
                meeting[key].append(word)
    for met in meeting.values():
        for one, other in combinations(met, 2):
            if one == "" or _close(one, other):
                yield one, other


def _close(one: str, other: str) -> bool:
    """Whether one word is the initial of the other, or a slip of the pen away from it.

    Short words are too often names of their own: Jan and Jana, Anna and Anne.
    """
    if len(one) == 1 or len(other) == 1:
        return one[0] == other[0]
    return min(len(one), len(other)) >= 5 and _one_slip_apart(one, other)


def _one_slip_apart(one: str, other: str) -> bool:
    """Whether one letter is wrong, missing, or in the place of its neighbour."""
    start = _same_start(one, other)
    one, other = one[start:], other[start:]
    end = _same_start(one[::-1], other[::-1])
    one, other = one[: len(one) - end], other[: len(other) - end]
    return max(len(one), len(other)) <= 1 or (len(one) == 2 and one == other[::-1])


def _same_start(one: str, other: str) -> int:
    """How many letters two words have in common at their beginning."""
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False)))


# ---- groups


@dataclass(slots=True, eq=False)
class _Gathering:
    """A group while it grows."""

    people: list[_Clues]
    clues: set[str] = field(default_factory=set)

    @property
    def contacts(self) -> tuple[Contact, ...]:
        return tuple(sorted((person.contact for person in self.people), key=lambda contact: contact.id))

    @property
    def reasons(self) -> tuple[str, ...]:
        companies = Counter(person.company for person in self.people if person.company)
        shared = {SAME_COMPANY} if any(count > 1 for count in companies.values()) else set()
        return tuple(reason for reason in _WEIGHTS if reason in self.clues | shared)

    @property
    def order(self) -> tuple[int, str, int]:
        """The strongest first. Phones or companies that all have, and all others, speak against it."""
        phones = [person.phone.digits for person in self.people]
        companies = [person.company for person in self.people]
        against = sum(all(facts) and len(set(facts)) == len(facts) for facts in (phones, companies))
        first = self.contacts[0]
        return against - sum(_WEIGHTS[reason] for reason in self.reasons), fold(first.name), first.id


class _Groups:
    """Groups that links join together."""

    def __init__(self) -> None:
        self._by_id: dict[int, _Gathering] = {}

    def join(self, link: _Link) -> None:
        """Put both contacts of a link in one group, unless it would be too large or too weak."""
        small, large = sorted((self._of(link.one), self._of(link.other)), key=lambda group: len(group.people))
        if small is not large:
            if len(small.people) + len(large.people) > GROUP_LIMIT or not (link.sure or _fits(small, large)):
                return
            large.people += small.people
            large.clues |= small.clues
            for person in small.people:
                self._by_id[person.contact.id] = large
        large.clues.update(link.reasons)

    def found(self) -> Iterator[_Gathering]:
        """Every group of two and more, once."""
        return (group for group in dict.fromkeys(self._by_id.values()) if len(group.people) > 1)

    def _of(self, person: _Clues) -> _Gathering:
        return self._by_id.setdefault(person.contact.id, _Gathering([person]))


def _fits(small: _Gathering, large: _Gathering) -> bool:
    """Whether a weak link may join two groups: two that are alone, or one to those that are all like it."""
    if len(large.people) == 1:
        return True
    newcomer = small.people[0]
    return len(small.people) == 1 and all(_alike(newcomer.words, other.words) for other in large.people)
