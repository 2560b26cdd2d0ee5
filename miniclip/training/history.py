"""What a training records along the way: how loss and scores changed. Shown in notebook 02."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path

from miniclip.checkpoint import SHIPPED, read


@dataclass
class History:
    """One row (a dict) for each evaluation: `seen` pictures, `minutes`, `loss` and the scores."""

    rows: list[dict] = field(default_factory=list)

    @classmethod
    def of(cls, checkpoint: str | Path) -> History:
        """The training history of a checkpoint, preceded by the histories of the runs it was
        continued from.

        Args:
            checkpoint: the name of a model that ships ("picturebook"), or a checkpoint file.
        """
        return cls(_rows(read(SHIPPED.get(str(checkpoint), checkpoint))[1]))

    def column(self, name: str) -> tuple[list[float], list[float]]:
        """Pictures seen and the values of a column, for the rows that have it."""
        found = [(row["seen"], row[name]) for row in self.rows if name in row]
        return [seen for seen, _ in found], [value for _, value in found]

    def plot(self):
        """Draw the loss and the scores over pictures seen; returns a matplotlib figure."""
        from miniclip.course.plots import plot_history

        return plot_history(self)


def _rows(training: dict) -> list[dict]:
    """The rows of the training notes in a checkpoint, those of earlier trainings first."""
    training = training.get("shrunk from", training)
    earlier = _rows(training["before"]) if "before" in training else []
    last = earlier[-1] if earlier else {"seen": 0, "minutes": 0.0}
    shift = {name: last[name] for name in ("seen", "minutes")}
    return earlier + [
        row | {name: row[name] + shift[name] for name in shift} for row in training["history"]
    ]


class MetricsLog:
    """Writes each row of a history to a file of JSON lines, and to TensorBoard where that is
    installed.

    Args:
        checkpoint: the checkpoint file, beside which `NAME.jsonl` and the folder
            `NAME.tensorboard` are written; None writes nothing.
        resume: append to what is there.
    """

    def __init__(self, checkpoint: str | Path | None, resume: bool = False):
        self.path = None if checkpoint is None else Path(checkpoint).with_suffix(".jsonl")
        self.board = None
        if self.path is not None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            if not resume:
                self.path.unlink(missing_ok=True)

    def write(self, row: dict) -> None:
        """Append a row; its numbers become curves over `seen` in TensorBoard."""
        if self.path is None:
            return
        with open(self.path, "a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError:  # it is not asked for, but used where it is
            return
        self.board = self.board or SummaryWriter(str(self.path.with_suffix(".tensorboard")))
        for name, value in row.items():
            if isinstance(value, (int, float)):
                self.board.add_scalar(name, value, row["seen"])
        self.board.flush()
