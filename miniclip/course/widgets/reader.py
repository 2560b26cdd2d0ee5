"""A model as `PromptLab` uses it: it looks at the pictures once, and remembers what it has read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from miniclip import prompts
from miniclip.zeroshot import fill, image_features, text_features, wilson

REMEMBERED = 20_000  # sentences that were typed; beyond, the oldest are forgotten


@dataclass(frozen=True)
class Counted:
    """How often a model is right on some pictures, and which classes it misses.

    Args:
        pictures: how many.
        accuracy, interval: share that is right, and its 95 % interval.
        missed: {class: (right, pictures, what it is called most often instead)}, for the classes
            that are missed at least once, the worst first.
    """

    pictures: int
    accuracy: float
    interval: tuple[float, float]
    missed: dict[str, tuple[int, int, str]]


class Reader:
    """A model, with the vectors of the pictures and of all sentences read so far.

    Args:
        model: anything with `encode_image` and `encode_text`.
        images: the pictures, as for `image_features`.
        names: names of classes whose sentences, of all sets of templates, are never forgotten.
    """

    def __init__(self, model, images, names: Sequence[str]):
        self.model, self.features = model, image_features(model, images)  # (n, E)
        self.vectors: dict[str, Tensor] = {}
        self.own: Tensor | None = None  # the vector of an uploaded picture (1, E)
        self.kept = 0
        templates = [one for some in prompts.SETS.values() for one in some]
        self._remember([fill(template, name) for template in templates for name in names])
        self.kept = len(self.vectors)

    def _remember(self, sentences: Sequence[str]) -> None:
        if new := [text for text in dict.fromkeys(sentences) if text not in self.vectors]:
            typed = list(self.vectors)[self.kept :]
            for old in typed[: max(0, len(typed) - REMEMBERED)]:
                del self.vectors[old]
            self.vectors.update(zip(new, text_features(self.model, new)))

    def classifier(self, names: Sequence[str], templates: Sequence[str]) -> Tensor:
        """The same as `miniclip.classifier`, (C, E), from remembered vectors of sentences."""
        sentences = [[fill(template, name) for template in templates] for name in names]
        self._remember([sentence for row in sentences for sentence in row])
        means = [torch.stack([self.vectors[text] for text in row]).mean(0) for row in sentences]
        return torch.nn.functional.normalize(torch.stack(means), dim=-1)

    def look_at(self, image: np.ndarray) -> None:
        """Remember a picture of one's own, uint8 (H, W, 3)."""
        self.own = image_features(self.model, image[None])

    def count(self, rows: Sequence[int], targets: np.ndarray, labels: dict, templates) -> Counted:
        """How often the prompts are right on some of the pictures.

        Args:
            rows: which pictures.
            targets: the right class of each picture (n,).
            labels: {class: its name in a sentence}.
            templates: with {} for the name.
        """
        vectors = self.classifier(list(labels.values()), templates)
        said = np.array(list(labels))[(self.features[rows] @ vectors.T).argmax(1).numpy()]
        right, known = said == targets[rows], targets[rows]
        missed = {}
        for label in sorted(set(known)):
            own = known == label
            if not right[own].all():
                ((instead, _),) = Counter(said[own & ~right]).most_common(1)
                missed[str(label)] = (int(right[own].sum()), int(own.sum()), str(instead))
        worst = sorted(missed, key=lambda label: missed[label][0] / missed[label][1])
        hits = int(right.sum())
        return Counted(
            len(rows), hits / len(rows), wilson(hits, len(rows)), {k: missed[k] for k in worst}
        )
