"""How to train: everything but the data, the size of the model and the budget (paper 2.5).

Each field of `Recipe` is also an option of `python -m miniclip train`, whose help is the text
below. Taught in notebook 02.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass


@dataclass(frozen=True)
class Recipe:
    """The choices of a training. The defaults were found by experiments, see `datasets/recipe.md`.

    Args:
        batch_size: pictures in a step; each is contrasted with all others of its batch.
        captions_per_image: captions of each picture in a step, drawn anew each time. The image
            tower, which costs most, sees a picture once for all of them.
        optimizer: muon (see `training/optimizers.py`), or adamw for all weights, as in the paper.
        lr: peak learning rate of AdamW.
        muon_lr: peak learning rate of Muon; on the command line, --lr alone moves it along.
        weight_decay: of both optimizers; gains, biases and positions are spared, as in the paper.
        betas: decay rates of AdamW's two running means.
        eps: added to the root that AdamW divides by.
        warmup: share of the budget during which the learning rate rises.
        decay: how it falls afterwards: cosine (to zero), or none, with which every moment of a
            training is the end of a shorter one.
        loss: info_nce or sigmoid; in Python also a function (image_features, text_features,
            logit_scale) -> scalar.
        crop: the smallest share of a picture's area that a random crop keeps; 1 takes the whole
            picture.
        flip: mirror half of the pictures. Leave it off where captions say left and right.
        jitter: strength of random brightness and contrast, 0 for none.
        erase: share of pictures in which a random rectangle is filled with grey (Zhong et al.
            2020), so that no single part of a thing is relied on.
        patch_dropout: share of each picture's patches that a step does not look at (Li et al.
            2023). The image tower then has less to do, too.
        word_dropout: share of the tokens of captions that a step leaves out.
        clip_norm: gradients longer than this are shortened to it.
        chunk_size: for batches that do not fit into memory: how many pictures to work on at a
            time (see `training/grad_cache.py`); 0 for the whole batch.
        seed: decides the first weights, the order of pictures and every other random choice.
    Raises:
        ValueError: for a value that no training could have.
    """

    batch_size: int = 64
    captions_per_image: int = 2
    optimizer: str = "muon"
    lr: float = 1e-3
    muon_lr: float = 3e-3
    weight_decay: float = 0.1
    betas: tuple[float, float] = (0.9, 0.98)
    eps: float = 1e-6
    warmup: float = 0.3
    decay: str = "cosine"
    loss: str | Callable = "info_nce"
    crop: float = 1.0
    flip: bool = False
    jitter: float = 0.0
    erase: float = 0.0
    patch_dropout: float = 0.0
    word_dropout: float = 0.0
    clip_norm: float = 1.0
    chunk_size: int = 0
    seed: int = 0

    @classmethod
    def photos(cls, **changes) -> Recipe:
        """What was found best for photographs, with some choices changed: crops, mirrors and
        colours by chance, since there are few photographs and each can be seen in many ways."""
        return cls(**({"weight_decay": 0.2, "crop": 0.5, "flip": True, "jitter": 0.3} | changes))

    def __post_init__(self) -> None:
        if self.optimizer not in ("muon", "adamw"):
            raise ValueError(f"optimizer is muon or adamw, not {self.optimizer!r}")
        if self.decay not in ("cosine", "none"):
            raise ValueError(f"decay is cosine or none, not {self.decay!r}")
        if not callable(self.loss) and self.loss not in ("info_nce", "sigmoid"):
            raise ValueError(f"loss is info_nce, sigmoid or a function, not {self.loss!r}")
        if self.batch_size < 2:
            raise ValueError(f"expected a batch_size of 2 or more, got {self.batch_size}")
        if self.captions_per_image < 1:
            raise ValueError(
                f"expected captions_per_image of 1 or more, got {self.captions_per_image}"
            )
        if self.chunk_size < 0:
            raise ValueError(f"expected a chunk_size of 0 or more, got {self.chunk_size}")
        for name in ("erase", "patch_dropout", "word_dropout"):
            if not 0 <= getattr(self, name) <= 0.9:
                raise ValueError(f"{name} is a share from 0 to 0.9, not {getattr(self, name)}")
        if not 0 < self.crop <= 1:
            raise ValueError(f"expected crop above 0 and at most 1, got {self.crop}")

    def to_json(self) -> dict:
        """The same as plain values, for a checkpoint; a function is noted by its name."""
        loss = self.loss if isinstance(self.loss, str) else self.loss.__name__
        return asdict(self) | {"loss": loss, "betas": list(self.betas)}
