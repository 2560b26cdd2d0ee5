"""From text to token ids: a lower-cased byte-level byte-pair encoding (BPE; paper 2.4).

The `tokenizers` library does the work of merging pairs of pieces into longer ones. Two things are
decided here: the vocabulary is learned from the captions that the model will read, and every text
stands between two marks, one for its start and one for its end. Taught in notebook 02.
"""

from __future__ import annotations

import html
import unicodedata
from collections.abc import Iterable, Sequence
from functools import partial

import torch
from tokenizers import Tokenizer as BPE
from tokenizers import decoders, models, normalizers, pre_tokenizers, trainers
from torch import Tensor

MARKS = PAD, START, END = "<pad>", "<start>", "<end>"
# OpenAI's encoding has no token for padding and pads with id 0, which is the piece "!". That does
# no harm: padding comes after the end mark, and the model reads nothing after it.
OPENAI_MARKS = ("!", "<|startoftext|>", "<|endoftext|>")


def clean(text: str) -> str:
    """Clean a text in the way of OpenAI's code: repair broken Unicode and HTML entities, make
    every run of white space a single space, and lower-case all letters."""
    try:
        from ftfy import fix_text
    except ImportError:
        # `pip install miniclip[openai]` brings ftfy. Without it, unusual letters may become other
        # pieces than in OpenAI's code.
        fix_text = partial(unicodedata.normalize, "NFC")
    # Text from the web is sometimes escaped twice ("&amp;lt;" for "<"), so unescape twice.
    return " ".join(html.unescape(html.unescape(fix_text(text))).split()).lower()


def trim(tokens: Tensor, end_token: int, multiple: int = 1) -> Tensor:
    """Cut off the padding that every text of a batch has in common (all after the longest text).

    A causal text tower never looks ahead, so this saves time and changes no result. On a GPU the
    program would have to wait for the GPU to report the length T', so texts are trimmed on the
    CPU, where batches are made.

    Args:
        tokens: int64 token ids (B, T).
        end_token: id of the end mark.
        multiple: round the length up to a multiple of this. A compiled training step is compiled
            anew for each length, so there should be few.
    Returns:
        (B, T'), where T' <= T is the length of the longest text, its marks included, rounded up.
    """
    # (B,): argmax gives the first of equal maxima, so this is the place of the first end mark.
    ends = (tokens == end_token).int().argmax(dim=1)
    length = int(ends.max()) + 1
    return tokens[:, : -(-length // multiple) * multiple]  # -(-a // b) is a / b, rounded up


class Tokenizer:
    """A trained byte-level BPE, which turns strings into token ids and back (paper 2.4).

    Args:
        bpe: a `tokenizers.Tokenizer` whose vocabulary has the three marks <pad>, <start> and
            <end>, or those of OpenAI.
    Raises:
        ValueError: if a mark is missing.
    """

    def __init__(self, bpe: BPE):
        self.bpe = bpe
        # If a caption happens to contain "<end>", it is text like any other, and no mark.
        self.bpe.encode_special_tokens = True
        self.openai = (
            bpe.token_to_id(START) is None and bpe.token_to_id(OPENAI_MARKS[1]) is not None
        )
        ids = {mark: bpe.token_to_id(mark) for mark in (OPENAI_MARKS if self.openai else MARKS)}
        if missing := [mark for mark, id_ in ids.items() if id_ is None]:
            raise ValueError(
                f"the tokenizer has no {', '.join(missing)} token; train one with "
                "Tokenizer.train(captions)"
            )
        self.pad, self.start, self.end = ids.values()

    @classmethod
    def train(cls, texts: Iterable[str], vocab_size: int = 4096) -> Tokenizer:
        """Learn a vocabulary from texts.

        Args:
            texts: strings, such as all captions of the training set.
            vocab_size: the most pieces to learn, marks and single bytes included. There will be
                fewer if the texts do not hold so many.
        Returns:
            The trained tokenizer.
        """
        bpe = BPE(models.BPE())
        bpe.normalizer = normalizers.Sequence(
            [
                normalizers.NFC(),
                normalizers.Lowercase(),
                normalizers.Replace("\n", " "),
                normalizers.Strip(),
            ]
        )
        bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
        bpe.decoder = decoders.ByteLevel()
        trainer = trainers.BpeTrainer(
            vocab_size=vocab_size,
            special_tokens=[PAD, START, END],
            # All 256 bytes are pieces from the start, so every text can be encoded, emoji too.
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
            min_frequency=2,
        )
        bpe.train_from_iterator(texts, trainer)
        return cls(bpe)

    def __len__(self) -> int:
        """The number of pieces in the vocabulary, marks included."""
        return self.bpe.get_vocab_size()

    def __call__(
        self, texts: str | Sequence[str], context_length: int, truncate: bool = False
    ) -> Tensor:
        """Encode each text as the start mark, its pieces, the end mark, and padding.

        Args:
            texts: one string or B of them.
            context_length: the most tokens that a text may have, its two marks included.
            truncate: cut longer texts (the end mark is kept) instead of refusing them.
        Returns:
            int64 token ids (B, T), T = context_length.
        Raises:
            ValueError: for a text that is too long.
            TypeError: for something that is not a string.
        """
        texts = [texts] if isinstance(texts, str) else list(texts)
        if wrong := [type(text).__name__ for text in texts if not isinstance(text, str)]:
            raise TypeError(f"expected a string or a list of strings, got {wrong[0]} in it")
        texts = [clean(text) for text in texts] if self.openai else texts
        tokens = torch.full((len(texts), context_length), self.pad)  # (B, T)
        for row, encoding in enumerate(self.bpe.encode_batch(texts, add_special_tokens=False)):
            ids = [self.start, *encoding.ids, self.end]
            if len(ids) > context_length:
                if not truncate:
                    raise ValueError(
                        f"{texts[row][:60]!r} has {len(ids)} tokens, the model reads at most "
                        f"{context_length}; shorten it or pass truncate=True"
                    )
                ids = ids[: context_length - 1] + [self.end]
            tokens[row, : len(ids)] = torch.tensor(ids)
        return tokens

    def decode(self, ids: Sequence[int]) -> str:
        """Turn the token ids of one text, (T,), back into the text, without marks and padding."""
        ids = [int(i) for i in ids]
        if self.end in ids:
            ids = ids[: ids.index(self.end)]
        return self.bpe.decode(ids, skip_special_tokens=True).strip()

    def pieces(self, text: str) -> list[str]:
        """The pieces that a text is cut into, as strings to look at."""
        ids = self.bpe.encode(text, add_special_tokens=False).ids
        return [self.bpe.decode([id_]) for id_ in ids]

    def to_json(self) -> str:
        """The whole tokenizer as JSON text, for saving it in a checkpoint."""
        return self.bpe.to_str()

    @classmethod
    def from_json(cls, text: str) -> Tokenizer:
        """The tokenizer that `to_json` wrote."""
        return cls(BPE.from_str(text))
