"""The ledger of claims: what a claim is, how it is run, how docs/claims.md is written."""

import inspect
import io
import json
import os
import platform
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import redirect_stdout
from dataclasses import asdict, dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, Final, Literal, TextIO, get_args

from bench.servers import CORES, ROOT, versions

Verdict = Literal["true", "false", "depends", "undecided"]
RESULTS: Final = ROOT / "bench/results/claims.json"
LEDGER: Final = ROOT / "docs/claims.md"


@dataclass(frozen=True, slots=True)
class Finding:
    """What a program found about its claim.

    because: the one or two sentences, with the figures, that decide the verdict.
    configuration: under which it was found: servers, workers, threads, builds of Python, load.
    """

    verdict: Verdict
    because: str
    configuration: str


@dataclass(frozen=True, slots=True)
class Claim:
    """A claim. check: prints what it sees, and returns what follows from it."""

    id: str
    sentence: str
    check: Callable[[], Finding]

    @property
    def program(self) -> str:
        """Where its program stands: `bench/claims/x.py, function`."""
        file = Path(inspect.getsourcefile(self.check) or "").relative_to(ROOT)
        return f"{file.as_posix()}, {self.check.__name__}"


_claims: dict[str, Claim] = {}


def claim(id: str, sentence: str) -> Callable[[Callable[[], Finding]], Callable[[], Finding]]:
    """Enter a program in the ledger. id: lower case with hyphens. sentence: the claim in our words."""

    def enter(check: Callable[[], Finding]) -> Callable[[], Finding]:
        if id in _claims:
            raise ValueError(f"there are two claims {id}")
        _claims[id] = Claim(id, sentence, check)
        return check

    return enter


def all_claims() -> Mapping[str, Claim]:
    """Every claim by its id, in the order of the ledger."""
    from bench.claims import MODULES

    modules = [import_module(f"bench.claims.{name}").__name__ for name in MODULES]
    # Whoever has imported one of them before has not changed their order.
    return dict(sorted(_claims.items(), key=lambda entry: modules.index(entry[1].check.__module__)))


class _Both(io.TextIOBase):
    """Writes to the terminal, and keeps what was written."""

    def __init__(self, terminal: TextIO) -> None:
        self._terminal = terminal
        self.kept = ""

    def write(self, text: str) -> int:
        self.kept += text
        self._terminal.write(text)
        self._terminal.flush()
        return len(text)


def run(claim: Claim) -> dict[str, Any]:
    """Run the program of a claim: its entry for the results."""
    print(f"--- {claim.id}: {claim.sentence}")
    start = time.monotonic()
    with redirect_stdout(_Both(sys.stdout)) as output:
        finding = claim.check()
    if finding.verdict not in get_args(Verdict):
        raise ValueError(f"{claim.id}: {finding.verdict!r} is no verdict")
    print(f"--- {finding.verdict}: {finding.because}\n")
    return {
        "sentence": claim.sentence,
        "program": claim.program,
        **asdict(finding),
        "printed": output.kept.rstrip(),
        "date": time.strftime("%Y-%m-%d"),
        "seconds": round(time.monotonic() - start),
        "versions": versions(),
        "machine": f"{CORES} cores, {platform.system()} {platform.machine()}, load {os.getloadavg()[0]:.1f}",
    }


def read_results() -> dict[str, dict[str, Any]]:
    """The results so far, by the id of the claim."""
    return dict(json.loads(RESULTS.read_text())) if RESULTS.exists() else {}


def write_results(results: Mapping[str, dict[str, Any]], order: Iterable[str]) -> None:
    """Keep the results, and write the ledger from them. Claims that are no longer there go."""
    kept = {id: results[id] for id in order if id in results}
    RESULTS.write_text(json.dumps(kept, indent=1, ensure_ascii=False) + "\n")
    LEDGER.write_text(as_markdown(kept))


def as_markdown(results: Mapping[str, Mapping[str, Any]]) -> str:
    """docs/claims.md."""
    parts = [_INTRODUCTION, _summary(results)]
    parts += [_section(id, entry) for id, entry in results.items()]
    return "\n\n".join(parts) + "\n"


_INTRODUCTION = """\
# Claims

What comparisons of Chirp, Flask and FastAPI say, and what a program found. `make claims` runs every program
and writes this file; `make claims CLAIMS="cold-start memory"` runs some. The programs stand in
[bench/claims](../bench/claims/), their results in [bench/results/claims.json](../bench/results/claims.json).
A verdict holds for the configuration beside it: other machines, versions and settings may give another."""


def _summary(results: Mapping[str, Mapping[str, Any]]) -> str:
    rows = [
        f"| [{id}](#{id}) | {entry['sentence']} | **{entry['verdict']}** |" for id, entry in results.items()
    ]
    return "\n".join(["| Claim | | Verdict |", "|---|---|---|", *rows])


def _section(id: str, entry: Mapping[str, Any]) -> str:
    installed = ", ".join(f"{name} {version}" for name, version in entry["versions"].items())
    return f"""\
## {id}

{entry["sentence"]}

**{entry["verdict"].capitalize()}.** {entry["because"]}

Configuration: {entry["configuration"]}

```text
{entry["printed"]}
```

Program: {entry["program"]}. Run on {entry["date"]} in {entry["seconds"]} s, {entry["machine"]};
{installed}."""


def main(names: Sequence[str]) -> None:
    """Run the claims of these ids, or all; write the ledger after each."""
    claims = all_claims()
    if unknown := [name for name in names if name not in claims]:
        sys.exit(f"There is no claim {' '.join(unknown)}. There are: {' '.join(claims)}")
    for name in names or claims:
        result = run(claims[name])
        # Read anew each time: another run may have written meanwhile.
        write_results(read_results() | {name: result}, claims)
