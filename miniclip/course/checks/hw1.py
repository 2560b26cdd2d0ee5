"""The checks of homework 1, `notebooks/homework/hw1-the-lost-loss.ipynb`."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from miniclip.course.checks.cases import SMALL, random_pairs, unit_vectors
from miniclip.course.checks.judging import Check

COSINES = torch.tensor([[0.6, 0.2], [0.4, 0.5]])


def _cosines(images: Tensor, texts: Tensor) -> Tensor:
    return unit_vectors(images) @ unit_vectors(texts).T


def _diagonal(logits: Tensor) -> Tensor:
    """The labels of InfoNCE: in row i, column i is right."""
    return torch.arange(len(logits))


def _nce(logits: Tensor, labels: Tensor | None = None) -> Tensor:
    """InfoNCE of (B, B) logits; wrong functions give other labels."""
    labels = _diagonal(logits) if labels is None else labels
    return (F.cross_entropy(logits, labels) + F.cross_entropy(logits.T, labels)) / 2


def _on(loss: Callable[[Tensor], Tensor]) -> Callable:
    """A loss of the logits as a function of vectors and temperature."""
    return lambda images, texts, temperature: loss(_cosines(images, texts) / temperature)


def _push(
    cosines: Tensor,
    temperature: float,
    rows: float = 1,
    columns: float = 1,
    eye: float | None = None,
) -> Tensor:
    """The gradient of InfoNCE with respect to the (B, B) cosines.

    A wrong function weights the two directions, `rows` and `columns`, differently, or subtracts
    another number, `eye`, on the diagonal.
    """
    logits = cosines / temperature
    push = (
        rows * logits.softmax(1)
        + columns * logits.softmax(0)
        - (rows + columns if eye is None else eye) * torch.eye(len(logits))
    )
    return push / (2 * len(logits) * temperature)


def _negatives(x: Tensor, fill: float) -> Tensor:
    """A (B, B) matrix whose diagonal, the positives, is replaced by `fill`."""
    return x.masked_fill(torch.eye(len(x), dtype=torch.bool), fill)


def _sigmoid(
    images: Tensor,
    texts: Tensor,
    scale: float,
    bias: float,
    positive: float = 1,
    negative: float = -1,
) -> Tensor:
    """The loss of each pair, (B, B); wrong functions give the pairs other signs."""
    eye = torch.eye(len(images))
    return -F.logsigmoid(
        (positive * eye + negative * (1 - eye)) * (scale * images @ texts.T + bias)
    )


def _unstable_logsigmoid(x: Tensor) -> Tensor:
    """-log sigmoid(x), which becomes infinite where the sigmoid is rounded to 0."""
    return -torch.log(torch.sigmoid(x))


# Parts of InfoNCE that go wrong, for hints about two mistakes at once.
WRONG_COSINES = {
    "the vectors come in any length and have to be normalised first": lambda i, t: i @ t.T,
    "the length of a vector is over its row, and yours is over the columns": lambda i, t: (
        unit_vectors(i, 0) @ unit_vectors(t, 0).T
    ),
}
WRONG_LOGITS = {
    "a temperature divides, and yours multiplies": lambda x, tau: x * tau,
    "the temperature makes no difference to yours": lambda x, tau: x,
}
WRONG_LOSSES = {
    "each text has to find its picture, too": lambda x: F.cross_entropy(x, _diagonal(x)),
    "each picture has to find its text, too": lambda x: F.cross_entropy(x.T, _diagonal(x)),
    "the two directions are averaged and not added": lambda x: 2 * _nce(x),
    "the loss is a mean over the batch and not the sum": lambda x: len(x) * _nce(x),
}


def _two_mistakes() -> dict[str, list[Callable]]:
    """Functions with a mistake in two of the parts, by the hint that names both."""
    right = _cosines, lambda x, tau: x / tau, _nce
    parts = [
        [("", one), *wrong.items()]
        for one, wrong in zip(right, (WRONG_COSINES, WRONG_LOGITS, WRONG_LOSSES))
    ]
    found = {}
    for (a, cosines), (b, logits), (c, loss) in itertools.product(*parts):
        mistakes = [hint for hint in (a, b, c) if hint]
        if len(mistakes) == 2:
            both = lambda i, t, tau, f=cosines, g=logits, h=loss: h(g(f(i, t), tau))
            found[f"two things at once: {mistakes[0]}; and {mistakes[1]}"] = [both]
    return found


# In the short functions below, i and t are image and text vectors, s cosines (or a scale),
# b a bias, tau a temperature, and x logits.
HW1 = {
    "hw1.cosines": Check(
        form="cosines(images, texts)",
        gives="the (B, M) cosines of each of B pictures with each of M texts",
        right=_cosines,
        cases=lambda: {
            "two pictures and two texts": SMALL,
            "three pictures and four texts": random_pairs(3, 4, 5),
            "five and five": random_pairs(5, 5, 8),
        },
        mistakes={
            "a cosine compares directions alone; what happens to yours if a picture's vector is "
            "made twice as long? Lengths have to go before the product": [lambda i, t: i @ t.T],
            "only one of the two sides has the length 1": [
                lambda i, t: unit_vectors(i) @ t.T,
                lambda i, t: i @ unit_vectors(t).T,
            ],
            "a vector is a row here, so its length is over the last dimension; yours is over the "
            "wrong dimension, down the columns": [
                lambda i, t: unit_vectors(i, 0) @ unit_vectors(t, 0).T
            ],
            "pictures are the rows and texts the columns; yours is transposed": [
                lambda i, t: unit_vectors(t) @ unit_vectors(i).T
            ],
            "the length is the root of the sum of squares; yours leaves out the root": [
                lambda i, t: (i / (i * i).sum(1, True)) @ (t / (t * t).sum(1, True)).T
            ],
            "the length is the root of the sum of squares, not the sum of absolute values": [
                lambda i, t: F.normalize(i, 1) @ F.normalize(t, 1).T
            ],
            "each row has a length of its own; yours divides all by the one of the whole matrix": [
                lambda i, t: (i / i.norm()) @ (t / t.norm()).T
            ],
            "this is the angle's cosine times -1, or a distance; pairs that point the same way "
            "should give 1": [
                lambda i, t: -_cosines(i, t),
                lambda i, t: 1 - _cosines(i, t),
            ],
        },
    ),
    "hw1.info_nce": Check(
        form="info_nce(images, texts, temperature)",
        gives="the loss, one number in nats",
        right=_on(_nce),
        cases=lambda: {
            "two pairs": (*SMALL, 0.5),
            "four pairs": (*random_pairs(4, 4, 5), 0.2),
            "six pairs, temperature 2": (*random_pairs(6, 6, 8, 3), 2.0),
            "five pairs at a tiny temperature": (*random_pairs(5, 5, 6, 5), 0.002),
        },
        mistakes={
            "the vectors come as the towers give them, of any length; the missing normalisation "
            "makes long vectors look alike": [lambda i, t, tau: _nce(i @ t.T / tau)],
            "the vectors were given length 1 over the wrong dimension; a vector is a row": [
                lambda i, t, tau: _nce(unit_vectors(i, 0) @ unit_vectors(t, 0).T / tau)
            ],
            "a temperature divides: the smaller, the sharper. Yours multiplies by it": [
                lambda i, t, tau: _nce(_cosines(i, t) * tau)
            ],
            "yours takes the temperature for the logarithm of an inverse, and multiplies by its "
            "exponential": [lambda i, t, tau: _nce(_cosines(i, t) * math.exp(tau))],
            "the temperature makes no difference to yours": [
                lambda i, t, tau: _nce(_cosines(i, t))
            ],
            "that is one direction only, pictures that choose among texts; each text has to find "
            "its picture, too": [_on(lambda x: F.cross_entropy(x, _diagonal(x)))],
            "that is one direction only, texts that choose among pictures; each picture has to "
            "find its text, too": [_on(lambda x: F.cross_entropy(x.T, _diagonal(x)))],
            "the two directions are averaged; yours adds them": [_on(lambda x: 2 * _nce(x))],
            "the loss is the mean over the batch; yours is the sum, and grows with it": [
                _on(lambda x: len(x) * _nce(x)),
                _on(lambda x: 2 * len(x) * _nce(x)),
            ],
            "the mean is over the B right answers; yours is over the wrong dimension, or over all "
            "B x B cells": [
                _on(lambda x: _nce(x) / len(x)),
                _on(lambda x: 2 * _nce(x) / len(x)),
            ],
            "the softmax is over the wrong axis: over the whole matrix. Each row is a question of "
            "its own, and so is each column": [
                _on(lambda x: -x.flatten().log_softmax(0).view_as(x).diag().mean())
            ],
            "the right answer of row i is column i, on the diagonal; your labels are not on the "
            "diagonal": [
                _on(lambda x: _nce(x, torch.zeros(len(x), dtype=torch.long))),
                _on(lambda x: _nce(x, _diagonal(x).flip(0))),
            ],
            "a loss falls when the right answers become likelier; yours has the wrong sign": [
                _on(lambda x: -_nce(x))
            ],
            "nats are natural logarithms; yours has another base": [
                _on(lambda x: _nce(x) / math.log(2)),
                _on(lambda x: _nce(x) / math.log(10)),
            ],
            "cross-entropy takes logits and does the softmax itself; yours gives it "
            "probabilities, so there are two": [
                _on(
                    lambda x: (
                        (
                            F.cross_entropy(x.softmax(1), _diagonal(x))
                            + F.cross_entropy(x.T.softmax(1), _diagonal(x))
                        )
                        / 2
                    )
                )
            ],
            "the loss is the mean of -log p; yours leaves out the logarithm": [
                _on(lambda x: -(x.softmax(1).diag() + x.softmax(0).diag()).mean() / 2),
                _on(lambda x: 1 - (x.softmax(1).diag() + x.softmax(0).diag()).mean() / 2),
            ],
            "it is right until the exponential of a large number becomes infinite; take the "
            "largest logit off first, or use log_softmax or cross_entropy, which do": [
                _on(
                    lambda x: (
                        -(
                            (x.exp() / x.exp().sum(1, keepdim=True)).log().diag().mean()
                            + (x.exp() / x.exp().sum(0)).log().diag().mean()
                        )
                        / 2
                    )
                ),
                _on(
                    lambda x: (
                        (x.exp().sum(1).log() + x.exp().sum(0).log() - 2 * x.diag()).mean() / 2
                    )
                ),
                _on(lambda x: -(x.softmax(1).log().diag() + x.softmax(0).log().diag()).mean() / 2),
            ],
            **_two_mistakes(),
        },
    ),
    "hw1.gradient": Check(
        form="gradient(cosines, temperature)",
        gives="the (B, B) derivative of the loss by each cosine",
        right=_push,
        cases=lambda: {
            "two pairs": (COSINES, 0.5),
            "four pairs": (_cosines(*random_pairs(4, 4, 5)), 0.2),
            "five pairs, temperature 3": (_cosines(*random_pairs(5, 5, 6)), 3.0),
        },
        mistakes={
            "a step goes against the gradient, so it is positive where a cosine should fall; "
            "yours has the wrong sign": [lambda s, tau: -_push(s, tau)],
            "by the chain rule: the logit is the cosine divided by the temperature, so its "
            "derivative has a 1/temperature, too": [lambda s, tau: _push(s, tau) * tau],
            "the temperature divides; yours multiplies by it in the chain rule": [
                lambda s, tau: _push(s, tau) * tau * tau
            ],
            "the temperature divides; yours multiplies the cosines by it before the softmax": [
                lambda s, tau: _push(s * tau * tau, tau),
                lambda s, tau: _push(s * tau * tau, tau) * tau * tau,
            ],
            "the loss is a mean over the batch, and its gradient too; yours is a sum": [
                lambda s, tau: len(s) * _push(s, tau),
                lambda s, tau: 2 * len(s) * _push(s, tau),
            ],
            "the loss is the mean of two directions; there is a half missing": [
                lambda s, tau: 2 * _push(s, tau)
            ],
            "the mean is over B answers, not over B x B cells": [
                lambda s, tau: _push(s, tau) / len(s),
                lambda s, tau: 2 * _push(s, tau) / len(s),
            ],
            "that is one direction only; a cell is pushed by its row and by its column": [
                lambda s, tau: _push(s, tau, 2, 0),
                lambda s, tau: _push(s, tau, 0, 2),
                lambda s, tau: _push(s, tau, 1, 0),
                lambda s, tau: _push(s, tau, 0, 1),
            ],
            "a right answer with probability 1 should not be pushed at all; yours leaves out what "
            "is taken off the diagonal": [lambda s, tau: _push(s, tau, eye=0)],
            "each direction takes its own 1 off the diagonal; yours takes one for both": [
                lambda s, tau: _push(s, tau, eye=1)
            ],
            "the part of the other direction has to be transposed back before the two are added": [
                lambda s, tau: (
                    ((s / tau).softmax(1) + (s.T / tau).softmax(1) - 2 * torch.eye(len(s)))
                    / (2 * len(s) * tau)
                )
            ],
        },
        hint="compare with the difference of two losses, one cosine moved by 0.001",
    ),
    "hw1.hardest": Check(
        form="hardest(cosines, temperature)",
        gives="for each picture, its hardest negative's share of the push on its negatives, (B,)",
        right=lambda s, tau: _negatives(s / tau, -math.inf).softmax(1).max(1).values,
        cases=lambda: {
            "three pictures": (
                torch.tensor([[0.6, 0.2, 0.1], [0.4, 0.5, 0.3], [0.0, 0.7, 0.6]]),
                0.1,
            ),
            "five pictures": (_cosines(*random_pairs(5, 5, 6)), 0.3),
            "seven pictures": (_cosines(*random_pairs(7, 7, 9)), 2.0),
        },
        mistakes={
            "the positive is no negative, but in yours its probability is part of the whole": [
                lambda s, tau: _negatives((s / tau).softmax(1), 0).max(1).values
            ],
            "that is the largest of all, the positive too; only negatives count": [
                lambda s, tau: (s / tau).softmax(1).max(1).values
            ],
            "a temperature divides; yours multiplies by it": [
                lambda s, tau: _negatives(s * tau, -math.inf).softmax(1).max(1).values
            ],
            "the temperature makes no difference to yours": [
                lambda s, tau: _negatives(s, -math.inf).softmax(1).max(1).values
            ],
            "the softmax is over the wrong axis: a picture is a row": [
                lambda s, tau: _negatives(s / tau, -math.inf).softmax(0).max(0).values,
                lambda s, tau: _negatives(s / tau, -math.inf).softmax(0).max(1).values,
            ],
            "the hardest negative is the one with the largest cosine; yours is the smallest": [
                lambda s, tau: (
                    torch.where(
                        torch.eye(len(s)) > 0, math.inf, _negatives(s / tau, -math.inf).softmax(1)
                    )
                    .min(1)
                    .values
                )
            ],
            "each picture has a share of its own; yours is one number, their mean": [
                lambda s, tau: _negatives(s / tau, -math.inf).softmax(1).max(1).values.mean()
            ],
            "the push on a negative is in proportion to its probability, not to its cosine": [
                lambda s, tau: _negatives(s, -math.inf).max(1).values / _negatives(s, 0).sum(1),
                lambda s, tau: _negatives(s, -math.inf).max(1).values / tau,
            ],
            "a zero on the diagonal is not out of the game: its exponential is 1. What number has "
            "the exponential 0?": [
                lambda s, tau: _negatives(s / tau, 0).softmax(1).max(1).values,
                lambda s, tau: _negatives(_negatives(s / tau, 0).softmax(1), 0).max(1).values,
            ],
        },
    ),
    "hw1.sigmoid_loss": Check(
        form="sigmoid_loss(images, texts, scale, bias)",
        gives="the loss, one number in nats",
        right=lambda i, t, s, b: _sigmoid(i, t, s, b).sum() / len(i),
        cases=lambda: {
            "two pairs": (*map(unit_vectors, SMALL), 2.0, -1.0),
            "four pairs": (*map(unit_vectors, random_pairs(4, 4, 5)), 10.0, -10.0),
            "six pairs": (*map(unit_vectors, random_pairs(6, 6, 8)), 3.0, 0.7),
            "five pairs, very sure of themselves": (
                *map(unit_vectors, random_pairs(5, 5, 6)),
                400.0,
                -20.0,
            ),
        },
        mistakes={
            "the sum over all pairs is divided by B; yours is the mean over the wrong number, B x "
            "B cells": [lambda i, t, s, b: _sigmoid(i, t, s, b).mean()],
            "the sum over all pairs is divided by B; yours is a sum": [
                lambda i, t, s, b: _sigmoid(i, t, s, b).sum()
            ],
            "the bias makes no difference to yours": [
                lambda i, t, s, b: _sigmoid(i, t, s, 0).sum() / len(i)
            ],
            "the bias is added, and it is negative at the start of a training; yours takes it "
            "off": [lambda i, t, s, b: _sigmoid(i, t, s, -b).sum() / len(i)],
            "the scale multiplies (it is the inverse of a temperature); yours divides by it": [
                lambda i, t, s, b: _sigmoid(i, t, 1 / s, b).sum() / len(i)
            ],
            "pairs that do not belong together should say no, so their sign is -1; in yours it is "
            "0": [lambda i, t, s, b: _sigmoid(i, t, s, b, negative=0).sum() / len(i)],
            "pairs that do not belong together should say no; yours rewards every pair for saying "
            "yes": [lambda i, t, s, b: _sigmoid(i, t, s, b, negative=1).sum() / len(i)],
            "the signs are the wrong way round: the positives are on the diagonal": [
                lambda i, t, s, b: _sigmoid(i, t, s, b, -1, 1).sum() / len(i)
            ],
            "all pairs of the batch pay, not the diagonal alone": [
                lambda i, t, s, b: _sigmoid(i, t, s, b).diag().mean()
            ],
            "a loss falls when answers become right; yours has the wrong sign": [
                lambda i, t, s, b: -_sigmoid(i, t, s, b).sum() / len(i)
            ],
            "the sign belongs inside, before the sigmoid; yours is outside": [
                lambda i, t, s, b: (
                    ((2 * torch.eye(len(i)) - 1) * _sigmoid(i, t, s, b, negative=1)).sum() / len(i)
                )
            ],
            "it is right until a sigmoid is so small that it becomes 0, whose logarithm is "
            "infinite; use F.logsigmoid": [
                lambda i, t, s, b: (
                    _unstable_logsigmoid((2 * torch.eye(len(i)) - 1) * (s * i @ t.T + b)).sum()
                    / len(i)
                )
            ],
        },
    ),
}
