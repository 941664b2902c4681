"""What came out of the race: bench/results/race.json, race.md and race.svg."""

import json
import statistics
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Final, Literal

import pygal
from pygal.style import CleanStyle

from bench.servers import Configuration, versions
from bench.size import ROOT, environment

if TYPE_CHECKING:
    from bench.race import Lap

RESULTS: Final = ROOT / "bench/results"
GOALS: Final = {"rate": 1.2, "cpu": 0.8, "p99": 1.0}  # the app against the better twin; but for hello
MEMORY_GOAL: Final = 0.5  # of the twins with several processes
CHARTED: Final = 16  # connections

Figure = Literal["rate", "cpu", "p50", "p99"]
Laps = Mapping[str, Sequence["Lap"]]


def write(configurations: Sequence[Configuration], laps: Laps, faults: Sequence[str], minutes: float) -> None:
    """Write the three files, and print the tables."""
    report = {
        "environment": environment() | {"versions": versions(), "date": time.strftime("%Y-%m-%d")},
        "minutes": round(minutes, 1),
        "void": list(faults),
        "configurations": {each.name: each.label for each in configurations},
        "laps": {name: [asdict(lap) for lap in rounds] for name, rounds in laps.items()},
    }
    (RESULTS / "race.json").write_text(json.dumps(report, indent=1) + "\n")
    text = markdown(configurations, laps, faults)
    (RESULTS / "race.md").write_text(text)
    chart(configurations, laps)
    print(text)


def markdown(configurations: Sequence[Configuration], laps: Laps, faults: Sequence[str]) -> str:
    """The tables."""
    parts = [_INTRODUCTION]
    if faults:
        parts.append("**This run is void:**\n\n" + "\n".join(f"- {fault}" for fault in faults))
    labels = {each.name: each.label for each in configurations}
    twins = [each.name for each in configurations if each.framework != "chirp"]
    app = next((each.name for each in configurations if each.framework == "chirp"), "")
    if app and twins:
        parts.append(_goals(app, twins, laps, labels))
    parts.append(_processes(laps, labels))
    parts += [_details(scenario, laps, labels) for scenario in _scenarios(laps)]
    return "\n\n".join(parts) + "\n"


_INTRODUCTION = """\
# The race

Written by `make bench` ([bench/race.py](../race.py) says what is run and how); raw figures in
[race.json](race.json). A figure is the median of the rounds, with the lowest and the highest behind it.
CPU is user and system time of all processes of the server for each request, in microseconds, which noise of
the machine touches least. All run on the same machine as their load generator.

The dashboard is not equal work: the Chirp app's has seven sections, the twins' have two. The Chirp app
keeps rendered rows, with what its template engine has for it; Jinja2 has nothing like it built in. What was
done for these figures, and what is left: [decision 9](../../docs/decisions/0009-speed.md).

![Requests per second](race.svg)"""


def _goals(app: str, twins: Sequence[str], laps: Laps, labels: Mapping[str, str]) -> str:
    """Each scenario against the better twin, which may be another one for each figure."""
    lines = [
        "## The Chirp app against the better twin",
        "",
        "Goal, but for hello: at least 1.2 times the throughput, at most 0.8 times the CPU, p99 no worse.",
        "",
        "| Scenario | Connections | Throughput | of | CPU | of | p99 | of | Goal |",
        "|---|---:|---:|---|---:|---|---:|---|---|",
    ]
    for scenario in _scenarios(laps):
        for connections in _connections(laps, scenario):
            cells = [scenario, str(connections)]
            missed = []
            for name, goal in GOALS.items():
                figure: Figure = name  # type: ignore[assignment]
                better = (max if figure == "rate" else min)(
                    twins, key=lambda twin: median(laps[twin], scenario, connections, figure)
                )
                own = median(laps[app], scenario, connections, figure)
                ratio = own / (median(laps[better], scenario, connections, figure) or 1e-9)
                cells += [f"{ratio:.2f}", better]
                if ratio < goal if figure == "rate" else ratio > goal:
                    missed.append({"rate": "throughput", "cpu": "CPU", "p99": "p99"}[figure])
            verdict = "–" if scenario == "hello" else f"missed: {', '.join(missed)}" if missed else "met"
            lines.append(f"| {' | '.join([*cells, verdict])} |")
    return "\n".join(lines)


def _processes(laps: Laps, labels: Mapping[str, str]) -> str:
    """Start-up and memory."""
    lines = [
        "## Start and memory",
        "",
        "Seconds from the command to the first answer of /ready; MB then and after the load on SQLite.",
        "",
        "| Server | Start, s | Memory at the start | after the load |",
        "|---|---:|---:|---:|",
    ]
    for name, rounds in laps.items():
        start = _spread([lap.start for lap in rounds], "{:.2f}")
        cold = _spread([lap.cold / 1e6 for lap in rounds], "{:.0f}")
        loaded = _spread([lap.loaded / 1e6 for lap in rounds], "{:.0f}")
        lines.append(f"| {labels[name]} | {start} | {cold} | {loaded} |")
    return "\n".join(lines)


def _details(scenario: str, laps: Laps, labels: Mapping[str, str]) -> str:
    """Every server in one scenario."""
    lines = [
        f"## {scenario}",
        "",
        "| Server | Connections | Requests/s | CPU, µs | p50, ms | p99, ms |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    for name, rounds in laps.items():
        for connections in _connections(laps, scenario):
            results = [lap.results[scenario][connections] for lap in rounds]
            cells = [
                _spread([each.rate for each in results], "{:,.0f}"),
                _spread([each.cpu * 1e6 for each in results], "{:,.0f}"),
                _spread([each.p50 for each in results], "{:.1f}"),
                _spread([each.p99 for each in results], "{:.1f}"),
            ]
            lines.append(f"| {labels[name]} | {connections} | {' | '.join(cells)} |")
    return "\n".join(lines)


def median(rounds: Sequence[Lap], scenario: str, connections: int, figure: Figure) -> float:
    """The median of a figure over the rounds."""
    return float(statistics.median(getattr(lap.results[scenario][connections], figure) for lap in rounds))


def _spread(values: Sequence[float], form: str) -> str:
    """The median, and from where to where."""
    low, high = form.format(min(values)), form.format(max(values))
    return f"{form.format(statistics.median(values))} ({low}–{high})"


def _scenarios(laps: Laps) -> list[str]:
    return list(next(iter(laps.values()))[0].results)


def _connections(laps: Laps, scenario: str) -> list[int]:
    return list(next(iter(laps.values()))[0].results[scenario])


def chart(configurations: Sequence[Configuration], laps: Laps) -> None:
    """Throughput as a share of the Chirp app's, since a hello and a page differ a hundred times."""
    first, *_ = laps
    scenarios = _scenarios(laps)
    own = [median(laps[first], scenario, CHARTED, "rate") for scenario in scenarios]
    drawing = pygal.HorizontalBar(
        js=(),
        style=CleanStyle(font_family="sans-serif"),
        title=f"Requests per second at {CHARTED} connections, {first} = 100",
        width=900,
        height=120 + 110 * len(scenarios),
        legend_at_bottom=True,
        legend_at_bottom_columns=1,
        truncate_legend=-1,
        disable_xml_declaration=True,
    )
    drawing.x_labels = scenarios
    for each in configurations:
        rates = [median(laps[each.name], scenario, CHARTED, "rate") for scenario in scenarios]
        drawing.add(each.label, [round(100 * rate / base) for rate, base in zip(rates, own, strict=True)])
    (RESULTS / "race.svg").write_text(drawing.render() + "\n")
