"""The checks of the exercises in notebooks that ask for code."""

from __future__ import annotations

import math

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from miniclip.course.checks.cases import random_numbers, unit_vectors
from miniclip.course.checks.judging import Check, Feedback, as_plain, describe


def _mask(T: int, diagonal: int = 0) -> Tensor:
    return torch.ones(T, T, dtype=torch.bool).tril(diagonal)


def _share(images: Tensor, texts: Tensor, dim: int = 1, largest: bool = True) -> float:
    """How often the nearest of the other side is the own one."""
    cosines = images @ texts.T
    chosen = cosines.argmax(dim) if largest else cosines.argmin(dim)
    return (chosen == torch.arange(len(images))).float().mean().item()


def _pairs() -> dict[str, tuple]:
    """Pairs of which some are found: by pictures and by texts not the same number."""
    small = unit_vectors(torch.tensor([[1.0, 0.0], [1.0, 0.2], [0.0, 1.0]]))
    texts = unit_vectors(torch.tensor([[1.0, -0.1], [1.0, 3.0], [0.4, 1.0]]))
    cases = {"three pairs": (small, texts)}
    for seed in range(3):
        x = random_numbers(12, 4, seed=seed)
        y = x + 0.8 * random_numbers(12, 4, seed=seed + 10)
        cases[f"12 pairs, number {seed + 1}"] = (unit_vectors(x), unit_vectors(y))
    return cases


def _told(nats: Tensor, keep_own: bool = False, dim: int = 0) -> Tensor:
    """What its own picture tells of each caption: the mean loss with other pictures, minus that
    with its own."""
    others = nats.sum(dim) if keep_own else nats.sum(dim) - nats.diagonal()
    return others / (len(nats) if keep_own else len(nats) - 1) - nats.diagonal()


def _losses() -> dict[str, tuple]:
    """Matrices of losses: rows are pictures, columns are captions."""
    cases = {"two captions": (torch.tensor([[1.0, 6.0], [4.0, 3.0]]),)}
    for B in (3, 6):
        cases[f"{B} captions"] = (20 + 3 * random_numbers(B, B, seed=B) - 8 * torch.eye(B),)
    return cases


def _lowest(captions: list[str], value=lambda equal: math.log(equal), mean: bool = True) -> float:
    """The mean over pairs of `value` of how many pairs have the same caption."""
    values = [value(captions.count(caption)) for caption in captions]
    return sum(values) / (len(values) if mean else 1)


def _shared(
    logits: Tensor,
    captions: list[str],
    divided: bool = True,
    ways: tuple[float, float] = (0.5, 0.5),
) -> float:
    """InfoNCE whose targets are shared evenly among pairs with the same caption; `ways` weighs rows
    and columns."""
    same = torch.tensor([[float(one == other) for other in captions] for one in captions])
    targets = same / same.sum(1, keepdim=True) if divided else same
    rows, columns = (-(targets * x.log_softmax(1)).sum(1).mean() for x in (logits, logits.T))
    return (ways[0] * rows + ways[1] * columns).item()


def _any_of_them(logits: Tensor, captions: list[str]) -> float:
    """The loss of a model that may choose any of the equal captions."""
    same = torch.tensor([[one == other for other in captions] for one in captions])
    chosen = [(x.softmax(1) * same).sum(1).log().mean() for x in (logits, logits.T)]
    return -(sum(chosen) / 2).item()


def _left_out(logits: Tensor, captions: list[str]) -> float:
    """InfoNCE in which equal captions are no rivals."""
    others = torch.tensor([[one == other for other in captions] for one in captions])
    others.fill_diagonal_(False)
    right = torch.arange(len(logits))
    ways = (logits, logits.T)
    return sum(F.cross_entropy(x.masked_fill(others, -1e9), right) for x in ways).item() / 2


def _batches() -> dict[str, tuple]:
    """Logits and captions of which some are equal."""
    cases = {
        "three pairs, two with one caption": (
            torch.tensor([[2.0, 1.0, 0.0], [0.0, 1.0, 0.5], [1.0, 0.0, 3.0]]),
            ["a dog", "a dog", "a bus"],
        )
    }
    for B, words in ((4, "abac"), (6, "abcabb"), (3, "abc")):
        cases[f"{B} pairs"] = (2 * random_numbers(B, B, seed=B), [f"a {word}" for word in words])
    return cases


def _expected_best(accuracy: float, prompts: int, pictures: int) -> float:
    """The mean of the best measured accuracy of so many prompts that are all as good: the best is
    at most x if all of them are."""
    hits = np.arange(pictures + 1)
    choices = np.array([math.comb(pictures, int(k)) for k in hits], float)
    at_most = (choices * accuracy**hits * (1 - accuracy) ** (pictures - hits)).cumsum()
    return float((1 - at_most[:-1] ** prompts).sum() / pictures)


def _look_at_best(call) -> None:
    """Judge a mean of chance numbers: near the right one, and the same for the same seed."""
    for accuracy, prompts, pictures in ((0.6, 20, 50), (0.6, 1, 50), (0.7, 80, 200)):
        form = f"for accuracy = {accuracy}, prompts = {prompts}, pictures = {pictures}, seed = 0:"
        given = call(accuracy, prompts, pictures, 0)
        value, right = as_plain(given), _expected_best(accuracy, prompts, pictures)
        if not isinstance(value, np.ndarray) or value.shape != ():
            raise Feedback(f"{form} expected one number, yours gives {describe(given)[:60]}.")
        value = float(value)
        if not abs(value - right) <= 0.008:  # NaN is no answer either
            hint = _hint_of_best(value, right, accuracy, pictures)
            raise Feedback(f"{form} expected about {right:.3f}, yours gives {value:.3f}. {hint}")
        if abs(float(call(accuracy, prompts, pictures, 0)) - value) > 1e-12:
            raise Feedback(f"{form} the same seed gives another number the second time.")


def _hint_of_best(value: float, right: float, accuracy: float, pictures: int) -> str:
    """The usual mistake that comes out near a wrong value."""
    if abs(value - right) < 0.02:
        return "Hint: that is close; repeat it more often, 2,000 times or so."
    if value > 1.5:
        near = abs(value - pictures * right) < 0.02 * pictures
        return "Hint: give a share" + (", not a number of pictures." if near else ", not percent.")
    if abs(value - accuracy) < 0.005:
        return "Hint: that is how good they are; which of them would you have reported?"
    if value < accuracy:
        return "Hint: that looks like the worst of them."
    if not value < right:
        return "Hint: the best of the prompts, in each repetition; then the mean of these."
    return "Hint: are all prompts asked, each with luck of its own, in each repetition?"


def _recall(images: Tensor, texts: Tensor, owner: Tensor, k: int, skip: int = 0) -> float:
    """How often a text's own picture is among the k nearest, leaving out the first `skip`."""
    nearest = (texts @ images.T).topk(k + skip, dim=1).indices[:, skip:]
    return (nearest == owner[:, None]).any(dim=1).float().mean().item()


def _by_picture(images: Tensor, texts: Tensor, owner: Tensor, k: int) -> float:
    """Retrieval the other way round: pictures look for one of their own texts."""
    nearest = owner[(images @ texts.T).topk(k, dim=1).indices]  # (n, k)
    own = torch.arange(len(images))[:, None]
    return (nearest == own).any(dim=1).float().mean().item()


def _album() -> dict[str, tuple]:
    """Pictures with two texts each, some of which find their own."""
    cases = {}
    for n, k in ((5, 1), (8, 3), (12, 5)):
        x = random_numbers(n, 4, seed=n)
        owner = torch.arange(n).repeat_interleave(2)
        y = x[owner] + 1.1 * random_numbers(2 * n, 4, seed=n + 1)
        cases[f"{n} pictures, k = {k}"] = (unit_vectors(x), unit_vectors(y), owner, k)
    return cases


def _gap(images: Tensor, texts: Tensor) -> float:
    return (images.mean(0) - texts.mean(0)).norm().item()


def _tail(wins: int, losses: int, start: int = 0) -> float:
    """How often a fair coin gives from `start` to min(wins, losses) of one side."""
    n, fewer = wins + losses, min(wins, losses)
    return sum(math.comb(n, k) for k in range(start, fewer + 1)) / 2**n


def _mcnemar(wins: int, losses: int) -> float:
    return min(1.0, 2 * _tail(wins, losses))


def _ridge(x: Tensor, y: Tensor, strength: float) -> Tensor:
    return torch.linalg.solve(x.T @ x + strength * torch.eye(x.shape[1]), x.T @ y)


def _regressions() -> dict[str, tuple]:
    """Features and targets; in one case fewer rows than columns."""
    cases = {"two features": (torch.tensor([[1.0, 0.0], [0.0, 2.0]]), torch.eye(2), 1.0)}
    for n, D, C, strength in ((12, 4, 3, 0.5), (3, 6, 2, 2.0)):
        x, y = random_numbers(n, D, seed=n), random_numbers(n, C, seed=n + 1)
        cases[f"{n} pictures, {D} features, {C} classes"] = (x, y, strength)
    return cases


def _between(before: dict, after: dict, share: float) -> dict:
    return {name: (1 - share) * before[name] + share * after[name] for name in before}


def _weights() -> dict[str, tuple]:
    """Two models, as the weights by their names."""

    def model(seed: int) -> dict[str, Tensor]:
        shapes = {"weight": (3, 2), "bias": (3,)}
        return {
            name: random_numbers(*shape, seed=seed + row)
            for row, (name, shape) in enumerate(shapes.items())
        }

    return {f"a share of {share}": (model(1), model(5), share) for share in (0.25, 0.0, 1.0, 0.6)}


def _shares(right: Tensor, groups: Tensor) -> list[float]:
    """How often each group is right."""
    return [right[groups == group].float().mean().item() for group in groups.unique()]


def _worst(right: Tensor, groups: Tensor) -> float:
    return min(_shares(right, groups))


def _grouped() -> dict[str, tuple]:
    """Right answers in groups of different sizes."""
    cases = {
        "a large and a small group": (
            torch.tensor([True, True, True, False, True, False, False]),
            torch.tensor([0, 0, 0, 0, 0, 7, 7]),
        )
    }
    for seed in (1, 2, 3):
        groups = (4 * random_numbers(60, seed=seed).abs()).long().clamp(max=4)
        right = random_numbers(60, seed=seed + 10) > 0.3 * groups - 0.8
        cases[f"60 pictures, number {seed}"] = (right, groups)
    return cases


def _by_overlap(right: Tensor, cosines: Tensor, threshold: float) -> tuple[float, float]:
    """The accuracy on pictures that have a neighbour in the training, and on the others."""
    near = cosines >= threshold
    return right[near].float().mean().item(), right[~near].float().mean().item()


def _neighbours() -> dict[str, tuple]:
    """Which pictures are right, and the cosine of each with its nearest in the training."""
    cases = {
        "six pictures, one just at the threshold": (
            torch.tensor([True, False, True, True, False, False]),
            torch.tensor([0.5, 0.9, 0.9, 0.75, 0.25, 0.5]),
            0.75,
        )
    }
    for n, threshold in ((20, 0.6), (50, 0.8)):
        cosines = random_numbers(n, seed=n).sigmoid()
        right = (cosines + random_numbers(n, seed=n + 1)) > 0.6
        cases[f"{n} pictures, a threshold of {threshold}"] = (right, cosines, threshold)
    return cases


NOTEBOOKS = {
    "01.lowest_loss": Check(
        form="lowest_loss(captions)",
        gives="the lowest InfoNCE loss that any model can reach on such a batch, in nats",
        right=_lowest,
        cases=lambda: {
            "two of six alike": (["a dog", "a cat", "a dog", "a bus", "a fox", "an owl"],),
            "all different": (["a dog", "a cat", "a bus"],),
            "all alike": (["a dog"] * 4,),
            "two and three alike": (["a cat", "a fox", "a fox", "a cat", "a fox", "a bus"],),
        },
        mistakes={
            "a guesser pays log B; a model can at least tell different captions apart": [
                lambda captions: math.log(len(captions))
            ],
            "that is the sum over the pairs; the loss is their mean": [
                lambda captions: _lowest(captions, mean=False)
            ],
            "among k equal captions its own has a probability of 1/k: that costs log k": [
                lambda captions: _lowest(captions, lambda equal: math.log2(equal)),
                lambda captions: _lowest(captions, lambda equal: 1 - 1 / equal),
                lambda captions: _lowest(captions, lambda equal: equal - 1),
            ],
        },
    ),
    "01.shared_loss": Check(
        form="shared_loss(logits, captions)",
        gives="InfoNCE, both ways, with the target shared evenly among equal captions",
        right=_shared,
        cases=_batches,
        mistakes={
            "that is InfoNCE as before: each caption is right for its own picture alone": [
                lambda logits, captions: _shared(logits, list(range(len(logits))))
            ],
            "the targets of a row have to sum to 1: among k equal captions each has 1/k": [
                lambda logits, captions: _shared(logits, captions, divided=False)
            ],
            "both ways: from pictures to captions, and from captions to pictures": [
                lambda logits, captions: _shared(logits, captions, ways=(1, 0)),
                lambda logits, captions: _shared(logits, captions, ways=(0, 1)),
            ],
            "the mean of the two ways, not their sum": [
                lambda logits, captions: _shared(logits, captions, ways=(1, 1))
            ],
            "that lets a picture choose any of its captions (the log of a sum); asked for is the "
            "target shared among them": [_any_of_them],
            "you leave equal captions out of the row; they are right answers, not missing ones": [
                _left_out
            ],
            "the mean over the pairs, not the sum": [
                lambda logits, captions: len(logits) * _shared(logits, captions)
            ],
        },
        hint="write down the targets of the first row: two of three are 1/2",
    ),
    "02.causal_mask": Check(
        form="causal_mask(T)",
        gives="a bool tensor (T, T), True where the row's token may look at the column's",
        right=_mask,
        cases=lambda: {f"T = {T}": (T,) for T in (2, 1, 5)},
        mistakes={
            "a piece may look at itself, too": [lambda T: _mask(T, -1)],
            "your rows look at what comes behind them; they may look at what comes before": [
                lambda T: _mask(T).T
            ],
            "True is where a piece may look, and yours is the other way round": [
                lambda T: ~_mask(T)
            ],
        },
    ),
    "02.found": Check(
        form="found(images, texts)",
        gives="the share of pictures whose nearest text is their own, a number from 0 to 1",
        right=_share,
        cases=_pairs,
        mistakes={
            "you let texts find pictures; here each picture chooses among the texts": [
                lambda images, texts: _share(images, texts, 0)
            ],
            "the nearest text is the one with the largest cosine": [
                lambda images, texts: _share(images, texts, 1, False)
            ],
            "that is how many; divide by the number of pictures": [
                lambda images, texts: _share(images, texts) * len(images)
            ],
        },
    ),
    "03.recall": Check(
        form="recall(images, texts, owner, k)",
        gives="the share of texts whose own picture is among the k nearest, from 0 to 1",
        right=_recall,
        cases=_album,
        mistakes={
            "you let pictures look for texts; here each text looks for its picture": [_by_picture],
            "among the k nearest, not only the k-th": [
                lambda images, texts, owner, k: _recall(images, texts, owner, 1, k - 1)
            ],
            "the nearest have the *largest* cosines": [
                lambda images, texts, owner, k: _recall(images, -texts, owner, k)
            ],
        },
    ),
    "03.gap": Check(
        form="gap(images, texts)",
        gives="the distance between the mean picture vector and the mean text vector",
        right=_gap,
        cases=lambda: {
            f"{n} pairs": (
                unit_vectors(random_numbers(n, 4, seed=n) + 0.5),
                unit_vectors(random_numbers(n, 4, seed=n + 1) - 0.3),
            )
            for n in (2, 7, 30)
        },
        mistakes={
            "the distance of the means is asked for, not the mean of the distances": [
                lambda images, texts: (images - texts).norm(dim=1).mean().item()
            ],
            "a distance is not squared": [lambda images, texts: _gap(images, texts) ** 2],
            "take the mean over the rows, for each of the numbers of a vector": [
                lambda images, texts: (images.mean(1) - texts.mean(1)).norm().item()
            ],
        },
    ),
    "04.mcnemar": Check(
        form="mcnemar(wins, losses)",
        gives="how often a fair coin falls at least so unevenly, a number from 0 to 1",
        right=_mcnemar,
        cases=lambda: {
            f"{wins} wins, {losses} losses": (wins, losses)
            for wins, losses in ((3, 1), (1, 9), (12, 12), (20, 7))
        },
        mistakes={
            "to *either* side: count the other tail, too": [_tail],
            "no more often than always: where both tails overlap, the answer is 1": [
                lambda wins, losses: 2 * _tail(wins, losses)
            ],
            "at least so unevenly: you count exactly so": [
                lambda wins, losses: 2 * _tail(wins, losses, min(wins, losses))
            ],
        },
    ),
    "04.expected_best": Check(
        form="expected_best(accuracy, prompts, pictures, seed)",
        gives="the mean over repetitions of the best accuracy that was measured, from 0 to 1",
        look=_look_at_best,
    ),
    "05.ridge": Check(
        form="ridge(x, y, strength)",
        gives="the weights (D, C) that minimise |x W - y|^2 + strength |W|^2",
        right=_ridge,
        cases=_regressions,
        mistakes={
            "the penalty is not in it: add strength times the unit matrix (D, D)": [
                lambda x, y, strength: torch.linalg.pinv(x.T @ x) @ x.T @ y
            ],
            "strength belongs on the diagonal alone; you added it everywhere": [
                lambda x, y, strength: torch.linalg.pinv(x.T @ x + strength) @ x.T @ y
            ],
            "the penalty's strength is used as it is, not squared": [
                lambda x, y, strength: _ridge(x, y, strength**2)
            ],
        },
    ),
    "05.wise": Check(
        form="wise(before, after, share)",
        gives="a dict of the same names: weights that are the given share of the way to `after`",
        right=_between,
        cases=_weights,
        mistakes={
            "a share of 0 is the model before, and of 1 the model after; yours is turned round": [
                lambda before, after, share: _between(after, before, share)
            ],
            "you add the share of `after` without taking it away from `before`": [
                lambda before, after, share: {
                    name: before[name] + share * after[name] for name in before
                }
            ],
            "not every share is a half": [
                lambda before, after, share: _between(before, after, 0.5)
            ],
        },
    ),
    "06.told": Check(
        form="told(nats)",
        gives="(B,), the nats that each caption's own picture saves, compared with other pictures",
        right=_told,
        cases=_losses,
        mistakes={
            "the mean is over the *other* pictures; leave out the caption's own": [
                lambda nats: _told(nats, keep_own=True)
            ],
            "a column is a caption; you took the mean along its row": [
                lambda nats: _told(nats, dim=1)
            ],
            "a picture that helps makes the loss smaller, and should count as positive": [
                lambda nats: -_told(nats)
            ],
        },
    ),
    "07.worst_group": Check(
        form="worst_group(right, groups)",
        gives="the accuracy of the group that is right least often, a number from 0 to 1",
        right=_worst,
        cases=_grouped,
        mistakes={
            "that is the accuracy of all pictures together": [
                lambda right, groups: right.float().mean().item()
            ],
            "that is the mean over the groups; the lowest is asked for": [
                lambda right, groups: sum(_shares(right, groups)) / len(_shares(right, groups))
            ],
            "that is the best group; the worst is asked for": [
                lambda right, groups: max(_shares(right, groups))
            ],
        },
    ),
    "08.by_overlap": Check(
        form="by_overlap(right, cosines, threshold)",
        gives="two accuracies: on the pictures with a cosine of at least the threshold, and on the "
        "others",
        right=_by_overlap,
        cases=_neighbours,
        mistakes={
            "first the near duplicates, then the others; yours are the other way round": [
                lambda right, cosines, threshold: _by_overlap(right, cosines, threshold)[::-1]
            ],
            "divide by the number of pictures in each part, not by all": [
                lambda right, cosines, threshold: (
                    (right & (cosines >= threshold)).float().mean().item(),
                    (right & (cosines < threshold)).float().mean().item(),
                )
            ],
            "a cosine that is just the threshold counts as near": [
                lambda right, cosines, threshold: _by_overlap(right, cosines, threshold + 1e-6)
            ],
        },
    ),
}
