"""How good are the features? (Paper 3.1.5, 3.2, A.3.)

Measured by a linear classifier on top of them, with many labels or few; by fine-tuning; and by
averaging the weights before and after it (WiSE-FT: Wortsman et al. 2022). Taught in notebook 05.
"""

from __future__ import annotations

import copy
import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits
from torch import Tensor, nn

from miniclip.zeroshot import Score, default_batch_size, wilson

STRENGTHS = np.logspace(-6, 6, 97)  # what the paper sweeps: eight values for each factor of ten


def features(model, images, batch_size: int | None = None) -> np.ndarray:
    """The image tower's features before the projection into the shared space, as linear probes use
    them (paper A.3).

    Args:
        model: a CLIP; of any other model, the result of `encode_image` is taken.
        images: uint8 (n, H, W, 3) or a `CaptionedImages`.
        batch_size: pictures at a time, by default as in `zeroshot.image_features`.
    Returns:
        (n, D) float32.
    """
    images = np.asarray(getattr(images, "images", images))
    batch_size = batch_size or default_batch_size(model)
    tower = (
        (lambda x: model.visual.features(model.preprocess(x)))
        if hasattr(model, "visual")
        else model.encode_image
    )
    with torch.inference_mode():
        return torch.cat(
            [
                tower(images[start : start + batch_size]).float().cpu()
                for start in range(0, len(images), batch_size)
            ]
        ).numpy()


def pixels(images, size: int = 16) -> np.ndarray:
    """Raw pixels as features, to compare with: pictures made size x size, as (n, 3 size^2) float32
    in [0, 1]."""
    x = (
        torch.from_numpy(np.array(getattr(images, "images", images))).permute(0, 3, 1, 2).float()
        / 255
    )
    return F.interpolate(x, (size, size), mode="area").flatten(1).numpy()


@dataclass(frozen=True)
class Probe:
    """A linear classifier on features.

    Args:
        test_score: how often it is right on the test.
        C: the inverse weight of the L2 penalty.
        classifier: the fitted scikit-learn pipeline.
    """

    test_score: Score
    C: float
    classifier: Pipeline

    def score(self, x: np.ndarray, y: Sequence[str]) -> Score:
        """How often it is right on other pictures: their features (m, D) and their labels."""
        return _score(self.classifier, x, y)


def _score(classifier: Pipeline, x: np.ndarray, y: Sequence[str]) -> Score:
    """How often a fitted classifier is right."""
    predictions, classes = classifier.predict(x), classifier.classes_.tolist()
    hits, n = int((predictions == np.asarray(y)).sum()), len(y)
    indices = np.array([classes.index(prediction) for prediction in predictions])
    return Score(hits / n, wilson(hits, n), n, 1 / len(classes), indices)


def _fit(x: np.ndarray, y: Sequence[str], C: float) -> Pipeline:
    # LogisticRegression uses L-BFGS, as the paper does.
    probe = make_pipeline(StandardScaler(), LogisticRegression(C=C, max_iter=1000))
    # On small arrays, threads only wait for each other: a sweep on the pixels of 240 pictures took
    # ten times as long with two threads.
    with threadpool_limits(1 if x.size < 2_000_000 else None), warnings.catch_warnings():
        # The paper, too, stops after 1,000 iterations.
        warnings.simplefilter("ignore", ConvergenceWarning)
        # With one picture of each class, scikit-learn warns that every row has its own class.
        warnings.filterwarnings("ignore", "The number of unique classes")
        return probe.fit(x, y)


def choose_C(x: np.ndarray, y: Sequence[str], val_x: np.ndarray, val_y: Sequence[str]) -> float:
    """The C that does best on validation, out of 97 from 1e-6 to 1e6: first seven that are far
    apart are tried, then closer and closer ones around the best (paper A.3).

    Of those that are right equally often, which on a small validation set are many, the one with
    the smallest cross-entropy counts. (The smallest C would be a bad choice: it may be right there
    by chance and hardly have learned.)
    """
    score: dict[int, tuple[float, float]] = {}
    step, around = 16, range(0, len(STRENGTHS), 16)
    while step:
        for index in around:
            if 0 <= index < len(STRENGTHS) and index not in score:
                score[index] = _validate(_fit(x, y, STRENGTHS[index]), val_x, val_y)
        best = max(score, key=score.get)
        step //= 2
        around = (best - step, best + step)
    return float(STRENGTHS[best])


def _validate(probe: Pipeline, x: np.ndarray, y: Sequence[str]) -> tuple[float, float]:
    """How often a probe is right, and the mean logarithm of what it gives the right label."""
    logs, labels = np.log(probe.predict_proba(x).clip(1e-12)), probe.classes_.tolist()  # (n, C)
    known = [row for row, label in enumerate(y) if label in labels]  # a rare one it may not know
    right = [labels.index(y[row]) for row in known]
    hits = (logs[known].argmax(axis=1) == right).sum()
    return float(hits / len(y)), float(logs[known, right].mean())


def linear_probe(
    x: np.ndarray,
    y: Sequence[str],
    test_x: np.ndarray,
    test_y: Sequence[str],
    C: float | None = None,
    seed: int = 0,
) -> Probe:
    """Train logistic regression on features, and test it on others.

    Args:
        x, test_x: features (n, D) and (m, D).
        y, test_y: their labels.
        C: the inverse weight of the L2 penalty. None chooses it on a fifth of the training set,
            held out for that, and never on the test.
        seed: decides which fifth.
    Returns:
        a `Probe`, fitted on all of x.
    Raises:
        ValueError: if features and labels disagree in number, or there are fewer than two classes.
    """
    y, test_y = np.asarray(y), np.asarray(test_y)
    if len(x) != len(y) or len(test_x) != len(test_y) or len(set(y)) < 2:
        raise ValueError(
            f"expected a label for each row and two classes at least; got {len(x)} rows with"
            f" {len(y)} labels of {len(set(y))} classes, {len(test_x)} with {len(test_y)}"
        )
    if C is None:
        often = min(np.unique(y, return_counts=True)[1]) >= 5
        parts = train_test_split(
            x, y, test_size=0.2, random_state=seed, stratify=y if often else None
        )
        C = choose_C(parts[0], parts[2], parts[1], parts[3])
    classifier = _fit(x, y, C)
    return Probe(_score(classifier, test_x, test_y), C, classifier)


def few_shot(
    x: np.ndarray,
    y: Sequence[str],
    test_x: np.ndarray,
    test_y: Sequence[str],
    shots: Sequence[int] = (1, 2, 4, 8, 16),
    draws: int = 5,
    C: float = 0.1,
    seed: int = 0,
) -> dict[int, np.ndarray]:
    """Linear probes that see only a few pictures of each class (paper, Figure 6).

    Args:
        x, y, test_x, test_y: as for `linear_probe`; each class must have at least max(shots) rows.
        shots: numbers of pictures of each class.
        draws: how many probes for each number, each on other pictures.
        C: the same for all probes, since so few pictures leave none to choose it by.
        seed: decides which pictures.
    Returns:
        {shots: accuracy in [0, 1] of each draw (draws,)}.
    Raises:
        ValueError: if a class has too few pictures.
    """
    y, test_y, rng = np.asarray(y), np.asarray(test_y), np.random.default_rng(seed)
    members = {label: np.nonzero(y == label)[0] for label in np.unique(y)}
    if min(map(len, members.values())) < max(shots):
        scarce = min(members, key=lambda label: len(members[label]))
        raise ValueError(
            f"{max(shots)} shots need as many pictures of every class; of {scarce!r} there are"
            f" {len(members[scarce])}"
        )
    accuracy: dict[int, list[float]] = {number: [] for number in shots}
    for _ in range(draws):
        order = {label: rng.permutation(rows) for label, rows in members.items()}
        for number in shots:
            rows = np.concatenate([rows[:number] for rows in order.values()])
            accuracy[number].append(
                float((_fit(x[rows], y[rows], C).predict(test_x) == test_y).mean())
            )
    return {number: np.array(values) for number, values in accuracy.items()}


def fine_tune(
    model, data, targets: Sequence[str], labels: Sequence[str], vectors: Tensor, **options
):
    """Train a copy of a CLIP's image tower on labels, starting from its zero-shot classifier.

    BatchNorm keeps its statistics, as is usual in fine-tuning. If they followed the new pictures,
    the weights would meet all other pictures under statistics they do not fit, and that alone would
    look like forgetting.

    Args:
        model: a CLIP, which is left as it is.
        data: a `CaptionedImages`.
        targets: the right label of each picture.
        labels: C class names.
        vectors: (C, E), their zero-shot classifier.
        options: of `baselines.supervised`, such as seen, eval_fn, keep_statistics and recipe (with
            a third of a training's learning rate, or less).
    Returns:
        a `baselines.Classifier` and its `History`.
    """
    from miniclip.evaluation.baselines import supervised

    return supervised(
        data, targets, labels, copy.deepcopy(model), vectors, **{"keep_statistics": True} | options
    )


def average(before: nn.Module, after: nn.Module, share: float) -> nn.Module:
    """A model with the weights (1 - share) before + share after (WiSE-FT).

    Raises:
        ValueError: if the two models have different shapes.
    """
    between, others = copy.deepcopy(before), after.state_dict()
    if {name: weight.shape for name, weight in between.state_dict().items()} != {
        name: weight.shape for name, weight in others.items()
    }:
        raise ValueError("only models of the same shape can be averaged")
    with torch.no_grad():
        for name, weight in between.state_dict().items():
            if weight.is_floating_point():
                weight.lerp_(others[name].to(weight.device), share)
    return between
