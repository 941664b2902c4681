"""A window's event stream, as a browser would read it from a real server."""

from http.client import HTTPConnection, HTTPResponse
from types import TracebackType
from typing import Protocol, Self


class Listening(Protocol):
    """A server at an address."""

    @property
    def host(self) -> str:
        """Its name or address."""
        ...

    @property
    def port(self) -> int:
        """Its port."""
        ...


class EventStream:
    """GET /live on a connection of its own. Whoever waits longer than 20 seconds gets TimeoutError.

    after: what the page has seen, None when it cannot tell. last: the Last-Event-ID, "" for none.
    """

    def __init__(self, server: Listening, after: int | None = None, last: str = "", cookie: str = "") -> None:
        self._conn = HTTPConnection(server.host, server.port, timeout=20)
        headers = {"Last-Event-ID": last, "Cookie": cookie, "Accept": "text/event-stream"}
        path = "/live" if after is None else f"/live?after={after}"
        self._conn.request("GET", path, headers={name: value for name, value in headers.items() if value})
        self.answer: HTTPResponse = self._conn.getresponse()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Go away, as a window that is closed does."""
        self.answer.close()
        self._conn.close()

    def event(self) -> dict[str, str] | None:
        """The next event, by the names of its fields; None at the end of the stream."""
        fields: dict[str, str] = {}
        while line := self.answer.readline().decode():
            name, _, value = line.rstrip("\n").partition(": ")
            if name:
                fields[name] = value
            elif fields:
                return fields
        return None

    def changed(self) -> int:
        """Wait until the server says that something has changed; up to where the log reaches."""
        while event := self.event():
            if event["event"] == "changed":
                assert event["id"] == event["data"]
                return int(event["id"])
        raise AssertionError("the stream has ended")
