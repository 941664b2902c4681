"""wrk, the load generator, from Python: https://github.com/wg/wrk."""

import functools
import json
import math
import resource
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from scripts.provide_browser import install_debian_packages

# wrk calls it at the end, after its own report. Times are microseconds there.
_DONE = """
function done(summary, latency, requests)
  local errors = summary.errors
  print(string.format('\\n{"requests": %d, "seconds": %f, "bytes": %d, "errors": %d, "p50": %f, "p99": %f}',
    summary.requests, summary.duration / 1e6, summary.bytes,
    errors.connect + errors.read + errors.write + errors.status + errors.timeout,
    latency:percentile(50) / 1000, latency:percentile(99) / 1000))
end
"""


@dataclass(frozen=True, slots=True)
class Load:
    """What wrk saw.

    requests: that were answered, whatever the status. errors: answers of 400 and above, sockets that
    failed, and answers that took longer than the timeout. p50, p99: milliseconds. bytes: received.
    cpu: seconds of processor time that wrk itself took, which a server on the same machine lacks.
    """

    requests: int
    seconds: float
    bytes: int
    errors: int
    p50: float
    p99: float
    cpu: float

    @property
    def rate(self) -> float:
        """Requests per second."""
        return self.requests / self.seconds


def run(
    url: str,
    *,
    connections: int,
    seconds: float,
    threads: int = 1,
    script: str = "",
    args: Sequence[str] = (),
) -> Load:
    """Load a server from so many connections, each of which sends its next request once it is answered.

    seconds: wrk knows whole ones only, so this is rounded up. script: Lua, for instance a function `request`;
    `done` is taken. args: further options of wrk's command line; its timeout is 30 s unless they say another.
    RuntimeError when wrk is not to be had, fails, or cannot connect at all.
    """
    provide()
    before = _children_cpu()
    with tempfile.TemporaryDirectory() as folder:
        lua = Path(folder, "load.lua")
        lua.write_text(script + _DONE)
        line = ["wrk", f"-t{threads}", f"-c{connections}", f"-d{math.ceil(seconds)}s", "--timeout=30s"]
        ended = subprocess.run([*line, *args, "-s", str(lua), url], capture_output=True, text=True)
    if ended.returncode or not ended.stdout.strip().endswith("}"):
        raise RuntimeError(f"wrk failed on {url}: {ended.stdout}{ended.stderr}")
    return Load(**json.loads(ended.stdout.splitlines()[-1]), cpu=_children_cpu() - before)


@functools.cache
def provide() -> None:
    """Bring wrk from Debian's packages if it is not there. RuntimeError says how else."""
    if not (shutil.which("wrk") or (install_debian_packages("wrk") and shutil.which("wrk"))):
        raise RuntimeError("wrk is not installed: Debian, Ubuntu and Homebrew have a package of that name")


def _children_cpu() -> float:
    """Processor time of the processes that this one has waited for; while wrk runs it waits for no other."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
