"""Fifty mistakes to seed, each the same idea in the app and in both twins: see bench.claims.mistakes.

A mistake replaces one short text, which stands exactly once in its file: tests/test_claims_mistakes.py
says so, and so names whatever has to follow when a template or a handler is rewritten.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

FRAMEWORKS: Final = ("chirp", "flask", "fastapi")

# Files of the app ...
LIST = "templates/contacts/index.html"
CARD = "templates/contacts/show.html"
FRAME = "templates/layout.html"
QUESTION = "templates/undo.html"
ROUTES = "app/routes.py"
HANDLERS = "app/web/contacts.py"
LISTS = "app/web/lists.py"
UNDO = "app/web/undo.py"
# ... and of the twins.
TWIN_LIST = "twins/templates/contacts/index.html"
TWIN_PARTS = "twins/templates/contacts/_parts.html"
PAGES = "twins/pages.py"
FLASK = "twins/flask_app.py"
FASTAPI = "twins/fastapi_app.py"


@dataclass(frozen=True, slots=True)
class Edit:
    """A text in a file, its path from the root of the tree, and what takes its place."""

    file: str
    old: str
    new: str


@dataclass(frozen=True, slots=True, eq=False)
class Mistake:
    """What is wrong, in a few words, and the edit that makes it so in each framework."""

    kind: str
    what: str
    edits: Mapping[str, Edit]


def same(kind: str, what: str, old: str, new: str, chirp: str = LIST, twins: str = "") -> Mistake:
    """A mistake in a template of the app, and with the same text in that of the twins."""
    twin = Edit(twins or f"twins/{chirp}", old, new)
    return Mistake(kind, what, {"chirp": Edit(chirp, old, new), "flask": twin, "fastapi": twin})


def each(kind: str, what: str, chirp: Edit, flask: Edit, fastapi: Edit | None = None) -> Mistake:
    """A mistake that reads differently in each; without the last, both twins have it in what they share."""
    return Mistake(kind, what, {"chirp": chirp, "flask": flask, "fastapi": fastapi or flask})


IDS = (
    same("ids", "the section of the add form has another id than its link targets",
         '<section id="form-section"', '<section id="forms-section"'),
    same("ids", "the table has another id than everything targets",
         '<div id="contact-table"', '<div id="contacts-table"'),
    same("ids", "the message of a field has another id than the field names",
         '<p class="error" id="{{ form.prefix }}-{{ name }}-error"',
         '<p class="error" id="{{ form.prefix }}-{{ name }}-problem"', twins=TWIN_PARTS),
    same("ids", "the spinner has the id of the search form, too",
         '<span id="searching"', '<span id="search"'),
)  # fmt: skip

TARGETS = (
    same("targets", "New contact targets an id that is nowhere",
         'hx-target="#form-section" hx-swap="innerHTML">New contact',
         'hx-target="#new-section" hx-swap="innerHTML">New contact'),
    same("targets", "the editor targets an id that is nowhere, with the contact's number in it",
         'hx-put="/contacts/{{ editor.contact_id }}" hx-target="#contact-{{ editor.contact_id }}"',
         'hx-put="/contacts/{{ editor.contact_id }}" hx-target="#row-{{ editor.contact_id }}"',
         twins=TWIN_PARTS),
    same("targets", "a heading targets an id that is nowhere",
         'hx-target="#contact-table" hx-swap="outerHTML">{{ label }}',
         'hx-target="#contacts" hx-swap="outerHTML">{{ label }}', twins=TWIN_PARTS),
    same("targets", "Undo in a message targets an id that is nowhere",
         '<form method="post" hx-target="#contact-table"', '<form method="post" hx-target="#table"', FRAME),
)  # fmt: skip

SWAPS = (
    same("swaps", "the add form puts the table into the table",
         'hx-target="#contact-table" hx-swap="outerHTML" hx-sync="this:drop" aria-labelledby="form-title"',
         'hx-target="#contact-table" hx-swap="innerHTML" hx-sync="this:drop" aria-labelledby="form-title"',
         twins=TWIN_PARTS),
    same("swaps", "the search names a swap that there is not",
         'hx-swap="outerHTML" hx-sync="this:replace" hx-indicator',
         'hx-swap="outer" hx-sync="this:replace" hx-indicator'),
    same("swaps", "the search listens to a field that there is not",
         "from:#q, submit", "from:#query, submit"),
    same("swaps", "the search names a spinner that there is not",
         'hx-indicator="#searching"', 'hx-indicator="#spinner"'),
)  # fmt: skip

METHODS = (
    same("methods", "the editor posts where it should put",
         'hx-put="/contacts/{{ editor.contact_id }}"', 'hx-post="/contacts/{{ editor.contact_id }}"',
         twins=TWIN_PARTS),
    same("methods", "a field is checked by GET, for which there is no route",
         'hx-post="/contacts/check"', 'hx-get="/contacts/check"', twins=TWIN_PARTS),
    each("methods", "the route of the check takes PUT",
         Edit(ROUTES, '"POST", "/contacts/check"', '"PUT", "/contacts/check"'),
         Edit(FLASK, '@contacts.post("/contacts/check")', '@contacts.put("/contacts/check")'),
         Edit(FASTAPI, '@contacts.post("/check")', '@contacts.put("/check")')),
    each("methods", "the route that saves takes PATCH",
         Edit(ROUTES, '"PUT", "/contacts/{contact_id:int}"', '"PATCH", "/contacts/{contact_id:int}"'),
         Edit(FLASK, '@contacts.put("/contacts/<int:contact_id>")',
              '@contacts.patch("/contacts/<int:contact_id>")'),
         Edit(FASTAPI, '@contacts.put("/{contact_id:int}")', '@contacts.patch("/{contact_id:int}")')),
    same("methods", "Delete on the page of a contact is a form with GET",
         '<form method="post" action="{{ link(\'/contacts/\' ~ contact.id, query) }}">',
         '<form method="get" action="{{ link(\'/contacts/\' ~ contact.id, query) }}">', CARD),
)  # fmt: skip

ADDRESSES = (
    same("addresses", "hx-post leads to an address without a route",
         'hx-post="/contacts/check"', 'hx-post="/contacts/chek"', twins=TWIN_PARTS),
    same("addresses", "hx-get leads to an address without a route, with the contact's number in it",
         'hx-get="/contacts/{{ editor.contact_id }}"', 'hx-get="/contact/{{ editor.contact_id }}"',
         twins=TWIN_PARTS),
    same("addresses", "a form's action, an expression, leads to an address without a route",
         '<form id="contact-form" class="panel form" action="{{ link(\'/contacts\'',
         '<form id="contact-form" class="panel form" action="{{ link(\'/contact\'', twins=TWIN_PARTS),
    same("addresses", "a link leads to an address without a route",
         '<a href="/dashboard"', '<a href="/dashbord"', FRAME),
    each("addresses", "a redirect leads to an address, or a route's name, that there is not",
         Edit(HANDLERS, 'return see_other("/contacts")', 'return see_other("/contact")'),
         Edit(FLASK, 'url_for("contacts.index")', 'url_for("contacts.list")'),
         Edit(FASTAPI, 'RedirectResponse("/contacts", 303)', 'RedirectResponse("/contact", 303)')),
)  # fmt: skip

FIELDS = (
    same("fields", "the search box has another name than the handler reads",
         '<input id="q" name="q"', '<input id="q" name="query"'),
    same("fields", "the labels of the form name ids that there are not",
         '<label for="{{ form.prefix }}-{{ name }}">', '<label for="{{ form.prefix }}_{{ name }}">',
         twins=TWIN_PARTS),
    same("fields", "the editor sends the version under another name",
         '<input type="hidden" name="version"', '<input type="hidden" name="revision"', twins=TWIN_PARTS),
    each("fields", "the handler of the undo reads a field that no form sends",
         Edit(UNDO, 'form.get("partly")', 'form.get("partial")'),
         Edit(FLASK, 'request.form.get("partly")', 'request.form.get("partial")'),
         Edit(FASTAPI, 'partly: Annotated[str, Form()]', 'partly: Annotated[str, Form(alias="partial")]')),
)  # fmt: skip

VARIABLES = (
    same("variables", "a misspelled variable in a template",
         'data-seq="{{ seq }}"', 'data-seq="{{ sequence }}"'),
    same("variables", "a misspelled attribute of a variable",
         '{{ query.text }}" placeholder', '{{ query.txt }}" placeholder'),
    same("variables", "a misspelled attribute in a condition", "{% if editor.conflict %}",
         "{% if editor.conflicts %}", twins=TWIN_PARTS),
    each("variables", "a variable is missing in the context",
         Edit(HANDLERS, "history=store.history(contact_id)", "past=store.history(contact_id)"),
         Edit(FLASK, "history=store().history(contact_id)", "past=store().history(contact_id)"),
         Edit(FASTAPI, "history=store.history(contact_id)", "past=store.history(contact_id)")),
)  # fmt: skip

BLOCKS = (
    each("blocks", "the handler of the list names a block that there is not",
         Edit(HANDLERS, 'else "contact_table"', 'else "contacts_table"'),
         Edit(FLASK, 'fragment("contact_table"', 'fragment("contacts_table"'),
         Edit(FASTAPI, 'fragment("contact_table"', 'fragment("contacts_table"')),
    each("blocks", "the template calls the editor's block otherwise than the handler",
         Edit(LIST, "{% fragment edit_row %}", "{% fragment editor_row %}"),
         Edit(TWIN_LIST, "{% block edit_row %}", "{% block editor_row %}")),
    each("blocks", "the handler of a conflict names a block that there is not",
         Edit(HANDLERS, 'block = "conflict_row"', 'block = "clash_row"'),
         Edit(FLASK, 'block = "conflict_row"', 'block = "clash_row"'),
         Edit(FASTAPI, 'block = "conflict_row"', 'block = "clash_row"')),
    same("blocks", "a page fills a block that its layout does not have",
         "{% block content %}", "{% block contents %}", CARD),
)  # fmt: skip

FILES = (
    same("files", "a template extends one that there is not",
         '{% extends "layout.html" %}', '{% extends "layouts.html" %}', CARD),
    each("files", "a handler names a template that there is not",
         Edit(HANDLERS, '"contacts/show.html"', '"contacts/detail.html"'),
         Edit(FLASK, '"contacts/show.html"', '"contacts/detail.html"'),
         Edit(FASTAPI, '"contacts/show.html"', '"contacts/detail.html"')),
    same("files", "a page names a script that there is not", "static('live.js')", "static('life.js')", FRAME),
    same("files", "a template's syntax is wrong", "{% if history %}", "{% if history", CARD),
)  # fmt: skip

HEADERS = (
    each("headers", "a change fires an event under a name nobody listens to",
         Edit(HANDLERS, 'event_header("contactUpdated"', 'event_header("contactChanged"'),
         Edit(PAGES, 'name = "contactUpdated"', 'name = "contactChanged"')),
    each("headers", "the header of the events has a name that htmx does not know",
         Edit(LISTS, 'return {"HX-Trigger": json', 'return {"HX-Triggers": json'),
         Edit(PAGES, 'return {"HX-Trigger": json', 'return {"HX-Triggers": json')),
    each("headers", "a wrong form is sent to an id that is nowhere",
         Edit(HANDLERS, 'retarget="#form-section"', 'retarget="#new-section"'),
         Edit(FLASK, '"HX-Retarget": "#form-section"', '"HX-Retarget": "#new-section"'),
         Edit(FASTAPI, '"HX-Retarget": "#form-section"', '"HX-Retarget": "#new-section"')),
    each("headers", "a wrong editor is put into its row instead of in its place",
         Edit(HANDLERS, '"HX-Reswap": "outerHTML"', '"HX-Reswap": "innerHTML"'),
         Edit(FLASK, '"HX-Reswap": "outerHTML"', '"HX-Reswap": "innerHTML"'),
         Edit(FASTAPI, '"HX-Reswap": "outerHTML"', '"HX-Reswap": "innerHTML"')),
)  # fmt: skip

HANDLER = (
    each("handlers", "the path names its number otherwise than the handler",
         Edit(ROUTES, "{contact_id:int}/edit", "{id:int}/edit"),
         Edit(FLASK, "<int:contact_id>/edit", "<int:id>/edit"),
         Edit(FASTAPI, "{contact_id:int}/edit", "{id:int}/edit")),
    each("handlers", "the path takes any text for a number",
         Edit(ROUTES, '"GET", "/contacts/{contact_id:int}",', '"GET", "/contacts/{contact_id}",'),
         Edit(FLASK, '@contacts.get("/contacts/<int:contact_id>")',
              '@contacts.get("/contacts/<contact_id>")'),
         Edit(FASTAPI, '@contacts.get("/{contact_id:int}")', '@contacts.get("/{contact_id}")')),
    each("handlers", "the handler of the check returns nothing",
         Edit(HANDLERS, "return OOB(*parts)", "OOB(*parts)"),
         Edit(FLASK, 'return fragment("checked"', 'fragment("checked"'),
         Edit(FASTAPI, 'return screen.fragment("checked"', 'screen.fragment("checked"')),
    each("handlers", "two handlers have one method and address",
         Edit(ROUTES, '"POST", "/contacts/check"', '"POST", "/contacts"'),
         Edit(FLASK, '@contacts.post("/contacts/check")', '@contacts.post("/contacts")'),
         Edit(FASTAPI, '@contacts.post("/check")', '@contacts.post("")')),
)  # fmt: skip

OUT_OF_BAND = (
    each("out-of-band", "the badge goes to an id that is nowhere",
         Edit(LISTS, 'target="contact-count", swap', 'target="count", swap'),
         Edit(TWIN_LIST, '{{ self.contact_table() }}\n<div id="contact-count"',
              '{{ self.contact_table() }}\n<div id="count"')),
    each("out-of-band", "the add form is closed at an id that is nowhere",
         Edit(LISTS, 'target="form-section"', 'target="new-section"'),
         Edit(TWIN_LIST, '{% if closes %}<div id="form-section"', '{% if closes %}<div id="new-section"')),
    each("out-of-band", "the badge goes with a swap that there is not",
         Edit(LISTS, 'target="contact-count", swap="innerHTML"', 'target="contact-count", swap="inner"'),
         Edit(TWIN_LIST, '{{ self.contact_table() }}\n<div id="contact-count" hx-swap-oob="innerHTML"',
              '{{ self.contact_table() }}\n<div id="contact-count" hx-swap-oob="inner"')),
    each("out-of-band", "the message of the email goes to an id that is nowhere",
         Edit(HANDLERS, '{checked.prefix}-email-error', '{checked.prefix}-mail-error'),
         Edit(TWIN_LIST, '<div id="{{ form.prefix }}-email-error"',
              '<div id="{{ form.prefix }}-mail-error"')),
)  # fmt: skip

MISTAKES: Final = (
    *IDS, *TARGETS, *SWAPS, *METHODS, *ADDRESSES, *FIELDS, *VARIABLES, *BLOCKS, *FILES, *HEADERS, *HANDLER,
    *OUT_OF_BAND,
)  # fmt: skip
