"""Checks for homework that teach: `check("hw1.info_nce", my_function)` tries a function on small
hidden cases and answers in a sentence.

A check holds a right function and the usual wrong ones. Where a student's results are those of a
wrong one, the hint is for just that mistake; else the sentence says what was expected on which
input. What never ends, raises, or changes its inputs is told too. The assignments are in
`notebooks/homework`.
"""

from __future__ import annotations

import copy
import ctypes
import inspect
import linecache
import math
import threading
import traceback
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from miniclip.data.world import CONCEPTS, Scene
from miniclip.zeroshot import wilson

SECONDS = 10.0  # that one call may take


class Feedback(Exception):
    """What is to be said to the student, as a sentence."""


class NotWritten(Feedback):
    """That there is nothing to judge yet."""


@dataclass(frozen=True)
class Verdict:
    """Whether a function is right, and the sentence to say."""

    right: bool
    sentence: str

    def __str__(self) -> str:
        return f"{'✓' if self.right else '✗'}  {self.sentence}"


@dataclass(frozen=True)
class Check:
    """One thing to be written.

    Args:
        form: how it is called, and what it gives, in words.
        right: a right function; None where `look` judges.
        cases: gives the hidden inputs by name, anew each time; the first is the smallest.
        mistakes: wrong functions by the hint that fits them; told where a student's results are
            theirs on every case.
        also: other functions that are right too.
        look: judges by what a function does instead of by its results: it gets a way to call it,
            and raises `Feedback`.
        hint: for a wrong result that is nobody's.
    """

    form: str
    gives: str
    right: Callable | None = None
    cases: Callable[[], dict[str, tuple]] | None = None
    mistakes: Mapping[str, Sequence[Callable]] = field(default_factory=dict)
    also: tuple[Callable, ...] = ()
    look: Callable[[Callable], None] | None = None
    hint: str = "work the small input out on paper, and print each step of yours"

    @property
    def names(self) -> list[str]:
        """The names of its arguments."""
        return self.form[self.form.index("(") + 1 : -1].split(", ")


def check(name: str, given: Callable, seconds: float = SECONDS) -> bool:
    """Try a student's function on hidden cases, and say in a sentence what is right or wrong
    about it; the solution is never shown.

    Args:
        name: of the check, such as "hw1.info_nce".
        given: the function itself, not called.
        seconds: how long one call may take.
    Returns:
        whether it passed.
    Raises:
        ValueError: if there is no such check.
    """
    verdict = judge(name, given, seconds)
    print(verdict)
    return verdict.right


def judge(name: str, given: Callable, seconds: float = SECONDS) -> Verdict:
    """The same as a value: a `Verdict`."""
    if name not in CHECKS:
        raise ValueError(f"there is no check {name!r}; there are {', '.join(CHECKS)}")
    task = CHECKS[name]
    try:
        _callable(task, given)
        call = lambda *arguments: _call(given, arguments, seconds)
        task.look(call) if task.look else _compare(task, call)
    except Feedback as told:
        return Verdict(False, f"{name}: {told}")
    return Verdict(True, f"{name}: {task.form} gives {task.gives}, on every case that was tried.")


def _callable(task: Check, given) -> None:
    if not callable(given):
        raise Feedback(
            f"expected the function itself, such as {task.form.partition('(')[0]} without brackets"
            f" behind it, and got {_show(given)}."
        )
    try:
        signature = inspect.signature(given)
    except (TypeError, ValueError):  # some built-in functions tell nothing of themselves
        return
    try:
        signature.bind(*task.names)
    except TypeError:
        raise Feedback(
            f"it is called as {task.form}, so it takes {len(task.names)} arguments in that order;"
            f" yours takes {signature}."
        ) from None


def _call(function: Callable, arguments: tuple, seconds: float):
    """Call a function in a thread of its own, which works in every notebook and on every system;
    `Feedback` if it raises or does not end."""
    answers: list = []

    def work() -> None:
        try:
            answers.append((function(*arguments), None))
        except (
            BaseException
        ) as error:  # a student's code may raise whatever it likes, SystemExit too
            answers.append((None, error))

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    thread.join(seconds)
    if not answers:
        _stop(thread)
        raise Feedback(
            f"it had not answered after {seconds:g} seconds. Hint: is there a loop that never ends,"
            " or one over single numbers that a matrix product could replace?"
        )
    result, error = answers[0]
    if isinstance(error, Feedback):
        raise error
    if isinstance(error, NotImplementedError):
        raise NotWritten(
            "it is not written yet: put your code where it says so, in the place of `raise"
            " NotImplementedError()`."
        )
    if error is not None:
        raise Feedback(
            f"it raised {type(error).__name__}:"
            f" {' '.join(str(error).split())[:200] or 'without a word'}{_where(function, error)}."
        )
    return result


def _stop(thread: threading.Thread) -> None:
    """Raise an error inside a thread that does not end (CPython), so that it takes no more time;
    one that waits for the system is left alone."""
    for _ in range(3):
        if thread.is_alive() and hasattr(ctypes, "pythonapi"):
            ctypes.pythonapi.PyThreadState_SetAsyncExc(
                ctypes.c_ulong(thread.ident), ctypes.py_object(TimeoutError)
            )
            thread.join(0.5)


def _where(function: Callable, error: BaseException) -> str:
    """The line of the student's code that raised, as far as it is known."""
    file = getattr(getattr(function, "__code__", None), "co_filename", None)
    lines = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename == file]
    text = linecache.getline(lines[-1].filename, lines[-1].lineno).strip() if lines else ""
    return f", in the line `{text}`" if text else ""


def _plain(value):
    """What a function gave, as arrays of float64 where it is numbers, so that tensors, arrays and
    numbers compare."""
    if isinstance(value, Tensor):
        return value.detach().cpu().double().numpy()
    if isinstance(value, Mapping):
        return {key: _plain(one) for key, one in value.items()}
    if value is None or isinstance(value, str):
        return value
    try:
        return np.asarray(
            [_plain(one) for one in value] if isinstance(value, (list, tuple)) else value,
            dtype=float,
        )
    except (TypeError, ValueError):
        return (
            [_plain(one) for one in value]
            if isinstance(value, (list, tuple))
            else value.tolist()
            if isinstance(value, np.ndarray)
            else value
        )


def _same(a, b) -> bool:
    """Whether two plain values agree; NaN agrees with NaN."""
    if isinstance(a, np.ndarray) and isinstance(b, np.ndarray):
        return a.shape == b.shape and np.allclose(a, b, rtol=1e-3, atol=1e-5, equal_nan=True)
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(_same(a[key], b[key]) for key in a)
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(map(_same, a, b))
    return type(a) is type(b) and not isinstance(a, np.ndarray) and a == b


def _show(value) -> str:
    """A value in few words: small arrays with their numbers, larger ones by their shape."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key}: {_show(one)}" for key, one in value.items()) + "}"
    if isinstance(value, (list, tuple)) and (
        len(value) > 8 or any(isinstance(one, (np.ndarray, Tensor, str, tuple)) for one in value)
    ):
        return "[" + ", ".join(map(_show, value[:8])) + (", ...]" if len(value) > 8 else "]")
    plain = _plain(value)
    if isinstance(plain, np.ndarray):
        return (
            str(np.round(plain, 3).tolist()).replace(".0,", ",").replace(".0]", "]")
            if plain.size <= 12
            else f"numbers of shape {plain.shape}"
        )
    return (
        repr(value)
        if value is None or isinstance(value, (str, bool))
        else str(value)[:60]
        if not callable(value)
        else "a function"
    )


def _results(cases: dict[str, tuple], function: Callable) -> dict:
    return {name: _plain(function(*copy.deepcopy(arguments))) for name, arguments in cases.items()}


def _compare(task: Check, call: Callable) -> None:
    """Compare with the right function on every case, and then with the wrong ones."""
    cases, given, changed = task.cases(), {}, []
    for name, arguments in cases.items():
        own = copy.deepcopy(arguments)
        try:
            given[name] = _plain(call(*own))
        except NotWritten:
            raise
        except Feedback as told:
            raise Feedback(f"{told} That was with {_inputs(task, name, arguments)[:-1]}.") from None
        changed += [
            task.names[i]
            for i, (a, b) in enumerate(zip(own, arguments))
            if not callable(a) and not _same(_plain(a), _plain(b))
        ]
    right = _results(cases, task.right)
    accepted = any(
        all(_same(given[name], ours[name]) for name in cases)
        for ours in (right, *(_results(cases, also) for also in task.also))
    )
    if accepted and changed:
        raise Feedback(
            f"the result is right, but afterwards {' and '.join(dict.fromkeys(changed))} is no"
            " longer what it was. Hint: operations in place (x /= ..., x[i] = ..., x.add_())"
            " change what the caller still needs; make something new instead."
        )
    if accepted:
        return
    worst = next((name for name in cases if not _same(given[name], right[name])), next(iter(cases)))
    for hint, functions in task.mistakes.items():
        for function in functions:
            if all(
                _same(given[name], theirs) for name, theirs in _results(cases, function).items()
            ):
                raise Feedback(
                    f"{_inputs(task, worst, cases[worst])} expected {_show(right[worst])}, yours"
                    f" gives {_show(given[worst])}. Hint: {hint}."
                )
    raise Feedback(_difference(task, worst, cases[worst], given[worst], right[worst]))


def _inputs(task: Check, name: str, arguments: tuple) -> str:
    return (
        f"{name},"
        f" {', '.join(f'{key} = {_show(value)}' for key, value in zip(task.names, arguments))}:"
    )


def _difference(task: Check, name: str, arguments: tuple, given, right) -> str:
    """What is wrong with a result, in general: nothing, another type, another shape, not a
    number, another number."""
    start = f"{_inputs(task, name, arguments)} expected {_show(right)}, {task.gives}; "
    if given is None:
        return start + "yours gives None. Hint: does every path end in a `return`?"
    if type(given) is not type(right):
        return (
            start
            + f"yours gives {_show(given)}, which is something else. Hint: see in the text what"
            f" {task.form} is to give."
        )
    if isinstance(right, np.ndarray) and given.shape != right.shape:
        return (
            start
            + f"yours has the shape {given.shape} in the place of {right.shape}. Hint: write the"
            " shape behind each of your lines as a comment, and look for the first that"
            " surprises you."
        )
    if isinstance(right, dict) and given.keys() != right.keys():
        return start + f"yours has the keys {list(given)} in the place of {list(right)}."
    if isinstance(right, np.ndarray) and not np.isfinite(given).all():
        return (
            start
            + f"yours gives {_show(given)}. Hint: look for a division by zero, the logarithm of"
            " zero, or the exponential of something large."
        )
    return start + f"yours gives {_show(given)}. Hint: {task.hint}."


def _numbers(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(
        *shape, generator=torch.Generator().manual_seed(zlib.crc32(repr((shape, seed)).encode()))
    )


def _unit(x: Tensor, dim: int = -1) -> Tensor:
    return F.normalize(x, dim=dim)


# Homework 1: the loss.


def _pairs(B: int, M: int, E: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Vectors that are not of length 1, as a tower gives them."""
    return 2 * _numbers(B, E, seed=seed), 3 * _numbers(M, E, seed=seed + 1)


SMALL = torch.tensor([[3.0, 0.0], [0.0, 2.0]]), torch.tensor([[1.0, 0.0], [1.0, 1.0]])
COSINES = torch.tensor([[0.6, 0.2], [0.4, 0.5]])
_cosines = lambda images, texts: _unit(images) @ _unit(texts).T
_diagonal = lambda x: torch.arange(len(x))


def _nce(logits: Tensor, labels: Tensor | None = None) -> Tensor:
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
    logits = cosines / temperature
    push = (
        rows * logits.softmax(1)
        + columns * logits.softmax(0)
        - (rows + columns if eye is None else eye) * torch.eye(len(logits))
    )
    return push / (2 * len(logits) * temperature)


def _negatives(x: Tensor, fill: float) -> Tensor:
    return x.masked_fill(torch.eye(len(x), dtype=torch.bool), fill)


def _sigmoid(
    images: Tensor,
    texts: Tensor,
    scale: float,
    bias: float,
    positive: float = 1,
    negative: float = -1,
) -> Tensor:
    """(B, B): what each pair pays."""
    eye = torch.eye(len(images))
    return -F.logsigmoid(
        (positive * eye + negative * (1 - eye)) * (scale * images @ texts.T + bias)
    )


def _half(x) -> Tensor:
    return -torch.log(torch.sigmoid(x))


HW1 = {
    "hw1.cosines": Check(
        "cosines(images, texts)",
        "the (B, M) cosines of each of B pictures with each of M texts",
        _cosines,
        lambda: {
            "two pictures and two texts": SMALL,
            "three pictures and four texts": _pairs(3, 4, 5),
            "five and five": _pairs(5, 5, 8),
        },
        {
            "a cosine compares directions alone; what happens to yours if a picture's vector is "
            "made twice as long? Lengths have to go before the product": [lambda i, t: i @ t.T],
            "only one of the two sides has the length 1": [
                lambda i, t: _unit(i) @ t.T,
                lambda i, t: i @ _unit(t).T,
            ],
            "a vector is a row here, so its length is over the last dimension; yours is over the "
            "wrong dimension, down the columns": [lambda i, t: _unit(i, 0) @ _unit(t, 0).T],
            "pictures are the rows and texts the columns; yours is transposed": [
                lambda i, t: _unit(t) @ _unit(i).T
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
        "info_nce(images, texts, temperature)",
        "the loss, one number in nats",
        _on(_nce),
        lambda: {
            "two pairs": (*SMALL, 0.5),
            "four pairs": (*_pairs(4, 4, 5), 0.2),
            "six pairs, temperature 2": (*_pairs(6, 6, 8, 3), 2.0),
            "five pairs at a tiny temperature": (*_pairs(5, 5, 6, 5), 0.002),
        },
        {
            "the vectors come as the towers give them, of any length; the missing normalisation "
            "makes long vectors look alike": [lambda i, t, tau: _nce(i @ t.T / tau)],
            "the vectors were given length 1 over the wrong dimension; a vector is a row": [
                lambda i, t, tau: _nce(_unit(i, 0) @ _unit(t, 0).T / tau)
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
        },
    ),
    "hw1.gradient": Check(
        "gradient(cosines, temperature)",
        "the (B, B) derivative of the loss by each cosine",
        _push,
        lambda: {
            "two pairs": (COSINES, 0.5),
            "four pairs": (_cosines(*_pairs(4, 4, 5)), 0.2),
            "five pairs, temperature 3": (_cosines(*_pairs(5, 5, 6)), 3.0),
        },
        {
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
        "hardest(cosines, temperature)",
        "for each picture, its hardest negative's share of the push on its negatives, (B,)",
        lambda s, tau: _negatives(s / tau, -math.inf).softmax(1).max(1).values,
        lambda: {
            "three pictures": (
                torch.tensor([[0.6, 0.2, 0.1], [0.4, 0.5, 0.3], [0.0, 0.7, 0.6]]),
                0.1,
            ),
            "five pictures": (_cosines(*_pairs(5, 5, 6)), 0.3),
            "seven pictures": (_cosines(*_pairs(7, 7, 9)), 2.0),
        },
        {
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
        "sigmoid_loss(images, texts, scale, bias)",
        "the loss, one number in nats",
        lambda i, t, s, b: _sigmoid(i, t, s, b).sum() / len(i),
        lambda: {
            "two pairs": (*map(_unit, SMALL), 2.0, -1.0),
            "four pairs": (*map(_unit, _pairs(4, 4, 5)), 10.0, -10.0),
            "six pairs": (*map(_unit, _pairs(6, 6, 8)), 3.0, 0.7),
            "five pairs, very sure of themselves": (*map(_unit, _pairs(5, 5, 6)), 400.0, -20.0),
        },
        {
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
                    _half((2 * torch.eye(len(i)) - 1) * (s * i @ t.T + b)).sum() / len(i)
                )
            ],
        },
    ),
}


# Homework 2: a classifier made of words, and an honest study.


class ToyModel:
    """A model for hidden cases: unit vectors by chance, the same for the same sentence or
    picture."""

    def __init__(self, width: int = 6):
        self.width = width

    def __str__(self) -> str:
        return "a toy model"

    def __eq__(self, other) -> bool:
        return isinstance(other, ToyModel) and other.width == self.width

    def encode_text(self, texts: str | Sequence[str]) -> Tensor:
        """Sentences to (B, E) unit vectors."""
        texts = [texts] if isinstance(texts, str) else list(texts)
        if not texts or not all(isinstance(text, str) for text in texts):
            raise ValueError("encode_text takes a list of sentences, each a string")
        return torch.stack(
            [_unit(_numbers(self.width, seed=zlib.crc32(text.encode()))) for text in texts]
        )


def _grid(model, labels: Sequence[str], templates: Sequence[str]) -> Tensor:
    """(C, M, E): the vectors of C labels in M templates."""
    return torch.stack(
        [
            model.encode_text([template.replace("{}", label) for template in templates])
            for label in labels
        ]
    )


def _shuffled(model, labels, templates) -> Tensor:
    return _unit(
        _grid(model, labels, templates)
        .transpose(0, 1)
        .reshape(len(labels), len(templates), -1)
        .mean(1)
    )


def _wald(hits: int, n: int) -> tuple[float, float]:
    p = hits / n
    return p - 1.96 * math.sqrt(p * (1 - p) / n), p + 1.96 * math.sqrt(p * (1 - p) / n)


def _wilson_parts(hits: int, n: int) -> tuple[float, float, float]:
    p, z = hits / n, 1.96
    return p + z * z / (2 * n), z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n)), 1 + z * z / n


def _look_at_study(call: Callable) -> None:
    """The order of looks tells an honest study from one that cheats."""
    candidates = ["bare", "photo", "sketch", "place"]
    seen = {"validate": [], "test": []}
    scores = {
        "validate": {"bare": 0.61, "photo": 0.70, "sketch": 0.74, "place": 0.66},
        "test": {"bare": 0.60, "photo": 0.75, "sketch": 0.71, "place": 0.62},
    }

    def look(split: str) -> Callable[[str], float]:
        def score(name: str) -> float:
            if name not in candidates:
                raise Feedback(
                    f"{split} takes the name of one candidate, such as 'bare', not {_show(name)}."
                )
            seen[split].append(name)
            return scores[split][name]

        return score

    given = call(list(candidates), look("validate"), look("test"))
    start = f"for four candidates with accuracies of {_show(scores['validate'])} on validation:"
    if len(seen["test"]) > 1:
        raise Feedback(
            f"{start} yours looked at the test set {len(seen['test'])} times, and should have"
            " looked once. Hint: whoever looks at more than one result on the test, and then"
            " chooses or tells the best, has trained on it; that is leaking the test set."
        )
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
            f" yours gives {_show(given)}. Hint: return name, accuracy."
        )
    if missing := [name for name in candidates if name not in seen["validate"]]:
        raise Feedback(
            f"{start} yours never asked how good {', '.join(missing)} is on validation. Hint: the"
            " choice is among all candidates."
        )
    name, value = given[0], _plain(given[1])
    if name != "sketch":
        how = "the worst" if name == "bare" else "not the best"
        raise Feedback(
            f"{start} expected the choice of 'sketch', yours is {name!r}, {how} on validation."
            " Hint: which of the four numbers above should decide?"
        )
    if not seen["test"]:
        raise Feedback(
            f"{start} yours never looked at the test, and reports {_show(given[1])}. Hint: the best"
            " of several looks at validation is partly luck; a fresh look is what may be reported."
        )
    if not _same(value, np.asarray(0.71)):
        raise Feedback(
            f"{start} expected 0.71, what the chosen one scores on the test; yours reports"
            f" {_show(given[1])}. Hint: report the look at the test as it is, neither averaged with"
            " another nor the better of two."
        )


HW2 = {
    "hw2.classifier": Check(
        "classifier(model, labels, templates)",
        "(C, E) vectors of length 1, one for each label",
        lambda m, labels, templates: _unit(_grid(m, labels, templates).mean(1)),
        lambda: {
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
        {
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
            "labels": [lambda m, la, te: _unit(_grid(m, la, te).mean(0))],
            "sentences of different labels got mixed: if you embed them as one list, cut it up in "
            "the order in which it was made": [_shuffled],
            "yours embeds the bare labels; each stands in each template": [
                lambda m, la, te: _unit(m.encode_text(la))
            ],
            "yours embeds the templates with their braces; the label takes the place of {}": [
                lambda m, la, te: _unit(torch.stack([m.encode_text(te).mean(0)] * len(la)))
            ],
            "each sentence is embedded by itself, and the vectors are averaged; yours joins the "
            "texts": [
                lambda m, la, te: _unit(
                    torch.cat([m.encode_text(" ".join(t.replace("{}", x) for t in te)) for x in la])
                )
            ],
            "lengths are over the last dimension; yours are over the wrong dimension, down the "
            "columns": [lambda m, la, te: _unit(_grid(m, la, te).mean(1), 0)],
            "a label for each row: yours is transposed": [
                lambda m, la, te: _unit(_grid(m, la, te).mean(1)).T
            ],
        },
    ),
    "hw2.probabilities": Check(
        "probabilities(features, vectors, scale)",
        "the (N, C) probabilities of C classes for each of N pictures",
        lambda f, v, s: (s * f @ v.T).softmax(1),
        lambda: {
            "two pictures, two classes": (*map(_unit, SMALL), 2.0),
            "three pictures, four classes": (*map(_unit, _pairs(3, 4, 5)), 5.0),
            "five and five": (*map(_unit, _pairs(5, 5, 6)), 20.0),
        },
        {
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
        "interval(hits, n)",
        "the two ends of Wilson's 95 % interval, between 0 and 1",
        wilson,
        lambda: {
            "7 of 10": (7, 10),
            "none of 20": (0, 20),
            "all of 12": (12, 12),
            "333 of 400": (333, 400),
        },
        {
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
        "study(candidates, validate, test)",
        "the name that was best on validation, and the accuracy of one look at the test",
        look=_look_at_study,
    ),
}


# Homework 3: few labels, and a tower trained further.


def _look_at_few(call: Callable) -> None:
    """Properties of a draw: so many of each class, none twice, by the seed alone."""
    targets = np.array(
        [
            "tulip",
            "rose",
            "tulip",
            "lotus",
            "rose",
            "tulip",
            "lotus",
            "rose",
            "tulip",
            "rose",
            "tulip",
            "tulip",
        ]
    )
    start = f"for targets = {_show(targets.tolist())} and shots = 2:"

    def draw(shots: int, seed: int) -> np.ndarray:
        own = targets.copy()
        given = call(own, shots, seed)
        if not (own == targets).all():
            raise Feedback(
                f"{start} afterwards targets is no longer what it was. Hint: shuffling in place"
                " changes what the caller still needs; make something new instead."
            )
        rows = _plain(given)
        if given is None:
            raise Feedback(
                f"{start} expected six row numbers, yours gives None. Hint: is there a `return`?"
            )
        if (
            not isinstance(rows, np.ndarray)
            or np.asarray(given if not isinstance(given, Tensor) else rows).dtype == bool
        ):
            raise Feedback(
                f"{start} expected the numbers of six rows, yours gives {_show(given)[:80]}. Hint:"
                " which rows, not which labels and not a mask."
            )
        if (
            rows.ndim != 1
            or not (rows == rows.round()).all()
            or rows.min(initial=0) < 0
            or rows.max(initial=0) >= len(targets)
        ):
            raise Feedback(
                f"{start} expected whole numbers from 0 to 11 in one row, yours gives"
                f" {_show(given)}."
            )
        return rows.astype(int)

    rows = draw(2, 0)
    counts = {str(name): int((targets[rows] == name).sum()) for name in np.unique(targets)}
    if len(rows) == 2:
        raise Feedback(
            f"{start} yours takes {len(rows)} rows in all. Hint: shots are pictures of each class,"
            " not of all classes together."
        )
    if len(set(rows.tolist())) < len(rows) or len(set(draw(2, 5).tolist())) < 6 > len(
        set(draw(2, 6).tolist())
    ):
        raise Feedback(
            f"{start} yours takes a row twice: {rows.tolist()}. Hint: draw without replacement; the"
            " same picture twice is one picture."
        )
    if set(counts.values()) != {2}:
        raise Feedback(
            f"{start} expected two of each class, yours takes {counts}. Hint: draw within each"
            " class by itself."
        )
    if sorted(rows) != sorted(draw(2, 0)):
        raise Feedback(
            f"{start} the same seed gives other rows the second time. Hint: nobody can repeat such"
            " an experiment; make a generator from the seed, inside the function."
        )
    if len({tuple(sorted(draw(2, seed))) for seed in range(6)}) < 3:
        raise Feedback(
            f"{start} other seeds give the same rows. Hint: the first pictures of a class may be"
            " alike; let the seed decide which."
        )
    if (
        len({tuple(sorted(targets[draw(1, seed)])) for seed in range(4)}) != 1
        or len(draw(1, 0)) != 3
    ):
        raise Feedback(
            f"{start[:-1]}, but with shots = 1: expected three rows, one of each class, yours takes"
            f" {draw(1, 0).tolist()}."
        )


def _scaled(
    train: np.ndarray,
    test: np.ndarray,
    of_train: np.ndarray | None = None,
    of_test: np.ndarray | None = None,
    ddof: int = 0,
    power: float = 1,
    axis: int = 0,
):
    """Both standardised, each by the statistics of the set that is named."""

    def scale(x: np.ndarray, by: np.ndarray) -> np.ndarray:
        spread = by.std(axis=axis, ddof=ddof, keepdims=True) ** power
        middle = by.mean(axis=axis, keepdims=True)
        return (x - middle) / np.where(spread == 0, 1, spread)

    of_train, of_test = (
        train if of_train is None else of_train,
        train if of_test is None else of_test,
    )
    return scale(train, of_train), scale(test, of_test)


def _zero_divided(train: np.ndarray, test: np.ndarray, ddof: int = 0):
    with np.errstate(all="ignore"):
        return tuple((x - train.mean(0)) / train.std(0, ddof=ddof) for x in (train, test))


def _features(n: int, m: int, d: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return rng.normal(2, 3, (n, d)), rng.normal(-1, 2, (m, d))


def _constant(train: np.ndarray, test: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    train[:, 1] = 4.0
    return train, test


def _logistic(x: Tensor, y: Tensor, w: Tensor, dim: int = 1, hot: float = 1) -> Tensor:
    """(C, D): the sum over pictures of (p - y) x."""
    return ((x @ w.T).softmax(dim) - hot * F.one_hot(y, len(w))).T @ x


def _blend(before: dict, after: dict, share: float, first: float | None = None) -> dict:
    first = 1 - share if first is None else first
    return {
        name: (
            first * before[name] + share * after[name]
            if before[name].is_floating_point()
            else after[name].clone()
        )
        for name in before
    }


def _weights(seed: int, count: int) -> dict[str, Tensor]:
    return {
        "weight": _numbers(2, 2, seed=seed),
        "bias": _numbers(3, seed=seed + 1),
        "batches": torch.tensor(count),
    }


HW3 = {
    "hw3.few_rows": Check(
        "few_rows(targets, shots, seed)",
        "row numbers, as many of each class as there are shots, none twice, decided by the seed",
        look=_look_at_few,
    ),
    "hw3.standardize": Check(
        "standardize(train, test)",
        "both sets, each feature moved and scaled so that on the training set its mean is 0 and its"
        " standard deviation 1",
        _scaled,
        lambda: {
            "three rows and two": (
                np.array([[1.0, 10.0], [2.0, 20.0], [6.0, 60.0]]),
                np.array([[2.0, 0.0], [3.0, 30.0]]),
            ),
            "more": _features(6, 4, 3, 0),
            "square": _features(5, 5, 5, 1),
            "a feature that never changes": _constant(*_features(6, 3, 3, 2)),
        },
        {
            "the test is scaled by its own mean and spread; then the same picture would get other "
            "features in other company, and the test has leaked": [
                lambda a, b: _scaled(a, b, of_test=b),
                lambda a, b: _scaled(a, b, of_test=b, ddof=1),
            ],
            "mean and spread were measured on both sets together; that is leaking the test set "
            "into training": [
                lambda a, b: _scaled(a, b, np.concatenate([a, b]), np.concatenate([a, b])),
                lambda a, b: _scaled(a, b, np.concatenate([a, b]), np.concatenate([a, b]), ddof=1),
            ],
            "a feature is a column, so its mean is over the rows; yours is over the wrong "
            "dimension": [
                lambda a, b: (_scaled(a, a, axis=1)[0], _scaled(b, b, axis=1)[0]),
                lambda a, b: (_scaled(a, a, axis=1, ddof=1)[0], _scaled(b, b, axis=1, ddof=1)[0]),
            ],
            "each feature has a mean of its own; yours takes one over all numbers": [
                lambda a, b: ((a - a.mean()) / a.std(), (b - a.mean()) / a.std())
            ],
            "the mean is taken off, but nothing is divided by the spread": [
                lambda a, b: _scaled(a, b, power=0)
            ],
            "nothing was taken off: the mean has to become 0": [
                lambda a, b: (
                    a / np.where(a.std(0) == 0, 1, a.std(0)),
                    b / np.where(a.std(0) == 0, 1, a.std(0)),
                )
            ],
            "the spread is the standard deviation, not the variance": [
                lambda a, b: _scaled(a, b, power=2),
                lambda a, b: _scaled(a, b, power=2, ddof=1),
            ],
            "a feature that never changes has a spread of 0, and must not be divided by it": [
                _zero_divided,
                lambda a, b: _zero_divided(a, b, 1),
            ],
            "the test set was left as it was; the probe would meet features on another scale": [
                lambda a, b: (_scaled(a, b)[0], b)
            ],
            "training first, then test": [lambda a, b: _scaled(a, b)[::-1]],
        },
        also=(lambda a, b: _scaled(a, b, ddof=1),),
    ),
    "hw3.gradient": Check(
        "gradient(features, targets, weights)",
        "the (C, D) derivative of the mean cross-entropy by the weights",
        lambda x, y, w: _logistic(x, y, w) / len(x),
        lambda: {
            "two pictures, two classes": (
                SMALL[0],
                torch.tensor([0, 1]),
                torch.tensor([[0.5, 0.0], [0.0, 0.1]]),
            ),
            "four pictures, three classes": (
                _numbers(4, 5),
                torch.tensor([2, 0, 1, 2]),
                _numbers(3, 5, seed=1),
            ),
            "as many of everything": (
                _numbers(4, 4, seed=2),
                torch.tensor([3, 0, 0, 1]),
                _numbers(4, 4, seed=3),
            ),
        },
        {
            "the loss is a mean over pictures; yours is a sum": [_logistic],
            "the mean is over pictures, not over pictures and classes, and not over classes": [
                lambda x, y, w: _logistic(x, y, w) / (len(x) * len(w)),
                lambda x, y, w: _logistic(x, y, w) / len(w),
            ],
            "a step goes against the gradient, so it is negative where a weight should grow; "
            "yours has the wrong sign": [lambda x, y, w: -_logistic(x, y, w) / len(x)],
            "the softmax is over the wrong axis: the classes of one picture compete, not the "
            "pictures": [lambda x, y, w: _logistic(x, y, w, 0) / len(x)],
            "a picture whose class has the probability 1 should push nothing; yours never looks "
            "at the targets": [lambda x, y, w: _logistic(x, y, w, hot=0) / len(x)],
            "wrong classes push as well, in proportion to their probability; yours knows only the "
            "right ones": [
                lambda x, y, w: -F.one_hot(y, len(w)).float().T @ x / len(x),
                lambda x, y, w: (((x @ w.T).softmax(1) - 1) * F.one_hot(y, len(w))).T @ x / len(x),
            ],
            "a class for each row, as in the weights: yours is transposed": [
                lambda x, y, w: _logistic(x, y, w).T / len(x)
            ],
            "the gradient is asked for, not the weights after a step": [
                lambda x, y, w: w - _logistic(x, y, w) / len(x)
            ],
            "that is the loss; its derivative by each weight is asked for": [
                lambda x, y, w: F.cross_entropy(x @ w.T, y)
            ],
        },
        hint="compare with the difference of two losses, one weight moved by 0.001",
    ),
    "hw3.average": Check(
        "average(before, after, share)",
        "weights between two sets of them, by name: (1 - share) of the first and share of the"
        " second; whole numbers from the second",
        _blend,
        lambda: {
            "one number each": ({"w": torch.tensor([1.0])}, {"w": torch.tensor([3.0])}, 0.25),
            "three tensors, one of whole numbers": (_weights(0, 7), _weights(5, 12), 0.3),
            "nothing of the second": (_weights(2, 1), _weights(3, 2), 0.0),
        },
        {
            "the share belongs to the second; in yours the two are swapped": [
                lambda a, b, s: _blend(b, a, s),
                lambda a, b, s: _blend(a, b, 1 - s),
            ],
            "the two shares should add up to 1; yours adds to the whole of the first": [
                lambda a, b, s: _blend(a, b, s, 1.0)
            ],
            "the two shares should add up to 1; yours adds the two": [
                lambda a, b, s: {k: a[k] + b[k] for k in a}
            ],
            "the share makes no difference to yours": [
                lambda a, b, s: _blend(a, b, 0.5),
                lambda a, b, s: _blend(a, b, 1.0),
                lambda a, b, s: _blend(a, b, 0.0),
            ],
            "whole numbers are counts (of batches, of positions) and cannot lie between two; take "
            "the second's": [
                lambda a, b, s: {k: (1 - s) * a[k] + s * b[k] for k in a},
                lambda a, b, s: {k: ((1 - s) * a[k] + s * b[k]).to(a[k].dtype) for k in a},
            ],
            "whole numbers come from the second; yours takes them from the first": [
                lambda a, b, s: {
                    k: v if a[k].is_floating_point() else a[k] for k, v in _blend(a, b, s).items()
                }
            ],
            "every name should be there, those of whole numbers too": [
                lambda a, b, s: {k: v for k, v in _blend(a, b, s).items() if v.is_floating_point()}
            ],
            "a difference is added to the first, not taken off: yours moves away from the second": [
                lambda a, b, s: _blend(a, b, -s, 1 + s)
            ],
        },
    ),
}


# Homework 4: a failure, and what a repair costs.

SPECIES = len(CONCEPTS["flower"].art)


def _look_at_scenes(call: Callable) -> None:
    """Properties of a test: balanced, honest labels, nothing but the flower tells the species, by
    the seed alone."""
    n = 12 * SPECIES
    start = f"for n = {n} and seed = 0:"

    def make(seed: int) -> list[tuple[Scene, int]]:
        given = call(n, seed)
        if given is None:
            raise Feedback(f"{start} expected a list, yours gives None. Hint: is there a `return`?")
        if not isinstance(given, (list, tuple)) or not all(
            isinstance(pair, (list, tuple)) and len(pair) == 2 and isinstance(pair[0], Scene)
            for pair in given
        ):
            raise Feedback(
                f"{start} expected a list of pairs (Scene, number of the species), yours gives"
                f" {_show(given)[:80]}."
            )
        return [(scene, int(label)) for scene, label in given]

    pairs = make(0)
    labels = np.array([label for _, label in pairs])
    if len(pairs) != n:
        raise Feedback(
            f"{start} expected {n} pairs, yours gives {len(pairs)}. Hint: n is the number of"
            " pictures in all."
        )
    flowers = [
        [thing for thing in scene.things if thing.concept.word == "flower"] for scene, _ in pairs
    ]
    if any(len(found) != 1 for found in flowers):
        raise Feedback(
            f"{start} every scene has exactly one flower; one of yours has"
            f" {next(len(found) for found in flowers if len(found) != 1)}. Hint: with two, which"
            " one is asked about?"
        )
    drawn = np.array([found[0].variant for found in flowers])
    if (labels == drawn + 1).all():
        raise Feedback(
            f"{start} your labels run from 1 to {SPECIES}; they should be the places in the list,"
            " from 0. Hint: compare label and `variant` of the first scene."
        )
    if (labels != drawn).any():
        raise Feedback(
            f"{start} the label of a scene is the `variant` of its flower; in"
            f" {int((labels != drawn).sum())} of yours it is not. Hint: draw the species once, and"
            " use it for both."
        )
    if len(set(np.bincount(labels, minlength=SPECIES))) > 1:
        raise Feedback(
            f"{start} each of the {SPECIES} species should be there equally often; yours has"
            f" {np.bincount(labels, minlength=SPECIES).tolist()}. Hint: if one species is half of"
            " the test, always naming that one is right half of the time. Deal them out in turn"
            " instead of by chance."
        )
    if [repr(scene) for scene, _ in make(0)] != [repr(scene) for scene, _ in pairs]:
        raise Feedback(
            f"{start} the same seed gives other scenes the second time. Hint: nobody can repeat"
            " such a test; make random.Random(seed) inside the function and use nothing else."
        )
    if [repr(scene) for scene, _ in make(1)] == [repr(scene) for scene, _ in pairs]:
        raise Feedback(
            f"{start} another seed gives the same scenes. Hint: then pictures to choose by and"
            " pictures to test by would be the same; give the seed to random.Random."
        )
    _look_at_variety(start, pairs, flowers, labels)


def _look_at_variety(start: str, pairs: list, flowers: list, labels: np.ndarray) -> None:
    """Places, positions and sizes differ, and none of them alone tells the species."""
    for what, values in (
        ("place", [scene.place for scene, _ in pairs]),
        ("position", [found[0].at for found in flowers]),
        ("size", [found[0].size for found in flowers]),
    ):
        kinds = len(set(values))
        if kinds < 4:
            raise Feedback(
                f"{start} your scenes have {kinds} different {what}{'s' if kinds > 1 else ''}; vary"
                " it. Hint: a test that is always the same in one respect says nothing about the"
                " rest of the world."
            )
        if all(
            len({value for value, label in zip(values, labels) if label == one}) == 1
            for one in range(SPECIES)
        ):
            raise Feedback(
                f"{start} in yours the {what} alone tells the species. Hint: a model could be right"
                f" without looking at the flower; draw the {what} by chance, whatever the species."
            )


def _per_class(top: Callable, bottom: Callable) -> Callable:
    """A share for each class, 0 where the whole is empty."""
    return lambda g, r, c: np.array(
        [top(g == k, r == k).sum() / max(1, bottom(g == k, r == k).sum()) for k in range(c)]
    )


_both, _right, _guessed = np.logical_and, lambda g, r: r, lambda g, r: g
_all = lambda g, r: np.ones(len(r), bool)


def _paired(
    before: np.ndarray, after: np.ndarray, z: float = 1.96, power: float = 0.5, ddof: int = 0
) -> tuple[float, float, float]:
    change = after.astype(float) - before.astype(float)
    arm = z * change.std(ddof=ddof) / len(change) ** power
    return change.mean(), change.mean() - arm, change.mean() + arm


def _unpaired(before: np.ndarray, after: np.ndarray, ddof: int = 0) -> tuple[float, float, float]:
    difference = after.mean() - before.mean()
    arm = 1.96 * math.sqrt((before.var(ddof=ddof) + after.var(ddof=ddof)) / len(before))
    return difference, difference - arm, difference + arm


def _hits(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    before = rng.random(n) < 0.3
    return before, np.where(rng.random(n) < 0.6, before, rng.random(n) < 0.9)


def _verdict(
    target,
    others,
    margin,
    good=lambda t, m: t[1] > 0,
    safe=lambda o, m: all(one[1] > -m for one in o.values()),
) -> str:
    return (
        "not repaired"
        if not good(target, margin)
        else "repaired"
        if safe(others, margin)
        else "broken"
    )


def _list_of(others: Mapping, place: int) -> list[float]:
    return [one[place] for one in others.values()]


GOOD, SAFE, WORSE, UNSURE, SLIGHT, BETTER = (
    (0.40, 0.30, 0.50),
    (0.00, -0.01, 0.01),
    (-0.08, -0.11, -0.05),
    (0.01, -0.06, 0.08),
    (-0.010, -0.018, -0.002),
    (0.20, 0.10, 0.30),
)
HW4 = {
    "hw4.make_test": Check(
        "make_test(n, seed)",
        f"n pairs (Scene, species), each of the {SPECIES} species equally often, and nothing but"
        " the flower to tell it by",
        look=_look_at_scenes,
    ),
    "hw4.recall": Check(
        "recall(guesses, right, classes)",
        "for each class, the share of its pictures that were guessed right, (C,)",
        _per_class(_both, _right),
        lambda: {
            "six pictures, three classes": (
                np.array([0, 0, 1, 1, 0, 2]),
                np.array([0, 0, 0, 1, 1, 2]),
                3,
            ),
            "ten pictures, four classes": (
                np.array([3, 1, 1, 0, 2, 3, 3, 1, 0, 3]),
                np.array([3, 1, 0, 0, 2, 2, 3, 3, 1, 3]),
                4,
            ),
            "a class that is never guessed": (
                np.array([0, 0, 2, 2, 0]),
                np.array([0, 1, 2, 1, 0]),
                3,
            ),
        },
        {
            "that is precision, the share of the guesses of a class that are right; asked for is "
            "the share of its pictures that are found": [
                _per_class(_both, _guessed),
                lambda g, r, c: np.array(
                    [
                        ((g == k) & (r == k)).sum() / (g == k).sum() if (g == k).any() else np.nan
                        for k in range(c)
                    ]
                ),
            ],
            "that is one accuracy over all; asked for is each class by itself, since a mean hides "
            "one that broke": [
                lambda g, r, c: np.full(c, (g == r).mean()),
                lambda g, r, c: (g == r).mean(),
            ],
            "those are counts; a share is divided by how many pictures the class has": [
                lambda g, r, c: np.array([((g == k) & (r == k)).sum() for k in range(c)])
            ],
            "divide by the number of pictures of the class; yours divides by all pictures": [
                _per_class(_both, _all)
            ],
            "that is the share that was missed": [
                lambda g, r, c: 1 - _per_class(_both, _right)(g, r, c)
            ],
            "that is how often a class was guessed, rightly or not": [
                _per_class(_guessed, _right),
                _per_class(_guessed, _all),
                lambda g, r, c: np.bincount(g, minlength=c),
            ],
            "that counts pictures of other classes as right if they were not called this one; "
            "only the pictures of the class matter": [_per_class(lambda g, r: g == r, _all)],
            "that is the mean over classes; asked for is each class by itself": [
                lambda g, r, c: _per_class(_both, _right)(g, r, c).mean()
            ],
            "guesses and truth are swapped, or another measure is mixed in (F1)": [
                _per_class(
                    lambda g, r: np.concatenate([g & r, g & r]), lambda g, r: np.concatenate([g, r])
                )
            ],
        },
    ),
    "hw4.change": Check(
        "change(before, after)",
        "by how much the share of right answers changed, and the two ends of its 95 % interval",
        _paired,
        lambda: {
            "eight pictures": (
                np.array([1, 0, 0, 1, 0, 0, 1, 0], bool),
                np.array([1, 1, 0, 1, 1, 0, 0, 1], bool),
            ),
            "sixty": _hits(60, 0),
            "two hundred": _hits(200, 1),
        },
        {
            "after minus before, so that better is positive; yours is the other way round": [
                lambda b, a: _paired(a, b),
                lambda b, a: _paired(a, b, ddof=1),
            ],
            "before and after are about the same pictures, and most of the chance is in the "
            "pictures; your interval takes the two for independent. Look at the change of each "
            "picture": [
                _unpaired,
                lambda b, a: _unpaired(b, a, 1),
            ],
            "the standard error of a mean is the standard deviation divided by the root of n; "
            "yours is not divided": [
                lambda b, a: _paired(b, a, power=0),
                lambda b, a: _paired(b, a, power=0, ddof=1),
            ],
            "the standard error of a mean is the standard deviation divided by the root of n; "
            "yours is divided by n": [
                lambda b, a: _paired(b, a, power=1),
                lambda b, a: _paired(b, a, power=1, ddof=1),
            ],
            "95 % are 1.96 standard errors on either side; yours takes 1": [
                lambda b, a: _paired(b, a, 1.0),
                lambda b, a: _paired(b, a, 1.0, ddof=1),
            ],
            "shares are between -1 and 1 here, not percent": [
                lambda b, a: tuple(100 * x for x in _paired(b, a)),
                lambda b, a: tuple(100 * x for x in _paired(b, a, ddof=1)),
            ],
            "that is the difference alone; how sure it is belongs to it": [
                lambda b, a: _paired(b, a)[0]
            ],
            "a share is asked for; yours counts pictures": [
                lambda b, a: tuple(len(b) * x for x in _paired(b, a)),
                lambda b, a: tuple(len(b) * x for x in _paired(b, a, ddof=1)),
            ],
            "the difference comes first, then the lower end, then the upper one": [
                lambda b, a: (_paired(b, a)[1], _paired(b, a)[0], _paired(b, a)[2]),
                lambda b, a: (_paired(b, a)[0], _paired(b, a)[2], _paired(b, a)[1]),
            ],
            "whoever was wrong before and right after counts as much as the other way round; "
            "yours counts every change as a gain": [
                lambda b, a: (
                    (a != b).mean(),
                    *[
                        (a != b).mean() + sign * 1.96 * (a != b).std() / len(b) ** 0.5
                        for sign in (-1, 1)
                    ],
                )
            ],
        },
        also=(lambda b, a: _paired(b, a, ddof=1),),
    ),
    "hw4.verdict": Check(
        "verdict(target, others, margin)",
        "'not repaired', 'broken' or 'repaired'",
        _verdict,
        lambda: {
            "a clear gain, the others as before": (GOOD, {"things": SAFE, "colours": SAFE}, 0.03),
            "a gain that may be chance": ((0.04, -0.02, 0.10), {"things": SAFE}, 0.03),
            "a clear gain, but the first of two others fell": (
                GOOD,
                {"things": WORSE, "colours": BETTER},
                0.03,
            ),
            "a clear gain, but the last of two others fell": (
                GOOD,
                {"things": BETTER, "colours": WORSE},
                0.03,
            ),
            "a clear gain, another may have fallen by more than the margin": (
                GOOD,
                {"things": UNSURE},
                0.03,
            ),
            "nothing gained, and something broken": ((0.0, -0.1, 0.1), {"things": WORSE}, 0.03),
            "a clear gain, another fell a little": (GOOD, {"things": SLIGHT}, 0.03),
            "a clear gain, another fell, if not surely": (
                GOOD,
                {"things": (-0.05, -0.12, 0.02)},
                0.03,
            ),
            "a clear gain, another gained a little": (GOOD, {"things": (0.02, 0.01, 0.03)}, 0.03),
            "a wide margin": (GOOD, {"things": UNSURE}, 0.2),
            "a loss": ((-0.3, -0.4, -0.2), {"things": SAFE}, 0.03),
        },
        {
            "a gain counts when its whole interval is above 0; yours looks at the difference "
            "alone": [lambda t, o, m: _verdict(t, o, m, good=lambda t, m: t[0] > 0)],
            "a gain counts when its whole interval is above 0; yours looks at the upper end": [
                lambda t, o, m: _verdict(t, o, m, good=lambda t, m: t[2] > 0)
            ],
            "yours never asks whether the target was gained": [
                lambda t, o, m: _verdict(t, o, m, good=lambda t, m: True)
            ],
            "yours never looks at the others": [
                lambda t, o, m: _verdict(t, o, m, safe=lambda o, m: True)
            ],
            "for the others the worst that is still possible counts, the lower end; yours looks "
            "at the difference": [
                lambda t, o, m: _verdict(t, o, m, safe=lambda o, m: min(_list_of(o, 0)) > -m),
                lambda t, o, m: _verdict(t, o, m, safe=lambda o, m: min(_list_of(o, 0)) >= 0),
            ],
            "for the others the worst that is still possible counts, the lower end; yours looks "
            "at the upper end": [
                lambda t, o, m: _verdict(t, o, m, safe=lambda o, m: min(_list_of(o, 2)) > -m),
                lambda t, o, m: _verdict(t, o, m, safe=lambda o, m: min(_list_of(o, 2)) > 0),
            ],
            "every one of the others has to hold; in yours a good one makes up for a bad one": [
                lambda t, o, m: _verdict(t, o, m, safe=lambda o, m: np.mean(_list_of(o, 1)) > -m),
                lambda t, o, m: _verdict(t, o, m, safe=lambda o, m: max(_list_of(o, 1)) > -m),
            ],
            "every one of the others has to hold; yours looks at one of them": [
                lambda t, o, m: _verdict(t, o, m, safe=lambda o, m: _list_of(o, 1)[-1] > -m),
                lambda t, o, m: _verdict(t, o, m, safe=lambda o, m: _list_of(o, 1)[0] > -m),
            ],
            "a loss up to the margin is accepted; yours accepts none": [
                lambda t, o, m: _verdict(t, o, m, safe=lambda o, m: min(_list_of(o, 1)) >= 0)
            ],
            "a loss up to the margin is accepted; yours asks for a gain of that size": [
                lambda t, o, m: _verdict(t, o, m, safe=lambda o, m: min(_list_of(o, 1)) > m)
            ],
            "where the target was not gained, 'not repaired' is the answer, whatever else "
            "happened": [
                lambda t, o, m: (
                    "broken"
                    if min(_list_of(o, 1)) <= -m
                    else "repaired"
                    if t[1] > 0
                    else "not repaired"
                )
            ],
        },
        hint="read the three rules in the text again, in their order",
    ),
}

CHECKS: dict[str, Check] = HW1 | HW2 | HW3 | HW4
