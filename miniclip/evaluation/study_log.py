"""The result file of a study: JSON that grows part by part, so that a study can be stopped and
resumed, and shared by several processes."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

from miniclip.checkpoint import save as save_checkpoint
from miniclip.evaluation.baselines import Baseline, save_baseline
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
            if isinstance(model, Baseline):
                save_baseline(model, path, {"study": study})
            else:
                save_checkpoint(model, path, {"study": study}, half=True)
