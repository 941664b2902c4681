"""The reader of markup that all web tests use: what it finds, and what it does not let pass."""

import pytest

from tests.web.markup import BadMarkup, assert_works_without_script, parse


@pytest.mark.parametrize(
    "html",
    [
        "<p>",
        "</p>",
        "<p><b></p></b>",
        "<p></p></p>",
        '<p id="a"></p><p id="a"></p>',
        '<p class="a" class="b"></p>',
        "<form><form></form></form>",
    ],
)
def test_broken_markup_does_not_pass(html: str) -> None:
    with pytest.raises(BadMarkup):
        parse(html)


def test_an_element_is_found_by_its_name_for_people() -> None:
    dom = parse(
        '<a href="/a" aria-label="Edit Ada">Edit</a><label for="q">Search <i>x</i></label><input id="q">'
    )

    assert dom.link("Edit Ada")["href"] == "/a"
    assert dom.box("Search")["id"] == "q"


def test_what_a_template_holds_is_not_on_the_page_yet() -> None:
    dom = parse(
        '<template><p id="a">no</p></template><template shadowrootmode="open"><p id="b">yes</p></template>'
    )

    assert (dom.has("a"), dom.has("b"), dom.text) == (False, True, "yes")


def test_a_text_field_of_lines_drops_the_first_break_as_browsers_do() -> None:
    dom = parse('<textarea id="a" name="n">\n\n&lt;b></textarea>')

    assert dom.id("a").value == "\n<b>"


@pytest.mark.parametrize(
    "html",
    [
        '<a href="/a" hx-get="/a" hx-target="#t" hx-swap="outerHTML"></a>',
        '<form action="/a?q=1" hx-get="/a" hx-target="#t" hx-swap="outerHTML"></form>',
        '<form action="/a?q=1" method="post" hx-post="/a" hx-target="#t" hx-swap="outerHTML"></form>',
        '<form action="/a" method="post" hx-put="/a" hx-target="#t" hx-swap="outerHTML">'
        '<input name="_method" value="PUT"></form>',
    ],
)
def test_links_and_forms_that_work_by_themselves_pass(html: str) -> None:
    assert_works_without_script(parse(html).roots[0])

    assert parse(html).roots[0].requests


@pytest.mark.parametrize(
    "html",
    [
        '<button hx-post="/a" hx-target="#t" hx-swap="outerHTML"></button>',
        '<a hx-get="/a" hx-target="#t" hx-swap="outerHTML"></a>',
        '<a href="/a" hx-delete="/a" hx-target="#t" hx-swap="outerHTML"></a>',
        '<a href="/a" hx-get="/a" hx-swap="outerHTML"></a>',
        '<a href="/a" hx-get="/a" hx-target="#t"></a>',
        '<form action="/a" hx-post="/a" hx-target="#t" hx-swap="outerHTML"></form>',
        '<form action="/b" method="post" hx-post="/a" hx-target="#t" hx-swap="outerHTML"></form>',
        '<form action="/a" method="post" hx-put="/a" hx-target="#t" hx-swap="outerHTML"></form>',
        '<form method="post" hx-post="/a" hx-target="#t" hx-swap="outerHTML"></form>',
    ],
)
def test_what_needs_script_does_not_pass(html: str) -> None:
    with pytest.raises(AssertionError):
        assert_works_without_script(parse(html).roots[0])


def test_a_form_sends_the_fields_that_belong_to_it() -> None:
    dom = parse(
        '<form id="a"><input name="n" value="1"><input name="other" form="b"><button name="do"></button>'
        '<input name="off" disabled></form><input name="n" value="2" form="a"><form id="b"></form>'
        '<input name="alone"><input name="lost" form="nowhere">'
    )

    assert dom.id("a").fields == {"n": ["1", "2"]}
    assert dom.id("b").fields == {"other": ""}


def test_a_form_sends_only_what_is_ticked_and_chosen() -> None:
    dom = parse(
        '<form><input type="checkbox" name="id" value="1"><input type="checkbox" name="id" value="2" checked>'
        '<input type="radio" name="r" value="a"><input type="radio" name="r" value="b" checked>'
        '<select name="s"><option value="p"></option><option value="q" selected></option></select></form>'
    )

    assert dom.one("form").fields == {"id": "2", "r": "b", "s": "q"}


def test_words_that_are_marked_stay_in_one_piece() -> None:
    dom = parse("<p>A<mark>d</mark>a <del>o<b>l</b>d</del><ins>new</ins>, <strong>x</strong>.</p><p>B</p>")

    assert dom.text == "Ada oldnew, x. B"
