"""A short run: 300 jobs while twenty kills and ten other faults happen, and no promise is broken."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from chaos.campaign import Orders, run
from chaos.report import report


def test_what_is_accepted_ends_once_and_well_whatever_breaks(tmp_path: Path) -> None:
    findings = run(Orders(seed=20, jobs=300, kills=20), tmp_path)
    print(report(findings))
    assert findings.violations == []
    assert not findings.after_sweep
    assert findings.is_good
    shutil.rmtree(tmp_path)
    if findings.left_out:
        pytest.skip(f"all was well, but this could not be done: {findings.left_out}")
