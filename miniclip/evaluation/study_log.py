"""The result file of a study: JSON that grows part by part, so that a study can be stopped and
resumed, and shared by several processes."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path

from miniclip.checkpoint import save as save_checkpoint
from miniclip.evaluation.baselines import BagText, Baseline, ContrastOfBags, save_baseline
from miniclip.model import CLIP


class Log:
    """A JSON file that grows part by part, and a folder for trained models.

    Args:
        path: the file; a part that it holds already is not measured again.
        models: the folder, or None if models are not to be kept.
    """

    def __init__(self, path: Path, models: Path | None = None):
        self.path, self.models = path, models
        self.parts = self._read()

    def _read(self) -> dict:
        return json.loads(self.path.read_text()) if self.path.is_file() else {}

    def part(self, name: str, measure: Callable[[], object]):
        """The result of a part (plain values), measured and written down if it was not before."""
        if name not in self.parts:
            found = {name: measure()}
            # Another process may have written parts of its own meanwhile.
            self.parts = self._read() | self.parts | found
            self.path.parent.mkdir(parents=True, exist_ok=True)
            temporary = self.path.with_suffix(f".{os.getpid()}.part")
            temporary.write_text(json.dumps(self.parts, indent=1))
            os.replace(temporary, self.path)
        return self.parts[name]

    def keep(self, name: str, model: CLIP | Baseline, study: str) -> None:
        """Save a trained model with weights in fp16, if models are to be kept."""
        if self.models is not None:
            path = self.models / f"{name}.safetensors"
            if isinstance(getattr(model, "text", None), BagText):
                model = ContrastOfBags(model)
            if isinstance(model, Baseline):
                save_baseline(model, path, {"study": study})
            else:
                save_checkpoint(model, path, {"study": study}, half=True)


def best_rate(accuracy: Callable[[float], float], rates: Sequence[float]) -> dict[str, float]:
    """Search a learning rate: try some, and then twice or half as large ones as long as the best
    lies at an end, but no more than four.

    Args:
        accuracy: of a training with that rate.
        rates: the first ones to try.
    Returns:
        {rate: accuracy}, from the smallest rate on; JSON has no numbers for keys.
    """
    found, coming = {}, list(rates)
    while coming:
        found |= {lr: accuracy(lr) for lr in coming}
        best, tried = max(found, key=found.get), sorted(found)
        coming = [lr for end, lr in ((0, best / 2), (-1, best * 2)) if best == tried[end]]
        coming = coming if 1 < len(found) < len(rates) + 4 else []
    return {str(lr): found[lr] for lr in sorted(found)}
