"""Tables and figures that the commands end with."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from rich.box import SIMPLE_HEAD
from rich.table import Table

from miniclip.checkpoint import SHIPPED
from miniclip.data import CaptionedImages
from miniclip.model import CLIP
from miniclip.released import HUB_MODELS, SHIPPED_MODELS
from miniclip.retrieval import Recall
from miniclip.zeroshot import Score, wilson


def make_table(title: str, columns: tuple[str, ...], rows: list[tuple[str, ...]]) -> Table:
    """A table whose first column is text and whose others are numbers."""
    table = Table(title=title, title_justify="left")
    for number, column in enumerate(columns):
        table.add_column(column, justify="right" if number else "left")
    for row in rows:
        table.add_row(*row)
    return table


def scores_table(title: str, scores: Mapping[str, Score]) -> Table:
    """A row for each question: the share of right answers, its interval, and chance."""
    rows = [
        (
            name,
            f"{score.accuracy:.1%}",
            "{:.1%} to {:.1%}".format(*score.interval),
            str(score.n),
            f"{score.chance:.1%}",
        )
        for name, score in scores.items()
    ]
    return make_table(title, ("question", "right", "95 % interval", "pictures", "chance"), rows)


def recall_table(recall: Recall) -> Table:
    """Recall in both directions."""
    both = {"image to text": recall.image_to_text, "text to image": recall.text_to_image}
    rows = [(name, *(f"{value:.1%}" for value in values.values())) for name, values in both.items()]
    return make_table(
        f"Retrieval among {recall.pictures:,} pictures and {recall.texts:,} captions",
        ("", *(f"recall@{k}" for k in recall.image_to_text)),
        rows,
    )


def benchmark_table(name: str, found: Score | Recall, published: float | None) -> Table:
    """Accuracy or mean recall@1 on a set of CLIP_benchmark, and what others measured (percent)."""
    value, interval, count = _headline(found)
    what = "right" if isinstance(found, Score) else "recall@1, mean of both ways"
    columns = ("set", what, "95 % interval", "pictures", "published")
    known = "-" if published is None else f"{published:.1f}%"
    row = (name, f"{value:.1%}", "{:.1%} to {:.1%}".format(*interval), f"{count:,}", known)
    title = "In the protocol of CLIP_benchmark (published: by open_clip, with the same prompts)"
    return make_table(title, columns, [row])


def benchmark_json(found: Score | Recall, published: float | None) -> dict:
    """The same as plain values, shares from 0 to 1."""
    value, interval, count = _headline(found)
    known = None if published is None else published / 100
    measure = "accuracy" if isinstance(found, Score) else "recall@1"
    return {measure: value, "interval": interval, "n": count, "published": known}


def _headline(found: Score | Recall) -> tuple[float, tuple[float, float], int]:
    """A score's accuracy or a recall's mean at 1, its interval, and the number of pictures."""
    if isinstance(found, Score):
        return found.accuracy, found.interval, found.n
    mean = (found.image_to_text[1] + found.text_to_image[1]) / 2
    return mean, wilson(round(mean * found.pictures), found.pictures), found.pictures


def models_tables() -> tuple[Table, Table]:
    """What each model that has a name is, those that ship first, and where the others come from.
    Both fit into 80 columns."""
    models = Table(title="Models", title_justify="left", box=SIMPLE_HEAD, padding=(0, 0))
    for column in ("name", "on disk", "ImageNet", "licence", "learned from"):
        models.add_column(column, justify="right" if column in ("on disk", "ImageNet") else "left")
    for name, model in (SHIPPED_MODELS | HUB_MODELS).items():
        size = model.megabytes or SHIPPED[name].stat().st_size / 1e6
        imagenet = f"{model.imagenet} %" if model.imagenet else "-"
        models.add_row(name, f"{size:.0f} MB", imagenet, model.licence, model.data)
    sources = Table(title="On the hub", title_justify="left", box=SIMPLE_HEAD, padding=(0, 0))
    sources.add_column("name")
    sources.add_column("repository")
    for name, model in HUB_MODELS.items():
        sources.add_row(name, model.source)
    return models, sources


def scores_json(scores: Mapping[str, Score]) -> dict[str, dict]:
    """Scores as plain values."""
    return {
        name: {
            "accuracy": score.accuracy,
            "interval": score.interval,
            "n": score.n,
            "chance": score.chance,
        }
        for name, score in scores.items()
    }


def save_naming_figure(
    model: CLIP, test: CaptionedImages, trained: str, path: Path, count: int = 12
) -> None:
    """Save the first pictures of a drawn set with the model's likeliest objects for each."""
    from miniclip.course import plots
    from miniclip.evaluation import benchmarks
    from miniclip.zeroshot import classify

    question = benchmarks.questions(test)["object"]
    word = dict(zip(question.names, question.labels))
    answers = []
    for image in test.images[:count]:
        probabilities = classify(model, image, question.names, "a picture of {}.")
        answers.append({word[name]: p for name, p in probabilities.items()})
    title = f"Things by artists that it never saw, named after {trained}"
    figure = plots.guesses(test.images[:count], answers, question.targets[:count], title=title)
    figure.savefig(path, dpi=110)


def save_retrieval_figure(model: CLIP, test: CaptionedImages, path: Path, count: int = 9) -> None:
    """Save some test pictures, each with the three captions of the whole set that the model finds
    nearest to it."""
    from miniclip.course import plots
    from miniclip.retrieval import caption_features
    from miniclip.zeroshot import image_features

    texts = [caption for captions in test.captions for caption in captions]
    features, owner = caption_features(model, test)  # (texts, E), whose caption each is
    similarity = image_features(model, test.images[:count]) @ features.T  # (count, texts)
    best = similarity.topk(3).indices.tolist()
    found = [[texts[j] for j in row] for row in best]
    own = [[int(owner[j]) == i for j in row] for i, row in enumerate(best)]
    title = (
        f"The three captions of {len(texts):,} that it finds nearest to each picture "
        "(green: the picture's own)"
    )
    plots.matches(test.images[:count], found, own, title=title).savefig(path, dpi=110)
