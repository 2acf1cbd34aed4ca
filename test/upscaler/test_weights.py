"""Weights on their way from the network to the disk and from the disk into a network."""

from __future__ import annotations

import hashlib
import io
import logging
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from sample_networks import frozen
from weights_server import Behaviour, serving

from upscaler.architectures import SRVGGNetCompact
from upscaler.catalog import ModelInfo, find_model, list_models
from upscaler.weights import ensure_weights, load_network
from utils.errors import DiskFull, InvalidParameter, UnknownModel, WeightsCorrupt, WeightsUnavailable

NETWORK = frozen(SRVGGNetCompact(16, 8))


def checkpoint(network: SRVGGNetCompact = NETWORK) -> bytes:
    file = io.BytesIO()
    torch.save({"params": network.state_dict()}, file)
    return file.getvalue()


BODY = checkpoint()


@pytest.fixture
def server() -> Iterator[Behaviour]:
    with serving(BODY) as behaviour:
        yield behaviour


@pytest.fixture
def info(server: Behaviour) -> ModelInfo:
    return ModelInfo(
        name="served",
        scale=4,
        licence="MIT",
        description="From the test's own server.",
        file="served.pth",
        bytes=len(BODY),
        sha256=hashlib.sha256(BODY).hexdigest(),
        url=server.url,
    )


def visible(folder: Path) -> list[str]:
    """What lies in the folder, but for hidden files."""
    return sorted(path.name for path in folder.glob("[!.]*"))


def test_a_model_is_downloaded_once_and_loads(info: ModelInfo, server: Behaviour, tmp_path: Path) -> None:
    folder = tmp_path / "not" / "there" / "yet"
    network = load_network(info, folder)
    x = torch.rand(1, 3, 9, 9)
    assert torch.equal(network(x), NETWORK(x))
    assert ensure_weights(info, folder) == folder / "served.pth"
    assert server.ranges == [None]
    assert visible(folder) == ["served.pth"]


def test_a_broken_download_goes_on_where_it_broke_off(info: ModelInfo, server: Behaviour, tmp_path: Path) -> None:
    server.break_after = [1000, 500]
    assert ensure_weights(info, tmp_path).read_bytes() == BODY
    assert server.ranges == [None, "bytes=1000-", "bytes=1500-"]


def test_what_an_earlier_process_began_is_resumed(info: ModelInfo, server: Behaviour, tmp_path: Path) -> None:
    server.break_after = [1000] + [0] * 20
    with pytest.raises(WeightsUnavailable):
        ensure_weights(info, tmp_path)
    assert visible(tmp_path) == []
    server.break_after = []
    server.ranges.clear()
    assert ensure_weights(info, tmp_path).read_bytes() == BODY
    assert server.ranges == ["bytes=1000-"]


def test_a_server_that_knows_no_ranges_begins_again(info: ModelInfo, server: Behaviour, tmp_path: Path) -> None:
    server.break_after, server.knows_ranges = [1000], False
    assert ensure_weights(info, tmp_path).read_bytes() == BODY


def test_a_wrong_hash_leaves_nothing(info: ModelInfo, server: Behaviour, tmp_path: Path) -> None:
    server.body = BODY[:-1] + b"?"
    with pytest.raises(WeightsCorrupt, match="SHA-256"):
        ensure_weights(info, tmp_path)
    assert visible(tmp_path) == []
    server.body = BODY
    assert ensure_weights(info, tmp_path).read_bytes() == BODY


def test_a_file_that_was_changed_on_disk_is_refused(info: ModelInfo, server: Behaviour, tmp_path: Path) -> None:
    (tmp_path / "served.pth").write_bytes(BODY[:-1] + b"?")
    with pytest.raises(WeightsCorrupt, match="Delete it"):
        ensure_weights(info, tmp_path)
    assert server.ranges == []


def test_a_refusal_is_not_asked_for_again(info: ModelInfo, server: Behaviour, tmp_path: Path) -> None:
    server.status = 404
    with pytest.raises(WeightsUnavailable, match="404"):
        ensure_weights(info, tmp_path)
    assert len(server.ranges) == 1
    assert visible(tmp_path) == []


def test_no_network_is_an_error_that_says_what_to_do(info: ModelInfo, tmp_path: Path) -> None:
    closed = replace(info, url="http://127.0.0.1:9/weights.pth")
    with pytest.raises(WeightsUnavailable, match="into the models folder by hand"):
        ensure_weights(closed, tmp_path)
    assert visible(tmp_path) == []


def test_a_download_reports_its_progress(info: ModelInfo, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "upscaler.weights"):
        ensure_weights(info, tmp_path)
    assert "Downloading served.pth" in caplog.text


FETCH = """
import resource, sys
from pathlib import Path
from upscaler.catalog import ModelInfo
from upscaler.weights import ensure_weights
from utils.errors import ServiceError
url, size, sha256, folder, most = sys.argv[1:]
if int(most):
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(most), int(most)))
info = ModelInfo("served", 4, "MIT", "", "served.pth", int(size), sha256, url)
try:
    print("downloading", flush=True)
    ensure_weights(info, Path(folder))
    print("there")
except ServiceError as error:
    print(error.code)
"""


def fetching(info: ModelInfo, folder: Path, most: int = 0) -> subprocess.Popen[str]:
    """Another process that wants the same weights; `most` bytes is what a file may have there."""
    arguments = [info.url, str(info.bytes), info.sha256, str(folder), str(most)]
    return subprocess.Popen([sys.executable, "-c", FETCH, *arguments], stdout=subprocess.PIPE, text=True)


def test_two_processes_at_once_download_once(info: ModelInfo, server: Behaviour, tmp_path: Path) -> None:
    processes = [fetching(info, tmp_path) for _ in range(2)]
    said = [process.communicate(timeout=120)[0].split() for process in processes]
    assert said == [["downloading", "there"]] * 2
    assert server.ranges == [None]


def test_a_full_disk_leaves_nothing(info: ModelInfo, tmp_path: Path) -> None:
    said, _ = fetching(info, tmp_path, most=2000).communicate(timeout=120)
    assert said.split() == ["downloading", DiskFull.code]
    assert visible(tmp_path) == []
    assert not list(tmp_path.glob(".*.part"))


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_a_damaged_file_in_the_folder_is_refused(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"mine{suffix}"
    if suffix == ".pth":
        path.write_bytes(BODY)
    else:
        save_file(NETWORK.state_dict(), path)
    info = find_model("mine", tmp_path)
    path.write_bytes(path.read_bytes()[:-3000])
    with pytest.raises(WeightsCorrupt, match="mine"):
        load_network(info, tmp_path)


def test_half_precision_weights_load_as_float32(tmp_path: Path) -> None:
    save_file(frozen(SRVGGNetCompact(8, 1)).half().state_dict(), tmp_path / "half.safetensors")
    network = load_network(find_model("half", tmp_path), tmp_path)
    assert {parameter.dtype for parameter in network.parameters()} == {torch.float32}


@pytest.fixture
def mixable(tmp_path: Path) -> tuple[ModelInfo, dict[str, SRVGGNetCompact]]:
    """A model with a denoise partner, both in the folder."""
    networks = {"strong": frozen(SRVGGNetCompact(8, 1), seed=1), "weak": frozen(SRVGGNetCompact(8, 1), seed=2)}
    for name, network in networks.items():
        save_file(network.state_dict(), tmp_path / f"{name}.safetensors")
    return replace(find_model("strong", tmp_path), denoise_partner=find_model("weak", tmp_path)), networks


@pytest.mark.parametrize("denoise", [0.0, 0.25, 1.0])
def test_denoise_mixes_two_models_weights(mixable, tmp_path: Path, denoise: float) -> None:
    info, networks = mixable
    mixed = load_network(info, tmp_path, denoise).state_dict()
    strong, weak = (networks[name].state_dict() for name in ("strong", "weak"))
    for name, weight in mixed.items():
        torch.testing.assert_close(weight, strong[name] * denoise + weak[name] * (1 - denoise))


def test_denoise_is_refused_where_it_means_nothing(mixable, tmp_path: Path) -> None:
    info, _ = mixable
    with pytest.raises(InvalidParameter, match="no denoise control"):
        load_network(replace(info, denoise_partner=None), tmp_path, 0.5)
    with pytest.raises(InvalidParameter, match="between 0 and 1"):
        load_network(info, tmp_path, 1.5)


class _Malice:
    """Unpickled by a naive reader, this makes a file."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple[object, ...]:
        return Path.touch, (self.trace,)


@pytest.mark.parametrize("as_zip", [True, False], ids=["zip", "bare pickle"])
def test_code_in_a_checkpoint_does_not_run(tmp_path: Path, as_zip: bool) -> None:
    trace, folder = tmp_path / "it-ran", tmp_path / "models"
    folder.mkdir()
    content = {"params": dict(NETWORK.state_dict()), "malice": _Malice(trace)}
    torch.save(content, folder / "evil.pth", _use_new_zipfile_serialization=as_zip)
    with suppress(UnknownModel, WeightsCorrupt):
        list_models(folder)
        find_model("evil", folder)
    info = ModelInfo("evil", 4, "?", "Malice.", "evil.pth", (folder / "evil.pth").stat().st_size)
    with pytest.raises(WeightsCorrupt):
        load_network(info, folder)
    assert not trace.exists()
    torch.load(folder / "evil.pth", weights_only=False)
    assert trace.exists(), "the file is not malicious at all"
