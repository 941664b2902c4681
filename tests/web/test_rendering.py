"""Kida is mended as app/web/rendering.py says, and renders what it did before."""

import gc
from collections.abc import Callable, Iterator

import kida
import pytest
from hypothesis import given
from hypothesis import strategies as st
from kida import Markup
from kida.exceptions import UndefinedError
from kida.utils.html import html_escape

from app.web import rendering

PAGE = """{% def twice(text) %}{{ text }}{{ text }}{% end %}\
{% block main %}<p>{{ twice(text) }}{{ inner() if inner }}</p>{% end %}"""


@pytest.fixture(autouse=True)
def mended() -> None:
    """As create_app does it."""
    rendering.apply_fixes()


@pytest.fixture
def collected() -> Iterator[Callable[[], int]]:
    """How many objects only the garbage collector could free since the last time."""
    gc.collect()
    gc.disable()
    yield gc.collect
    gc.enable()


def page() -> kida.Template:
    """A page with a def and a block, compiled."""
    template = kida.Environment(autoescape=True).from_string(PAGE)
    template.render(text="", inner=None)
    template.render_block("main", text="", inner=None)
    return template


def test_a_rendering_leaves_nothing_to_the_garbage_collector(collected: Callable[[], int]) -> None:
    template = page()
    collected()
    before = len(gc.get_objects())

    for _ in range(50):
        whole = template.render(text="a&b", inner=None)
        block = template.render_block("main", text="a&b", inner=None)

    assert whole == block == "<p>a&amp;ba&amp;b</p>"
    assert collected() == 0
    assert len(gc.get_objects()) < before + 50, "it is not kept elsewhere"


def test_after_a_rendering_that_failed_the_next_one_is_forgotten_too(collected: Callable[[], int]) -> None:
    template = page()
    with pytest.raises(Exception, match="list index out of range"):
        template.render(text="a", inner=lambda: [][1])
    collected()

    template.render(text="a", inner=None)

    assert collected() == 0


def test_a_rendering_within_another_one_takes_nothing_from_it() -> None:
    outer = kida.Environment(autoescape=True).from_string("{{ inner() }} {{ after }}")
    inner = page()

    shown = outer.render(inner=lambda: Markup(inner.render(text="in", inner=None)), after="still there")

    assert shown == "<p>inin</p> still there"


@given(
    st.text("aé&<>\"'\0") | st.text().map(Markup) | st.integers() | st.booleans() | st.floats() | st.none()
)
def test_escaping_is_that_of_kida(value: object) -> None:
    assert rendering.escape(value) == html_escape(value)


@pytest.mark.parametrize("char", "&<>\"'\0")
def test_every_special_character_is_escaped(char: str) -> None:
    template = kida.Environment(autoescape=True).from_string("{{ x }}")

    assert template.render(x=f"a{char}b") == html_escape(f"a{char}b") != f"a{char}b"


def test_a_missing_attribute_is_still_an_error() -> None:
    template = kida.Environment(strict_undefined=True).from_string("{{ x.y }}")

    assert template.render(x={"y": "z"}) == "z"
    with pytest.raises(UndefinedError):
        template.render(x=object())
    with pytest.raises(UndefinedError):
        template.render(x={})


def test_another_version_of_kida_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kida, "__version__", "0.13.0")

    with pytest.raises(
        RuntimeError, match=r"mends Kida 0\.12\.0, and 0\.13\.0 is installed.*docs/upstream\.md"
    ):
        rendering.apply_fixes.__wrapped__()
