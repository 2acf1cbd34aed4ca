"""`make chaos`: break the service at random for a while, and print whether it kept its promises."""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from datetime import datetime
from pathlib import Path

from chaos.campaign import Orders, run
from chaos.report import report


def main() -> int:
    """The exit status: 0 if no promise was broken."""
    defaults = Orders()
    parser = argparse.ArgumentParser(prog="python -m chaos", description=__doc__)
    parser.add_argument("--seed", type=int, default=defaults.seed, help="decides what happens (%(default)s)")
    parser.add_argument("--jobs", type=int, default=defaults.jobs, help="tasks to be accepted (%(default)s)")
    parser.add_argument("--kills", type=int, default=defaults.kills, help="faults that kill something (%(default)s)")
    parser.add_argument("--duration", type=float, default=defaults.duration, help="most seconds (%(default)s)")
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="a new folder for history, data and logs")
    arguments = parser.parse_args()
    folder = arguments.keep or Path(tempfile.mkdtemp(prefix="chaos-"))
    folder.mkdir(parents=True, exist_ok=True)
    findings = run(Orders(arguments.seed, arguments.jobs, arguments.kills, arguments.duration), folder, _say)
    print(report(findings))
    if findings.is_good and not arguments.keep:
        shutil.rmtree(folder)
    else:
        print(f"history, data and logs are in {folder}")
    return 0 if findings.is_good else 1


def _say(line: str) -> None:
    print(f"{datetime.now():%H:%M:%S} {line}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
