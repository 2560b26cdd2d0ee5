"""Promises of the homework checks: right answers pass, the usual mistakes get the hint that fits
them, and whatever a function does ends in a sentence."""

import itertools
import math
import threading
import time
from random import Random

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from miniclip import Scene, Thing
from miniclip.course import exercises as homework
from miniclip.course.checks import CHECKS, cases, check, judge
from miniclip.data.world import PLACES

IN, IJ = torch.arange, np.array  # short names for the variants below


def unit(x, dim=1):
    return x / x.norm(dim=dim, keepdim=True)


def ce(x, labels=None):
    return F.cross_entropy(x, IN(len(x)) if labels is None else labels)


def nce(x, labels=None):
    return (ce(x, labels) + ce(x.T, labels)) / 2


def cos(i, t):
    return unit(i) @ unit(t).T


def rows(s, tau):
    return (s / tau).softmax(1) - torch.eye(len(s))


def columns(s, tau):
    return (s / tau).softmax(0) - torch.eye(len(s))


def hard(x):
    return torch.where(torch.eye(len(x)) > 0, -math.inf, x)


def z(x):
    return 2 * torch.eye(len(x)) - 1


def yes(i, t, a, b):
    return a * i @ t.T + b


def encode(m, labels, templates):
    return torch.stack(
        [m.encode_text([t.format(x) for t in templates]) for x in labels]
    )  # (C, M, E)


def wilson(hits, n, v=1.96, p_middle=False, divide=True):
    p = hits / n
    middle, arm, whole = (
        p if p_middle else (p + v * v / 2 / n),
        v * math.sqrt(p * (1 - p) / n + v * v / 4 / n / n),
        (1 + v * v / n) if divide else 1,
    )
    return (middle if p_middle else middle / whole) - arm / whole, (
        middle if p_middle else middle / whole
    ) + arm / whole


def draw(targets, shots, seed, replace=False, generator=None):
    rng = generator or np.random.default_rng(seed)
    return np.concatenate(
        [
            rng.choice(np.nonzero(targets == name)[0], shots, replace=replace)
            for name in np.unique(targets)
        ]
    )


def softmax(x, y, w, dim=1):
    return ((x @ w.T).softmax(dim) - F.one_hot(y, len(w))).T @ x / len(x)


def blend(a, b, s):
    return {k: torch.lerp(v, b[k], s) if v.is_floating_point() else b[k] for k, v in a.items()}


def scenes(
    n,
    seed,
    number=lambda rng, i: i % 8,
    label=lambda number: number,
    place=None,
    at=None,
    size=None,
    flowers=1,
    rng=None,
):
    rng, pairs = rng or Random(seed), []
    for i in range(n):
        k = number(rng, i)
        where = at(k) if at else (rng.uniform(0.3, 0.7), 0.6)
        things = [
            Thing("flower", at=where, size=size or rng.uniform(0.3, 0.6), variant=k)
        ] * flowers
        pairs.append((Scene(place(k) if place else rng.choice(list(PLACES)), things), label(k)))
    return pairs


def paired(b, a, arm=None, sign=1):
    d = sign * (a.astype(int) - b.astype(int))
    arm = 1.96 * d.std() / math.sqrt(len(d)) if arm is None else arm(d)
    return d.mean(), d.mean() - arm, d.mean() + arm


def study(choose, report):
    """A study that looks at the test for every candidate."""

    def run(candidates, validate, test):
        val, tests = {c: validate(c) for c in candidates}, {c: test(c) for c in candidates}
        name = choose(val, tests)
        return name, report(val, tests, name)

    return run


def best(scores):
    return max(scores, key=scores.get)


def shares(g, r, c, of):
    return IJ([np.sum((g == k) & (r == k)) / max(1, of(g, r, k)) for k in range(c)])


def pairs_won(s, p, tie=0.5):
    of = lambda a, b: 1.0 if a > b else tie if a == b else 0.0
    return np.mean([of(a, b) for a in s[p] for b in s[~p]])


RIGHT = {
    "hw1.cosines": cos,
    "hw1.info_nce": lambda i, t, tau: nce(cos(i, t) / tau),
    "hw1.gradient": lambda s, tau: (rows(s, tau) + columns(s, tau)) / (2 * len(s) * tau),
    "hw1.hardest": lambda s, tau: hard(s / tau).softmax(1).amax(1),
    "hw1.sigmoid_loss": lambda i, t, a, b: F.softplus(-z(i) * yes(i, t, a, b)).sum() / len(i),
    "hw2.classifier": lambda m, la, te: unit(encode(m, la, te).mean(1)),
    "hw2.probabilities": lambda f, v, s: F.softmax(s * (f @ v.T), dim=-1),
    "hw2.interval": wilson,
    "hw2.study": lambda c, validate, test: (name := max(c, key=validate), test(name)),
    "hw3.few_rows": draw,
    "hw3.standardize": lambda a, b: (
        tuple((x - a.mean(0)) / np.maximum(a.std(0), 1e-12) for x in (a, b))
        if (a.std(0) > 0).all()
        else tuple((x - a.mean(0)) / np.where(a.std(0) > 0, a.std(0), 1) for x in (a, b))
    ),
    "hw3.auc": pairs_won,
    "hw3.gradient": softmax,
    "hw3.average": blend,
    "hw4.make_test": scenes,
    "hw4.recall": lambda g, r, c: shares(g, r, c, lambda g, r, k: (r == k).sum()),
    "hw4.change": paired,
    "hw4.verdict": lambda t, o, m: (
        "not repaired"
        if t[1] <= 0
        else "broken"
        if any(x[1] <= -m for x in o.values())
        else "repaired"
    ),
}

# For each check: what a student might write, and words of the hint that it should get.
WRONG = {
    "hw1.cosines": [
        (lambda i, t: i @ t.T, "missing normalisation|Lengths have to go"),
        (lambda i, t: unit(i) @ t.T, "only one of the two"),
        (lambda i, t: (t @ i.T / t.norm(dim=1)[:, None] / i.norm(dim=1)).T.T, "transposed"),
        (lambda i, t: unit(i, 0) @ unit(t, 0).T, "wrong dimension"),
        (lambda i, t: i @ t.T / (i.norm() * t.norm()), "one of the whole matrix"),
        (lambda i, t: 1 - cos(i, t), "distance"),
        (
            lambda i, t: i @ t.T / (i.pow(2).sum(1)[:, None] * t.pow(2).sum(1)),
            "leaves out the root",
        ),
        (lambda i, t: cos(i, t).diag(), "shape"),
        (lambda i, t: cos(i.div_(i.norm(dim=1, keepdim=True)), t), "images is no longer"),
    ],
    "hw1.info_nce": [
        (lambda i, t, tau: nce(i @ t.T / tau), "missing normalisation"),
        (lambda i, t, tau: nce(cos(i, t) * tau), "multiplies"),
        (lambda i, t, tau: ce(cos(i, t) / tau), "one direction only, pictures"),
        (lambda i, t, tau: ce(cos(t, i) / tau), "one direction only, texts"),
        (lambda i, t, tau: ce(cos(i, t) / tau) + ce(cos(t, i) / tau), "averaged; yours adds"),
        (lambda i, t, tau: nce(cos(i, t) / tau) * len(i), "yours is the sum"),
        (
            lambda i, t, tau: nce(cos(i, t) / tau, torch.zeros(len(i), dtype=torch.long)),
            "not on the diagonal",
        ),
        (
            lambda i, t, tau: (
                -F.log_softmax((cos(i, t) / tau).reshape(-1), 0).reshape(len(i), -1).diag().mean()
            ),
            "wrong axis",
        ),
        (
            lambda i, t, tau: (
                -F.log_softmax(cos(i, t) / tau, 1) * torch.eye(len(i))
                - F.log_softmax(cos(i, t) / tau, 0) * torch.eye(len(i))
            ).mean(),
            "wrong dimension",
        ),
        (lambda i, t, tau: -nce(cos(i, t) / tau), "wrong sign"),
        (lambda i, t, tau: nce(cos(i, t) / tau) / math.log(2), "another base"),
        (lambda i, t, tau: nce(unit(i, 0) @ unit(t, 0).T / tau), "wrong dimension"),
        (
            lambda i, t, tau: (
                -sum(
                    torch.log(e.diag() / e.sum(d)).mean()
                    for d, e in enumerate([torch.exp(cos(i, t) / tau)] * 2)
                )
                / 2
            ),
            "becomes infinite",
        ),
        (
            lambda i, t, tau: nce(F.normalize(i) @ F.normalize(t.mul_(2)).T / tau),
            "texts is no longer",
        ),
    ],
    "hw1.gradient": [
        (lambda s, tau: -(rows(s, tau) + columns(s, tau)) / (2 * len(s) * tau), "wrong sign"),
        (lambda s, tau: (rows(s, tau) + columns(s, tau)) / (2 * len(s)), "1/temperature"),
        (lambda s, tau: tau * (rows(s, tau) + columns(s, tau)) / (2 * len(s)), "multiplies"),
        (lambda s, tau: (rows(s, tau) + columns(s, tau)) / (2 * tau), "yours is a sum"),
        (lambda s, tau: (rows(s, tau) + columns(s, tau)) / (len(s) * tau), "half missing"),
        (lambda s, tau: rows(s, tau) / (len(s) * tau), "one direction only"),
        (lambda s, tau: columns(s, tau) / (len(s) * tau), "one direction only"),
        (
            lambda s, tau: ((s / tau).softmax(0) + (s / tau).softmax(1)) / (2 * len(s) * tau),
            "off the diagonal",
        ),
        (lambda s, tau: (rows(s, tau) + columns(s, tau).T) / (2 * len(s) * tau), "transposed back"),
        (
            lambda s, tau: ((s / tau).softmax(0) + rows(s, tau)) / (2 * len(s) * tau),
            "takes one for both",
        ),
    ],
    "hw1.hardest": [
        (lambda s, tau: (s / tau).softmax(1).amax(1), "positive too"),
        (lambda s, tau: hard((s / tau).softmax(1)).amax(1), "part of the whole"),
        (lambda s, tau: hard(s * tau).softmax(1).amax(1), "multiplies"),
        (lambda s, tau: hard(s / tau).softmax(0).amax(0), "wrong axis"),
        (lambda s, tau: hard(s).softmax(1).amax(1), "no difference"),
        (lambda s, tau: hard(s / tau).softmax(1).amax(1).mean(), "one number"),
        (lambda s, tau: (s / tau * (1 - torch.eye(len(s)))).softmax(1).amax(1), "exponential is 1"),
        (
            lambda s, tau: hard(s).amax(1) / (s * (1 - torch.eye(len(s)))).sum(1),
            "not to its cosine",
        ),
        (
            lambda s, tau: hard(s.fill_diagonal_(-math.inf) / tau).softmax(1).amax(1),
            "cosines is no longer",
        ),
    ],
    "hw1.sigmoid_loss": [
        (lambda i, t, a, b: F.softplus(-z(i) * yes(i, t, a, b)).mean(), "B x B"),
        (lambda i, t, a, b: F.softplus(-z(i) * yes(i, t, a, b)).sum(), "yours is a sum"),
        (
            lambda i, t, a, b: F.softplus(-z(i) * yes(i, t, a, 0)).sum() / len(i),
            "bias makes no difference",
        ),
        (
            lambda i, t, a, b: F.softplus(-z(i) * yes(i, t, 1 / a, b)).sum() / len(i),
            "divides by it",
        ),
        (
            lambda i, t, a, b: F.softplus(-torch.eye(len(i)) * yes(i, t, a, b)).sum() / len(i),
            "in yours it is 0",
        ),
        (lambda i, t, a, b: F.softplus(z(i) * yes(i, t, a, b)).sum() / len(i), "wrong way round"),
        (
            lambda i, t, a, b: -torch.log(torch.sigmoid(z(i) * yes(i, t, a, b))).sum() / len(i),
            "so small that it becomes 0",
        ),
        (lambda i, t, a, b: F.logsigmoid(z(i) * yes(i, t, a, b)).sum() / len(i), "wrong sign"),
        (lambda i, t, a, b: F.softplus(-z(i) * (yes(i, t, a, -b))).sum() / len(i), "takes it off"),
        (lambda i, t, a, b: F.softplus(-yes(i, t, a, b)).diag().mean(), "diagonal alone"),
    ],
    "hw2.classifier": [
        (lambda m, la, te: encode(m, la, te).mean(1), "missing normalisation"),
        (lambda m, la, te: m.encode_text([te[0].format(x) for x in la]), "yours has one"),
        (lambda m, la, te: m.encode_text(la), "bare labels"),
        (lambda m, la, te: unit(encode(m, la, te).mean(0)), "over labels"),
        (
            lambda m, la, te: unit(
                m.encode_text([t.format(x) for t in te for x in la])
                .view(len(la), len(te), -1)
                .mean(1)
            ),
            "got mixed",
        ),
        (
            lambda m, la, te: m.encode_text([" ".join(t.format(x) for t in te) for x in la]),
            "joins the texts",
        ),
        (lambda m, la, te: unit(encode(m, la, te).mean(1)).T, "transposed"),
        (lambda m, la, te: m.encode_text([la, te]), "raised ValueError"),
    ],
    "hw2.probabilities": [
        (lambda f, v, s: F.softmax(s * f @ v.T, dim=0), "wrong axis"),
        (lambda f, v, s: F.softmax(f @ v.T, dim=1), "no difference"),
        (lambda f, v, s: F.softmax(f @ v.T / s, dim=1), "divides"),
        (lambda f, v, s: s * (f @ v.T), "add up to 1"),
        (lambda f, v, s: torch.sigmoid(s * f @ v.T), "sigmoid"),
        (lambda f, v, s: F.log_softmax(s * f @ v.T, dim=1), "logarithm"),
        (lambda f, v, s: F.softmax(s * f @ v.T, dim=1).T, "transposed"),
        (lambda f, v, s: s * F.softmax(f @ v.T, dim=1), "before the softmax"),
    ],
    "hw2.interval": [
        (
            lambda h, n: (
                h / n - 1.96 * math.sqrt(h / n * (1 - h / n) / n),
                h / n + 1.96 * math.sqrt(h / n * (1 - h / n) / n),
            ),
            "too sure",
        ),
        (lambda h, n: wilson(h, n, 1), "68 %"),
        (lambda h, n: wilson(h, n, 1.645), "90 %"),
        (lambda h, n: [100 * x for x in wilson(h, n)], "not percent"),
        (lambda h, n: wilson(h, n, divide=False), "divided by 1"),
        (lambda h, n: wilson(h, n, p_middle=True), "nearer to a half"),
        (lambda h, n: wilson(h, n)[::-1], "lower end comes first"),
        (lambda h, n: np.diff(wilson(h, n))[0], "the width"),
    ],
    "hw2.study": [
        (study(lambda v, t: best(t), lambda v, t, n: t[n]), "leaking the test set"),
        (study(lambda v, t: best(v), lambda v, t, n: t[n]), "leaking the test set"),
        (lambda c, v, t: (n := max(c, key=t), t(n)), "leaking the test set"),
        (lambda c, v, t: (n := max(c, key=v), v(n)), "never looked at the test"),
        (lambda c, v, t: (n := min(c, key=v), t(n)), "the worst"),
        (lambda c, v, t: (n := max(c[:2], key=v), t(n)), "never asked"),
        (lambda c, v, t: (n := max(c, key=v), (v(n) + t(n)) / 2), "neither averaged"),
        (lambda c, v, t: t(max(c, key=v)), "return name, accuracy"),
        (lambda c, v, t: (t(max(c, key=v)), "sketch"), "in this order"),
        (
            lambda c, v, t: ([v(n) for n in c], t(c[-1]))[1:] and (c[-1], t(c[-1])),
            "never asked|leaking",
        ),
        (lambda c, v, t: t(best({n: v(n) for n in c})) and None, "gives None"),
        (lambda c, v, t: t(0), "takes the name"),
    ],
    "hw3.few_rows": [
        (
            lambda y, k, s: np.random.default_rng(s).permutation(len(y))[:k],
            "of each class, not of all",
        ),
        (lambda y, k, s: draw(y, k, s, replace=True), "a row twice|without replacement"),
        (
            lambda y, k, s: np.random.default_rng(s).permutation(len(y))[: 3 * k],
            "within each class",
        ),
        (lambda y, k, s: draw(y, k, 0), "other seeds give the same"),
        (lambda y, k, s: draw(y, k, s, generator=np.random.default_rng()), "the second time"),
        (lambda y, k, s: np.isin(np.arange(len(y)), draw(y, k, s)), "not a mask"),
        (lambda y, k, s: y[draw(y, k, s)], "which rows, not which labels"),
        (lambda y, k, s: draw(y, 2, s), "shots = 1"),
        (lambda y, k, s: (y.sort(), draw(y, k, s))[1], "targets is no longer"),
        (lambda y, k, s: draw(y, k, s) + 12, "from 0 to 11"),
    ],
    "hw3.standardize": [
        (
            lambda a, b: tuple(
                (x - x.mean(0)) / np.where(x.std(0) > 0, x.std(0), 1) for x in (a, b)
            ),
            "by its own mean",
        ),
        (
            lambda a, b: tuple(
                (x - np.vstack([a, b]).mean(0))
                / np.where((s := np.vstack([a, b]).std(0)) > 0, s, 1)
                for x in (a, b)
            ),
            "leaking the test set",
        ),
        (lambda a, b: tuple((x - a.mean(0)) / a.std(0) for x in (a, b)), "never changes"),
        (lambda a, b: (a - a.mean(0), b - a.mean(0)), "nothing is divided"),
        (
            lambda a, b: tuple(
                (x - a.mean(0)) / np.where(a.var(0) > 0, a.var(0), 1) for x in (a, b)
            ),
            "not the variance",
        ),
        (lambda a, b: ((a - a.mean()) / a.std(), (b - a.mean()) / a.std()), "over all numbers"),
        (
            lambda a, b: tuple(
                (x - x.mean(1, keepdims=True)) / x.std(1, keepdims=True) for x in (a, b)
            ),
            "wrong dimension",
        ),
        (lambda a, b: ((a - a.mean(0)) / np.where(a.std(0) > 0, a.std(0), 1), b), "left as it was"),
        (
            lambda a, b: (
                m := a.mean(0),
                s := np.where(a.std(0) > 0, a.std(0), 1),
                a.__isub__(m),
                (a / s, (b - m) / s),
            )[-1],
            "train is no longer",
        ),
    ],
    "hw3.auc": [
        (lambda s, p: np.mean((s > 0.5) == p), "no threshold"),
        (lambda s, p: pairs_won(s, p, 0.0), "count half"),
        (lambda s, p: pairs_won(s, p, 1.0), "count half"),
        (lambda s, p: pairs_won(-s, p), "how often it is below"),
        (lambda s, p: pairs_won(s, p) * sum(p) * sum(~p) / len(s) ** 2, "takes all pairs"),
        (lambda s, p: pairs_won(s, p) * sum(p) * sum(~p), "number of pairs"),
        (lambda s, p: s[p].mean() - s[~p].mean(), "mean scores"),
        (lambda s, p: s[p], "shape"),
    ],
    "hw3.gradient": [
        (lambda x, y, w: softmax(x, y, w) * len(x), "yours is a sum"),
        (lambda x, y, w: -softmax(x, y, w), "wrong sign"),
        (lambda x, y, w: softmax(x, y, w, 0), "wrong axis"),
        (lambda x, y, w: softmax(x, y, w).T, "transposed"),
        (lambda x, y, w: softmax(x, y, w) / len(w), "not over pictures and classes"),
        (lambda x, y, w: (x @ w.T).softmax(1).T @ x / len(x), "never looks at the targets"),
        (lambda x, y, w: -F.one_hot(y, len(w)).float().T @ x / len(x), "wrong classes push"),
        (lambda x, y, w: w - softmax(x, y, w), "not the weights after a step"),
        (lambda x, y, w: F.cross_entropy(x @ w.T, y), "that is the loss"),
    ],
    "hw3.average": [
        (
            lambda a, b, s: (
                blend(b, a, s) | {k: v for k, v in a.items() if not v.is_floating_point()}
            ),
            "swapped",
        ),
        (lambda a, b, s: blend(a, b, 0.5), "no difference"),
        (lambda a, b, s: b, "no difference"),
        (lambda a, b, s: {k: a[k] + b[k] for k in a}, "adds the two"),
        (lambda a, b, s: {k: (1 - s) * a[k] + s * b[k] for k in a}, "cannot lie between"),
        (lambda a, b, s: {k: v for k, v in blend(a, b, s).items() if k != "batches"}, "every name"),
        (
            lambda a, b, s: {
                k: v.lerp_(b[k], s) if v.is_floating_point() else b[k] for k, v in a.items()
            },
            "before is no longer",
        ),
        (
            lambda a, b, s: {
                k: v + s * b[k] if v.is_floating_point() else b[k] for k, v in a.items()
            },
            "whole of the first",
        ),
    ],
    "hw4.make_test": [
        (lambda n, s: scenes(n, s, number=lambda rng, i: rng.randrange(8)), "equally often"),
        (lambda n, s: scenes(n, s, label=lambda k: 7 - k), "use it for both"),
        (lambda n, s: scenes(n, s, label=lambda k: k + 1), "from 0"),
        (lambda n, s: scenes(n, 0), "another seed"),
        (lambda n, s: scenes(n, s, rng=Random()), "the second time"),
        (lambda n, s: scenes(n, s, place=lambda k: "grass"), "different place"),
        (lambda n, s: scenes(n, s, place=lambda k: list(PLACES)[k]), "place alone tells"),
        (lambda n, s: scenes(n, s, at=lambda k: (0.2 + 0.08 * k, 0.6)), "position alone tells"),
        (lambda n, s: scenes(n, s, size=0.5), "different size"),
        (lambda n, s: scenes(n, s, flowers=2), "exactly one flower"),
        (lambda n, s: scenes(8 * n, s), "in all"),
        (lambda n, s: [scene for scene, _ in scenes(n, s)], "list of pairs"),
    ],
    "hw4.recall": [
        (lambda g, r, c: shares(g, r, c, lambda g, r, k: (g == k).sum()), "precision"),
        (lambda g, r, c: np.mean(g == r), "one accuracy over all"),
        (lambda g, r, c: shares(g, r, c, lambda g, r, k: 1), "those are counts"),
        (lambda g, r, c: shares(g, r, c, lambda g, r, k: len(r)), "divides by all"),
        (lambda g, r, c: 1 - shares(g, r, c, lambda g, r, k: (r == k).sum()), "missed"),
        (
            lambda g, r, c: shares(g, r, c, lambda g, r, k: (r == k).sum()).mean(),
            "mean over classes",
        ),
        (lambda g, r, c: np.bincount(g, minlength=c), "how often a class was guessed"),
        (
            lambda g, r, c: IJ([np.mean((g == k) == (r == k)) for k in range(c)]),
            "not called this one",
        ),
    ],
    "hw4.change": [
        (lambda b, a: paired(a, b), "other way round"),
        (
            lambda b, a: paired(b, a, lambda d: 1.96 * math.sqrt((a.var() + b.var()) / len(a))),
            "independent",
        ),
        (lambda b, a: paired(b, a, lambda d: 1.96 * d.std()), "yours is not divided"),
        (lambda b, a: paired(b, a, lambda d: 1.96 * d.std() / len(d)), "divided by n"),
        (lambda b, a: paired(b, a, lambda d: d.std() / math.sqrt(len(d))), "yours takes 1"),
        (lambda b, a: 100 * IJ(paired(b, a)), "not percent"),
        (lambda b, a: a.mean() - b.mean(), "difference alone"),
        (lambda b, a: len(a) * IJ(paired(b, a)), "counts pictures"),
        (lambda b, a: a - b, "raised TypeError"),
    ],
    "hw4.verdict": [
        (lambda t, o, m: RIGHT["hw4.verdict"]((t[0], t[0], t[0]), o, m), "difference alone"),
        (
            lambda t, o, m: RIGHT["hw4.verdict"](t, {k: (0, x[0], 0) for k, x in o.items()}, m),
            "yours looks at the difference",
        ),
        (lambda t, o, m: "repaired" if t[1] > 0 else "not repaired", "never looks at the others"),
        (
            lambda t, o, m: RIGHT["hw4.verdict"](t, {"all": np.mean(list(o.values()), axis=0)}, m),
            "makes up for a bad one",
        ),
        (lambda t, o, m: RIGHT["hw4.verdict"](t, dict(list(o.items())[:1]), m), "one of them"),
        (lambda t, o, m: RIGHT["hw4.verdict"](t, o, -m), "asks for a gain"),
        (
            lambda t, o, m: (
                "broken"
                if any(x[1] <= -m for x in o.values())
                else "repaired"
                if t[1] > 0
                else "not repaired"
            ),
            "whatever else happened",
        ),
        (lambda t, o, m: RIGHT["hw4.verdict"]((0, 1, 1), o, m), "never asks"),
        (
            lambda t, o, m: RIGHT["hw4.verdict"](t, {k: (0, x[2], 0) for k, x in o.items()}, m),
            "upper end",
        ),
        (lambda t, o, m: RIGHT["hw4.verdict"](t, o, 1e-9), "accepts none"),
    ],
}


def told(nats):
    other = ~torch.eye(len(nats)).bool()
    return torch.stack([nats[other[:, j], j].mean() - nats[j, j] for j in range(len(nats))])


def recall(images, texts, owner, k):
    order = (texts @ images.T).argsort(1, descending=True)[:, :k]
    return float(np.mean([o in row for o, row in zip(owner.tolist(), order.tolist())]))


def coin(wins, losses, sides=2):
    n, k = wins + losses, min(wins, losses)
    return sides * sum(math.comb(n, i) for i in range(k + 1)) / 2**n


def ridge(x, y, strength):
    return torch.linalg.inv(x.T @ x + strength * torch.eye(x.shape[1])) @ x.T @ y


def wise(before, after, share):
    return {name: torch.lerp(before[name], after[name], share) for name in before}


def by_group(right, groups):
    return [
        np.mean([r for r, g in zip(right.tolist(), groups.tolist()) if g == k])
        for k in set(groups.tolist())
    ]


def lowest(captions):
    return float(np.mean([math.log(captions.count(c)) for c in captions]))


def drawn_again(first, second, seed, apart=False, ends=(2.5, 97.5), draws=1500):
    rng, n = np.random.default_rng(seed), len(first)
    rows, others = rng.integers(n, size=(2, draws, n))
    found = first[rows].mean(1) - second[others if apart else rows].mean(1)
    return (first.mean() - second.mean(), *np.percentile(found, ends))


def of_a_block(N, D, attention=1.0, mlp=1.0, each=2):
    maps, looks, inside = 4 * N * D**2, 2 * N**2 * D, 8 * N * D**2
    return each * (maps + attention * looks + mlp * inside)


def seeds(a, b, arm=None, of=lambda d: d.std(ddof=1) / math.sqrt(len(d))):
    d, t = a - b, {3: 4.303, 5: 2.776, 8: 2.365}
    arm = t[len(a)] if arm is None else arm
    return d.mean(), d.mean() - arm * of(d), d.mean() + arm * of(d)


def shared(x, c, share=True, mean=True):
    hot = [[1.0 / (c.count(a) if share else 1) if a == b else 0.0 for b in c] for a in c]
    both = [F.cross_entropy(y, torch.tensor(hot), reduction="none") for y in (x, x.T)]
    return (sum(both) / 2).mean().item() if mean else sum(both).mean().item()


def lucky(p, k, n, seed, best=lambda x: x.max(axis=1), over=np.mean, draws=2000):
    return float(over(best(np.random.default_rng(seed).binomial(n, p, (draws, k)) / n)))


def two_parts(right, near):
    return [float(np.mean(right.numpy()[some])) for some in (near.numpy(), ~near.numpy())]


RIGHT |= {
    "hw5.interval": drawn_again,
    "hw6.block_operations": of_a_block,
    "hw6.ahead": seeds,
    "01.lowest_loss": lowest,
    "01.shared_loss": shared,
    "04.expected_best": lucky,
    "02.causal_mask": lambda T: torch.tensor([[j <= i for j in range(T)] for i in range(T)]),
    "02.found": lambda i, t: float(np.mean([(row @ t.T).argmax() == k for k, row in enumerate(i)])),
    "03.recall": recall,
    "03.gap": lambda i, t: float(np.linalg.norm(i.numpy().mean(0) - t.numpy().mean(0))),
    "04.mcnemar": lambda wins, losses: min(coin(wins, losses), 1),
    "05.ridge": ridge,
    "05.wise": wise,
    "06.told": told,
    "07.worst_group": lambda right, groups: float(min(by_group(right, groups))),
    "08.by_overlap": lambda r, c, t: two_parts(r, c >= t),
}
WRONG |= {
    "hw5.interval": [
        (lambda f, s, seed: drawn_again(s, f, seed), "other way round"),
        (lambda f, s, seed: 100 * IJ(drawn_again(f, s, seed)), "not percent"),
        (lambda f, s, seed: drawn_again(f, s, seed, apart=True), "drawn together"),
        (lambda f, s, seed: drawn_again(f, s, seed, ends=(5, 95)), "yours are 5 and 95"),
        (lambda f, s, seed: drawn_again(f, s, seed, ends=(16, 84)), "yours are 16 and 84"),
        (lambda f, s, seed: drawn_again(f, s, seed, ends=(97.5, 2.5)), "lower end comes before"),
        (
            lambda f, s, seed, calls=itertools.count(): (
                IJ(drawn_again(f, s, seed)) + IJ([0, next(calls) * 1e-4, 0])
            ),
            "the second time",
        ),
        (lambda f, s, seed: drawn_again(f, s, seed)[0], "three numbers"),
        (lambda f, s, seed: (0.5, *drawn_again(f, s, seed)[1:]), "expected a difference"),
        (lambda f, s, seed: (f.mean() - s.mean(), -1, 1), "not of the pictures"),
    ],
    "hw6.block_operations": [
        (lambda N, D: of_a_block(N, D, each=1), "counts twice"),
        (lambda N, D: of_a_block(N, D, mlp=0.25), "there are 4 D numbers"),
        (lambda N, D: of_a_block(N, D, mlp=0.5), "two linear maps"),
        (lambda N, D: of_a_block(N, D, attention=0), "scores and the mixing"),
        (lambda N, D: of_a_block(N, D, attention=0.5), "two products of N x N"),
        (lambda N, D: of_a_block(N, D) - 2 * N * D**2, "behind the mixing"),
        (lambda N, D: of_a_block(N, D) - 6 * N * D**2, "three linear maps"),
        (lambda N, D: of_a_block(D, N), "exchanged"),
        (lambda N, D: 3 * of_a_block(N, D), "forward alone"),
        (lambda N, D: of_a_block(N, D) + N, "add up the products"),
    ],
    "hw6.ahead": [
        (lambda a, b: seeds(a, b, 1.96), "for many"),
        (lambda a, b: seeds(a, b, of=lambda d: d.std() / math.sqrt(len(d))), "ddof=1"),
        (
            lambda a, b: seeds(
                a, b, of=lambda d: math.sqrt((a.var(ddof=1) + b.var(ddof=1)) / len(d))
            ),
            "independent",
        ),
        (lambda a, b: seeds(a, b, of=lambda d: d.std(ddof=1)), "yours is not divided"),
        (lambda a, b: seeds(a, b, of=lambda d: d.std(ddof=1) / len(d)), "divided by n"),
        (lambda a, b: seeds(b, a), "other way round"),
        (lambda a, b: seeds(a, b)[0], "difference alone"),
        (lambda a, b: 100 * IJ(seeds(a, b)), "not percent"),
        (lambda a, b: seeds(a, b, {3: 12.706, 5: 3.182, 8: 2.447}[len(a)]), "one fewer"),
        (lambda a, b: a - b, "differences of the seeds"),
    ],
    "01.lowest_loss": [
        (lambda c: math.log(len(c)), "a guesser pays"),
        (lambda c: lowest(c) * len(c), "sum over the pairs"),
        (lambda c: lowest(c) / math.log(2), "costs log k"),
        (lambda c: float(np.mean([1 - 1 / c.count(x) for x in c])), "costs log k"),
        (lambda c: math.log(len(c) / len(set(c))), "expected"),
        (lambda c: [math.log(c.count(x)) for x in c], "shape|number"),
    ],
    "01.shared_loss": [
        (lambda x, c: shared(x, [str(k) for k in range(len(c))]), "InfoNCE as before"),
        (lambda x, c: shared(x, c, share=False), "sum to 1"),
        (lambda x, c: shared(x, c, mean=False), "not their sum"),
        (lambda x, c: shared(x, c) * len(c), "not the sum"),
        (
            lambda x, c: F.cross_entropy(
                x, torch.tensor([[(a == b) / c.count(a) for b in c] for a in c])
            ),
            "both ways",
        ),
        (
            lambda x, c: (
                -sum(
                    (y.softmax(1) * torch.tensor([[a == b for b in c] for a in c])).sum(1).log()
                    for y in (x, x.T)
                ).mean()
                / 2
            ),
            "log of a sum",
        ),
        (lambda x, c: shared(-x, c), "first row"),
    ],
    "04.expected_best": [
        (lambda p, k, n, seed: lucky(p, k, n, seed, lambda x: x.mean(axis=1)), "how good they are"),
        (lambda p, k, n, seed: lucky(p, k, n, seed, lambda x: x.min(axis=1)), "the worst of them"),
        (lambda p, k, n, seed: lucky(p, k, n, seed, over=np.max), "then the mean"),
        (lambda p, k, n, seed: 100 * lucky(p, k, n, seed), "not percent"),
        (lambda p, k, n, seed: n * lucky(p, k, n, seed), "not a number of pictures"),
        (lambda p, k, n, seed: lucky(p, max(1, k // 4), n, seed), "luck of its own"),
        (lambda p, k, n, seed: lucky(p, k, n, None), "the second time"),
        (lambda p, k, n, seed: lucky(p, k, n, seed) + 0.012, "more often"),
        (lambda p, k, n, seed: [lucky(p, k, n, seed)] * 2, "one number"),
    ],
    "02.causal_mask": [
        (lambda T: torch.ones(T, T).tril(-1).bool(), "look at itself"),
        (lambda T: torch.ones(T, T).triu().bool(), "what comes behind them"),
        (lambda T: torch.ones(T, T).triu(1).bool(), "what comes behind them|other way round"),
        (lambda T: ~torch.ones(T, T).tril().bool(), "other way round|what comes behind"),
        (lambda T: torch.ones(T, T).bool(), "expected"),
        (lambda T: torch.ones(T + 1, T + 1).tril().bool(), "shape"),
    ],
    "02.found": [
        (lambda i, t: ((i @ t.T).argmax(0) == IN(len(i))).float().mean().item(), "texts find"),
        (lambda i, t: ((i @ t.T).argmin(1) == IN(len(i))).float().mean().item(), "largest cosine"),
        (lambda i, t: ((i @ t.T).argmax(1) == IN(len(i))).sum().item(), "divide by the number"),
        (lambda i, t: 100 * ((i @ t.T).argmax(1) == IN(len(i))).float().mean().item(), "expected"),
        (lambda i, t: (i * t).sum(1).mean().item(), "expected"),
        (lambda i, t: ((i @ t.T).argmax(1) == IN(len(i))).float(), "shape|number"),
    ],
    "03.recall": [
        (
            lambda i, t, o, k: float(
                np.mean([n in o[r] for n, r in enumerate((i @ t.T).argsort(1).flip(1)[:, :k])])
            ),
            "let pictures look for texts",
        ),
        (
            lambda i, t, o, k: (
                ((t @ i.T).argsort(1, descending=True)[:, k - 1] == o).float().mean().item()
            ),
            "not only the k-th",
        ),
        (lambda i, t, o, k: recall(i, -t, o, k), "largest"),
        (lambda i, t, o, k: recall(i, t, o, k) * len(t), "expected"),
        (lambda i, t, o, k: recall(i, t, o, 1), "expected"),
        (lambda i, t, o, k: [recall(i, t, o, k)] * 2, "shape|number"),
    ],
    "03.gap": [
        (lambda i, t: (i - t).norm(dim=1).mean().item(), "mean of the distances"),
        (lambda i, t: (i.mean(0) - t.mean(0)).pow(2).sum().item(), "not squared"),
        (lambda i, t: (i.mean(1) - t.mean(1)).norm().item(), "over the rows"),
        (lambda i, t: (i.mean() - t.mean()).abs().item(), "expected"),
        (lambda i, t: i.mean(0) - t.mean(0), "shape|number"),
        (lambda i, t: (i.mean(0) @ t.mean(0)).item(), "expected"),
    ],
    "04.mcnemar": [
        (lambda w, l: coin(w, l, 1), "either"),
        (lambda w, l: coin(w, l), "no more often than always"),
        (lambda w, l: 2 * math.comb(w + l, w) / 2 ** (w + l), "exactly so"),
        (lambda w, l: 1 - min(coin(w, l), 1), "expected"),
        (lambda w, l: w / (w + l), "expected"),
        (lambda w, l: str(coin(w, l)), "number|expected"),
    ],
    "05.ridge": [
        (lambda x, y, s: torch.linalg.pinv(x) @ y, "penalty is not in it"),
        (lambda x, y, s: torch.linalg.pinv(x.T @ x + s) @ x.T @ y, "on the diagonal"),
        (lambda x, y, s: ridge(x, y, s * s), "not squared"),
        (lambda x, y, s: ridge(x, y, s).T, "shape|expected"),
        (lambda x, y, s: ridge(x, y, len(x) * s), "expected"),
        (lambda x, y, s: x @ ridge(x, y, s), "shape|expected"),
    ],
    "05.wise": [
        (lambda a, b, share: wise(b, a, share), "turned round"),
        (lambda a, b, share: {k: a[k] + share * b[k] for k in a}, "without taking it away"),
        (lambda a, b, share: wise(a, b, 0.5), "not every share"),
        (lambda a, b, share: list(wise(a, b, share).values()), "expected|dict"),
        (lambda a, b, share: {k: wise(a, b, share)[k] for k in ["bias"]}, "expected|weight"),
        (lambda a, b, share: {k: v.sum() for k, v in wise(a, b, share).items()}, "shape|expected"),
    ],
    "06.told": [
        (lambda n: n.mean(0) - n.diagonal(), r"the \*other\*|other"),
        (lambda n: told(n.T), "along its row"),
        (lambda n: -told(n), "count as positive"),
        (lambda n: told(n).mean(), "shape"),
        (lambda n: n.diagonal(), "expected"),
        (lambda n: told(n) / n.diagonal(), "expected"),
    ],
    "07.worst_group": [
        (lambda r, g: r.float().mean().item(), "all pictures together"),
        (lambda r, g: float(np.mean(by_group(r, g))), "mean over the groups"),
        (lambda r, g: float(max(by_group(r, g))), "best group"),
        (lambda r, g: by_group(r, g), "shape|number"),
        (lambda r, g: 1 - float(min(by_group(r, g))), "expected"),
        (lambda r, g: int(np.argmin(by_group(r, g))), "expected"),
    ],
    "08.by_overlap": [
        (lambda r, c, t: two_parts(r, c >= t)[::-1], "other way round"),
        (lambda r, c, t: two_parts(r, c > t), "just the threshold"),
        (lambda r, c, t: [(r & s).float().mean().item() for s in (c >= t, c < t)], "not by all"),
        (lambda r, c, t: r.float().mean().item(), "expected|two|tuple"),
        (lambda r, c, t: two_parts(r, c >= t)[:1], "expected|two"),
        (lambda r, c, t: two_parts(~r, c >= t), "expected"),
    ],
}


@pytest.mark.parametrize("secret", range(1, 9))
def test_a_bootstrap_of_a_thousand_draws_is_accepted_whatever_the_pictures(monkeypatch, secret):
    """An interval by chance numbers is never quite that of the check."""
    monkeypatch.setattr(cases, "SECRET", secret)
    given = lambda first, second, seed: drawn_again(first, second, secret, draws=1000)
    assert judge("hw5.interval", given).right


def test_every_check_is_tried_with_six_mistakes_or_more():
    assert RIGHT.keys() == WRONG.keys() == CHECKS.keys()
    assert all(len(variants) >= 6 for variants in WRONG.values())


@pytest.mark.parametrize("name", CHECKS)
def test_a_right_function_passes(capsys, name):
    assert check(name, RIGHT[name]) is True
    assert capsys.readouterr().out.startswith(f"✓  {name}: ")


@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # one of the variants divides by zero
@pytest.mark.parametrize(
    "name, number", [(name, number) for name in WRONG for number in range(len(WRONG[name]))]
)
def test_a_mistake_gets_its_hint(capsys, name, number):
    wrong, words = WRONG[name][number]
    assert check(name, wrong) is False
    said = capsys.readouterr().out
    assert said.startswith(f"✗  {name}: ") and said.count("\n") == 1
    assert any(word in said for word in words.split("|")), said


@pytest.mark.parametrize("name", [name for name in CHECKS if CHECKS[name].right])
def test_no_two_mistakes_look_the_same(name):
    """Each wrong function that a check knows is told by its own hint: the hidden cases tell it
    from the right one and from the others."""
    for hint, functions in CHECKS[name].mistakes.items():
        for function in functions:
            verdict = judge(name, function)
            assert not verdict.right and hint in verdict.sentence, verdict


def endless(*arguments):
    while True:
        pass


def not_written(*arguments):
    raise NotImplementedError()


def leaves(*arguments):
    raise SystemExit


@pytest.mark.parametrize("name", CHECKS)
@pytest.mark.parametrize(
    "function, words",
    [
        (lambda *a: 1 / 0, "raised ZeroDivisionError: division by zero"),
        (not_written, "not written yet"),
        (leaves, "raised SystemExit"),
        (lambda *a: None, "None"),
        (lambda: 0, "takes"),
        (7, "the function itself"),
        (lambda *a: object(), "something else|expected|in this order"),
        (lambda *a: float("nan"), "nan|expected|in this order"),
        (lambda *a: torch.full((3, 2, 1), math.nan), "shape|expected|in this order"),
    ],
)
def test_whatever_a_function_does_ends_in_a_sentence(name, function, words):
    verdict = judge(name, function)
    assert not verdict.right and any(word in verdict.sentence for word in words.split("|")), verdict


@pytest.mark.parametrize("name", CHECKS)
def test_a_function_that_never_ends_is_told_and_stopped(name):
    before, start = threading.active_count(), time.perf_counter()
    verdict = judge(name, endless, seconds=0.1)
    assert (
        "had not answered after 0.1 seconds" in verdict.sentence and time.perf_counter() - start < 5
    )
    assert threading.active_count() == before  # it takes no more time


def test_it_works_away_from_the_main_thread():
    found = []
    thread = threading.Thread(
        target=lambda: found.append(judge("hw1.cosines", endless, seconds=0.1))
    )
    thread.start()
    thread.join()
    assert "had not answered" in found[0].sentence


def test_the_line_that_raised_is_shown():
    def cosines(images, texts):
        return images @ texts

    said = judge("hw1.cosines", lambda images, texts: cosines(images, texts[:, :1])).sentence
    assert "RuntimeError" in said and "return images @ texts" in said


@pytest.mark.parametrize(
    "right",
    [
        lambda i, t: cos(i, t).numpy(),
        lambda i, t: cos(i, t).tolist(),
        lambda i, t: cos(i, t).double(),
        lambda i, t: cos(i, t).requires_grad_(),
    ],
)
def test_tensors_arrays_and_lists_are_all_welcome(right):
    assert judge("hw1.cosines", right).right


def test_nan_and_shapes_are_told_where_the_rest_is_right():
    assert (
        "(4,) in the place of (3, 4)"
        in judge("hw1.cosines", lambda i, t: cos(i, t)[0] if len(i) == 3 else cos(i, t)).sentence
    )
    assert (
        "division by zero"
        in judge("hw1.info_nce", lambda i, t, tau: nce(cos(i, t) / tau) * math.nan).sentence
    )


def test_an_unknown_check_is_refused():
    with pytest.raises(ValueError, match="there is no check 'hw9.x'; there are hw1.cosines"):
        check("hw9.x", cos)
    assert homework.check is check
