"""Finding pictures by text and texts by picture: recall@k as on COCO, and search (paper 3.1.3 and
Table 13).

Every caption of every picture takes part. A picture has found its text if any of its own captions
is among the first k; a caption has found its picture if that one picture is.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from miniclip.zeroshot import image_features, text_features


@dataclass(frozen=True)
class Recall:
    """recall@k in [0, 1] both ways, by k, among `pictures` pictures and `texts` captions."""

    image_to_text: dict[int, float]
    text_to_image: dict[int, float]
    pictures: int
    texts: int

    def __str__(self) -> str:
        rows = [f"among {self.pictures} pictures and {self.texts} captions"]
        for name, recall in (
            ("image to text", self.image_to_text),
            ("text to image", self.text_to_image),
        ):
            rows.append(
                f"  {name}  " + "  ".join(f"recall@{k} {value:.1%}" for k, value in recall.items())
            )
        return "\n".join(rows)


def recall_at_k(
    images: Tensor, texts: Tensor, owner: Tensor, ks: tuple[int, ...] = (1, 5, 10)
) -> Recall:
    """recall@k both ways from features.

    Args:
        images: (N, E) unit vectors. texts: (M, E) unit vectors.
        owner: (M,) int, which picture each text belongs to.
        ks: ranks to report.
    Raises:
        ValueError: if shapes disagree or a picture has no text.
    """
    owner = torch.as_tensor(owner)
    if (
        len(owner) != len(texts)
        or len(torch.unique(owner)) != len(images)
        or images.shape[1] != texts.shape[1]
    ):
        raise ValueError(
            f"got {len(images)} pictures, {len(texts)} texts and {len(owner)} owners; every text needs one picture, every picture a text"
        )
    # A rank is the number of wrong answers that score at least as high as the best right one:
    # ties count against the model.
    best = torch.full((len(images),), -torch.inf)
    text_rank = torch.empty(len(texts), dtype=torch.long)
    for start in range(0, len(texts), 4096):
        part = slice(start, start + 4096)
        scores = texts[part] @ images.T  # (4096, N)
        own = scores.gather(1, owner[part, None])
        text_rank[part] = (scores >= own).sum(dim=1) - 1
        best = best.scatter_reduce(0, owner[part], own[:, 0], "amax")
    image_rank = torch.zeros(len(images), dtype=torch.long)
    for start in range(0, len(texts), 4096):
        part = slice(start, start + 4096)
        scores = texts[part] @ images.T
        wrong = (scores >= best) & (owner[part, None] != torch.arange(len(images)))
        image_rank += wrong.sum(dim=0)

    def share(ranks: Tensor) -> dict[int, float]:
        return {k: (ranks < k).float().mean().item() for k in ks}

    return Recall(share(image_rank), share(text_rank), len(images), len(texts))


def caption_features(model, data) -> tuple[Tensor, Tensor]:
    """All captions of a `CaptionedImages`: their unit vectors (M, E), and the row of each one's
    picture (M,). One too long for the model is cut."""
    texts = [caption for captions in data.captions for caption in captions]
    owner = torch.tensor([row for row, captions in enumerate(data.captions) for _ in captions])
    if getattr(model, "tokenizer", None) is not None:
        texts = model.tokenizer(texts, model.config.context_length, truncate=True)
    return text_features(model, texts), owner


def evaluate_retrieval(model, data, ks: tuple[int, ...] = (1, 5, 10)) -> Recall:
    """recall@k both ways of a model on a `CaptionedImages`, over all captions."""
    return recall_at_k(image_features(model, data), *caption_features(model, data), ks)


def nearest(vector: Tensor, features: Tensor, k: int = 10) -> list[tuple[int, float]]:
    """The k rows of `features` (N, E) nearest to a vector (E,): pairs (row, cosine), nearest
    first."""
    values, rows = (features @ vector).topk(min(k, len(features)))
    return list(zip(rows.tolist(), np.round(values.numpy(), 4).tolist()))


def search(model, query: str, features: Tensor, k: int = 10) -> list[tuple[int, float]]:
    """The k pictures (or texts) nearest to a text: pairs (row of `features`, cosine), nearest
    first."""
    return nearest(text_features(model, [query])[0], features, k)


def duplicates(images, others) -> list[int]:
    """Which pictures of one set occur in another, pixel by pixel: rows of `images`, found by
    their hashes (paper 5).

    Args:
        images, others: uint8 (N, H, W, 3) of one size, or `CaptionedImages`: a test set, and what
            was trained on.
    """

    def prints(pictures) -> list[bytes]:
        return [
            hashlib.sha256(np.ascontiguousarray(picture)).digest()
            for picture in getattr(pictures, "images", pictures)
        ]

    known = set(prints(others))
    return [row for row, own in enumerate(prints(images)) if own in known]


def nearest_neighbors(features: Tensor, others: Tensor, block: int = 1024) -> tuple[Tensor, Tensor]:
    """For each vector (N, E) the nearest among others (M, E): cosines (N,) and rows (N,); what
    comes close may be a near duplicate, to be looked at (paper 5)."""
    parts = [
        (features[start : start + block] @ others.T).max(dim=1)
        for start in range(0, len(features), block)
    ]
    return torch.cat([part.values for part in parts]), torch.cat([part.indices for part in parts])


def occlusion(model, image, texts: str | list[str], cells: int = 8, window: int = 2) -> Tensor:
    """Where in a picture a text is found: how much its cosine falls when a window there is
    covered with the picture's mean colour.

    Args:
        model: anything with `encode_image` and `encode_text`.
        image: uint8 (H, W, 3).
        texts: one text or several.
        cells: the picture is divided into cells x cells places.
        window: height and width of the cover, in cells.
    Returns:
        (cells, cells), or (texts, cells, cells): the mean fall over the covers that hide a cell;
        below zero where covering helps. (Zeiler and Fergus 2014.)
    """
    image = np.asarray(image)
    down, across = (np.linspace(0, side, cells + 1).round().astype(int) for side in image.shape[:2])
    corners = [
        (row, column) for row in range(1 - window, cells) for column in range(1 - window, cells)
    ]
    covered, masks = (
        np.repeat(image[None], len(corners) + 1, axis=0),
        torch.zeros(len(corners), cells, cells),
    )
    for number, (row, column) in enumerate(corners):
        rows, columns = (
            slice(max(row, 0), min(row + window, cells)),
            slice(max(column, 0), min(column + window, cells)),
        )
        covered[
            number, down[rows.start] : down[rows.stop], across[columns.start] : across[columns.stop]
        ] = image.mean(axis=(0, 1))
        masks[number, rows, columns] = 1
    words = [texts] if isinstance(texts, str) else list(texts)
    cosines = (
        image_features(model, covered) @ text_features(model, words).T
    )  # (covers + 1, texts); the last row is of the whole picture
    falls = torch.einsum("ct,cij->tij", cosines[-1] - cosines[:-1], masks) / masks.sum(dim=0)
    return falls[0] if isinstance(texts, str) else falls
