"""What models that others have released do on this course's tests: `python -m miniclip study real`.

One file with numbers for each claim of the paper that notebooks 05 and 09 speak of: prompts and
ensembles (3.1.4), what a sentence is worth in labels (3.1.5), style as a shift (3.3), the failures
(3.1.5, 6), text on pictures and the modality gap. Whoever has the internet can run it and hand in
the file; what ships was measured on the models that ship. Answers are kept picture by picture, so
that models can be compared in pairs.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path

import numpy as np
import torch
from tqdm.auto import tqdm

from miniclip import prompts
from miniclip.checkpoint import load
from miniclip.data import CaptionedImages, World, album, labelled
from miniclip.data.world.scene import STYLES
from miniclip.evaluation.benchmarks import TEST_SEED, questions, single_objects
from miniclip.evaluation.challenges import CHALLENGES, Challenge, cosines, written
from miniclip.evaluation.probes import features, few_shot, linear_probe, pixels
from miniclip.evaluation.studies import Log
from miniclip.model import CLIP
from miniclip.released import HUB_MODELS
from miniclip.retrieval import caption_features, recall_at_k
from miniclip.zeroshot import evaluate, image_features

MODELS = ("picturebook", "photos", *HUB_MODELS)
WAYS = {"bare name": "{}", "sentence": "a photo of {}.", "ensemble": prompts.ALL}
# Real pictures with class labels: where torchvision keeps them, or a folder with a labels.json.
REAL_SETS = ("cifar10", "imagenette")
SHOTS = (1, 2, 4, 8, 16, 32, 64)  # labelled pictures of each class
UNSEEN = World(nouns="starter", artists="unseen")


def hits(right: np.ndarray) -> str:
    """Right or wrong for each picture, bool (n,), as a string of n characters 1 and 0."""
    return "".join("01"[bool(one)] for one in right)


def accuracy(found: str) -> float:
    """The share of right answers in what `hits` gave."""
    return found.count("1") / len(found)


def ways_to_ask(model, data: CaptionedImages, ways: Sequence[str] = tuple(WAYS)) -> dict[str, str]:
    """The right answers with the bare name, one sentence and an ensemble (paper 3.1.4)."""
    q, features = questions(data)["object"], image_features(model, data)
    labels, found = np.array(q.labels), {}
    for way in ways:
        score = evaluate(model, features, q.targets, q.labels, WAYS[way], q.names)
        found[way] = hits(labels[score.predictions] == q.targets)
    return found


def labels_against_words(model, learn: CaptionedImages, test: CaptionedImages) -> dict:
    """Zero-shot against linear probes on all labels and on few (paper, Figures 6 and 7).

    Args:
        model: a CLIP.
        learn, test: pictures with class labels.
    Returns:
        the right answers of one sentence ("zero-shot"), of a probe on all labels ("probe"), and of
        two that show how much of this the training did: probes on raw pixels ("pixels") and on the
        features of such a model before any training ("untrained"); how many pictures the probes
        learned from ("labels"); and {number of pictures of each class: the accuracy of each of
        five draws} ("shots").
    """
    y, test_y = learn.facts["object"], test.facts["object"]
    x, test_x = features(model, learn), features(model, test)
    found = {"zero-shot": ways_to_ask(model, test, ["sentence"])["sentence"], "labels": len(learn)}
    with torch.random.fork_rng():
        torch.manual_seed(0)
        fresh = CLIP(model.config, model.tokenizer).to(model.device).eval()
    looks = {
        "probe": (x, test_x),
        "pixels": (pixels(learn), pixels(test)),
        "untrained": (features(fresh, learn), features(fresh, test)),
    }
    for name, seen in looks.items():
        probe = linear_probe(seen[0], y, seen[1], test_y)
        classes = probe.classifier.classes_
        found[name] = hits(classes[probe.test_score.predictions] == test_y)
    fewest = np.unique(y, return_counts=True)[1].min()
    curve = few_shot(x, y, test_x, test_y, [number for number in SHOTS if number <= fewest])
    return found | {"shots": {str(number): found.tolist() for number, found in curve.items()}}


def styles(model, n: int, size: int) -> dict[str, str]:
    """Right answers with one sentence in each drawing style, by artists that none of our models has
    seen."""
    found = {}
    for style in STYLES:
        data = single_objects(UNSEEN, n, size, TEST_SEED, style)
        found[style] = ways_to_ask(model, data, ["sentence"])["sentence"]
    return found


def chosen(model, challenge: Challenge) -> dict:
    """The right answers to a challenge, and its chance level."""
    answers = cosines(model, challenge).argmax(dim=1).numpy()
    return {"hits": hits(answers == challenge.right), "chance": 1 / len(challenge.candidates[0])}


def album_scores(model, size: int) -> dict:
    """Retrieval over the album, and how far apart its pictures and captions lie (Liang et al.
    2022)."""
    photographs = album(size)
    images = image_features(model, photographs)  # (82, E)
    texts, owner = caption_features(model, photographs)  # (362, E), whose caption each is
    pairs = (images[owner] * texts).sum(dim=1)
    return {
        "recall": asdict(recall_at_k(images, texts, owner)),
        "distance of the centres": float((images.mean(0) - texts.mean(0)).norm()),
        "cosine of a pair": float(pairs.mean()),
    }


def claims(model, n: int, real_root: Path) -> dict[str, Callable[[], object]]:
    """What is measured of each model, by name. A real set that is not here raises
    FileNotFoundError, or ModuleNotFoundError without torchvision."""
    size = min(model.config.image_size, 224)

    def pictures(name: str, count: int, train: bool = False) -> CaptionedImages:
        folder = real_root / name
        found = folder if (folder / "labels.json").is_file() else name
        return labelled(found, count, size, train, root=real_root)

    def real(name: str) -> dict[str, str]:
        return ways_to_ask(model, pictures(name, 5 * n))

    def few_labels(name: str) -> dict:
        return labels_against_words(model, pictures(name, 10 * n, True), pictures(name, 5 * n))

    made = {
        "album": lambda: album_scores(model, size),
        "prompts: drawings": lambda: ways_to_ask(model, single_objects(UNSEEN, n, size)),
        **{f"prompts: {name}": partial(real, name) for name in REAL_SETS},
        **{f"labels: {name}": partial(few_labels, name) for name in REAL_SETS},
        "styles": lambda: styles(model, n, size),
        "no word": lambda: chosen(model, written(n, size, text=False)),
    }
    return made | {
        f"failures: {name}": lambda make=make: chosen(model, make(n=n, size=size))
        for name, make in CHALLENGES.items()
    }


def real(
    log: Log,
    models: Sequence[str] = MODELS,
    n: int = 200,
    real_root: str | Path = "datasets/torchvision",
    progress: bool = True,
) -> None:
    """Measure each model that can be had. What the log holds already is not measured again.

    Args:
        log: what is measured is written there, part by part, as "MODEL: CLAIM".
        models: names or paths, as `miniclip.load` takes them. One that is neither here nor to be
            fetched is left out, which is told.
        n: pictures for each claim; five times as many of the real sets, and ten times as many for
            probes to learn from.
        real_root: where real sets are looked for.
        progress: whether to show a progress bar.
    """
    log.part("about", lambda: {"pictures": n, "ensemble": len(prompts.ALL)})
    for name in models:
        try:
            model = load(name)
        except FileNotFoundError as error:
            tqdm.write(f"{name} is left out: {error}")
            continue
        # A log that was begun keeps its number of pictures.
        parts = claims(model, log.parts["about"]["pictures"], Path(real_root))
        for claim, measure in tqdm(parts.items(), name, disable=not progress):
            # A real set that is not here is left out, and measured when it has come.
            with contextlib.suppress(FileNotFoundError, ModuleNotFoundError):
                log.part(f"{name}: {claim}", measure)
