"""Train one of the models that ship with the service.

    python -m tools.train_bundled fast --work /var/tmp/fast
    python -m tools.train_bundled faithful --work /var/tmp/faithful --init /var/tmp/fast/fast.safetensors

The work folder keeps the training pairs, a checkpoint and the weights so far. A stopped run goes on
with `--resume` and arrives where an uninterrupted one would have: a step's crops and learning rate
depend on the seed and the step alone.
"""

from __future__ import annotations

import argparse
import math
import os
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch.optim.swa_utils import AveragedModel
from tqdm import tqdm

from tools.matlab_images import psnr
from tools.networks import load_teacher, to_pixels, to_tensor
from tools.training_pairs import (
    VALIDATION_EVERY,
    MakePairs,
    Pair,
    PairSampler,
    build_pairs,
    imitation_pairs,
    load_pairs,
    photographs,
    true_pairs,
)
from upscaler.architectures import SRVGGNetCompact

Option = str | int | float | None
WARM_UP = 200  # steps over which the learning rate rises
FALL = 0.4  # the share of the steps, the last, over which it falls
SQUARED = 0.25  # the share of the steps, the last, that descend on the squared error, not the absolute one
MEAN_OVER = 1000  # steps that the running mean of the weights reaches back
CHANGEABLE = {"resume", "work", "shared", "threads", "checkpoint_every", "steps"}
"""Options that a resumed run may give anew. `steps` is among them because until the learning rate falls
a longer run and a shorter one are the same."""


def parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", choices=("fast", "faithful"))
    parser.add_argument("--work", type=Path, required=True, help="folder for pairs, checkpoint and weights")
    parser.add_argument("--shared", type=Path, default=Path("../shared"), help="holds train/ and weights/")
    parser.add_argument("--resume", action="store_true", help="go on from the checkpoint in the work folder")
    parser.add_argument("--init", type=Path, help="weights (.safetensors) to start from; else random")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--features", type=int, default=32)
    parser.add_argument("--convolutions", type=int, default=8)
    parser.add_argument("--steps", type=int, default=12_000)
    parser.add_argument("--batch", type=int, default=16, help="crops of 48x48 px a step")
    parser.add_argument("--rate", type=float, default=2e-3, help="highest learning rate")
    parser.add_argument("--photographs", type=int, help="use so many photographs only")
    parser.add_argument("--checkpoint-every", type=int, default=250, help="steps")
    parser.add_argument("--threads", type=int, help="processor threads")
    return parser.parse_args()


class Training:
    """A network on its way: its weights, their running mean, the optimiser, and the step reached."""

    def __init__(self, options: argparse.Namespace, device: torch.device):
        self.options = options
        self.device = device
        torch.manual_seed(options.seed)
        network = SRVGGNetCompact(options.features, options.convolutions)
        if options.init:
            network.load_state_dict({name: value.float() for name, value in load_file(options.init).items()})
        self.network = network.to(device)
        self.mean = AveragedModel(self.network, avg_fn=running_mean)
        self.optimiser = torch.optim.Adam(self.network.parameters(), betas=(0.9, 0.99), fused=True)
        self.done = 0

    def step(self, small: Tensor, large: Tensor) -> None:
        """One descent on a batch."""
        for group in self.optimiser.param_groups:
            group["lr"] = learning_rate(self.done, self.options.steps, self.options.rate)
        with torch.autocast(self.device.type, torch.bfloat16):
            output = self.network(small.to(self.device))
        difference = output.float() - large.to(self.device)
        squared = self.done >= self.options.steps * (1 - SQUARED)
        loss = difference.square().mean() if squared else difference.abs().mean()
        self.optimiser.zero_grad()
        loss.backward()
        self.optimiser.step()
        self.mean.update_parameters(self.network)
        self.done += 1

    @torch.inference_mode()
    def validate(self, pairs: list[Pair]) -> float:
        """Mean PSNR (dB, RGB) of the mean weights on photographs that were kept from training."""
        return float(np.mean([psnr(to_pixels(self.mean(to_tensor([x]).to(self.device))), y) for x, y in pairs]))

    def save(self) -> None:
        """Write the checkpoint and the mean weights, each whole or not at all."""
        state = {
            "options": learnt_options(self.options),
            "done": self.done,
            "network": self.network.state_dict(),
            "mean": self.mean.state_dict(),
            "optimiser": self.optimiser.state_dict(),
        }
        checkpoint = self.options.work / "checkpoint.pt"
        torch.save(state, checkpoint.with_suffix(".part"))
        os.replace(checkpoint.with_suffix(".part"), checkpoint)
        self.export(self.options.work / f"{self.options.model}.safetensors")

    def export(self, path: Path) -> None:
        """The mean weights in half precision, with where they come from in the file's header."""
        weights = {name: value.half().contiguous().cpu() for name, value in self.mean.module.state_dict().items()}
        facts = {"architecture": "SRVGGNetCompact", "scale": "4", "license": "MIT"}
        facts |= {"steps": str(self.options.steps), "steps_done": str(self.done)}
        facts |= {name: str(value) for name, value in learnt_options(self.options).items()}
        save_file(weights, path.with_suffix(".part"), metadata=facts)
        os.replace(path.with_suffix(".part"), path)

    def load(self) -> None:
        """Go on from the checkpoint.

        Raises:
            SystemExit: it was made with other options.
        """
        state = torch.load(self.options.work / "checkpoint.pt", map_location=self.device, weights_only=True)
        if state["options"] != learnt_options(self.options):
            raise SystemExit(f"--resume needs the options of the first run: {state['options']}")
        self.network.load_state_dict(state["network"])
        self.mean.load_state_dict(state["mean"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.done = state["done"]


def learnt_options(options: argparse.Namespace) -> dict[str, Option]:
    """The options that decide what is learnt."""
    return {
        name: value.name if isinstance(value, Path) else value
        for name, value in vars(options).items()
        if name not in CHANGEABLE
    }


def running_mean(mean: Tensor, now: Tensor, count: Tensor | int) -> Tensor:
    """An exponential mean that starts short, so that the random beginning is soon forgotten."""
    return mean.lerp(now, max(1 / MEAN_OVER, 10 / (10 + int(count))))


def learning_rate(step: int, steps: int, highest: float) -> float:
    """A short rise, a long level, and at the end half a cosine down to a hundredth."""
    fallen = max(0.0, 1 - (1 - step / steps) / FALL)
    return highest * min(1.0, (step + 1) / WARM_UP) * (0.505 + 0.495 * math.cos(math.pi * fallen))


def prepare_pairs(options: argparse.Namespace, device: torch.device) -> tuple[list[Pair], list[Pair]]:
    """The pairs to train on and those to validate on."""
    paths = photographs(options.shared, options.photographs)
    make_pairs: MakePairs = true_pairs
    if options.model == "fast":
        make_pairs = imitation_pairs(load_teacher(options.shared).to(device), device)
    files = build_pairs(paths, options.work / "pairs", options.seed, make_pairs)
    validation = files[::VALIDATION_EVERY]
    return load_pairs([file for file in files if file not in validation]), load_pairs(validation)


def main() -> None:
    options = parse_options()
    if options.threads:
        torch.set_num_threads(options.threads)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    pairs, validation = prepare_pairs(options, device)
    training = Training(options, device)
    if options.resume:
        training.load()
    sampler = PairSampler(pairs, options.batch, options.seed)
    with tqdm(total=options.steps, initial=training.done, desc=options.model, unit="step") as progress:
        while training.done < options.steps:
            training.step(*sampler(training.done))
            progress.update()
            if training.done % options.checkpoint_every == 0 or training.done == options.steps:
                training.save()
                progress.write(f"step {training.done}: {training.validate(validation):.3f} dB")


if __name__ == "__main__":
    main()
