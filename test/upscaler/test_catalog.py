"""What models there are, and how much of them is known without torch."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from sample_networks import frozen

from upscaler.architectures import RRDBNet, SRVGGNetCompact
from upscaler.catalog import DEFAULT_MODEL, OFFICIAL_MODELS, find_model, list_models
from utils.errors import UnknownModel, WeightsCorrupt


def test_the_catalogue_loads_neither_torch_nor_numpy() -> None:
    code = (
        "import sys; from pathlib import Path; from upscaler.catalog import list_models; list_models(Path('.'));"
        "import upscaler.sizes; sys.exit(any(name in sys.modules for name in ('torch', 'numpy', 'cv2')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_default_model_is_bundled_and_on_disk(tmp_path: Path) -> None:
    info = find_model(DEFAULT_MODEL, tmp_path)
    assert (info.source, info.scale, info.url) == ("bundled", 4, None)
    assert info.is_on_disk(tmp_path)
    assert info.path(tmp_path).stat().st_size == info.bytes


def test_the_six_official_models_are_downloadable_and_hashed(tmp_path: Path) -> None:
    assert len(OFFICIAL_MODELS) == 6
    for info in OFFICIAL_MODELS:
        assert info in list_models(tmp_path)
        assert info.url is not None
        assert info.url.endswith("/" + info.file)
        assert info.sha256 is not None
        assert len(info.sha256) == 64
        assert not info.is_on_disk(tmp_path)


def test_only_the_general_model_has_a_denoise_control() -> None:
    assert [info.name for info in OFFICIAL_MODELS if info.can_denoise] == ["realesr-general-x4v3"]


@pytest.mark.parametrize("wrapper", [lambda weights: weights, lambda w: {"params": w}, lambda w: {"params_ema": w}])
def test_a_checkpoint_in_the_folder_is_a_model_under_its_stem(tmp_path: Path, wrapper) -> None:
    torch.save(wrapper(frozen(RRDBNet(8, 1, 4, scale=2)).state_dict()), tmp_path / "mine.pth")
    info = find_model("mine", tmp_path)
    assert (info.source, info.scale, info.licence) == ("folder", 2, "unknown")
    assert info.bytes == (tmp_path / "mine.pth").stat().st_size


def test_a_safetensors_file_comes_before_a_pickle_of_the_same_stem(tmp_path: Path) -> None:
    torch.save(frozen(SRVGGNetCompact(8, 1, scale=4)).state_dict(), tmp_path / "mine.pth")
    save_file(frozen(SRVGGNetCompact(8, 1, scale=3)).state_dict(), tmp_path / "mine.safetensors")
    found = [info for info in list_models(tmp_path) if info.name == "mine"]
    assert [(info.file, info.scale) for info in found] == [("mine.safetensors", 3)]


def test_a_replaced_file_is_looked_at_again(tmp_path: Path) -> None:
    path = tmp_path / "mine.safetensors"
    save_file(frozen(SRVGGNetCompact(8, 1, scale=4)).state_dict(), path)
    assert find_model("mine", tmp_path).scale == 4
    save_file(frozen(SRVGGNetCompact(8, 2, scale=2)).state_dict(), path)
    assert find_model("mine", tmp_path).scale == 2


def test_official_and_hidden_files_are_not_listed_twice(tmp_path: Path) -> None:
    names = [info.name for info in list_models(tmp_path)]
    torch.save(frozen(SRVGGNetCompact(8, 1)).state_dict(), tmp_path / "realesr-animevideov3.pth")
    (tmp_path / ".half.pth").write_bytes(b"half a download")
    assert [info.name for info in list_models(tmp_path)] == names


def test_an_unknown_name_is_answered_with_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(UnknownModel) as caught:
        find_model("slow", tmp_path)
    assert caught.value.field == "model"
    assert "fast, " in caught.value.detail
    assert "realesrgan-x4plus" in caught.value.detail


class Hostile:
    """Pickles into a call of os.system."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        import os

        return os.system, ("touch /tmp/never",)


@pytest.mark.parametrize("name", ["text.pth", "text.safetensors", "hostile.pth", "other.pth"])
def test_a_file_that_is_no_model_is_left_out_and_named_when_asked_for(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    if name == "hostile.pth":
        torch.save({"params": Hostile()}, path)
    elif name == "other.pth":
        torch.save({"fc.weight": torch.zeros(3, 3)}, path)
    else:
        path.write_text("not weights at all")
    assert path.stem not in [info.name for info in list_models(tmp_path)]
    with pytest.raises(WeightsCorrupt, match=path.name):
        find_model(path.stem, tmp_path)
