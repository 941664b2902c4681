"""HTML as the tests see it: a tree of elements, read strictly.

A browser repairs what it gets; here a tag that is not closed, closed twice or in the wrong
order, an attribute or an id given twice and a form inside a form are errors. So every
answer that a test reads is also checked for them.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser
from urllib.parse import urlsplit

VOID = frozenset({"br", "col", "hr", "img", "input", "link", "meta", "source", "wbr"})
CONTROLS = frozenset({"input", "select", "textarea"})
INLINE = frozenset({"a", "b", "bdi", "del", "em", "ins", "mark", "span", "strong"})
VERBS = ("get", "post", "put", "patch", "delete")


class BadMarkup(AssertionError):
    """The markup is not well formed."""


@dataclass(eq=False)
class Element:
    """One element and what it holds. The root of a document or fragment has no tag.

    controls: of a form, its fields and buttons, those with a `form` attribute elsewhere, too.
    owner: of a field or button, its form; None for none.
    """

    tag: str
    attrs: dict[str, str] = field(default_factory=dict)
    parent: Element | None = field(default=None, repr=False)
    children: list[Element | str] = field(default_factory=list, repr=False)
    controls: list[Element] = field(default_factory=list, repr=False)
    owner: Element | None = field(default=None, repr=False)

    def __getitem__(self, name: str) -> str:
        """The value of an attribute that must be there; "" for one without a value."""
        assert name in self.attrs, f"{self} has no {name}"
        return self.attrs[name]

    def __contains__(self, name: str) -> bool:
        return name in self.attrs

    def __str__(self) -> str:
        return f"<{self.tag}{''.join(f' {name}="{value}"' for name, value in self.attrs.items())}>"

    def walk(self) -> Iterator[Element]:
        """Every element inside this one, in the order of the document, but nothing inside a template."""
        for child in self.roots:
            yield child
            if not child.is_inert:
                yield from child.walk()

    def all(self, tag: str = "", **attrs: str) -> list[Element]:
        """The elements inside this one with this tag and these attributes; `_` in a name stands for `-`."""
        wanted = {name.replace("_", "-"): value for name, value in attrs.items()}
        return [
            element
            for element in self.walk()
            if tag in ("", element.tag) and wanted.items() <= element.attrs.items()
        ]

    def one(self, tag: str = "", **attrs: str) -> Element:
        """The only element that `all` finds."""
        found = self.all(tag, **attrs)
        assert len(found) == 1, f"{len(found)} elements, not one, are {tag or 'any'} with {attrs}"
        return found[0]

    def id(self, value: str) -> Element:
        """The element with this id."""
        return self.one(id=value)

    def has(self, value: str) -> bool:
        """Whether there is an element with this id."""
        return bool(self.all(id=value))

    def link(self, name: str) -> Element:
        """The link that a screen reader calls so."""
        return self._named("a", name)

    def button(self, name: str) -> Element:
        """The button that a screen reader calls so."""
        return self._named("button", name)

    def form(self, button: str) -> Element:
        """The form that this button sends."""
        owner = self.button(button).owner
        assert owner, f"the button {button!r} belongs to no form"
        return owner

    def within(self, tag: str) -> Element:
        """The innermost element with this tag that this one is or is in."""
        element = self.around(tag)
        assert element, f"{self} is in no {tag}"
        return element

    def around(self, tag: str) -> Element | None:
        """The innermost element with this tag that this one is or is in; None for none."""
        element: Element | None = self
        while element is not None and element.tag != tag:
            element = element.parent
        return element

    def box(self, label: str) -> Element:
        """The form field with this label."""
        labels = [element for element in self.all("label") if _words(element.own_text) == label]
        assert len(labels) == 1, f"{len(labels)} labels are {label!r}"
        return self.id(labels[0]["for"])

    def complaint(self, label: str) -> str:
        """The error message of the form field with this label, "" for none."""
        box = self.box(label)
        if "aria-invalid" not in box:
            return ""
        assert box["aria-describedby"] == box["aria-errormessage"]
        return self.id(box["aria-errormessage"]).text

    @property
    def requests(self) -> list[tuple[str, str]]:
        """What htmx sends from here: method in small letters, and address."""
        return [(verb, self[f"hx-{verb}"]) for verb in VERBS if f"hx-{verb}" in self]

    @property
    def is_inert(self) -> bool:
        """Whether this is a template, whose content is not part of the page."""
        return self.tag == "template" and "shadowrootmode" not in self.attrs

    @property
    def roots(self) -> list[Element]:
        """The elements directly inside this one."""
        return [child for child in self.children if isinstance(child, Element)]

    @property
    def raw_text(self) -> str:
        """The text inside, exactly as it stands there."""
        return "".join(child if isinstance(child, str) else child.raw_text for child in self.children)

    @property
    def own_text(self) -> str:
        """The text inside that is not in another element."""
        return "".join(child for child in self.children if isinstance(child, str))

    @property
    def text(self) -> str:
        """The text as it is read: runs of space are one space, hidden decoration is left out."""
        return _words(self._shown())

    @property
    def value(self) -> str:
        """What a form field holds."""
        if self.tag == "textarea":
            return self.raw_text.removeprefix("\n")  # HTML ignores the first line break
        if self.tag == "select":
            options = self.all("option")
            return next((option for option in options if "selected" in option), options[0])["value"]
        return self.attrs.get("value", "")

    @property
    def fields(self) -> dict[str, str | list[str]]:
        """What a form sends: name and value of each field; the values when several have one name.

        A box that is not ticked is left out; a button is sent only by pressing it.
        """
        fields: dict[str, str | list[str]] = {}
        for box in self.controls:
            if box.tag == "button" or "name" not in box or "disabled" in box:
                continue
            if box.attrs.get("type") in ("checkbox", "radio") and "checked" not in box:
                continue
            known = fields.get(box["name"])
            if known is None:
                fields[box["name"]] = box.value
            else:
                fields[box["name"]] = [*([known] if isinstance(known, str) else known), box.value]
        return fields

    def _named(self, tag: str, name: str) -> Element:
        named = [
            element for element in self.all(tag) if (element.attrs.get("aria-label") or element.text) == name
        ]
        assert len(named) == 1, f"{len(named)} <{tag}> are called {name!r}"
        return named[0]

    def _shown(self) -> str:
        if self.attrs.get("aria-hidden") == "true" or self.is_inert:
            return ""
        inside = "".join(child if isinstance(child, str) else child._shown() for child in self.children)
        return inside if self.tag in INLINE or not self.tag else f" {inside} "


def parse(html: str) -> Element:
    """The tree of a document or fragment; BadMarkup when it is not well formed."""
    reader = _Reader()
    reader.feed(html)
    reader.close()
    if reader.open is not reader.root:
        raise BadMarkup(f"{reader.open} is never closed")
    ids = Counter(element["id"] for element in reader.root.walk() if "id" in element)
    if twice := [value for value, times in ids.items() if times > 1]:
        raise BadMarkup(f"ids used twice: {twice}")
    _give_forms_their_controls(reader.root)
    return reader.root


def assert_works_without_script(element: Element) -> None:
    """What htmx sends from an element must be a link, or a form or its button that does the same by itself.

    A field may ask what is wrong with it: its form says so when it is sent.
    """
    if not element.requests:
        return
    [(verb, url)] = element.requests
    assert "hx-target" in element, f"{element} does not say where the answer goes"
    assert "hx-swap" in element, f"{element} does not say how the answer goes there"
    if element.tag == "a":
        assert verb == "get", f"{element} changes something"
        assert element["href"].startswith("/")
        return
    if element.tag in CONTROLS and url == "/contacts/check":
        return
    assert element.tag in ("form", "button"), f"{element} does nothing without script"
    form = element if element.tag == "form" else element.owner
    assert form, f"{element} belongs to no form"
    method = element.attrs.get("formmethod") or form.attrs.get("method", "get")
    assert str(form.fields.get("_method", method)).lower() == verb, (
        f"{element} does something else without script"
    )
    assert method in ("get", "post")
    action = element.attrs.get("formaction") or form["action"]
    assert urlsplit(action).path == urlsplit(url).path


def _give_forms_their_controls(root: Element) -> None:
    """HTML's form owner: the form that `form` names, else the form around."""
    elements = list(root.walk())
    forms = {form["id"]: form for form in elements if form.tag == "form" and "id" in form}
    for control in elements:
        if control.tag not in CONTROLS and control.tag != "button":
            continue
        control.owner = forms.get(control["form"]) if "form" in control else control.around("form")
        if control.owner:
            control.owner.controls.append(control)


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.root = self.open = Element("")

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._add(tag, attrs)
        if tag not in VOID:
            last = self.open.children[-1]
            assert isinstance(last, Element)
            self.open = last

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._add(tag, attrs)

    def handle_endtag(self, tag: str) -> None:
        if tag != self.open.tag or self.open.parent is None:
            raise BadMarkup(f"</{tag}> ends {self.open or 'nothing'}")
        self.open = self.open.parent

    def handle_data(self, data: str) -> None:
        self.open.children.append(data)

    def _add(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        if len(values) < len(attrs):
            raise BadMarkup(f"<{tag}> has an attribute twice: {attrs}")
        if tag == "form" and self._is_in("form"):
            raise BadMarkup("a form is inside a form")
        self.open.children.append(Element(tag, values, self.open))

    def _is_in(self, tag: str) -> bool:
        element: Element | None = self.open
        while element is not None:
            if element.tag == tag:
                return True
            element = element.parent
        return False


def _words(text: str) -> str:
    return " ".join(text.split())
