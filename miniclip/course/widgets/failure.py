"""`FailureLab`: tasks that CLIP is poor at, with its mistakes (notebook 08)."""

from __future__ import annotations

import ipywidgets as ui

from miniclip.course.widgets.base import Lab, bars, picture
from miniclip.evaluation.challenges import CHALLENGES, Challenge, cosines
from miniclip.zeroshot import inverse_temperature, wilson


class FailureLab(Lab):
    """Choose a task that CLIP is poor at, and look at its mistakes or at all its answers.

    `challenges.cosines` and `challenges.choose` give the same numbers.

    Args:
        model: anything with `encode_image` and `encode_text`.
        tasks: {name: a `challenges.Challenge`}; by default all of `challenges.CHALLENGES`, with 60
            pictures each.
        page: pictures shown at a time.
    """

    def __init__(self, model, tasks: dict[str, Challenge] | None = None, page: int = 6):
        super().__init__()
        self.tasks, self.per_page = (
            tasks or {name: make(n=60) for name, make in CHALLENGES.items()},
            page,
        )
        scale = inverse_temperature(model)
        self.probabilities = {
            name: (scale * cosines(model, task)).softmax(dim=1) for name, task in self.tasks.items()
        }
        self.task = ui.Dropdown(
            options=tuple(self.tasks), description="task", layout=ui.Layout(width="360px")
        )
        self.only = ui.ToggleButtons(options=["mistakes", "all"], style={"button_width": "90px"})
        self.page = ui.BoundedIntText(
            value=1, min=1, max=1, description="page", layout=ui.Layout(width="160px")
        )
        self.score, self.shown = ui.HTML(), ui.HTML()
        self.box = ui.VBox(
            [ui.HBox([self.task, self.only, self.page]), self.message, self.score, self.shown]
        )
        for control in (self.task, self.only):
            control.observe(lambda change: setattr(self.page, "value", 1), "value")
        self._watch(self.task, self.only, self.page)

    def rows(self) -> list[int]:
        """The row numbers of the pictures to look at."""
        task, guesses = (
            self.tasks[self.task.value],
            self.probabilities[self.task.value].argmax(dim=1),
        )
        return [
            row
            for row in range(len(task))
            if self.only.value == "all" or int(guesses[row]) != task.right[row]
        ]

    def answer(self) -> None:
        name, rows = self.task.value, self.rows()
        task, hits = (
            self.tasks[name],
            int((self.probabilities[name].argmax(dim=1).numpy() == self.tasks[name].right).sum()),
        )
        low, high = wilson(hits, len(task))
        self.page.max = max(1, -(-len(rows) // self.per_page))
        self.score.value = (
            f'<div style="font-size: 16px"><b>{hits / len(task):.0%}</b> right of {len(task)} (95 %'
            f" interval {low:.0%} to {high:.0%}), chance {1 / len(task.candidates[0]):.0%};"
            f" {len(rows)} to look at</div>"
        )
        cells = []
        for row in rows[(self.page.value - 1) * self.per_page : self.page.value * self.per_page]:
            said = dict(zip(task.candidates[row], self.probabilities[name][row].tolist()))
            true = task.candidates[row][task.right[row]]
            shown = picture(task.images[row], 128, f"the right answer: {true}")
            cells.append(
                '<div style="display: flex; align-items: center; gap: 8px; flex: 1 1 540px">'
                f"{shown}{bars(said, 4, right=true)}</div>"
            )
        self.shown.value = (
            '<div style="display: flex; flex-wrap: wrap; gap:'
            f' 14px">{"".join(cells) or "no mistake among these pictures"}</div>'
        )
