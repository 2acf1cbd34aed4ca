"""Ends the image's build when the PyTorch that was installed is not the variant that was asked for."""

from __future__ import annotations

import sys


def verdict(wanted: str, version: str, cuda: str | None) -> tuple[int, str]:
    """The exit status and the sentence for an installed PyTorch.

    Args:
        wanted: TORCH_VARIANT.
        version: `torch.__version__`.
        cuda: `torch.version.cuda`, the CUDA that PyTorch was built with, or None.
    """
    if wanted not in ("cpu", "cuda"):
        return 1, f"TORCH_VARIANT={wanted!r} is not allowed: it is cpu or cuda."
    if wanted == "cuda" and cuda is None:
        return 1, (
            f"TORCH_VARIANT=cuda, but torch {version} was installed, which has no CUDA: set TORCH_INDEX to the "
            "index of PyTorch's CUDA wheels (the install page of pytorch.org names it)."
        )
    if wanted == "cpu" and cuda is not None:
        return 0, (
            f"Warning: TORCH_VARIANT=cpu, but torch {version} was installed, with CUDA {cuda}. It works and is "
            "some gigabytes larger: set TORCH_INDEX to the index of PyTorch's CPU wheels to avoid that."
        )
    return 0, f"torch {version} is the {wanted} variant."


if __name__ == "__main__":
    import torch

    status, sentence = verdict(sys.argv[1], torch.__version__, torch.version.cuda)
    print(sentence, file=sys.stderr)
    sys.exit(status)
