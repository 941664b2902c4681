"""Every store against a plain model of one, through whatever sequence of calls hypothesis comes up with.

The model keeps a dict of drafts and a list of batches, and goes through all of it for every
answer. Whenever a store and the model disagree, hypothesis prints the shortest calls to that point.
"""

import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from operator import methodcaller
from pathlib import Path
from typing import ClassVar

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

import app.store.sqlite
from app.contacts.changes import UndoConflict
from app.contacts.contact import (
    Contact,
    ContactDraft,
    ContactError,
    EditConflict,
    InvalidContact,
    NoSuchBatch,
    NoSuchContact,
    email_key,
    now,
)
from app.contacts.listing import (
    ONLY,
    SORTS,
    STALE,
    ListQuery,
    Only,
    Sort,
    fold,
    haystack,
    matches,
    sort_keys,
    terms,
)
from app.store import ContactStore, OnDuplicate
from app.store.memory import MemoryStore
from app.store.postgres import PostgresStore
from app.store.sqlite import SQLiteStore
from tests.patching import patch_stores
from tests.postgres import Postgres

# Few emails and tags, so that they collide, and names that trip up engines.
NAMES = (
    "Ada Lovelace",
    "ADA LOVELACE",
    "É é e\u0301",
    "Straße STRASSE",
    "İstanbul ıı",
    "o\ufb03ce Łódź Ørsted",
    "a_b a-b a.b a+b",
    "axb 100x",
    '100% "quoted" it\'s \\',
    "ж 日本 😀",
    "x",
    "*",
    "NEAR(a b) AND OR NOT",
    "\U0010ffff z",
)
EMAILS = (
    "",
    "",
    "ada@example.com",
    "ADA@example.com",
    "zoë@example.com",
    "ZOË@EXAMPLE.COM",
    "b@x.org",
    "c@x.org",
)
PHONES = ("", "1", "+48 (754) 292", "754-292 x9")
TAGS = ("Work", "work", "VIP", "ß", "SS", "日本")

ids = st.integers(0, 9)
some_ids = st.lists(ids, max_size=4)
words = st.sampled_from(NAMES) | st.text(st.characters(exclude_categories=("Cc", "Cs")), max_size=8)
drafts = st.builds(
    ContactDraft,
    name=words.map(lambda word: f"{word} A" if not word.strip() else word),
    email=st.sampled_from(EMAILS),
    phone=st.sampled_from(PHONES),
    company=st.sampled_from(("", "Acme", "ácme", "Beta")),
    notes=st.sampled_from(("", "", "first\nsecond")) | words,
    tags=st.lists(st.sampled_from(TAGS), max_size=3).map(tuple),
).filter(lambda draft: draft.email or draft.phone)
searches = (
    words
    | st.text(max_size=3)
    | st.sampled_from(NAMES + EMAILS + PHONES).flatmap(
        lambda text: st.builds(
            lambda start, length: text[start : start + length], st.integers(0, 9), st.integers(1, 6)
        )
    )
    | st.lists(
        st.sampled_from((*"aéß日本'\"*-%_😀1\u0301ł", "NEAR", "48", "754", "(754)", "+48", "292")), max_size=3
    ).map(" ".join)
)
some_tags = st.lists(st.sampled_from(TAGS), max_size=2)
onlies = st.sampled_from(("", *ONLY))  # none half as often again


@dataclass(frozen=True)
class Known:
    """What the model knows of a contact: its fields and its version."""

    draft: ContactDraft
    version: int

    @classmethod
    def of(cls, contact: Contact | None) -> Known | None:
        return cls(ContactDraft.of(contact), contact.version) if contact else None

    def then(self, draft: ContactDraft) -> Known:
        return Known(draft.clean(), self.version + 1)


Edits = dict[int, tuple[Known | None, Known | None]]


class StoreMachine(RuleBasedStateMachine):
    """The rules of the game, for the store that a subclass opens."""

    def __init__(self) -> None:
        super().__init__()
        self.store = self.open()
        self.known: dict[int, Known] = {}
        self.log: list[Edits] = []
        self.undone: dict[int, int] = {}  # batches, and the batch that undid each
        self.last_id = 0
        self.steps = 0

    def open(self) -> ContactStore:
        raise NotImplementedError

    def teardown(self) -> None:
        self.store.close()

    # --- the model

    def owner(self, email: str) -> int | None:
        """The contact that has an email."""
        key = email_key(email)
        return next(
            (i for i, known in self.known.items() if key and email_key(known.draft.email) == key), None
        )

    def twin(self, draft: ContactDraft) -> int | None:
        """The contact that an import takes a draft for."""
        draft = draft.clean()
        if draft.email:
            return self.owner(draft.email)

        def who(draft: ContactDraft) -> object:
            return draft.email, fold(draft.name), [char for char in draft.phone if char.isdigit()]

        return min((i for i, known in self.known.items() if who(known.draft) == who(draft)), default=None)

    def commit(self, edits: Edits) -> None:
        for contact_id, (_, after) in edits.items():
            self.known.pop(contact_id, None)
            if after:
                self.known[contact_id] = after
                self.last_id = max(self.last_id, contact_id)
        if edits:
            self.log.append(edits)

    def contacts(self) -> dict[int, Contact]:
        """The contacts of the store, which must be those of the model."""
        contacts = {contact_id: self.store.get(contact_id) for contact_id in self.known}
        assert {contact_id: Known.of(contact) for contact_id, contact in contacts.items()} == self.known
        return contacts

    def matching(self, text: str, tags: Sequence[str], only: Only = "") -> Iterator[Contact]:
        wanted = {tag.casefold() for tag in tags}
        missing: dict[Only, Callable[[Contact], bool]] = {
            "no-phone": lambda contact: contact.phone == "",
            "no-email": lambda contact: contact.email == "",
            "stale": lambda contact: False,  # all of them are new; see Pair
        }
        for contact in self.contacts().values():
            if only and not missing[only](contact):
                continue
            if wanted <= {tag.casefold() for tag in contact.tags} and matches(terms(text), haystack(contact)):
                yield contact

    # --- writing

    @initialize(draft=drafts)
    def begin_with_one(self, draft: ContactDraft) -> None:
        self.add(draft)

    @rule(draft=drafts)
    def add(self, draft: ContactDraft) -> None:
        if owner := self.owner(draft.email):
            with pytest.raises(InvalidContact) as refused:
                self.store.add(draft)
            assert refused.value.taken_by == self.store.get(owner)
            return
        contact, batch = self.store.add(draft)
        assert contact.id == self.last_id + 1
        self.commit({contact.id: (None, Known(draft.clean(), 1))})
        assert batch.id == len(self.log)

    @rule(contact_id=ids, draft=drafts, late=st.integers(0, 2))
    def update(self, contact_id: int, draft: ContactDraft, late: int) -> None:
        known = self.known.get(contact_id)
        if known is None:
            with pytest.raises(NoSuchContact):
                self.store.update(contact_id, draft, 1)
        elif late == 2:
            with pytest.raises(EditConflict):
                self.store.update(contact_id, draft, known.version - 1)
        elif self.owner(draft.email) not in (None, contact_id):
            with pytest.raises(InvalidContact):
                self.store.update(contact_id, draft, known.version)
        else:
            _, batch = self.store.update(contact_id, draft, known.version)
            assert (batch is None) == (known.draft == draft.clean())
            if batch:
                self.commit({contact_id: (known, known.then(draft))})

    @rule(contact_ids=some_ids)
    def delete(self, contact_ids: list[int]) -> None:
        edits: Edits = {i: (self.known[i], None) for i in contact_ids if i in self.known}

        batch = self.store.delete(contact_ids)

        assert (batch.size if batch else 0) == len(edits)
        self.commit(edits)

    @rule(contact_ids=some_ids, add=some_tags, remove=some_tags)
    def tag(self, contact_ids: list[int], add: list[str], remove: list[str]) -> None:
        unwanted = {tag.casefold() for tag in remove}
        edits: Edits = {}
        for contact_id in contact_ids:
            if known := self.known.get(contact_id):
                kept = [tag for tag in known.draft.tags if tag.casefold() not in unwanted]
                draft = replace(known.draft, tags=(*kept, *add)).clean()
                if draft != known.draft:
                    edits[contact_id] = (known, known.then(draft))

        batch = self.store.tag(contact_ids, add, remove)

        assert (batch.size if batch else 0) == len(edits)
        self.commit(edits)

    @rule(contact_ids=st.lists(ids, min_size=2, max_size=3, unique=True), draft=drafts)
    def merge(self, contact_ids: list[int], draft: ContactDraft) -> None:
        known = [self.known.get(contact_id) for contact_id in contact_ids]
        versions = {i: each.version if each else 1 for i, each in zip(contact_ids, known, strict=True)}
        if None in known:
            with pytest.raises(NoSuchContact):
                self.store.merge(versions, draft)
        elif self.owner(draft.email) not in (None, *contact_ids):
            with pytest.raises(InvalidContact):
                self.store.merge(versions, draft)
        else:
            first, *others = contact_ids
            self.store.merge(versions, draft)
            edits: Edits = {i: (self.known[i], None) for i in others}
            self.commit({first: (self.known[first], self.known[first].then(draft)), **edits})

    @rule(back=st.integers(-1, 5))
    def undo(self, back: int) -> None:
        batch_id = len(self.log) - back
        if not 0 < batch_id <= len(self.log):
            with pytest.raises(NoSuchBatch):
                self.store.undo(batch_id)
            return
        if batch_id in self.undone and self.undone[batch_id] not in self.undone:
            assert self.store.undo(batch_id).id == self.undone[batch_id]
            return
        batch = self.log[batch_id - 1]
        changed_since = {contact_id for later in self.log[batch_id:] for contact_id in later}
        taken = {
            i
            for i, (before, _) in batch.items()
            if before and self.owner(before.draft.email) not in (None, *batch)
        }
        if changed_since & batch.keys() or taken:
            with pytest.raises(UndoConflict) as conflict:
                self.store.undo(batch_id)
            plan = conflict.value.plan
            untouched = batch.keys() - changed_since - taken
            # Those whose email another one of the batch has get it back only if that one gives it back.
            waiting = {i for i in untouched if self.waits(i, batch[i][0], batch)}
            assert len(untouched - waiting) <= plan.whole <= len(untouched)
            assert plan == replace(self.store.undo_plan(batch_id), examples=plan.examples)
        else:
            undo = self.store.undo(batch_id)
            assert (undo.undoes, undo.size) == (batch_id, len(batch))
            edits: Edits = {}
            for contact_id, (before, after) in batch.items():
                latest = after or before
                assert latest
                edits[contact_id] = (after, Known(before.draft, latest.version + 1) if before else None)
            self.commit(edits)
            self.undone[batch_id] = undo.id

    def waits(self, contact_id: int, before: Known | None, batch: Edits) -> bool:
        """Whether a contact was changed by the batch together with the one that has its email now."""
        owner = self.owner(before.draft.email) if before else None
        return owner in batch and owner != contact_id

    @rule(rows=st.lists(drafts, max_size=5), on_duplicate=st.sampled_from(("skip", "update", "fill")))
    def import_many(self, rows: list[ContactDraft], on_duplicate: OnDuplicate) -> None:
        edits: Edits = {}
        start = dict(self.known)
        for row in rows:
            twin = self.twin(row)
            if twin is None:
                self.last_id += 1
                edits[self.last_id] = (None, Known(row.clean(), 1))
                self.known[self.last_id] = Known(row.clean(), 1)
                continue
            held = self.known[twin].draft
            merged = {"skip": held, "update": updated(held, row), "fill": filled(held, row)}[
                on_duplicate
            ].clean()
            if merged != held:
                before = start.get(twin)
                edits[twin] = (before, Known(merged, before.version + 1 if before else 1))
                self.known[twin] = Known(merged, 0)

        result = self.store.import_many(rows, on_duplicate)

        assert (result.batch.size if result.batch else 0) == len(edits)
        assert result.added == len(edits.keys() - start.keys())
        assert result.added + result.updated + result.skipped == len(rows)
        self.commit(edits)

    # --- reading

    @rule(
        text=words | st.text(max_size=3),
        tags=some_tags,
        only=onlies,
        sort=st.sampled_from(SORTS),
        descending=st.booleans(),
        limit=st.integers(1, 4),
    )
    def search(
        self, text: str, tags: list[str], only: Only, sort: Sort, descending: bool, limit: int
    ) -> None:
        found = list(self.matching(text, tags, only))

        query = ListQuery(text, tuple(tags), only, sort, descending, limit=limit)

        self.compare(query, found)

    @rule(contact_id=ids, sort=st.sampled_from(SORTS))
    @precondition(lambda self: self.known)
    def find_each_word(self, contact_id: int, sort: Sort) -> None:
        if known := self.known.get(contact_id):
            draft = known.draft
            texts = (draft.name, draft.email, draft.phone, draft.company, draft.notes, *draft.tags)
            for word in " ".join(texts).split():
                found = list(self.matching(word, ()))
                assert contact_id in {contact.id for contact in found}
                self.compare(ListQuery(text=word, sort=sort, limit=3), found)

    @rule(email=st.sampled_from(EMAILS))
    def find_email(self, email: str) -> None:
        found = self.store.find_email(email)

        assert (found.id if found else None) == self.owner(email)

    @invariant()
    def lists_equal_the_model(self) -> None:
        self.steps += 1
        sort = SORTS[self.steps % len(SORTS)]
        self.compare(
            ListQuery(sort=sort, descending=self.steps % 3 == 0, limit=3), list(self.contacts().values())
        )

    @invariant()
    def the_log_equals_the_model(self) -> None:
        expected = [
            (batch, contact_id, before, after)
            for batch, edits in enumerate(self.log, 1)
            for contact_id, (before, after) in edits.items()
        ]

        changes = self.store.changes(0, 10_000)

        assert self.store.last_change() == self.store.settled() == len(expected)
        assert [change.seq for change in changes] == list(range(1, len(expected) + 1))
        assert sorted(
            (change.batch, change.contact_id, str((Known.of(change.before), Known.of(change.after))))
            for change in changes
        ) == sorted(
            (batch, contact_id, str((before, after))) for batch, contact_id, before, after in expected
        )

    def compare(self, query: ListQuery, expected: list[Contact]) -> None:
        """The pages, the totals, the count and the export of a query against what they must hold."""
        expected.sort(
            key=lambda contact: (sort_keys(contact)[query.sort], contact.id), reverse=query.descending
        )
        page = self.store.list(query)
        seen = list(page.contacts)
        while page.next:
            assert page.total == len(expected)
            page = self.store.list(replace(query, after=page.next))
            seen += page.contacts
        assert seen == expected
        assert page.total == self.store.count(query) == len(expected)
        assert list(self.store.ids(query)) == [contact.id for contact in expected]
        assert list(self.store.export(query)) == expected


def updated(held: ContactDraft, row: ContactDraft) -> ContactDraft:
    """A draft with every field that another one has."""
    row = row.clean()
    return ContactDraft(
        name=row.name,
        email=row.email or held.email,
        phone=row.phone or held.phone,
        company=row.company or held.company,
        notes=row.notes or held.notes,
        tags=row.tags or held.tags,
    )


def filled(held: ContactDraft, row: ContactDraft) -> ContactDraft:
    """A draft with its gaps filled from another."""
    row = row.clean()
    return ContactDraft(
        name=held.name,
        email=held.email or row.email,
        phone=held.phone or row.phone,
        company=held.company or row.company,
        notes=held.notes or row.notes,
        tags=held.tags + row.tags,
    )


class MemoryMachine(StoreMachine):
    def open(self) -> ContactStore:
        return MemoryStore()


class SQLiteMachine(StoreMachine):
    """SQLite as it is. With few contacts most matches are many, so it mostly walks the lists."""

    template: ClassVar[Path]
    dense: ClassVar[float] = app.store.sqlite._DENSE

    def open(self) -> ContactStore:
        self.folder = tempfile.TemporaryDirectory()
        self.patch = pytest.MonkeyPatch()
        self.patch.setattr(app.store.sqlite, "_DENSE", self.dense)
        path = Path(self.folder.name, "contacts.db")
        shutil.copy(SQLiteMachine.template, path)
        return SQLiteStore(path)

    def teardown(self) -> None:
        super().teardown()
        self.patch.undo()
        self.folder.cleanup()


class SQLiteLookupMachine(SQLiteMachine):
    """SQLite that always begins with its search index or the tags, as it does when few match."""

    dense = 1.0


@pytest.fixture(scope="module", autouse=True)
def template(tmp_path_factory: pytest.TempPathFactory) -> None:
    """An empty database to copy for each example: that is quicker than migrating one."""
    SQLiteMachine.template = tmp_path_factory.mktemp("template") / "contacts.db"
    SQLiteStore(SQLiteMachine.template).close()


@pytest.fixture(scope="module", autouse=True)
def cluster(postgres: Postgres) -> None:
    """The database that is emptied for each example."""
    PostgresPair.postgres = postgres


class Pair(RuleBasedStateMachine):
    """Two stores side by side at the same moments: every answer and every refusal is the same.

    The limits are so low that few contacts cross all of them.
    """

    dense: ClassVar[float] = 0.5

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.patch = pytest.MonkeyPatch()
        path = Path(self.folder.name, "contacts.db")
        shutil.copy(SQLiteMachine.template, path)
        self.moment = now()
        patch_stores(
            self.patch,
            COUNT_LIMIT=4,
            now=lambda: self.moment,
            GROUP=2,
            IMPORT_GROUP=2,
            IMPORT_TURN=0,
            _DENSE=self.dense,
            _CANDIDATES_LIMIT=6,
        )
        self.stores: list[ContactStore] = [MemoryStore(), SQLiteStore(path)]

    def teardown(self) -> None:
        for store in self.stores:
            store.close()
        self.patch.undo()
        self.folder.cleanup()

    def same(self, call: Callable[[ContactStore], object]) -> None:
        memory, *others = (outcome(store, call) for store in self.stores)
        assert others == [memory] * len(others)

    @initialize(rows=st.lists(drafts, min_size=3, max_size=6))
    def begin_with_some(self, rows: list[ContactDraft]) -> None:
        self.same(lambda store: store.import_many(rows, "update"))

    @rule(later=st.integers(0, 3))
    def wait(self, later: int) -> None:
        self.moment += timedelta(milliseconds=later)

    @rule(short=st.integers(0, 1))
    def wait_a_year(self, short: int) -> None:
        self.moment += STALE - timedelta(milliseconds=short)

    @rule(draft=drafts)
    def add(self, draft: ContactDraft) -> None:
        self.same(lambda store: store.add(draft))

    @rule(contact_id=ids, draft=drafts, version=st.integers(1, 3))
    def update(self, contact_id: int, draft: ContactDraft, version: int) -> None:
        self.same(lambda store: store.update(contact_id, draft, version))

    @rule(contact_ids=some_ids)
    def delete(self, contact_ids: list[int]) -> None:
        self.same(lambda store: store.delete(contact_ids))

    @rule(contact_ids=some_ids, add=some_tags, remove=some_tags)
    def tag(self, contact_ids: list[int], add: list[str], remove: list[str]) -> None:
        self.same(lambda store: store.tag(contact_ids, add, remove))

    @rule(contact_ids=st.lists(ids, min_size=2, max_size=4, unique=True), draft=drafts)
    def merge(self, contact_ids: list[int], draft: ContactDraft) -> None:
        versions = {i: contact.version for i in contact_ids if (contact := self.present(i))}
        if len(versions) > 1:
            self.same(lambda store: store.merge(versions, draft))

    @rule(back=st.integers(0, 5), partly=st.booleans())
    def undo(self, back: int, partly: bool) -> None:
        newest = self.stores[0].batches(1)
        batch_id = newest[0].id - back if newest else 1
        self.same(lambda store: store.undo_plan(batch_id))
        self.same(lambda store: store.undo(batch_id, partly=partly))

    @rule(rows=st.lists(drafts, max_size=7), on_duplicate=st.sampled_from(("skip", "update", "fill")))
    def import_many(self, rows: list[ContactDraft], on_duplicate: OnDuplicate) -> None:
        self.same(lambda store: store.preview(rows, on_duplicate))
        self.same(lambda store: store.import_many(rows, on_duplicate))

    @rule(
        text=searches,
        tags=some_tags,
        only=onlies,
        sort=st.sampled_from(SORTS),
        descending=st.booleans(),
        limit=st.integers(1, 3),
        contact_id=ids,
    )
    def search(
        self,
        text: str,
        tags: list[str],
        only: Only,
        sort: Sort,
        descending: bool,
        limit: int,
        contact_id: int,
    ) -> None:
        query: ListQuery | None = ListQuery(text, tuple(tags), only, sort, descending, limit=limit)
        assert query
        self.same(lambda store: store.count(query))
        self.same(lambda store: list(store.ids(query)))
        self.same(lambda store: store.neighbours(query, contact_id))
        place = None
        while True:
            page = replace(query, after=place)
            self.same(methodcaller("list", page))
            if (place := self.stores[0].list(page).next) is None:
                break

    @invariant()
    def all_answers_are_the_same(self) -> None:
        self.same(lambda store: store.tags())
        self.same(lambda store: store.batches())
        self.same(lambda store: store.changes(0, 10_000))
        self.same(lambda store: store.statistics())
        self.same(lambda store: store.added_by_week(60))
        self.same(lambda store: store.top("company", 2))
        self.same(lambda store: store.top("domain", 2))
        for contact_id in range(4):
            self.same(methodcaller("history", contact_id, 5))
            self.same(methodcaller("version", contact_id, 2))

    def present(self, contact_id: int) -> Contact | None:
        try:
            return self.stores[0].get(contact_id)
        except NoSuchContact:
            return None


class PostgresPair(Pair):
    """The same beside PostgreSQL."""

    postgres: ClassVar[Postgres]

    def __init__(self) -> None:
        super().__init__()
        self.stores.append(PostgresStore(self.postgres.empty()))


class LookupPair(Pair):
    """The same, with SQLite looking up what matches, whenever that is few."""

    dense = 1_000


def outcome(store: ContactStore, call: Callable[[ContactStore], object]) -> object:
    """What a call returns, or what it raises and everything that the error says."""
    try:
        return call(store)
    except ContactError as error:
        return type(error), str(error), vars(error)


TestMemory = MemoryMachine.TestCase
TestMemory.settings = settings(max_examples=80, stateful_step_count=25)
TestSQLite = SQLiteMachine.TestCase
TestSQLite.settings = settings(max_examples=50, stateful_step_count=25)
TestPair = Pair.TestCase
TestPair.settings = settings(max_examples=30, stateful_step_count=15)
TestPostgresPair = PostgresPair.TestCase
TestPostgresPair.settings = settings(max_examples=15, stateful_step_count=15)
TestLookupPair = LookupPair.TestCase
TestLookupPair.settings = settings(max_examples=30, stateful_step_count=15)
TestSQLiteLookup = SQLiteLookupMachine.TestCase
TestSQLiteLookup.settings = settings(max_examples=50, stateful_step_count=25)
