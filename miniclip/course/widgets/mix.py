"""`MixLab`: a slider between the weights of two classifiers, and what each mixture says of the same
pictures (WiSE-FT: Wortsman et al. 2022; notebook 05)."""

from __future__ import annotations

import html
from collections.abc import Mapping

import ipywidgets as ui
import numpy as np

from miniclip.course.plots import INK
from miniclip.course.widgets.base import Lab, picture
from miniclip.data import CaptionedImages
from miniclip.evaluation.baselines import Classifier, evaluate_baseline


class MixLab(Lab):
    """Move between the weights before and after fine-tuning, and see which pictures a mixture names
    right.

    Args:
        before, after: classifiers with the same labels and shapes.
        tests: {name: pictures}, each with the right label in `facts[fact]`.
        fact: which fact is asked for.
        shown: pictures of each test.
        steps: how many mixtures there are besides the start.
    Raises:
        ValueError: for classifiers with other labels.
    """

    def __init__(
        self,
        before: Classifier,
        after: Classifier,
        tests: Mapping[str, CaptionedImages],
        fact: str = "object",
        shown: int = 24,
        steps: int = 8,
    ):
        # scikit-learn, which comes with it, takes a second to import: too long for other widgets.
        from miniclip.evaluation.probes import average

        super().__init__()
        if before.labels != after.labels:
            raise ValueError("the two classifiers have other labels, so nothing lies between them")
        self.labels = np.array(before.labels)
        self.images = {name: data.images[:shown] for name, data in tests.items()}
        self.truth = {name: np.array(data.facts[fact][:shown]) for name, data in tests.items()}
        # All mixtures answer now, so that the slider answers at once.
        self.said = [self._predict(average(before, after, k / steps)) for k in range(steps + 1)]
        self.share = ui.FloatSlider(
            value=0, min=0, max=1, step=1 / steps, readout_format=".0%",
            description="share of the new weights", layout=ui.Layout(width="560px"),
            style={"description_width": "190px"},
        )  # fmt: skip
        self.shown = ui.HTML()
        self.box = ui.VBox([self.share, self.message, self.shown])
        self._watch(self.share)

    def _predict(self, model: Classifier) -> dict[str, np.ndarray]:
        """The label that a classifier gives to each picture of each test."""
        labels, found = self.labels.tolist(), {}
        for name, images in self.images.items():
            score = evaluate_baseline(model.eval(), images, self.truth[name], labels)
            found[name] = self.labels[score.predictions]
        return found

    def answer(self) -> None:
        said = self.said[round(self.share.value * (len(self.said) - 1))]
        self.shown.value = "".join(self._row(name, said[name]) for name in self.images)

    def _row(self, name: str, said: np.ndarray) -> str:
        """A test's pictures, framed by whether they are named right, as HTML."""
        right = said == self.truth[name]
        cells = [
            f'<div style="width: 62px; text-align: center; font-size: 12px; line-height: 1.1">'
            f'<div style="border: 4px solid {INK["right" if ok else "wrong"]}; border-radius: 9px">'
            f"{picture(image, 52, f'a picture of {truth}, called {word}')}</div>"
            f"{html.escape(word)}</div>"
            for image, truth, word, ok in zip(self.images[name], self.truth[name], said, right)
        ]
        return (
            f'<div style="font-size: 16px; margin-top: 8px"><b>{html.escape(name)}</b>: '
            f"{int(right.sum())} of {len(right)} right</div>"
            f'<div style="display: flex; flex-wrap: wrap; gap: 4px">{"".join(cells)}</div>'
        )
