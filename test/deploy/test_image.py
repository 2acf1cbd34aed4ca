"""The image has what the service runs from, no secret, and the PyTorch that was asked for."""

import re
import runpy

import pytest


@pytest.fixture(scope="module")
def verdict(root):
    return runpy.run_path(str(root / "deploy" / "check_torch_variant.py"))["verdict"]


def test_only_files_that_exist_go_into_the_image_and_never_the_settings(root):
    lines = (root / ".dockerignore").read_text(encoding="utf-8").splitlines()
    let_in = [line[1:] for line in lines if line.startswith("!")]
    assert "*" in lines
    assert [path for path in let_in if not (root / path).exists()] == []
    assert not any(".env" in path for path in let_in)


def test_every_package_of_the_service_goes_into_the_image(root):
    let_in = (root / ".dockerignore").read_text(encoding="utf-8")
    packages = {path.parent.name for path in root.glob("*/__init__.py")} - {"test", "tools", "benchmarks"}
    assert [name for name in sorted(packages) if f"!{name}\n" not in let_in] == []


def test_the_image_does_not_run_as_root_and_names_no_index(root):
    dockerfile = (root / "Dockerfile").read_text(encoding="utf-8")
    assert re.findall(r"^USER (.*)$", dockerfile, re.MULTILINE) == ["upscaler"]
    assert not re.search(r"https?://", dockerfile)


@pytest.mark.parametrize(
    ("wanted", "cuda", "status", "says"),
    [
        ("cpu", None, 0, "is the cpu variant"),
        ("cuda", "12.8", 0, "is the cuda variant"),
        ("cpu", "12.8", 0, "Warning"),
        ("cuda", None, 1, "set TORCH_INDEX"),
        ("gpu", None, 1, "cpu or cuda"),
    ],
)
def test_the_build_ends_only_when_a_wished_for_cuda_is_not_there(verdict, wanted, cuda, status, says):
    result, sentence = verdict(wanted, "2.13.0", cuda)
    assert result == status
    assert says in sentence
