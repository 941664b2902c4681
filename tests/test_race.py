"""The race asks what it says, finds unequal work, and judges its figures rightly."""

from collections import Counter
from pathlib import Path

import pytest

from app.store import open_store
from bench.race import (
    CONTACTS,
    SCENARIOS,
    Lap,
    Request,
    Result,
    additions,
    editions,
    faults_of,
    mix,
    script,
    searches,
)
from bench.race_report import markdown
from bench.servers import CONFIGURATIONS
from tests.making import ADA, GRACE

CHIRP, FLASK, *_ = CONFIGURATIONS


def lap(rate: float, cpu: float, p99: float, size: int = 1_000) -> Lap:
    """A lap of one scenario at one connection."""
    work = {"page": (50, size)}
    return Lap(1.0, 90_000_000, 120_000_000, {"page": {1: Result(rate, cpu, 1.0, p99, 100)}}, work)


def goal(laps: dict[str, list[Lap]]) -> str:
    """What the report says of the goal."""
    text = markdown([CHIRP, FLASK], laps, [])
    [row] = [line for line in text.splitlines() if line.startswith("| page | 1 |")]
    return row.split(" | ")[-1].removesuffix(" |")


@pytest.mark.parametrize(
    ("own", "verdict"),
    [
        (lap(120, 0.8, 5), "met"),
        (lap(119, 0.8, 5), "missed: throughput"),
        (lap(120, 0.81, 5), "missed: CPU"),
        (lap(120, 0.8, 5.1), "missed: p99"),
        (lap(90, 1.2, 9), "missed: throughput, CPU, p99"),
    ],
)
def test_the_goal_is_held_against_the_better_twin(own: Lap, verdict: str) -> None:
    assert goal({CHIRP.name: [own], FLASK.name: [lap(100, 1.0, 5)]}) == verdict


def test_a_figure_is_the_median_of_its_rounds() -> None:
    rounds = [lap(1, 1, 1), lap(200, 0.1, 1), lap(201, 0.1, 1)]

    assert goal({CHIRP.name: rounds, FLASK.name: [lap(100, 1, 5)] * 3}) == "met"


def test_unequal_work_and_failed_requests_make_a_run_void() -> None:
    failed = lap(1, 1, 1)
    failed.faults.append("page at 1: 3 errors in 9 requests")
    laps = {CHIRP.name: [lap(1, 1, 1, 1_000)], FLASK.name: [lap(1, 1, 1, 1_050)]}
    larger = {CHIRP.name: [lap(1, 1, 1, 1_000)], FLASK.name: [lap(1, 1, 1, 1_051)]}

    assert list(faults_of(laps)) == []
    assert list(faults_of(larger)) == [
        "flask-processes, round 1: page has 50 rows and 1051 bytes, that of chirp 50 and 1000"
    ]
    assert list(faults_of({CHIRP.name: [failed]})) == ["chirp, round 1: page at 1: 3 errors in 9 requests"]
    assert "This run is void" in markdown([CHIRP], {CHIRP.name: [failed]}, ["why"])


def test_nine_of_ten_requests_of_the_mix_read() -> None:
    methods = Counter(request.method for request in mix(1_000))

    assert methods == {"GET": 900, "POST": 100}


def test_no_two_additions_have_the_same_email() -> None:
    bodies = [request.body for request in additions(500)]

    assert len(set(bodies)) == 500


def test_editors_name_the_version_that_their_contact_has_in_their_turn(tmp_path: Path) -> None:
    store = open_store(f"sqlite:///{tmp_path / 'contacts.db'}")
    ada, _ = store.add(ADA)
    store.add(GRACE)
    store.update(ada.id, GRACE.__class__(name="Ada", email=ADA.email), 1)
    store.close()

    asked = [(each.path, each.body.rpartition("=")[2]) for each in editions(tmp_path / "contacts.db", 4)]

    assert asked == [("/contacts/1", "2"), ("/contacts/2", "1"), ("/contacts/1", "3"), ("/contacts/2", "2")]


def test_the_script_of_wrk_has_every_request_in_turn() -> None:
    lua = script([Request("GET", "/a"), Request("PUT", "/b", {"X-Y": 'a "b"'}, "name=ada")])

    assert '{"GET", "/a", {}, nil},' in lua
    assert '{"PUT", "/b", {["X-Y"] = "a \\"b\\""}, "name=ada"},' in lua


def test_searches_are_what_people_type_on_the_way_to_a_name() -> None:
    typed = {request.path.partition("=")[2] for request in searches()}

    assert {"ad", "ada", "lo", "lov", "love"} <= typed
    assert len(typed) > 200
    assert {len(word) for word in typed} == {2, 3, 4}
    assert CONTACTS == 1_000
    assert {each.name for each in SCENARIOS} >= {
        "hello",
        "page",
        "search",
        "add",
        "edit",
        "mix",
        "mix-memory",
    }
