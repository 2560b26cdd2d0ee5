"""Zero-shot classification: write a classifier in words (paper 3.1).

The names of the classes are embedded as texts, and a picture belongs to the class whose text is
nearest. Everything here works with any object that has `encode_image(pictures)` and
`encode_text(strings)`, both giving unit vectors. Taught in notebooks 03 and 04.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor


def default_batch_size(model) -> int:
    """How many pictures or texts to embed at a time. On a CPU, 64 are a quarter faster than 256:
    what the blocks pass on to each other stays in the cache. A GPU wants more."""
    device = getattr(model, "device", torch.device("cpu"))
    return 64 if device.type == "cpu" else 512


def image_features(model, images, batch_size: int | None = None) -> Tensor:
    """Embed many pictures, one batch at a time and without gradients.

    Args:
        model: anything with `encode_image`.
        images: n pictures, uint8 (n, H, W, 3), or a `CaptionedImages`.
        batch_size: how many pictures to embed at a time; it decides how much memory is needed,
            and does not change the result. By default 64 on a CPU and 512 elsewhere.
    Returns:
        (n, E), float32 unit vectors on the CPU.
    """
    images = getattr(images, "images", images)
    batch_size = batch_size or default_batch_size(model)
    with torch.inference_mode():
        parts = [
            model.encode_image(np.asarray(images[start : start + batch_size])).float().cpu()
            for start in range(0, len(images), batch_size)
        ]
    return torch.cat(parts)


def text_features(model, texts: Sequence[str] | Tensor, batch_size: int | None = None) -> Tensor:
    """Embed many texts, one batch at a time and without gradients.

    Args:
        model: anything with `encode_text`.
        texts: n strings, or int64 token ids (n, T).
        batch_size: how many texts to embed at a time; it does not change the result. By default
            64 on a CPU and 512 elsewhere.
    Returns:
        (n, E), float32 unit vectors on the CPU.
    """
    is_tokens = isinstance(texts, Tensor)
    texts = texts if is_tokens else list(texts)
    batch_size = batch_size or default_batch_size(model)
    # Texts of similar length share a batch: all texts of a batch are padded to its longest one.
    lengths = texts.count_nonzero(dim=1).tolist() if is_tokens else list(map(len, texts))
    order = sorted(range(len(texts)), key=lengths.__getitem__)
    parts = []
    with torch.inference_mode():
        for start in range(0, len(texts), batch_size):
            rows = order[start : start + batch_size]
            batch = texts[rows] if is_tokens else [texts[row] for row in rows]
            parts.append(model.encode_text(batch).float().cpu())
        return torch.cat(parts)[torch.tensor(order).argsort()]  # back in the order of `texts`


def fill(template: str, label: str) -> str:
    """Put a label into a template: `fill("a photo of {}.", "a dog")` is "a photo of a dog.".

    Args:
        template: a sentence with exactly one {}.
        label: the class name as it stands in a sentence ("a dog").
    Raises:
        ValueError: if the template does not have exactly one {}.
    """
    if template.count("{}") != 1:
        raise ValueError(
            "a template has one pair of braces where the class name goes, like 'a photo of {}.'; "
            f"got {template!r}"
        )
    # Not `template.format(label)`: other braces in a template are text like any other.
    return template.replace("{}", label)


def classifier(model, labels: Sequence[str], templates: str | Sequence[str] = "{}") -> Tensor:
    """Build a zero-shot classifier: one vector for each class (paper 3.1.4).

    With several templates, a class's vector is the mean of its sentences' vectors, scaled back to
    unit length. This is called ensembling.

    Args:
        model: anything with `encode_text`.
        labels: C class names as they stand in a sentence ("a dog").
        templates: one template, or several to ensemble; each has exactly one {}.
    Returns:
        (C, E), unit vectors. Their dot products with a picture's vector are cosine similarities.
    Raises:
        ValueError: if there is no label or no template, for an empty label, or for a template
            that does not have exactly one {}.
    """
    labels = list(labels)
    templates = [templates] if isinstance(templates, str) else list(templates)
    if (
        not labels
        or not templates
        or not all(isinstance(label, str) and label.strip() for label in labels)
    ):
        raise ValueError(
            "expected at least one template and one label, none of them empty; got labels "
            f"{labels!r}"
        )
    sentences = [fill(template, label) for label in labels for template in templates]
    vectors = text_features(model, sentences)  # (C * templates, E), label by label
    vectors = vectors.view(len(labels), len(templates), -1).mean(dim=1)  # (C, E)
    return torch.nn.functional.normalize(vectors, dim=-1)


def inverse_temperature(model) -> float:
    """The number by which cosine similarities are multiplied before the softmax.

    Args:
        model: its `logit_scale` is the logarithm of that number; a model without one gets 100, the
            largest that the paper allows (2.5).
    """
    if not hasattr(model, "logit_scale"):
        return 100.0
    return math.exp(float(torch.as_tensor(model.logit_scale).detach()))


def classify(
    model,
    image,
    labels: Sequence[str],
    template: str | Sequence[str] = "{}",
    vectors: Tensor | None = None,
) -> dict[str, float]:
    """The probability that each label fits a picture (paper 3.1.2).

    Args:
        model: anything with `encode_image` and `encode_text`.
        image: one picture: a PIL image or uint8 (H, W, 3).
        labels: C class names ("a dog"), or whole sentences with the template "{}".
        template: one template, or several to ensemble; each has exactly one {}.
        vectors: (C, E), the result of `classifier` for these labels and templates, if you have it
            already. When you classify many pictures, it has to be computed only once.
    Returns:
        {label: probability}, the most probable first; the probabilities add up to 1.
    Raises:
        ValueError: as `classifier`.
    """
    vectors = classifier(model, labels, template) if vectors is None else vectors
    with torch.inference_mode():
        features = model.encode_image(image).float().cpu()  # (1, E)
    logits = inverse_temperature(model) * features @ vectors.T  # (1, C)
    probabilities = logits.softmax(dim=-1)[0].tolist()  # C numbers
    return dict(sorted(zip(labels, probabilities), key=lambda pair: -pair[1]))


def wilson(hits: int, n: int, z: float = 1.96) -> tuple[float, float]:
    """The 95 % confidence interval of a proportion (Wilson 1927).

    Args:
        hits: the number of successes.
        n: the number of tries.
        z: the width of the interval in standard deviations of a normal distribution; 1.96 gives
            95 %.
    Returns:
        Its lower and upper end, in [0, 1].
    Raises:
        ValueError: if n is less than 1.
    """
    if n < 1:
        raise ValueError("an interval needs at least one try")
    p = hits / n
    middle = p + z * z / (2 * n)
    spread = z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    scale = 1 + z * z / n
    return max(0.0, (middle - spread) / scale), min(1.0, (middle + spread) / scale)


@dataclass(frozen=True)
class Score:
    """How often a classifier was right, and its prediction for each picture.

    Args:
        accuracy: the proportion of pictures that were classified correctly, in [0, 1].
        interval: the lower and upper end of the accuracy's 95 % confidence interval.
        n: the number of pictures.
        chance: the accuracy of guessing, in [0, 1].
        predictions: int (n,), for each picture the index of the predicted label.
    """

    accuracy: float
    interval: tuple[float, float]
    n: int
    chance: float
    predictions: np.ndarray

    def __str__(self) -> str:
        low, high = self.interval
        return (
            f"{self.accuracy:.1%} ({low:.1%} to {high:.1%}) of {self.n}, chance {self.chance:.1%}"
        )

    @property
    def brief(self) -> str:
        """The accuracy and its interval in whole percent, for tables."""
        return "{:4.0%} ({:.0%} to {:.0%})".format(self.accuracy, *self.interval)


def evaluate(
    model,
    images,
    targets: Sequence[str],
    labels: Sequence[str],
    templates: str | Sequence[str] = "{}",
    names: Sequence[str] | None = None,
) -> Score:
    """Zero-shot accuracy: how often the right label is the nearest one (paper 3.1).

    Args:
        model: anything with `encode_image` and `encode_text`.
        images: n pictures: uint8 (n, H, W, 3), a `CaptionedImages`, or their features, float
            (n, E), if you have them already.
        targets: the right label for each picture.
        labels: C labels to choose from.
        templates: one template, or several to ensemble.
        names: C names, how each label stands in a sentence ("a dog" for "dog"); by default the
            labels themselves. Of labels with the same name the first one is predicted.
    Returns:
        A `Score`.
    Raises:
        ValueError: if there are no pictures or not one target for each, or if a target is not
            among the labels.
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
    names = list(names or labels)
    similarities = features @ classifier(model, names, templates).T  # (n, C)
    # Two classes with the same name ("a crane") have the same similarity but for the last digit,
    # which depends on the processor. Made equal, the first of the two is predicted everywhere.
    similarities = similarities[:, [names.index(name) for name in names]]
    predictions = similarities.argmax(dim=1).numpy()  # (n,)
    right = np.array([position[target] for target in targets])  # (n,)
    hits, n = int((predictions == right).sum()), len(targets)
    return Score(hits / n, wilson(hits, n), n, 1 / len(labels), predictions)
