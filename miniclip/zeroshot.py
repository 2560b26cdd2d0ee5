"""A classifier written in words: embed the class names, compare pictures with them (paper 3.1).

Everything here works with any object that has `encode_image(pictures)` and
`encode_text(strings)`, both giving unit vectors. Taught in notebooks 03 and 04.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor


def image_features(model, images, batch_size: int = 256) -> Tensor:
    """Embed many pictures, a batch at a time and without gradients.

    Args:
        images: uint8 (N, H, W, 3), or a `CaptionedImages`.
        batch_size: pictures at a time; it changes the memory needed, not the result.
    Returns:
        (N, E) unit vectors on the CPU.
    """
    images = getattr(images, "images", images)
    with torch.inference_mode():
        parts = [
            model.encode_image(np.asarray(images[start : start + batch_size])).float().cpu()
            for start in range(0, len(images), batch_size)
        ]
    return torch.cat(parts)


def text_features(model, texts: Sequence[str] | Tensor, batch_size: int = 512) -> Tensor:
    """Embed many texts (strings, or token ids (N, T)), a batch at a time and without gradients:
    (N, E) unit vectors on the CPU."""
    texts = texts if isinstance(texts, Tensor) else list(texts)
    with torch.inference_mode():
        parts = [
            model.encode_text(texts[start : start + batch_size]).float().cpu()
            for start in range(0, len(texts), batch_size)
        ]
    return torch.cat(parts)


def fill(template: str, label: str) -> str:
    """Put a label into a template: `fill("a photo of {}.", "a dog")`; ValueError where there is
    no place for it."""
    if template.count("{}") != 1:
        raise ValueError(
            f"a template has one pair of braces where the class name goes, like 'a photo of {{}}.'; got {template!r}"
        )
    return template.replace("{}", label)


def classifier(model, labels: Sequence[str], templates: str | Sequence[str] = "{}") -> Tensor:
    """Build a zero-shot classifier: for each label the mean of its sentences' vectors, of unit
    length again (paper 3.1.4).

    Args:
        model: anything with `encode_text`.
        labels: C class names as they stand in a sentence ("a dog").
        templates: one template or several, which are ensembled; each has one {}.
    Returns:
        (C, E) unit vectors.
    Raises:
        ValueError: for no labels, an empty label, or a template without {}.
    """
    labels, templates = list(labels), [templates] if isinstance(templates, str) else list(templates)
    if (
        not labels
        or not templates
        or not all(isinstance(label, str) and label.strip() for label in labels)
    ):
        raise ValueError(
            f"expected at least one template and one label, none of them empty; got labels {labels!r}"
        )
    sentences = [fill(template, label) for label in labels for template in templates]
    vectors = (
        text_features(model, sentences).view(len(labels), len(templates), -1).mean(dim=1)
    )  # (C, E)
    return torch.nn.functional.normalize(vectors, dim=-1)


def inverse_temperature(model) -> float:
    """What cosines are multiplied by before the softmax: the model's own, or 100 where it has
    none."""
    return (
        math.exp(float(torch.as_tensor(model.logit_scale).detach()))
        if hasattr(model, "logit_scale")
        else 100.0
    )


def classify(
    model,
    image,
    labels: Sequence[str],
    template: str | Sequence[str] = "{}",
    vectors: Tensor | None = None,
) -> dict[str, float]:
    """Which of the labels fits a picture?

    Args:
        image: one picture: a PIL image or uint8 (H, W, 3).
        labels: class names ("a dog"), or whole sentences with the template "{}".
        template: one or several (ensembled), each with one {}.
        vectors: what `classifier` gave for these labels and templates, where it is at hand: many
            pictures need it but once.
    Returns:
        {label: probability}, likeliest first; they add up to 1.
    Raises:
        ValueError: as `classifier`.
    """
    vectors = classifier(model, labels, template) if vectors is None else vectors
    with torch.inference_mode():
        features = model.encode_image(image).float().cpu()  # (1, E)
    probabilities = (inverse_temperature(model) * features @ vectors.T).softmax(dim=-1)[0].tolist()
    return dict(sorted(zip(labels, probabilities), key=lambda pair: -pair[1]))


def wilson(hits: int, n: int, z: float = 1.96) -> tuple[float, float]:
    """The 95 % interval of a share of hits in n tries (Wilson 1927), as two numbers in [0, 1]."""
    if n < 1:
        raise ValueError("an interval needs at least one try")
    p = hits / n
    middle, spread = p + z * z / (2 * n), z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    return max(0.0, (middle - spread) / (1 + z * z / n)), min(
        1.0, (middle + spread) / (1 + z * z / n)
    )


@dataclass(frozen=True)
class Score:
    """How often a classifier was right: `accuracy` in [0, 1], its 95 % `interval`, `n` pictures,
    `chance`, and each guess."""

    accuracy: float
    interval: tuple[float, float]
    n: int
    chance: float
    predictions: np.ndarray  # (n,) indices into the labels

    def __str__(self) -> str:
        low, high = self.interval
        return (
            f"{self.accuracy:.1%} ({low:.1%} to {high:.1%}) of {self.n}, chance {self.chance:.1%}"
        )

    @property
    def brief(self) -> str:
        """The accuracy and its interval, in whole percents, for tables."""
        return "{:4.0%} ({:.0%} to {:.0%})".format(self.accuracy, *self.interval)


def evaluate(
    model,
    images,
    targets: Sequence[str],
    labels: Sequence[str],
    templates: str | Sequence[str] = "{}",
    names: Sequence[str] | None = None,
) -> Score:
    """Zero-shot accuracy: the share of pictures whose own label lies nearest.

    Args:
        images: uint8 (N, H, W, 3) or a `CaptionedImages`, or their features (N, E) where they are
            known already.
        targets: the right name for each picture.
        labels: C names to choose from.
        templates: one or several (ensembled).
        names: how the labels stand in sentences ("a dog" for "dog"); by default the labels
            themselves.
    Returns:
        a `Score`.
    Raises:
        ValueError: if counts disagree or a target is not among the labels.
    """
    labels, targets = list(labels), [str(target) for target in targets]
    position = {label: index for index, label in enumerate(labels)}
    if len(targets) != len(images) or not targets:
        raise ValueError(
            f"got {len(images)} pictures and {len(targets)} targets; every picture needs one"
        )
    if unknown := sorted({target for target in targets if target not in position}):
        raise ValueError(f"targets that are not among the labels: {', '.join(unknown[:5])}")
    features = (
        images
        if isinstance(images, Tensor) and images.is_floating_point()
        else image_features(model, images)
    )
    guesses = (features @ classifier(model, names or labels, templates).T).argmax(dim=1).numpy()
    hits = int((guesses == np.array([position[target] for target in targets])).sum())
    return Score(
        hits / len(targets), wilson(hits, len(targets)), len(targets), 1 / len(labels), guesses
    )
