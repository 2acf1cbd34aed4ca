"""The training program: it runs, stops, goes on, and arrives where an uninterrupted run does."""

import subprocess
import sys
import time
from pathlib import Path
from subprocess import DEVNULL, CompletedProcess

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file

from upscaler.architectures import network_from_weights

REPOSITORY = Path(__file__).parents[2]
SHARED = REPOSITORY.parent / "shared"
pytestmark = pytest.mark.skipif(not SHARED.is_dir(), reason=f"{SHARED} is absent: no photographs to train on")

TINY = ("--features", "4", "--convolutions", "1", "--batch", "2", "--checkpoint-every", "2", "--threads", "1")


def command(model: str, work: Path, *options: str) -> list[str]:
    """The program's command line, for three photographs (the first is kept for validation)."""
    start = [sys.executable, "-m", "tools.train_bundled", model, "--work", str(work), "--shared", str(SHARED)]
    return [*start, "--photographs", "3", *TINY, *options]


def train(model: str, work: Path, *options: str) -> CompletedProcess[str]:
    """Run the program to its end."""
    return subprocess.run(command(model, work, *options), cwd=REPOSITORY, capture_output=True, text=True)


def wait_for(path: Path) -> None:
    """Wait until a file is there, for up to two minutes."""
    deadline = time.monotonic() + 120
    while not path.exists():
        assert time.monotonic() < deadline, f"{path} did not appear"
        time.sleep(0.01)


@pytest.mark.parametrize("model", ["fast", "faithful"])
def test_training_leaves_weights_that_load_and_say_where_they_come_from(model: str, tmp_path: Path) -> None:
    run = train(model, tmp_path, "--steps", "4")
    assert run.returncode == 0, run.stderr
    assert "step 4:" in run.stdout + run.stderr
    path = tmp_path / f"{model}.safetensors"
    network = network_from_weights({name: value.float() for name, value in load_file(path).items()})
    assert network(torch.zeros(1, 3, 5, 6)).shape == (1, 3, 20, 24)
    with safe_open(path, "pt") as file:
        assert file.metadata().items() >= {"model": model, "steps_done": "4", "seed": "1"}.items()


def test_a_killed_and_resumed_run_arrives_where_an_uninterrupted_one_does(tmp_path: Path) -> None:
    steps = ("--steps", "200")
    assert train("faithful", tmp_path / "whole", *steps).returncode == 0
    with subprocess.Popen(command("faithful", tmp_path / "halves", *steps), cwd=REPOSITORY, stderr=DEVNULL) as run:
        wait_for(tmp_path / "halves" / "checkpoint.pt")
        run.kill()
    assert train("faithful", tmp_path / "halves", *steps, "--resume").returncode == 0
    whole, halves = (load_file(tmp_path / name / "faithful.safetensors") for name in ("whole", "halves"))
    assert whole.keys() == halves.keys()
    for name in whole:
        torch.testing.assert_close(halves[name], whole[name], rtol=0, atol=0)


def test_resuming_with_other_options_is_refused(tmp_path: Path) -> None:
    assert train("faithful", tmp_path, "--steps", "2").returncode == 0
    run = train("faithful", tmp_path, "--steps", "4", "--resume", "--seed", "9")
    assert run.returncode != 0
    assert "--resume needs the options of the first run" in run.stderr


def test_a_folder_without_photographs_is_named(tmp_path: Path) -> None:
    run = train("faithful", tmp_path, "--shared", str(tmp_path))
    assert run.returncode != 0
    assert f"no photographs under {tmp_path / 'train'}" in run.stderr
