"""The stopwatch of a task's stages."""

from __future__ import annotations

import time

import pytest

from celery_app.stages import Stages


def test_an_inner_stage_stops_the_outer_one(monkeypatch: pytest.MonkeyPatch) -> None:
    now = iter(range(100))
    monkeypatch.setattr(time, "perf_counter", lambda: next(now))  # a second passes between two looks at the clock
    stages = Stages()
    with stages("encode"), stages("upscale"):
        for _ in range(2):
            with stages("encode"):
                pass
    assert stages.seconds == {"encode": 4, "upscale": 3}
    assert stages.milliseconds == {"encode_ms": 4000, "upscale_ms": 3000}


def test_a_stage_that_fails_has_taken_its_time_too() -> None:
    stages = Stages()
    with pytest.raises(ValueError, match="broken"), stages("decode"):
        raise ValueError("broken")
    assert list(stages.seconds) == ["decode"]
