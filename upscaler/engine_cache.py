"""The engines a worker process keeps loaded: those used last, within a memory budget."""

from __future__ import annotations

from collections import OrderedDict
from pathlib import Path

from upscaler.catalog import ModelInfo
from upscaler.engine import Engine

Key = tuple[str, int, float | None]


class EngineCache:
    """Engines by model and denoise setting. Not for several threads at once."""

    def __init__(
        self,
        models_dir: Path,
        device: str = "auto",
        precision: str = "auto",
        budget_bytes: int = 512 * 1024 * 1024,
    ):
        """
        Args:
            budget_bytes: how much the networks kept may take together; the one in use is kept whatever its size.
        """
        self.models_dir = models_dir
        self.device = device
        self.precision = precision
        self.budget_bytes = budget_bytes
        self._engines: OrderedDict[Key, Engine] = OrderedDict()

    def get(self, info: ModelInfo, denoise: float | None = None) -> Engine:
        """The model's engine, loaded (and its weights downloaded) unless it is kept.

        Raises:
            WeightsUnavailable, WeightsCorrupt, DiskFull, InvalidParameter: see `load_network`.
        """
        key = (info.name, _version(info.path(self.models_dir)), denoise)
        engine = self._engines.pop(key, None)
        if engine is None:
            self._make_room(info.bytes)
            engine = Engine.of_model(
                info, self.models_dir, denoise=denoise, device=self.device, precision=self.precision
            )
        self._engines[key] = engine
        return engine

    def _make_room(self, size: int) -> None:
        """Let go of the engines used longest ago until `size` more bytes are within the budget."""
        while self._engines and size + sum(e.network_bytes for e in self._engines.values()) > self.budget_bytes:
            self._engines.popitem(last=False)


def _version(path: Path) -> int:
    """Changes when the file does, so that a replaced checkpoint is loaded anew."""
    return path.stat().st_mtime_ns if path.exists() else 0
