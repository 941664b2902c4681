"""What each framework notices about 50 seeded mistakes, and when: see bench.claims.seeds.

Each mistake is made in a copy of the tree of its own, which then passes three gates until one notices:

start    what the framework says before any request: its own check of routes and templates where it has one,
         the making of the app, and the compilation of every template
unit     the contract over HTTP, e2e/test_contract.py, without what no mistake touches
browser  tests of the contract in a browser, one for each way in which a page sends something

`CLAIMS_MISTAKES="3 7"` seeds those mistakes alone.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from signal import SIGKILL
from typing import Any, Final

from bench.claims.ledger import Finding, Verdict, claim
from bench.claims.seeds import FRAMEWORKS, MISTAKES, Mistake
from bench.servers import FREE, ROOT, Server

RESULTS: Final = ROOT / "bench/results/mistakes.json"
PARTS: Final = ("app", "templates", "twins", "static", "migrations", "e2e", "tests", "pyproject.toml")
STAGES: Final = ("start", "unit", "browser", "never")
TIMEOUTS: Final = {"start": 60, "unit": 240, "browser": 300}  # seconds, on a busy machine
LABELS: Final = {"chirp": "Chirp", "flask": "Flask", "fastapi": "FastAPI"}
MUTED: Final = ("swap_safety", "security_stack")  # what app.main tells `chirp check` to mention only

# Compiling every template is one line of Jinja's own; Kida has a command for it.
FLASK_START: Final = """
from twins.flask_app import create_app
app = create_app()
print(app.url_map)  # what `flask routes` shows
app.jinja_env.compile_templates("compiled", zip=None, ignore_errors=False)
"""
FASTAPI_START: Final = """
from twins.fastapi_app import create_app, templates
create_app().openapi()
templates.env.compile_templates("compiled", zip=None, ignore_errors=False)
"""
OWN_MODULES: Final = """
import sys, app.main, twins.pages
sys.exit([m.__file__ for m in (app.main, twins.pages) if not m.__file__.startswith(sys.argv[1])] or 0)
"""

# Features of the contract that no mistake is about.
NOT_TOUCHED: Final = ("sort", "tags", "paging", "badge", "probes", "security")
# One test for each way in which a page sends something; what works without script, the tests over HTTP see.
BROWSER_TESTS: Final = (
    "test_list.py::test_typing_in_the_search_box_filters_the_list_without_a_reload",
    "test_list.py::test_a_spinner_shows_while_a_search_takes_long",
    "test_add.py::test_a_new_contact_appears_in_its_place_and_the_badge_counts_it",
    "test_add.py::test_the_form_can_be_wrong_twice_and_then_right",
    "test_check.py::test_a_wrong_value_is_told_when_the_field_is_left_and_no_longer_when_it_is_mended",
    "test_check.py::test_a_phone_number_settles_the_message_of_the_email",
    "test_edit.py::test_saving_shows_the_new_row_in_place_and_the_address_goes_back",
    "test_edit.py::test_cancel_and_escape_bring_the_row_back_unchanged",
    "test_edit.py::test_two_windows_that_edit_one_contact_meet_a_conflict_that_shows_both_and_loses_nothing",
    "test_edit.py::test_the_page_of_a_contact_shows_what_was_changed_and_leads_to_its_neighbours",
    "test_delete.py::test_undo_brings_a_deleted_contact_back_and_can_itself_be_undone",
    "test_filters.py::test_a_heading_sorts_by_keyboard_and_keeps_the_focus_while_it_turns_round",
    "test_undo.py::test_an_undo_that_cannot_be_whole_asks_and_does_what_it_can",
    "test_dashboard.py::test_the_dashboard_shows_figures_and_what_happened",
)


@dataclass(frozen=True, slots=True)
class Noticed:
    """Where a mistake was noticed. said: the first line about it. hints: what `chirp check` mentions only."""

    stage: str
    said: str = ""
    hints: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Ended:
    """How a command ended. code: None when it took too long."""

    code: int | None
    out: str
    err: str


type Found = dict[Mistake, dict[str, Noticed]]  # by framework


@claim(
    "seeded-mistakes",
    "Chirp's checks find before the first request what Flask and FastAPI show only in the browser: wrong "
    "ids, blocks, targets, methods and fields.",
)
def seeded_mistakes() -> Finding:
    """Seed the mistakes, and count where each framework notices them."""
    asked = [int(number) for number in os.environ.get("CLAIMS_MISTAKES", "").split()]
    chosen = [MISTAKES[number - 1] for number in asked] or list(MISTAKES)
    with tempfile.TemporaryDirectory(prefix="mistakes-") as folder:
        base = Path(folder) / "base"
        usual = control(base)
        found = seed(chosen, base, usual)
    if not asked:
        RESULTS.write_text(json.dumps(as_results(found), indent=1, ensure_ascii=False) + "\n")
    print_counts(found)
    print_differences(found)
    return finding(found, usual)


# ---- seeding


def control(base: Path) -> frozenset[str]:
    """Copy the tree to `base` and run every gate without a mistake; what `chirp check` mentions then.

    AssertionError when a gate notices something, or when modules of another tree run.
    """
    for part in PARTS:
        if (ROOT / part).is_dir():
            shutil.copytree(ROOT / part, base / part, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy2(ROOT / part, base / part)
    ended = run([str(FREE), "-c", OWN_MODULES, str(base)], base, "start")
    assert ended.code == 0, f"modules from outside the copy run: {ended.err}"
    usual: frozenset[str] = frozenset()
    for framework in FRAMEWORKS:
        say(f"without a mistake: {framework}")
        noticed = examine(base, framework)
        assert noticed.stage == "never", f"{framework}, {noticed.stage}: {noticed.said}, without a mistake"
        usual |= noticed.hints
    return usual


def seed(chosen: Sequence[Mistake], base: Path, usual: frozenset[str]) -> Found:
    """Make each mistake in each framework, two at a time, and see who notices."""
    found: Found = {mistake: {} for mistake in chosen}
    jobs = [(mistake, framework) for mistake in chosen for framework in FRAMEWORKS]
    pool = ThreadPoolExecutor(2)
    try:
        running = {pool.submit(seed_one, *job, base): job for job in jobs}
        for done, future in enumerate(as_completed(running), 1):
            mistake, framework = running[future]
            noticed = future.result()
            found[mistake][framework] = replace(noticed, hints=noticed.hints - usual)
            say(f"{done}/{len(jobs)} {framework}: {mistake.what}: {noticed.stage}")
    finally:
        pool.shutdown(cancel_futures=True)  # after an error or Ctrl-C, only what is running ends
    return found


def seed_one(mistake: Mistake, framework: str, base: Path) -> Noticed:
    """Make a mistake in a copy of the tree, and see where it is noticed."""
    edit = mistake.edits[framework]
    with tempfile.TemporaryDirectory(dir=base.parent) as folder:
        # With the compiled modules, which are made anew from a file that has changed.
        tree = Path(shutil.copytree(base, folder, dirs_exist_ok=True))
        text = (tree / edit.file).read_text()
        if text.count(edit.old) != 1:
            raise ValueError(f"{edit.old!r} stands {text.count(edit.old)} times in {edit.file}")
        (tree / edit.file).write_text(text.replace(edit.old, edit.new))
        return examine(tree, framework)


# ---- the gates


def examine(tree: Path, framework: str) -> Noticed:
    """Pass the gates until one notices something."""
    said, hints = start(tree, framework)
    if said:
        return Noticed("start", said, hints)
    left_out = " or ".join(f"contract(feature='{name}')" for name in NOT_TOUCHED)
    if said := tests(tree, framework, "unit", ["-m", f"not ({left_out})", "e2e/test_contract.py"]):
        return Noticed("unit", said, hints)
    if said := in_browser(tree, framework):
        return Noticed("browser", said, hints)
    return Noticed("never", hints=hints)


def in_browser(tree: Path, framework: str) -> str:
    """The first test in the browser that fails twice, since one may fail by itself on a busy machine."""
    left = [f"e2e/{name}" for name in BROWSER_TESTS]
    while left and (said := tests(tree, framework, "browser", left)):
        failed = next((name for name in left if said.startswith(name.removeprefix("e2e/"))), "")
        if not failed or tests(tree, framework, "browser", [failed]):
            return said
        left = left[left.index(failed) + 1 :]
    return ""


def start(tree: Path, framework: str) -> tuple[str, frozenset[str]]:
    """What the framework says before any request, "" for nothing; and what `chirp check` only mentions."""
    if framework != "chirp":
        code = FLASK_START if framework == "flask" else FASTAPI_START
        return complaint(run([str(FREE), "-c", code], tree, "start")), frozenset()
    command = ["check", "app.main:create_app", "--warnings-as-errors", "--json", "--include-info"]
    ended = run([str(FREE.parent / "chirp"), *command], tree, "start")
    if not ended.out.startswith("{"):
        return complaint(ended), frozenset()
    told, hints = [], set()
    for issue in json.loads(ended.out)["issues"]:
        line = f"{issue['category']}: {issue['message']} ({issue['template'] or issue['route']})"
        if issue["severity"] == "info":
            hints.add(line)
        else:
            told.append(line)
    if told or ended.code:
        return f"chirp check: {told[0] if told else complaint(ended)}", frozenset(hints)
    ended = run([str(FREE.parent / "kida"), "check", "templates"], tree, "start")
    said = " ".join(f"kida check: {ended.out}{ended.err}".split()[:40])
    return said if ended.code else "", frozenset(hints)


def tests(tree: Path, framework: str, stage: str, chosen: Sequence[str]) -> str:
    """The first test that fails and why, "" when all pass. AssertionError when they cannot run."""
    options = ["-x", "-q", "--tb=no", "-pno:cacheprovider", f"--basetemp={tree / 'temporary'}"]
    ended = run([str(FREE), "-m", "pytest", f"--server={framework}", *options, *chosen], tree, stage)
    if ended.code not in (0, 1, None):
        raise AssertionError(f"pytest ended with {ended.code}:\n{ended.out}{ended.err}")
    failed = [line for line in ended.out.splitlines() if line.startswith(("FAILED ", "ERROR "))]
    return failed[0].partition(" e2e/")[2] if failed else complaint(ended)


def run(command: Sequence[str], tree: Path, stage: str) -> Ended:
    """Run a command in a copy of the tree; nothing that it has started is left behind."""
    environ = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("CONTACTS_", "PYTEST_")) and name != "PYTHONDONTWRITEBYTECODE"
    }
    environ |= {"PYTHONPATH": str(tree), "CONTACTS_STORE": "memory:", "COLUMNS": "240"}
    with (
        (tree / "out.txt").open("w+") as out,
        (tree / "err.txt").open("w+") as err,
        subprocess.Popen(
            command, cwd=tree, env=environ, stdin=subprocess.DEVNULL, stdout=out, stderr=err
        ) as process,
    ):
        try:
            code: int | None = process.wait(TIMEOUTS[stage])
        except BaseException as error:
            for pid in Server(process, 0, tree).pids():
                with suppress(ProcessLookupError):
                    os.kill(pid, SIGKILL)
            if not isinstance(error, subprocess.TimeoutExpired):
                raise
            code = None
    out_and_err = [(tree / name).read_text().replace(f"{tree}/", "") for name in ("out.txt", "err.txt")]
    return Ended(code, *out_and_err)


def complaint(ended: Ended) -> str:
    """What a command that has failed said last, "" when it has not failed."""
    if ended.code == 0:
        return ""
    lines = [line.strip() for line in (ended.err or ended.out).splitlines() if line.strip()]
    return lines[-1] if ended.code is not None and lines else "it did not end in time"


def say(text: str) -> None:
    """Tell of the progress."""
    print(text, file=sys.stderr, flush=True)


# ---- what was found


def as_results(found: Found) -> list[dict[str, Any]]:
    """Each mistake with what each framework said, and when; hints: what `chirp check` only mentioned."""
    return [
        {"kind": mistake.kind, "what": mistake.what}
        | {
            framework: {
                "stage": by[framework].stage,
                "said": by[framework].said,
                "hints": sorted(by[framework].hints),
            }
            for framework in FRAMEWORKS
        }
        for mistake, by in found.items()
    ]


def counts(found: Found, framework: str, kind: str = "") -> dict[str, int]:
    """How many mistakes, of one kind or all, a framework notices at each stage."""
    noticed = Counter(by[framework].stage for mistake, by in found.items() if kind in ("", mistake.kind))
    return {stage: noticed[stage] for stage in STAGES}


def print_counts(found: Found) -> None:
    """Kind by framework by stage."""
    print(" " * 12 + "".join(f"{LABELS[framework]:>8}{'':20}" for framework in FRAMEWORKS).rstrip())
    print(
        f"{'noticed in':<12}"
        + "".join(f"{stage:>7}" for _ in FRAMEWORKS for stage in STAGES).replace("browser", "brwsr".rjust(7))
    )
    for kind in [*dict.fromkeys(mistake.kind for mistake in found), ""]:
        cells = [number for framework in FRAMEWORKS for number in counts(found, framework, kind).values()]
        print(f"{kind or 'all':<12}" + "".join(f"{number or '.':>7}" for number in cells))


def print_differences(found: Found) -> None:
    """The mistakes that one framework notices earlier than another."""
    print("\nnoticed earlier by one than by another, by Chirp, Flask and FastAPI in:")
    for mistake, by in found.items():
        stages = [by[framework].stage for framework in FRAMEWORKS]
        if len(set(stages)) > 1:
            print("".join(f"{stage:<8}" for stage in stages) + mistake.what[:76])


def finding(found: Found, usual: frozenset[str]) -> Finding:
    """The verdict: of what both twins notice late, how much does Chirp notice at the start?"""
    total = {framework: counts(found, framework) for framework in FRAMEWORKS}
    late = [by for by in found.values() if {by["flask"].stage, by["fastapi"].stage} <= {"browser", "never"}]
    early = sum(by["chirp"].stage == "start" for by in late)
    ahead = total["chirp"]["start"] - max(total["flask"]["start"], total["fastapi"]["start"])
    if len(found) < len(MISTAKES):
        verdict: Verdict = "undecided"
    elif ahead <= 0 or early < len(late) / 4:
        verdict = "false"
    else:
        verdict = "true" if early >= len(late) * 3 / 4 else "depends"
    chirp = [by["chirp"] for by in found.values()]

    def at(stage: str) -> str:
        return " / ".join(str(total[framework][stage]) for framework in FRAMEWORKS)

    checked = sum(noticed.said.startswith("chirp check") for noticed in chirp)
    hinted = sum(noticed.stage != "start" and bool(noticed.hints) for noticed in chirp)
    muted = sum(hint.startswith(MUTED) for hint in usual)
    return Finding(
        verdict,
        f"Of {len(found)} mistakes Chirp / Flask / FastAPI notice {at('start')} before the first request, "
        f"{at('unit')} in tests over HTTP, {at('browser')} in the browser, {at('never')} never. "
        f"Of {len(late)} that neither Flask nor FastAPI notices before the browser, Chirp notices {early} "
        f"at the start. `chirp check` finds {checked} by itself and mentions {hinted} more without failing; "
        f"in the app without a mistake it has {muted} false alarms, which the app mutes.",
        "Start: `chirp check --warnings-as-errors` and `kida check`, no handler with a `@contract`, which "
        "could name a block or the fields of a form; for Flask and FastAPI the app is made, with OpenAPI, "
        "and Jinja2 compiles all templates. Unit: e2e/test_contract.py, the same for all, without "
        f"{', '.join(NOT_TOUCHED)}. Browser: {len(BROWSER_TESTS)} tests of the contract in Chromium. "
        "Python 3.14t. The full list: bench/results/mistakes.json.",
    )
