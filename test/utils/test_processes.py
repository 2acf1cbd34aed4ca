"""A child process is started as it was asked for."""

import os
import sys
from pathlib import Path

import pytest

from utils.processes import ChildProcess

AUTOGROUP = Path("/proc/self/autogroup")


@pytest.mark.parametrize("niceness", [0, 5])
def test_a_program_stands_back_as_far_as_it_is_told(tmp_path, niceness):
    log = tmp_path / "log"
    tell = f"import os; print(os.nice(0)); print(open('{AUTOGROUP}').read() if os.path.exists('{AUTOGROUP}') else '')"
    with ChildProcess("a program", [sys.executable, "-c", tell], log=log, niceness=niceness) as child:
        assert child.process.wait(60) == 0
    nice, autogroup = log.read_text().splitlines()[:2]
    assert int(nice) == os.nice(0) + niceness
    if AUTOGROUP.exists():
        assert autogroup.endswith(f"nice {niceness}")
