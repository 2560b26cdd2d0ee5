"""Retrieval: finding pictures by a text and texts by a picture (paper 3.1.3 and Table 13).

Recall@k is counted as on COCO, over every caption of every picture. A picture has found its text
if any of its own captions is among the first k; a caption has found its picture if that one
picture is among the first k. The module also searches, finds duplicates, and shows where in a
picture a text is found. Taught in notebook 03, and duplicates in notebook 08.
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
    """Recall@k in both directions (paper, Table 13).

    Args:
        image_to_text: {k: the proportion of pictures with one of their captions among the first
            k texts}, in [0, 1].
        text_to_image: {k: the proportion of captions with their picture among the first k
            pictures}, in [0, 1].
        pictures: the number of pictures.
        texts: the number of captions.
    """

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
    """Recall@k in both directions, from features (paper, Table 13).

    Args:
        images: features of n pictures, (n, E) unit vectors.
        texts: features of m texts, (m, E) unit vectors.
        owner: int (m,), for each text the row of its picture in `images`.
        ks: the values of k to report.
    Returns:
        A `Recall`.
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
            f"got {len(images)} pictures, {len(texts)} texts and {len(owner)} owners; every text "
            "needs one picture, every picture a text"
        )
    image_rank, text_rank = _ranks(images, texts, owner)

    def recall(ranks: Tensor) -> dict[int, float]:
        return {k: (ranks < k).float().mean().item() for k in ks}

    return Recall(recall(image_rank), recall(text_rank), len(images), len(texts))


def _ranks(images: Tensor, texts: Tensor, owner: Tensor) -> tuple[Tensor, Tensor]:
    """The rank of the best right answer, for each picture (n,) and for each text (m,).

    A rank is the number of wrong answers that score at least as high as the best right one. So 0
    is the best rank, and ties count against the model.
    """
    # The whole (m, n) matrix of similarities may not fit into memory, so it is computed 4096 texts
    # at a time. Two passes are needed: only after the first is each picture's best right text
    # known, with which the second compares all the wrong ones.
    best = torch.full((len(images),), -torch.inf)  # (n,): similarity of the best right text
    text_rank = torch.empty(len(texts), dtype=torch.long)  # (m,)
    for start in range(0, len(texts), 4096):
        chunk = slice(start, start + 4096)
        scores = texts[chunk] @ images.T  # (4096, n)
        own = scores.gather(1, owner[chunk, None])  # (4096, 1): similarity to the right picture
        text_rank[chunk] = (scores >= own).sum(dim=1) - 1  # the right picture itself does not count
        best = best.scatter_reduce(0, owner[chunk], own[:, 0], "amax")
    image_rank = torch.zeros(len(images), dtype=torch.long)  # (n,)
    for start in range(0, len(texts), 4096):
        chunk = slice(start, start + 4096)
        scores = texts[chunk] @ images.T  # (4096, n)
        wrong = (scores >= best) & (owner[chunk, None] != torch.arange(len(images)))  # (4096, n)
        image_rank += wrong.sum(dim=0)
    return image_rank, text_rank


def caption_features(model, data) -> tuple[Tensor, Tensor]:
    """Embed all captions of a data set; captions that are too long for the model are cut.

    Args:
        model: anything with `encode_text`.
        data: a `CaptionedImages` with m captions in all.
    Returns:
        The captions' unit vectors (m, E), and int (m,), for each caption the row of its picture.
    """
    texts = [caption for captions in data.captions for caption in captions]
    owner = torch.tensor([row for row, captions in enumerate(data.captions) for _ in captions])
    if getattr(model, "tokenizer", None) is not None:
        texts = model.tokenizer(texts, model.config.context_length, truncate=True)
    return text_features(model, texts), owner


def evaluate_retrieval(model, data, ks: tuple[int, ...] = (1, 5, 10)) -> Recall:
    """Recall@k of a model in both directions, over all captions (paper, Table 13).

    Args:
        model: anything with `encode_image` and `encode_text`.
        data: a `CaptionedImages`.
        ks: the values of k to report.
    Returns:
        A `Recall`.
    """
    return recall_at_k(image_features(model, data), *caption_features(model, data), ks)


def nearest(vector: Tensor, features: Tensor, k: int = 10) -> list[tuple[int, float]]:
    """The k nearest rows of `features` to a vector.

    Args:
        vector: (E,), a unit vector.
        features: (n, E), unit vectors.
        k: how many rows to return; all n if there are fewer.
    Returns:
        Pairs (row of `features`, cosine similarity rounded to four decimals), the nearest first.
    """
    values, rows = (features @ vector).topk(min(k, len(features)))
    return list(zip(rows.tolist(), np.round(values.numpy(), 4).tolist()))


def search(model, query: str, features: Tensor, k: int = 10) -> list[tuple[int, float]]:
    """The k pictures (or texts) nearest to a text.

    Args:
        model: anything with `encode_text`.
        query: the text.
        features: (n, E), unit vectors of the pictures or texts to search in.
        k: how many rows to return; all n if there are fewer.
    Returns:
        Pairs (row of `features`, cosine similarity rounded to four decimals), the nearest first.
    """
    return nearest(text_features(model, [query])[0], features, k)


def duplicates(images, others) -> list[int]:
    """Which pictures of one set occur in another, the same in every pixel (paper 5)?

    Args:
        images: uint8 (n, H, W, 3) or a `CaptionedImages`, such as a test set.
        others: the same, of the same size in pixels, such as the training set.
    Returns:
        The rows of `images` that occur in `others`.
    """

    # Comparing short hashes instead of pictures makes one look-up for each picture enough.
    def hashes(pictures) -> list[bytes]:
        return [
            hashlib.sha256(np.ascontiguousarray(picture)).digest()
            for picture in getattr(pictures, "images", pictures)
        ]

    known = set(hashes(others))
    return [row for row, digest in enumerate(hashes(images)) if digest in known]


def nearest_neighbors(features: Tensor, others: Tensor, block: int = 1024) -> tuple[Tensor, Tensor]:
    """For each vector the nearest one among others: near duplicates to look at (paper 5).

    Args:
        features: (n, E), unit vectors.
        others: (m, E), unit vectors.
        block: how many of `features` to compare at a time; it does not change the result.
    Returns:
        Cosine similarities (n,) and rows of `others`, int (n,). A high similarity may mean a near
        duplicate.
    """
    parts = [
        (features[start : start + block] @ others.T).max(dim=1)
        for start in range(0, len(features), block)
    ]
    return torch.cat([part.values for part in parts]), torch.cat([part.indices for part in parts])


def occlusion(model, image, texts: str | list[str], cells: int = 8, window: int = 2) -> Tensor:
    """Where in a picture is a text found (Zeiler and Fergus 2014)?

    A window slides over the picture and covers it with the picture's mean colour. Where covering
    makes the cosine similarity with the text fall, the model sees what the text says.

    Args:
        model: anything with `encode_image` and `encode_text`.
        image: uint8 (H, W, 3).
        texts: one text or several.
        cells: the picture is divided into cells x cells parts.
        window: height and width of the window, in cells.
    Returns:
        (cells, cells), or (texts, cells, cells) for a list of texts: for each cell the mean fall
        of the similarity over all windows that cover it; below zero where covering helps.
    """
    image = np.asarray(image)
    covered, masks = _cover(image, cells, window)
    queries = [texts] if isinstance(texts, str) else list(texts)
    # (windows + 1, texts): the last row is for the whole picture.
    similarities = image_features(model, covered) @ text_features(model, queries).T
    falls = similarities[-1] - similarities[:-1]  # (windows, texts)
    # Average over the windows c that cover cell (i, j), for each text t.
    falls = torch.einsum("ct,cij->tij", falls, masks) / masks.sum(dim=0)  # (texts, cells, cells)
    return falls[0] if isinstance(texts, str) else falls


def _cover(image: np.ndarray, cells: int, window: int) -> tuple[np.ndarray, Tensor]:
    """A picture under each position of the window, and last the picture itself: uint8
    (windows + 1, H, W, 3). Also which cells each window covers: float (windows, cells, cells)."""
    # Borders between cells, in pixels: cells + 1 numbers for the rows and for the columns.
    down, across = (np.linspace(0, side, cells + 1).round().astype(int) for side in image.shape[:2])
    # Windows may stick out over the edges, so that every cell is covered by equally many.
    corners = [
        (row, column) for row in range(1 - window, cells) for column in range(1 - window, cells)
    ]
    covered = np.repeat(image[None], len(corners) + 1, axis=0)  # (windows + 1, H, W, 3)
    masks = torch.zeros(len(corners), cells, cells)
    for index, (row, column) in enumerate(corners):
        top, bottom = max(row, 0), min(row + window, cells)
        left, right = max(column, 0), min(column + window, cells)
        masks[index, top:bottom, left:right] = 1
        pixels = covered[index, down[top] : down[bottom], across[left] : across[right]]
        pixels[...] = image.mean(axis=(0, 1))  # a view: this paints `covered`
    return covered, masks
