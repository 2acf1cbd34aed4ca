"""Engines kept by least recent use, within a budget."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from safetensors.torch import save_file
from sample_networks import frozen

from upscaler.architectures import SRVGGNetCompact
from upscaler.catalog import find_model
from upscaler.engine_cache import EngineCache


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three models of one size."""
    for seed, name in enumerate(("a", "b", "c")):
        save_file(frozen(SRVGGNetCompact(8, 1), seed).state_dict(), tmp_path / f"{name}.safetensors")
    return tmp_path


def test_an_engine_is_loaded_once(folder: Path) -> None:
    cache = EngineCache(folder, device="cpu")
    info = find_model("a", folder)
    assert cache.get(info) is cache.get(info)


def test_the_engine_used_longest_ago_makes_room(folder: Path) -> None:
    a, b, c = (find_model(name, folder) for name in ("a", "b", "c"))
    cache = EngineCache(folder, device="cpu", budget_bytes=int(2.5 * a.bytes))
    first, second = cache.get(a), cache.get(b)
    cache.get(a)
    cache.get(c)
    assert cache.get(a) is first
    assert cache.get(b) is not second


def test_a_model_larger_than_the_budget_is_loaded_all_the_same(folder: Path) -> None:
    cache = EngineCache(folder, device="cpu", budget_bytes=1)
    assert cache.get(find_model("a", folder)).scale == 4


def test_a_replaced_file_is_loaded_anew(folder: Path) -> None:
    cache = EngineCache(folder, device="cpu")
    info = find_model("a", folder)
    before = cache.get(info)
    path = info.path(folder)
    os.utime(path, ns=(path.stat().st_mtime_ns + 1_000_000, path.stat().st_mtime_ns + 1_000_000))
    assert cache.get(info) is not before
