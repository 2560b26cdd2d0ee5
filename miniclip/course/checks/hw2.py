"""The checks of homework 2, `notebooks/homework/hw2-the-sketch-museum.ipynb`."""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable, Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from miniclip.course.checks.cases import SMALL, random_numbers, random_pairs, unit_vectors
from miniclip.course.checks.judging import Check, Feedback, agree, as_plain, describe
from miniclip.zeroshot import wilson


class ToyModel:
    """A stand-in for a CLIP: each sentence gets a random unit vector, always the same one."""

    def __init__(self, width: int = 6):
        self.width = width

    def __str__(self) -> str:
        return "a toy model"

    def __eq__(self, other) -> bool:
        return isinstance(other, ToyModel) and other.width == self.width

    def encode_text(self, texts: str | Sequence[str]) -> Tensor:
        """Turn B sentences into (B, E) unit vectors."""
        texts = [texts] if isinstance(texts, str) else list(texts)
        if not texts or not all(isinstance(text, str) for text in texts):
            raise ValueError("encode_text takes a list of sentences, each a string")
        return torch.stack(
            [
                unit_vectors(random_numbers(self.width, seed=zlib.crc32(text.encode())))
                for text in texts
            ]
        )


def _grid(model, labels: Sequence[str], templates: Sequence[str]) -> Tensor:
    """The vectors of C labels in M templates, (C, M, E)."""
    return torch.stack(
        [
            model.encode_text([template.replace("{}", label) for template in templates])
            for label in labels
        ]
    )


def _shuffled(model, labels, templates) -> Tensor:
    """A wrong classifier that averages sentences of different labels."""
    return unit_vectors(
        _grid(model, labels, templates)
        .transpose(0, 1)
        .reshape(len(labels), len(templates), -1)
        .mean(1)
    )


def _wald(hits: int, n: int) -> tuple[float, float]:
    """The usual normal approximation, which fails for few tries and for shares near 0 or 1."""
    p = hits / n
    return p - 1.96 * math.sqrt(p * (1 - p) / n), p + 1.96 * math.sqrt(p * (1 - p) / n)


def _wilson_parts(hits: int, n: int) -> tuple[float, float, float]:
    """Middle, spread and divisor of Wilson's interval."""
    p, z = hits / n, 1.96
    return p + z * z / (2 * n), z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n)), 1 + z * z / n


CANDIDATES = ["bare", "photo", "sketch", "place"]
ACCURACIES = {
    "validate": {"bare": 0.61, "photo": 0.70, "sketch": 0.74, "place": 0.66},
    "test": {"bare": 0.60, "photo": 0.75, "sketch": 0.71, "place": 0.62},
}


def _look_at_study(call: Callable) -> None:
    """Judge a study by which accuracies it asks for: an honest one asks for one of the test."""
    asked = {"validate": [], "test": []}

    def accuracy_of(split: str) -> Callable[[str], float]:
        def accuracy(name: str) -> float:
            if name not in CANDIDATES:
                raise Feedback(
                    f"{split} takes the name of one candidate, such as 'bare', not"
                    f" {describe(name)}."
                )
            asked[split].append(name)
            return ACCURACIES[split][name]

        return accuracy

    given = call(list(CANDIDATES), accuracy_of("validate"), accuracy_of("test"))
    start = (
        f"for four candidates with accuracies of {describe(ACCURACIES['validate'])} on validation:"
    )
    if len(asked["test"]) > 1:
        raise Feedback(
            f"{start} yours looked at the test set {len(asked['test'])} times, and should have"
            " looked once. Hint: whoever looks at more than one result on the test, and then"
            " chooses or tells the best, has trained on it; that is leaking the test set."
        )
    _require_pair(start, given)
    if missing := [name for name in CANDIDATES if name not in asked["validate"]]:
        raise Feedback(
            f"{start} yours never asked how good {', '.join(missing)} is on validation. Hint: the"
            " choice is among all candidates."
        )
    _judge_choice(start, *given, tested=bool(asked["test"]))


def _require_pair(start: str, given) -> None:
    """Raise `Feedback` unless a study returned a name and a number."""
    if given is None:
        raise Feedback(
            f"{start} expected a pair, the name chosen and its accuracy on the test; yours gives"
            " None. Hint: is there a `return`?"
        )
    if (
        not isinstance(given, (tuple, list))
        or len(given) != 2
        or not isinstance(given[0], str)
        or isinstance(given[1], str)
    ):
        raise Feedback(
            f"{start} expected a pair, the name chosen and its accuracy on the test, in this order;"
            f" yours gives {describe(given)}. Hint: return name, accuracy."
        )


def _judge_choice(start: str, name: str, accuracy, tested: bool) -> None:
    """Raise `Feedback` unless a study chose the best on validation and reports its test result."""
    if name != "sketch":
        rank = "the worst" if name == "bare" else "not the best"
        raise Feedback(
            f"{start} expected the choice of 'sketch', yours is {name!r}, {rank} on validation."
            " Hint: which of the four numbers above should decide?"
        )
    if not tested:
        raise Feedback(
            f"{start} yours never looked at the test, and reports {describe(accuracy)}. Hint: the"
            " best of several looks at validation is partly luck; a fresh look is what may be"
            " reported."
        )
    if not agree(as_plain(accuracy), np.asarray(0.71)):
        raise Feedback(
            f"{start} expected 0.71, what the chosen one scores on the test; yours reports"
            f" {describe(accuracy)}. Hint: report the look at the test as it is, neither averaged"
            " with another nor the better of two."
        )


# In the short functions below, m is the model, la and te are labels and templates; f are features,
# v the vectors of the classes, s a scale; h and n are hits and tries.
HW2 = {
    "hw2.classifier": Check(
        form="classifier(model, labels, templates)",
        gives="(C, E) vectors of length 1, one for each label",
        right=lambda m, labels, templates: unit_vectors(_grid(m, labels, templates).mean(1)),
        cases=lambda: {
            "two labels, two templates": (
                ToyModel(3),
                ["a dog", "a bus"],
                ["a photo of {}.", "{}"],
            ),
            "three labels, two templates": (
                ToyModel(),
                ["a dog", "a cat", "an owl"],
                ["{}", "look, {}!"],
            ),
            "two labels, four templates": (
                ToyModel(),
                ["an ant", "a bee"],
                ["a {} b", "{}.", "here is {}", "{} at sea"],
            ),
            "one template": (ToyModel(), ["x", "y"], ["{} z"]),
        },
        mistakes={
            "the mean of vectors of length 1 is shorter than 1; the missing normalisation comes "
            "after the mean": [
                lambda m, la, te: _grid(m, la, te).mean(1),
                lambda m, la, te: _grid(m, la, te).sum(1),
            ],
            "an ensemble has all templates in it; yours has one": [
                lambda m, la, te: _grid(m, la, te)[:, 0],
                lambda m, la, te: _grid(m, la, te)[:, -1],
            ],
            "the mean is over the templates of one label; yours is over the wrong dimension, over "
            "labels": [lambda m, la, te: unit_vectors(_grid(m, la, te).mean(0))],
            "sentences of different labels got mixed: if you embed them as one list, cut it up in "
            "the order in which it was made": [_shuffled],
            "yours embeds the bare labels; each stands in each template": [
                lambda m, la, te: unit_vectors(m.encode_text(la))
            ],
            "yours embeds the templates with their braces; the label takes the place of {}": [
                lambda m, la, te: unit_vectors(torch.stack([m.encode_text(te).mean(0)] * len(la)))
            ],
            "each sentence is embedded by itself, and the vectors are averaged; yours joins the "
            "texts": [
                lambda m, la, te: unit_vectors(
                    torch.cat([m.encode_text(" ".join(t.replace("{}", x) for t in te)) for x in la])
                )
            ],
            "lengths are over the last dimension; yours are over the wrong dimension, down the "
            "columns": [lambda m, la, te: unit_vectors(_grid(m, la, te).mean(1), 0)],
            "a label for each row: yours is transposed": [
                lambda m, la, te: unit_vectors(_grid(m, la, te).mean(1)).T
            ],
        },
    ),
    "hw2.probabilities": Check(
        form="probabilities(features, vectors, scale)",
        gives="the (N, C) probabilities of C classes for each of N pictures",
        right=lambda f, v, s: (s * f @ v.T).softmax(1),
        cases=lambda: {
            "two pictures, two classes": (*map(unit_vectors, SMALL), 2.0),
            "three pictures, four classes": (*map(unit_vectors, random_pairs(3, 4, 5)), 5.0),
            "five and five": (*map(unit_vectors, random_pairs(5, 5, 6)), 20.0),
        },
        mistakes={
            "the softmax is over the wrong axis: the classes of one picture should add up to 1, "
            "not the pictures of one class": [lambda f, v, s: (s * f @ v.T).softmax(0)],
            "the scale makes no difference to yours": [lambda f, v, s: (f @ v.T).softmax(1)],
            "the scale multiplies (it is the inverse of a temperature); yours divides by it": [
                lambda f, v, s: (f @ v.T / s).softmax(1)
            ],
            "that is cosines, or logits; probabilities are positive and add up to 1": [
                lambda f, v, s: f @ v.T,
                lambda f, v, s: s * f @ v.T,
            ],
            "a sigmoid asks of each class by itself; here the classes compete, and their "
            "probabilities add up to 1": [lambda f, v, s: (s * f @ v.T).sigmoid()],
            "that is the logarithm of the probabilities": [
                lambda f, v, s: (s * f @ v.T).log_softmax(1)
            ],
            "the softmax is over the wrong axis: over all pictures and classes at once": [
                lambda f, v, s: (s * f @ v.T).flatten().softmax(0).view(len(f), len(v))
            ],
            "pictures are the rows and classes the columns; yours is transposed": [
                lambda f, v, s: (s * v @ f.T).softmax(0)
            ],
            "the scale sharpens before the softmax; after it, probabilities no longer add up to "
            "1": [lambda f, v, s: s * (f @ v.T).softmax(1)],
            "dividing logits by their sum is no softmax: they may be negative": [
                lambda f, v, s: (s * f @ v.T) / (s * f @ v.T).sum(1, keepdim=True)
            ],
            "yours is sure of the nearest class, always; how sure is for the scale to say": [
                lambda f, v, s: F.one_hot((f @ v.T).argmax(1), len(v))
            ],
        },
    ),
    "hw2.interval": Check(
        form="interval(hits, n)",
        gives="the two ends of Wilson's 95 % interval, between 0 and 1",
        right=wilson,
        cases=lambda: {
            "7 of 10": (7, 10),
            "none of 20": (0, 20),
            "all of 12": (12, 12),
            "333 of 400": (333, 400),
        },
        mistakes={
            "p plus or minus 1.96 standard errors is too sure of itself with few pictures: it "
            "says of 20 failures in 20 tries that success is impossible. Use the formula in the "
            "text": [
                _wald,
                lambda h, n: tuple(np.clip(_wald(h, n), 0, 1)),
            ],
            "95 % are 1.96 standard errors on either side; yours takes 1, which is 68 %": [
                lambda h, n: wilson(h, n, 1.0)
            ],
            "95 % are 1.96 standard errors on either side; yours takes 1.645, which is 90 %": [
                lambda h, n: wilson(h, n, 1.645)
            ],
            "95 % are 1.96 standard errors on either side; yours takes 2.576, which is 99 %": [
                lambda h, n: wilson(h, n, 2.576)
            ],
            "shares are between 0 and 1 here, not percent": [
                lambda h, n: tuple(100 * end for end in wilson(h, n))
            ],
            "both, the middle and the spread, are divided by 1 + z²/n": [
                lambda h, n: (
                    _wilson_parts(h, n)[0] - _wilson_parts(h, n)[1],
                    _wilson_parts(h, n)[0] + _wilson_parts(h, n)[1],
                )
            ],
            "the middle is not p but a little nearer to a half": [
                lambda h, n: tuple(
                    h / n + sign * _wilson_parts(h, n)[1] / _wilson_parts(h, n)[2]
                    for sign in (-1, 1)
                )
            ],
            "the lower end comes first": [lambda h, n: wilson(h, n)[::-1]],
            "give the two ends, not the middle and the spread": [
                lambda h, n: (
                    _wilson_parts(h, n)[0] / _wilson_parts(h, n)[2],
                    _wilson_parts(h, n)[1] / _wilson_parts(h, n)[2],
                )
            ],
            "give the two ends; yours gives the width": [
                lambda h, n: wilson(h, n)[1] - wilson(h, n)[0]
            ],
        },
    ),
    "hw2.study": Check(
        form="study(candidates, validate, test)",
        gives="the name that was best on validation, and the accuracy of one look at the test",
        look=_look_at_study,
    ),
}
