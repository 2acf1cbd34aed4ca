"""The weights that ship are the ones their cards describe, and measure what the cards say."""

import hashlib
import re
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file

from tools.measure_bundled import Row, enlarge_by, measure_against_teacher, measure_against_truth
from tools.networks import load_network
from upscaler.architectures import network_from_weights

REPOSITORY = Path(__file__).parents[2]
BUNDLED = REPOSITORY / "upscaler" / "bundled"
SHARED = REPOSITORY.parent / "shared"
GENERAL_X4V3 = 1_209_024  # multiply-adds for a pixel of the small picture

needs_shared = pytest.mark.skipif(not SHARED.is_dir(), reason=f"{SHARED} is absent: no pictures to measure on")
each_model = pytest.mark.parametrize("model", ["fast", "faithful"])


def card_value(model: str, name: str) -> str:
    """A cell of the card's first table, by the name in front of it."""
    match = re.search(rf"^\| {re.escape(name)} \| (.+) \|$", (BUNDLED / f"{model}.md").read_text(), re.MULTILINE)
    assert match, f"the card of {model} has no row {name!r}"
    return match[1]


def card_measures(model: str) -> dict[str, tuple[float, float]]:
    """What the card says was measured: bicubic's and the model's decibels."""
    rows = re.findall(r"^\| ([\w*-]+) \| ([\d.]+) \| ([\d.]+) \| ", (BUNDLED / f"{model}.md").read_text(), re.MULTILINE)
    return {name: (float(before), float(after)) for name, before, after in rows}


@each_model
def test_a_card_names_the_very_file_beside_it(model: str) -> None:
    content = (BUNDLED / f"{model}.safetensors").read_bytes()
    assert card_value(model, "SHA-256") == hashlib.sha256(content).hexdigest()
    assert card_value(model, "bytes") == f"{len(content):,}"


@each_model
def test_a_bundled_file_holds_the_network_its_card_describes(model: str) -> None:
    weights = load_file(BUNDLED / f"{model}.safetensors")
    network = network_from_weights({name: value.float() for name, value in weights.items()})
    assert (type(network).__name__, network.scale) == ("SRVGGNetCompact", 4)
    assert all(value.dtype == torch.float16 and value.isfinite().all() for value in weights.values())
    multiply_adds = sum(value.numel() for value in weights.values() if value.ndim == 4)
    assert multiply_adds <= GENERAL_X4V3 / 10
    assert card_value(model, "multiply-adds for an input pixel") == f"{multiply_adds:,}"
    shape = (
        f"SRVGGNetCompact, {weights['body.0.weight'].shape[0]} features, {network.receptive_radius - 2} convolutions"
    )
    assert card_value(model, "network") == shape


@each_model
def test_the_header_says_how_the_weights_were_made(model: str) -> None:
    with safe_open(BUNDLED / f"{model}.safetensors", "pt") as file:
        facts = file.metadata()
    assert (facts["model"], facts["scale"], facts["license"]) == (model, "4", "MIT")
    assert card_value(model, "steps") == f"{int(facts['steps_done']):,}"
    assert card_value(model, "seed") == facts["seed"]


@each_model
@pytest.mark.parametrize("level", [0.0, 0.5, 1.0])
def test_a_flat_picture_stays_flat(model: str, level: float) -> None:
    large = load_network(BUNDLED / f"{model}.safetensors")(torch.full((1, 3, 48, 48), level))
    inner = large.clamp(0, 1)[..., 48:-48, 48:-48]  # the network sees the zeros around a picture's edge
    assert (inner - level).abs().max() < 2.5 / 255


@needs_shared
def test_fast_is_as_near_to_its_teacher_as_its_card_says() -> None:
    check_against_card("fast", measure_against_teacher(enlarge_by(load_network(BUNDLED / "fast.safetensors")), SHARED))


@needs_shared
def test_faithful_is_as_near_to_the_truth_as_its_card_says() -> None:
    network = load_network(BUNDLED / "faithful.safetensors")
    check_against_card("faithful", measure_against_truth(enlarge_by(network), SHARED))


def check_against_card(model: str, rows: list[Row]) -> None:
    said = card_measures(model)
    assert said.keys() == {name for name, _, _ in rows}
    for name, before, after in rows:
        assert said[name] == pytest.approx((before, after), abs=0.02), name
