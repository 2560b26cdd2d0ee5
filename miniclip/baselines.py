"""The rivals of contrastive learning, with the same image tower, the same data in the same order: a classifier trained on labels,
and the two ways of predicting captions that the paper tried first, as a bag of words and word by word (paper 2.3, Figure 2).
Taught in notebooks 06 and 07.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from tqdm.auto import tqdm

from . import hub
from .data import CaptionedImages
from .hub import pick_device, pick_precision
from .model import CLIP, CLIPConfig, Transformer
from .optim import make_optimizers, schedule
from .tokenizer import Tokenizer
from .train import Batches, History, Recipe, interruptible, train
from .zeroshot import Score, fill, wilson


def fit(
    model: nn.Module, data: CaptionedImages, loss: Callable[[Tensor, Tensor, Tensor], Tensor], seen: int, recipe: Recipe = Recipe(),
    score: Callable[[nn.Module], dict[str, float]] | None = None, scores: int | Sequence[float] = 10, device: str | None = None, precision: str | None = None, progress: bool = True,
) -> History:
    """Train a rival as `train` trains a CLIP: the same pictures in the same order, optimizers and schedule; only the loss differs.

    Args:
        model: has a `config` and a `tokenizer`; it is trained in place.
        loss: of pictures (B, 3, S, S), token ids (captions * B, T) and row numbers in the data (B,); gives a scalar.
        seen, recipe, score, scores, device, precision: as for `train`. Ctrl-C ends the training, with what was learned so far.
    Returns:
        its `History`.
    Raises:
        FloatingPointError: if the loss is no longer a number.
    """
    device = pick_device(device)
    precision = pick_precision(device, precision)
    model.to(device).train()
    optimizers, batches, history, losses = make_optimizers(model, recipe), Batches(data, model.tokenizer, model.config, recipe, device), History(), []
    scaler = torch.amp.GradScaler(device.type, enabled=precision == torch.float16)
    steps = max(1, seen // recipe.batch_size)
    looks = {max(1, round(steps * share)) for share in ([(k + 1) / scores for k in range(scores)] if isinstance(scores, int) else scores)}
    with tqdm(total=steps, desc=type(model).__name__, unit="step", disable=not progress) as bar, interruptible() as interrupted:
        for step in range(steps):
            images, tokens = batches(step)
            with torch.autocast(device.type, precision, enabled=precision != torch.float32):
                value = loss(images, tokens, batches.rows(step))
            if not torch.isfinite(value):
                raise FloatingPointError(f"the loss became {value.item()} at step {step}; try a lower learning rate, now {recipe.lr}")
            losses.append(value.detach())
            model.zero_grad()
            scaler.scale(value).backward()
            for optimizer in optimizers:
                scaler.unscale_(optimizer)
            torch.nn.utils.clip_grad_norm_(model.parameters(), recipe.clip_norm)
            for optimizer in optimizers:
                for group in optimizer.param_groups:
                    group["lr"] = optimizer.defaults["lr"] * schedule(step / steps, recipe.warmup)
                scaler.step(optimizer)
            scaler.update()
            bar.update()
            if step + 1 in looks:
                model.eval()
                row = {"seen": (step + 1) * recipe.batch_size, "loss": torch.stack(losses).mean().item()}
                history.rows.append(row | (score(model) if score else {}))
                model.train()
                losses = []
            if interrupted():
                break
    model.eval()
    return history


class Rival(nn.Module):
    """What the rivals share: an image tower with its preprocessing, and a score for every class and picture."""

    def __init__(self, clip: CLIP):
        super().__init__()
        self.clip = clip  # its image tower is used; its text tower is not

    @property
    def config(self) -> CLIPConfig:
        """Sizes, as of a CLIP."""
        return self.clip.config

    @property
    def tokenizer(self) -> Tokenizer | None:
        """Text to token ids."""
        return self.clip.tokenizer

    def class_scores(self, images: Tensor, names: Sequence[str]) -> Tensor:
        """Ready pictures (B, 3, S, S) and C class names to scores (B, C); the largest wins."""
        raise NotImplementedError


def evaluate_rival(model: Rival, images, targets: Sequence[str], labels: Sequence[str], names: Sequence[str] | None = None, calibrate=None, batch_size: int = 64) -> Score:
    """How often the class with the largest score is the right one.

    Args:
        images: uint8 (N, H, W, 3) or a `CaptionedImages`. targets, labels, names: as for `zeroshot.evaluate`.
        calibrate: pictures without labels, not of the test; what a class scores on them in the mean is taken off its scores,
            so that a frequent word is not preferred just for being frequent.
    """
    def score(pictures) -> Tensor:
        pixels = np.asarray(getattr(pictures, "images", pictures))
        with torch.inference_mode():
            parts = [model.class_scores(model.clip.preprocess(pixels[i : i + batch_size]), list(names or labels)).float().cpu() for i in range(0, len(pixels), batch_size)]
        return torch.cat(parts)  # (N, C)

    values = score(images)
    if calibrate is not None:
        values = values - score(calibrate).mean(dim=0)
    guesses = values.argmax(dim=1).numpy()
    hits = int((np.array(list(labels))[guesses] == np.asarray(targets)).sum())
    return Score(hits / len(guesses), wilson(hits, len(guesses)), len(guesses), 1 / len(list(labels)), guesses)


class Classifier(Rival):
    """An image tower with one vector for each class: supervised learning, and what fine-tuning starts from.

    Args:
        clip: gives the tower.
        labels: C class names.
        head: (C, E) vectors to start from, such as a zero-shot classifier's; None starts them at random.

    Attributes:
        keep_statistics: training leaves BatchNorm's running means and variances as they are; `probe.fine_tune` sets it.
    """

    keep_statistics = False

    def __init__(self, clip: CLIP, labels: Sequence[str], head: Tensor | None = None):
        super().__init__(clip)
        self.labels = list(labels)
        self.head = nn.Parameter(torch.randn(len(self.labels), clip.config.embed_dim) * 0.1 if head is None else head.clone().float())

    def train(self, mode: bool = True) -> Classifier:
        """PyTorch's switch between training and answering; the statistics that are kept stay switched to answering."""
        super().train(mode)
        for module in self.modules():
            if self.keep_statistics and isinstance(module, nn.BatchNorm2d):
                module.eval()
        return self

    def forward(self, images: Tensor) -> Tensor:
        """Pictures (B, 3, S, S) to logits (B, C)."""
        return self.clip.logit_scale.exp() * self.clip.encode_image(images) @ F.normalize(self.head, dim=-1).T

    def class_scores(self, images: Tensor, names: Sequence[str]) -> Tensor:
        """Its logits, (B, C). It knows the classes that it was trained on and no others, so `names` must be as many as those."""
        if len(names) != len(self.labels):
            raise ValueError(f"this classifier was trained on {len(self.labels)} classes and cannot be asked about {len(names)} others")
        return self(images)


def supervised(data: CaptionedImages, targets: Sequence[str], labels: Sequence[str], model: CLIP | str | CLIPConfig = "nano", head: Tensor | None = None, keep_statistics: bool = False, **options) -> tuple[Classifier, History]:
    """Train the image tower on labels, the usual way.

    Args:
        data: the pictures. targets: the right label of each. labels: C names.
        model: a preset for a tower that starts from nothing, or a CLIP whose tower is trained further (in place).
        head: vectors (C, E) to start from. keep_statistics: see `Classifier`. options: of `fit`: seen, recipe, score, ...
    Raises:
        ValueError: if counts disagree or a target is not among the labels.
    """
    labels = list(labels)
    if len(targets) != len(data) or not set(map(str, targets)) <= set(labels):
        raise ValueError(f"expected a target among the {len(labels)} labels for each of {len(data)} pictures")
    classifier = Classifier(model if isinstance(model, CLIP) else _start(data, model, options), labels, head)
    classifier.keep_statistics = keep_statistics
    right = torch.tensor([labels.index(str(target)) for target in targets])
    return classifier, fit(classifier, data, lambda images, tokens, rows: F.cross_entropy(classifier(images).float(), right[rows].to(images.device)), **options)


class BagOfWords(Rival):
    """Predicts which tokens the caption has, in whatever order, from the picture's vector (Joulin et al. 2016)."""

    def __init__(self, clip: CLIP):
        super().__init__(clip)
        self.words = nn.Linear(clip.config.vision_width, clip.config.vocab_size)

    def forward(self, images: Tensor) -> Tensor:
        """Pictures (B, 3, S, S) to the logarithm of each token's probability (B, V)."""
        return self.words(self.clip.visual.features(images)).float().log_softmax(dim=-1)

    def loss(self, images: Tensor, tokens: Tensor, rows: Tensor) -> Tensor:
        """The mean of -log p over the different tokens of each caption."""
        words = _bag(tokens, self.config)  # (captions * B, V)
        predicted = self(images).repeat(len(tokens) // len(images), 1)
        return -((words * predicted).sum(dim=1) / words.sum(dim=1).clamp(min=1)).mean()

    def class_scores(self, images: Tensor, names: Sequence[str]) -> Tensor:
        """The mean of log p over the tokens of each name: (B, C)."""
        words = _bag(self.tokenizer(names, self.config.context_length).to(images.device), self.config)  # (C, V)
        return self(images) @ (words / words.sum(dim=1, keepdim=True)).T


def _bag(tokens: Tensor, config: CLIPConfig) -> Tensor:
    """Token ids (B, T) to which tokens occur (B, V), the marks and the padding aside."""
    bag = torch.zeros(len(tokens), config.vocab_size, device=tokens.device).scatter_(1, tokens, 1.0)
    bag[:, : config.end_token + 1] = 0  # padding, start and end
    return bag


class Captioner(Rival):
    """Writes the caption token by token: a language model that reads the patches of the picture first."""

    def __init__(self, clip: CLIP):
        super().__init__(clip)
        config = clip.config
        self.bridge = nn.Linear(config.vision_width, config.text_width)
        self.token_embedding = nn.Embedding(config.vocab_size, config.text_width)
        self.positional_embedding = nn.Parameter(torch.randn(config.context_length, config.text_width) * 0.1)
        self.blocks = Transformer(config.text_width, config.text_layers, config.text_heads, config.activation)
        self.ln_final = nn.LayerNorm(config.text_width)
        self.words = nn.Linear(config.text_width, config.vocab_size)

    def read(self, images: Tensor) -> Tensor:
        """Pictures (B, 3, S, S) to what stands before the text: (B, N, D)."""
        return self.bridge(self.clip.visual.ln_post(self.clip.visual.tokens(images)))

    def after(self, patches: Tensor, tokens: Tensor) -> Tensor:
        """The logarithm of the probability of every token to come next, after each token of a text: (B, N, D) and (B, T) -> (B, T, V)."""
        N, T = patches.shape[1], tokens.shape[1]
        x = torch.cat([patches, self.token_embedding(tokens) + self.positional_embedding[:T]], dim=1)  # (B, N + T, D)
        sees = torch.ones(N + T, N + T, dtype=torch.bool, device=x.device).tril()
        sees[:N, :N] = True  # patches see each other; words see the patches and the words before
        return self.words(self.ln_final(self.blocks(x, sees)[:, N:])).float().log_softmax(dim=-1)

    def forward(self, patches: Tensor, tokens: Tensor) -> Tensor:
        """The logarithm of the probability of each text's tokens after the first: (B, N, D) and (B, T) -> (B, T - 1), zero for padding."""
        return self.after(patches, tokens[:, :-1]).gather(2, tokens[:, 1:, None])[..., 0] * (tokens[:, 1:] != 0)

    @torch.inference_mode()
    def write(self, images, longest: int = 24) -> list[str]:
        """A caption for each picture (anything that `preprocess` takes), of `longest` tokens at most: always the likeliest one next (greedy decoding)."""
        patches = self.read(self.clip.preprocess(images))
        tokens = self.tokenizer([""], self.config.context_length)[:, :1].to(patches.device).expand(len(patches), -1)  # the mark of the start
        while tokens.shape[1] <= min(longest, self.config.context_length - 1) and not (tokens == self.config.end_token).any(dim=1).all():
            tokens = torch.cat([tokens, self.after(patches, tokens)[:, -1].argmax(dim=1, keepdim=True)], dim=1)
        return [self.tokenizer.decode(text) for text in tokens.tolist()]

    def loss(self, images: Tensor, tokens: Tensor, rows: Tensor) -> Tensor:
        """The mean of -log p over the tokens of all captions."""
        tokens = _trim(tokens, self.config)
        written = self(self.read(images).repeat(len(tokens) // len(images), 1, 1), tokens)
        return -written.sum() / (tokens[:, 1:] != 0).sum()

    def class_scores(self, images: Tensor, names: Sequence[str]) -> Tensor:
        """The logarithm of the probability of writing "a picture of NAME.", as for CLIP: (B, C)."""
        tokens = _trim(self.tokenizer([fill("a picture of {}.", name) for name in names], self.config.context_length).to(images.device), self.config)
        patches = self.read(images)  # (B, N, D)
        return torch.stack([self(one.expand(len(tokens), -1, -1), tokens).sum(dim=1) for one in patches])


def _trim(tokens: Tensor, config: CLIPConfig) -> Tensor:
    return tokens[:, : int((tokens == config.end_token).int().argmax(dim=1).max()) + 1]


def _start(data: CaptionedImages, preset: str | CLIPConfig, options: dict) -> CLIP:
    """What `train` would start from, with the same data, preset and seed."""
    return hub.new((caption for captions in data.captions for caption in captions), preset, options.get("recipe", Recipe()).seed)


def bag_of_words(data: CaptionedImages, preset: str | CLIPConfig = "nano", **options) -> tuple[BagOfWords, History]:
    """Train an image tower to predict the bag of words of captions; options of `fit`: seen, recipe, score, ..."""
    model = BagOfWords(_start(data, preset, options))
    return model, fit(model, data, model.loss, **options)


def captioner(data: CaptionedImages, preset: str | CLIPConfig = "nano", **options) -> tuple[Captioner, History]:
    """Train an image tower and a language model to write captions; options of `fit`: seen, recipe, score, ..."""
    model = Captioner(_start(data, preset, options))
    return model, fit(model, data, model.loss, **options)


class BagText(nn.Module):
    """A text tower that reads a caption as a bag of words: the mean of its tokens' vectors, whatever their order. The contrast of the paper's Figure 2 has one like it."""

    def __init__(self, config: CLIPConfig):
        super().__init__()
        self.config = config
        self.token_embedding = nn.Embedding(config.vocab_size, config.text_width)
        self.ln_final = nn.LayerNorm(config.text_width)
        self.projection = nn.Parameter(torch.randn(config.text_width, config.embed_dim) * config.text_width**-0.5)

    def forward(self, tokens: Tensor) -> Tensor:
        """(B, T) token ids -> (B, E), not yet of unit length."""
        words = _bag(tokens, self.config)  # (B, V)
        return self.ln_final(words @ self.token_embedding.weight / words.sum(dim=1, keepdim=True).clamp(min=1)) @ self.projection


def contrast_of_bags(data: CaptionedImages, preset: str | CLIPConfig = "nano", **options) -> tuple[CLIP, History]:
    """Train a CLIP whose text tower is a `BagText`; options of `train`."""
    model = _start(data, preset, options)
    torch.manual_seed(options.get("recipe", Recipe()).seed)
    model.text = BagText(model.config)
    return train(data, model, **options)


RIVALS = {kind.__name__: kind for kind in (Classifier, BagOfWords, Captioner)}


def save_rival(model: Rival, path: str | Path, training: dict | None = None) -> None:
    """Write a rival to one file, its weights in fp16, as `hub.save` does a CLIP."""
    own = {name: tensor for name, tensor in model.state_dict().items() if not name.startswith("clip.")}
    hub.save(model.clip, path, {**(training or {}), "rival": type(model).__name__, "labels": getattr(model, "labels", [])}, own, half=True)


def load_rival(path: str | Path, device: str | torch.device | None = None) -> Rival:
    """Load a rival, ready to use: the name of one that ships ("labels-nano", "words-nano", "writer-nano") or a file.

    Raises:
        FileNotFoundError, ValueError: as `hub.read`, and for a file that holds a CLIP.
    """
    clip, notes, own = hub.read(hub.SHIPPED.get(str(path), path))
    if notes.get("rival") not in RIVALS:
        raise ValueError(f"{path} holds a CLIP and no rival; load it with miniclip.load")
    model = Classifier(clip, notes["labels"]) if notes["rival"] == "Classifier" else RIVALS[notes["rival"]](clip)
    model.load_state_dict(own, strict=False)  # the CLIP's own weights are in it already
    return model.to(pick_device(device)).eval()
