"""Mended faults of Kida that only many requests on several threads show, see docs/upstream.md."""

import functools
import sys
import threading
from collections.abc import Callable
from typing import Any, Final

import kida
import kida.template.core
import kida.template.helpers
from kida.template import Template
from kida.utils.html import html_escape

from app.mending import put, refuse_other_version

KIDA: Final = "0.12.0"  # the version whose faults are mended here


@functools.cache
def apply_fixes() -> None:
    """Mend Kida, once, before it compiles anything."""
    refuse_other_version(kida, KIDA, "app/web/rendering.py")
    _forget_contexts()
    _share_nothing()


class _Contexts(threading.local):
    """The contexts of what this thread is rendering, the outermost first."""

    def __init__(self) -> None:
        self.open: list[dict[str, Any]] = []


def _forget_contexts() -> None:
    """What a template was rendered with is kept until the garbage collector runs.

    The context holds the functions that `{% def %}`s become, and these hold the context. To
    collect such cycles, free-threaded Python stops all threads, under load for 80 ms at a time. So
    the context is emptied at the end. Streams end elsewhere and are left alone.
    """
    contexts = _Contexts()
    build_context = Template._build_context

    def build(self: Template, args: Any, kwargs: Any, method: str) -> dict[str, Any]:
        context = build_context(self, args, kwargs, method)
        if method in ("render", "render_block"):
            contexts.open.append(context)
        return context

    def ending(render: Callable[..., str]) -> Callable[..., str]:
        @functools.wraps(render)
        def patched(self: Template, *args: Any, **kwargs: Any) -> str:
            outer = len(contexts.open)
            try:
                return render(self, *args, **kwargs)
            finally:
                for context in contexts.open[outer:]:
                    context.clear()
                del contexts.open[outer:]

        return patched

    put(Template, "_build_context", build)
    put(Template, "render", ending(Template.render))
    put(Template, "render_block", ending(Template.render_block))


def _share_nothing() -> None:
    """Threads wait for each other at every `{{ }}`: they count references to the same two objects.

    These are the table for escaping and the mark for a missing attribute. Constants and interned
    strings are immortal, so nobody counts them: a text without special characters needs no
    table, and such a string can be the mark.
    """
    put(kida.template.core, "html_escape", escape)
    put(kida.template.helpers, "_MISS", sys.intern("\0 there is no such attribute"))


def escape(value: Any) -> str:
    """The same as Kida's html_escape."""
    if type(value) is int:
        return str(value)
    if type(value) is not str or (
        "&" in value or "<" in value or ">" in value or '"' in value or "'" in value or "\0" in value
    ):
        return html_escape(value)
    return value
