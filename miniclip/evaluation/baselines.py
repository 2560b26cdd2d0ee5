"""The baselines that contrastive learning is compared with (paper 2.3, Figure 2).

All have the same image tower and see the same data in the same order. One is a classifier that is
trained on labels. The other two are the ways of predicting captions that the paper tried first: as
a bag of words, and word by word. Taught in notebooks 06 and 07.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from miniclip.attention import Transformer
from miniclip.checkpoint import SHIPPED
from miniclip.checkpoint import new as new_model
from miniclip.checkpoint import read as read_checkpoint
from miniclip.checkpoint import save as save_checkpoint
from miniclip.config import CLIPConfig
from miniclip.data import CaptionedImages
from miniclip.device import pick_device, pick_precision
from miniclip.model import CLIP
from miniclip.tokenizer import Tokenizer, trim
from miniclip.training.batches import Batches
from miniclip.training.clip import train
from miniclip.training.history import History
from miniclip.training.loop import Loop, fit, train_step
from miniclip.training.optimizers import make_optimizers
from miniclip.training.precision import Precision
from miniclip.training.recipe import Recipe
from miniclip.zeroshot import Score, fill, wilson


def fit_baseline(
    model: Baseline,
    data: CaptionedImages,
    loss: Callable[[Tensor, Tensor, Tensor], Tensor],
    seen: int,
    recipe: Recipe = Recipe(),
    eval_fn: Callable[[nn.Module], dict[str, float]] | None = None,
    eval_at: int | Sequence[float] = 10,
    device: str | None = None,
    precision: str | None = None,
    progress: bool = True,
) -> History:
    """Train a baseline as `train` trains a CLIP: with the same loop, pictures, order, optimizers
    and schedule. Only the loss differs.

    Args:
        model: is trained in place.
        loss: from pictures (B, 3, S, S), token ids (k B, T) and the pictures' row numbers in the
            data (B,) to a scalar.
        seen, recipe, eval_fn, eval_at, device, precision: as for `train`.
    Returns:
        its `History`.
    Raises:
        FloatingPointError: if the loss is no longer a number.
    """
    device = pick_device(device)
    model.to(device)
    rounding = Precision(device, pick_precision(device, precision))
    if recipe.patch_dropout:
        raise ValueError("baselines look at whole pictures; train them with patch_dropout=0")
    batches = Batches(data, model.tokenizer, model.config, recipe, device)

    def objective(images: Tensor, tokens: Tensor, rows: Tensor) -> Tensor:
        with rounding.autocast():
            return loss(images, tokens, rows)

    whole_batches = max(1, seen // recipe.batch_size) * recipe.batch_size
    loop = Loop(
        model,
        recipe,
        device,
        seen=whole_batches,
        eval_fn=eval_fn,
        eval_at=eval_at,
        progress=progress,
        label=type(model).__name__,
    )
    optimizers = make_optimizers(model, recipe)
    with_rows = lambda step: (*batches(step), batches.rows(step))
    take_step = lambda batch: train_step(
        model, batch, objective, optimizers, rounding, recipe.clip_norm
    )
    return fit(model, with_rows, take_step, optimizers, loop, recipe)


class Baseline(nn.Module):
    """What the baselines share: an image tower with its preprocessing, and a method that gives
    every class a score for a picture."""

    def __init__(self, clip: CLIP):
        super().__init__()
        self.clip = clip  # its image tower is used; its text tower is not

    @property
    def config(self) -> CLIPConfig:
        """Sizes, those of its CLIP."""
        return self.clip.config

    @property
    def tokenizer(self) -> Tokenizer | None:
        """Turns text into token ids."""
        return self.clip.tokenizer

    def class_scores(self, images: Tensor, names: Sequence[str]) -> Tensor:
        """Scores for C class names: preprocessed pictures (B, 3, S, S) -> (B, C)."""
        raise NotImplementedError


def evaluate_baseline(
    model: Baseline,
    images,
    targets: Sequence[str],
    labels: Sequence[str],
    names: Sequence[str] | None = None,
    calibrate=None,
    batch_size: int = 64,
) -> Score:
    """How often the class with the largest score is the right one.

    Args:
        model: the baseline.
        images: uint8 (n, H, W, 3) or a `CaptionedImages`.
        targets, labels, names: as for `zeroshot.evaluate`.
        calibrate: pictures without labels that are not of the test. What they tell of each class's
            probability on any picture, log p(class), is subtracted from its scores log p(class |
            picture), so that a frequent word is not preferred just because it is frequent.
        batch_size: pictures at a time.
    """

    def score(pictures) -> Tensor:
        pixels = np.asarray(getattr(pictures, "images", pictures))
        with torch.inference_mode():
            parts = [
                model.class_scores(
                    model.clip.preprocess(pixels[i : i + batch_size]), list(names or labels)
                )
                .float()
                .cpu()
                for i in range(0, len(pixels), batch_size)
            ]
        return torch.cat(parts)  # (n, C)

    values = score(images)
    if calibrate is not None:
        others = score(calibrate)  # (n, C)
        values = values - (others.logsumexp(dim=0) - math.log(len(others)))
    predictions = values.argmax(dim=1).numpy()
    hits = int((np.array(list(labels))[predictions] == np.asarray(targets)).sum())
    return Score(
        hits / len(predictions),
        wilson(hits, len(predictions)),
        len(predictions),
        1 / len(list(labels)),
        predictions,
    )


class Classifier(Baseline):
    """An image tower with one vector for each class: ordinary supervised learning. Fine-tuning is
    the same, started from a zero-shot classifier.

    Args:
        clip: gives the tower.
        labels: C class names.
        head: (C, E), the vectors to start from; None starts from random ones.

    Attributes:
        keep_statistics: whether training leaves BatchNorm's running means and variances as they
            are; `probes.fine_tune` sets it.
    """

    keep_statistics = False

    def __init__(self, clip: CLIP, labels: Sequence[str], head: Tensor | None = None):
        super().__init__(clip)
        self.labels = list(labels)
        self.head = nn.Parameter(
            torch.randn(len(self.labels), clip.config.embed_dim) * 0.1
            if head is None
            else head.clone().float()
        )

    def train(self, mode: bool = True) -> Classifier:
        """Switch between training and evaluation, as in PyTorch. BatchNorm layers whose statistics
        are kept stay in evaluation."""
        super().train(mode)
        for module in self.modules():
            if self.keep_statistics and isinstance(module, nn.BatchNorm2d):
                module.eval()
        return self

    def forward(self, images: Tensor) -> Tensor:
        """Pictures (B, 3, S, S) -> logits (B, C)."""
        return self.logits(self.clip.encode_image(images), self.head)

    def logits(self, vectors: Tensor, head: Tensor) -> Tensor:
        """Unit vectors of pictures (B, E) and vectors of classes (C, E) -> logits (B, C)."""
        return self.clip.logit_scale.exp() * vectors @ F.normalize(head, dim=-1).T

    def class_scores(self, images: Tensor, names: Sequence[str]) -> Tensor:
        """The logits (B, C). The classifier knows only the classes it was trained on, so there must
        be as many `names` as those."""
        if len(names) != len(self.labels):
            raise ValueError(
                f"this classifier was trained on {len(self.labels)} classes and cannot be asked"
                f" about {len(names)} others"
            )
        return self(images)


def supervised(
    data: CaptionedImages,
    targets: Sequence[str],
    labels: Sequence[str],
    model: CLIP | str | CLIPConfig = "nano",
    head: Tensor | None = None,
    keep_statistics: bool = False,
    also: Sequence[tuple[Sequence[str], Sequence[str]]] = (),
    **options,
) -> tuple[Classifier, History]:
    """Train an image tower on labels, the usual way.

    Args:
        data: the pictures.
        targets: the right label of each picture.
        labels: C class names.
        model: a preset for a tower that starts from nothing, or a CLIP whose tower is trained
            further, in place.
        head: (C, E), the vectors to start from.
        keep_statistics: see `Classifier`.
        also: more labels that the tower learns from: further (targets, labels), "" as the target of
            a picture that has none. Their heads are gone after the training.
        options: of `fit_baseline`, such as seen, recipe and eval_fn.
    Returns:
        the `Classifier` and its `History`.
    Raises:
        ValueError: if counts disagree or a target is not among the labels.
    """
    labels = list(labels)
    if len(targets) != len(data) or not set(map(str, targets)) <= set(labels):
        raise ValueError(
            f"expected a target among the {len(labels)} labels for each of {len(data)} pictures"
        )
    classifier = Classifier(
        model if isinstance(model, CLIP) else _start(data, model, options), labels, head
    )
    classifier.keep_statistics = keep_statistics
    width = classifier.config.embed_dim
    classifier.also = nn.ParameterList(torch.randn(len(more), width) * 0.1 for _, more in also)
    right = [_rows(*question) for question in ((targets, labels), *also)]

    def loss(images: Tensor, tokens: Tensor, rows: Tensor) -> Tensor:
        vectors = classifier.clip.encode_image(images)
        heads = (classifier.head, *classifier.also)
        every = (classifier.logits(vectors, head).float() for head in heads)
        answers = (answer[rows].to(images.device) for answer in right)
        return sum(map(F.cross_entropy, every, answers))

    history = fit_baseline(classifier, data, loss, **options)
    del classifier.also
    return classifier, history


def _rows(targets: Sequence[str], labels: Sequence[str]) -> Tensor:
    """The number of each target among the labels; for "" what a cross-entropy leaves out."""
    number = {label: row for row, label in enumerate(labels)} | {"": -100}
    return torch.tensor([number[str(target)] for target in targets])


class BagOfWords(Baseline):
    """Predicts from a picture's vector which tokens its caption has, whatever their order (Joulin
    et al. 2016)."""

    def __init__(self, clip: CLIP):
        super().__init__(clip)
        self.words = nn.Linear(clip.config.vision_width, clip.config.vocab_size)

    def forward(self, images: Tensor) -> Tensor:
        """Pictures (B, 3, S, S) -> the log-probability of each token, (B, V)."""
        return self.words(self.clip.visual.features(images)).float().log_softmax(dim=-1)

    def loss(self, images: Tensor, tokens: Tensor, rows: Tensor) -> Tensor:
        """The mean of -log p over the different tokens of each caption."""
        words = _bag(tokens, self.config)  # (captions * B, V)
        predicted = self(images).repeat(len(tokens) // len(images), 1)
        return -((words * predicted).sum(dim=1) / words.sum(dim=1).clamp(min=1)).mean()

    def class_scores(self, images: Tensor, names: Sequence[str]) -> Tensor:
        """The mean log-probability of the tokens of each name: (B, C)."""
        words = _bag(
            self.tokenizer(names, self.config.context_length).to(images.device), self.config
        )  # (C, V)
        return self(images) @ (words / words.sum(dim=1, keepdim=True)).T


def _bag(tokens: Tensor, config: CLIPConfig) -> Tensor:
    """Which tokens occur in each text, marks and padding left out: (B, T) -> 0 or 1, (B, V)."""
    bag = torch.zeros(len(tokens), config.vocab_size, device=tokens.device).scatter_(1, tokens, 1.0)
    bag[:, : config.end_token + 1] = 0  # padding, start and end
    return bag


class Captioner(Baseline):
    """A language model that writes a caption token by token, after it has read the patches of the
    picture."""

    def __init__(self, clip: CLIP):
        super().__init__(clip)
        config = clip.config
        self.bridge = nn.Linear(config.vision_width, config.text_width)
        self.token_embedding = nn.Embedding(config.vocab_size, config.text_width)
        self.positional_embedding = nn.Parameter(
            torch.randn(config.context_length, config.text_width) * 0.1
        )
        self.blocks = Transformer(
            config.text_width, config.text_layers, config.text_heads, config.activation
        )
        self.ln_final = nn.LayerNorm(config.text_width)
        self.words = nn.Linear(config.text_width, config.vocab_size)

    def read(self, images: Tensor) -> Tensor:
        """Turn pictures (B, 3, S, S) into the vectors (B, N, D) that stand before the text."""
        return self.bridge(self.clip.visual.ln_post(self.clip.visual.tokens(images)))

    def after(self, patches: Tensor, tokens: Tensor) -> Tensor:
        """Log-probabilities of the next token after each token of a text: (B, N, D) and (B, T) ->
        (B, T, V)."""
        N, T = patches.shape[1], tokens.shape[1]
        x = torch.cat(
            [patches, self.token_embedding(tokens) + self.positional_embedding[:T]], dim=1
        )  # (B, N + T, D)
        sees = torch.ones(N + T, N + T, dtype=torch.bool, device=x.device).tril()
        sees[:N, :N] = True  # patches see each other; words see the patches and the words before
        return self.words(self.ln_final(self.blocks(x, sees)[:, N:])).float().log_softmax(dim=-1)

    def score_all(self, patches: Tensor, tokens: Tensor) -> Tensor:
        """Log-probability of each of C texts for each picture: (B, N, D) and (C, T) -> (B, C).

        All texts of a picture stand in one row behind its patches, and see these and themselves,
        so that the patches are read once and not once for each text.
        """
        (B, N, D), (C, T) = patches.shape, tokens[:, :-1].shape
        texts = self.token_embedding(tokens[:, :-1]) + self.positional_embedding[:T]  # (C, T, D)
        x = torch.cat([patches, texts.reshape(1, C * T, D).expand(B, -1, -1)], dim=1)
        earlier = torch.ones(T, T, dtype=torch.bool, device=x.device).tril()
        sees = torch.zeros(N + C * T, N + C * T, dtype=torch.bool, device=x.device)
        sees[:, :N] = True
        sees[N:, N:] = torch.block_diag(*[earlier] * C)
        said = self.words(self.ln_final(self.blocks(x, sees)[:, N:])).float().log_softmax(dim=-1)
        right = tokens[:, 1:].reshape(1, C * T, 1).expand(B, -1, -1)
        found = said.gather(2, right).view(B, C, T) * (tokens[:, 1:] != 0)
        return found.sum(dim=2)

    def forward(self, patches: Tensor, tokens: Tensor) -> Tensor:
        """Log-probabilities of the tokens of each text, without the first: (B, N, D) and (B, T) ->
        (B, T - 1), zero for padding."""
        return self.after(patches, tokens[:, :-1]).gather(2, tokens[:, 1:, None])[..., 0] * (
            tokens[:, 1:] != 0
        )

    @torch.inference_mode()
    def write(self, images, longest: int = 24) -> list[str]:
        """Write a caption of at most `longest` tokens for each picture (anything that `preprocess`
        takes), always with the likeliest next token (greedy decoding)."""
        patches = self.read(self.clip.preprocess(images))
        # Every text begins with the start mark.
        tokens = (
            self.tokenizer([""], self.config.context_length)[:, :1]
            .to(patches.device)
            .expand(len(patches), -1)
        )
        while (
            tokens.shape[1] <= min(longest, self.config.context_length - 1)
            and not (tokens == self.config.end_token).any(dim=1).all()
        ):
            tokens = torch.cat(
                [tokens, self.after(patches, tokens)[:, -1].argmax(dim=1, keepdim=True)], dim=1
            )
        return [self.tokenizer.decode(text) for text in tokens.tolist()]

    def loss(self, images: Tensor, tokens: Tensor, rows: Tensor) -> Tensor:
        """The mean of -log p over the tokens of all captions."""
        written = self(self.read(images).repeat(len(tokens) // len(images), 1, 1), tokens)
        return -written.sum() / (tokens[:, 1:] != 0).sum()

    def class_scores(self, images: Tensor, names: Sequence[str]) -> Tensor:
        """The log-probability of writing "a picture of NAME.", the sentence that CLIP is asked
        with: (B, C)."""
        sentences = [fill("a picture of {}.", name) for name in names]
        tokens = self.tokenizer(sentences, self.config.context_length)
        tokens = trim(tokens, self.config.end_token).to(images.device)
        patches = self.read(images)  # (B, N, D)
        return torch.cat([self.score_all(picture[None], tokens) for picture in patches])


def _start(data: CaptionedImages, preset: str | CLIPConfig, options: dict) -> CLIP:
    """The model that `train` would start from, given the same data, preset and seed."""
    return new_model(
        (caption for captions in data.captions for caption in captions),
        preset,
        options.get("recipe", Recipe()).seed,
    )


def bag_of_words(
    data: CaptionedImages, preset: str | CLIPConfig = "nano", **options
) -> tuple[BagOfWords, History]:
    """Train an image tower to predict the bag of words of captions.

    The options are those of `fit_baseline`, such as seen, recipe and eval_fn.
    """
    model = BagOfWords(_start(data, preset, options))
    return model, fit_baseline(model, data, model.loss, **options)


def captioner(
    data: CaptionedImages, preset: str | CLIPConfig = "nano", **options
) -> tuple[Captioner, History]:
    """Train an image tower and a language model to write captions.

    The options are those of `fit_baseline`, such as seen, recipe and eval_fn.
    """
    model = Captioner(_start(data, preset, options))
    return model, fit_baseline(model, data, model.loss, **options)


class BagText(nn.Module):
    """A text tower that reads a caption as a bag of words: it averages the vectors of its tokens
    and ignores their order. The contrastive curve of the paper's Figure 2 has such a text tower."""

    def __init__(self, config: CLIPConfig):
        super().__init__()
        self.config = config
        self.token_embedding = nn.Embedding(config.vocab_size, config.text_width)
        self.ln_final = nn.LayerNorm(config.text_width)
        self.projection = nn.Parameter(
            torch.randn(config.text_width, config.embed_dim) * config.text_width**-0.5
        )

    def forward(self, tokens: Tensor) -> Tensor:
        """(B, T) token ids -> (B, E), not yet of unit length."""
        words = _bag(tokens, self.config)  # (B, V)
        return (
            self.ln_final(
                words @ self.token_embedding.weight / words.sum(dim=1, keepdim=True).clamp(min=1)
            )
            @ self.projection
        )


def contrast_of_bags(
    data: CaptionedImages, preset: str | CLIPConfig = "nano", **options
) -> tuple[CLIP, History]:
    """Train a CLIP whose text tower is a `BagText`. The options are those of `train`."""
    model = _start(data, preset, options)
    torch.manual_seed(options.get("recipe", Recipe()).seed)
    model.text = BagText(model.config)
    return train(data, model, **options)


class ContrastOfBags(Baseline):
    """What `contrast_of_bags` trained, in a form that can be saved as the other baselines.

    Args:
        clip: gives the image tower, the temperature and the tokenizer; and the text tower, if that
            is a `BagText` (otherwise a fresh one is made).
    """

    def __init__(self, clip: CLIP):
        text = clip.text
        if isinstance(text, BagText):  # then all but the text tower goes into another CLIP
            whole, clip = clip, CLIP(clip.config, clip.tokenizer)
            clip.visual, clip.logit_scale = whole.visual, whole.logit_scale
        else:
            text = BagText(clip.config)
        super().__init__(clip)
        self.text = text

    def encode_image(self, images) -> Tensor:
        """Pictures -> unit vectors (B, E), as `CLIP.encode_image`."""
        return self.clip.encode_image(images)

    def encode_text(self, texts: Sequence[str], truncate: bool = False) -> Tensor:
        """B strings -> unit vectors (B, E), as `CLIP.encode_text`."""
        tokens = self.tokenizer(texts, self.config.context_length, truncate)
        return F.normalize(self.text(tokens.to(self.clip.device)), dim=-1)


BASELINES = {kind.__name__: kind for kind in (Classifier, BagOfWords, Captioner, ContrastOfBags)}


def save_baseline(model: Baseline, path: str | Path, training: dict | None = None) -> None:
    """Write a baseline to one file with weights in fp16, as `checkpoint.save` does with a CLIP."""
    own = {
        name: tensor for name, tensor in model.state_dict().items() if not name.startswith("clip.")
    }
    save_checkpoint(
        model.clip,
        path,
        {**(training or {}), "rival": type(model).__name__, "labels": getattr(model, "labels", [])},
        own,
        half=True,
    )


def load_baseline(path: str | Path, device: str | torch.device | None = None) -> Baseline:
    """Load a baseline, ready to use.

    Args:
        path: a file, or the name of a baseline that ships: "classifier", "bag-of-words",
            "captioner", "chatty-captioner" or "chatty-bags".
        device: by default the fastest here.
    Raises:
        FileNotFoundError, ValueError: as `checkpoint.read`, and for a file that holds a CLIP.
    """
    clip, notes, own = read_checkpoint(SHIPPED.get(str(path), path))
    if notes.get("rival") not in BASELINES:
        raise ValueError(f"{path} holds a CLIP and no rival; load it with miniclip.load")
    model = (
        Classifier(clip, notes["labels"])
        if notes["rival"] == "Classifier"
        else BASELINES[notes["rival"]](clip)
    )
    model.load_state_dict(own, strict=False)  # the CLIP's own weights are in it already
    return model.to(pick_device(device)).eval()
