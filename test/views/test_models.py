"""`GET /models` on the running service."""

from __future__ import annotations

from live_service import Service

OFFICIAL = {
    "realesr-general-x4v3",
    "realesr-general-wdn-x4v3",
    "realesr-animevideov3",
    "realesrgan-x4plus",
    "realesrgan-x2plus",
    "realesrgan-x4plus-anime",
}


def test_the_models_are_listed_with_the_default_first(service: Service) -> None:
    models = service.get("/models").json()["models"]
    assert models[0]["name"] == "fast"
    assert [model["default"] for model in models] == [True] + [False] * (len(models) - 1)
    assert models[0]["on_disk"] is True
    assert {model["name"] for model in models} >= OFFICIAL


def test_each_model_says_what_a_caller_has_to_know(service: Service) -> None:
    for model in service.get("/models").json()["models"]:
        assert model["scale"] in (1, 2, 3, 4)
        assert model["bytes"] > 0
        assert model["licence"] in ("MIT", "BSD-3-Clause")
        assert model["description"].endswith(".")
        assert (model["source"] == "official") == (model["url"] is not None)
