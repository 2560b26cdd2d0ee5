"""Text to numbers: a lower-cased byte-level byte-pair encoding, trained on the captions
themselves (paper 2.4).

The merging of pairs is the work of the `tokenizers` library; what is ours is which words become
pieces (the vocabulary is learned from the captions that the model will read), and the two marks
around every text. Taught in notebook 02.
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
OPENAI_MARKS = (
    "!",
    "<|startoftext|>",
    "<|endoftext|>",
)  # it pads with its piece number 0, which is read as nothing behind the end


def clean(text: str) -> str:
    """Make a text what OpenAI's encoding was learned from: wrong letters and HTML repaired, white
    space single, lower case."""
    try:
        from ftfy import fix_text
    except (
        ImportError
    ):  # pip install miniclip[openai]; without it, odd letters may become other pieces
        fix_text = partial(unicodedata.normalize, "NFC")
    return " ".join(html.unescape(html.unescape(fix_text(text))).split()).lower()


def trim(tokens: Tensor, end_token: int) -> Tensor:
    """Leave out the padding behind the longest text: (B, T) token ids to (B, T'), T' <= T.

    A causal tower never looks ahead, so that changes nothing but the time. On a GPU it would have
    to wait for the number T', so texts are trimmed where batches are made, on the CPU.
    """
    ends = (tokens == end_token).int().argmax(dim=1)  # (B,): the first end mark of each text
    return tokens[:, : int(ends.max()) + 1]


class Tokenizer:
    """A trained byte-level BPE: strings to token ids and back.

    Args:
        bpe: a `tokenizers.Tokenizer` whose vocabulary holds the three marks <pad>, <start> and
            <end>, or OpenAI's.
    Raises:
        ValueError: if a mark is missing.
    """

    def __init__(self, bpe: BPE):
        self.bpe = bpe
        self.bpe.encode_special_tokens = True  # a mark written out in a text is text like any other
        self.openai = (
            bpe.token_to_id(START) is None and bpe.token_to_id(OPENAI_MARKS[1]) is not None
        )
        ids = {mark: bpe.token_to_id(mark) for mark in (OPENAI_MARKS if self.openai else MARKS)}
        if missing := [mark for mark, id_ in ids.items() if id_ is None]:
            raise ValueError(
                f"the tokenizer has no {', '.join(missing)} token; train one with Tokenizer.train(captions)"
            )
        self.pad, self.start, self.end = ids.values()

    @classmethod
    def train(cls, texts: Iterable[str], vocab_size: int = 4096) -> Tokenizer:
        """Learn a vocabulary of at most `vocab_size` pieces from texts; fewer where the texts
        hold fewer."""
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
        alphabet = (
            pre_tokenizers.ByteLevel.alphabet()
        )  # all 256 bytes: no text is unreadable, emoji included
        bpe.train_from_iterator(
            texts,
            trainers.BpeTrainer(
                vocab_size=vocab_size,
                special_tokens=[PAD, START, END],
                initial_alphabet=alphabet,
                show_progress=False,
                min_frequency=2,
            ),
        )
        return cls(bpe)

    def __len__(self) -> int:
        return self.bpe.get_vocab_size()

    def __call__(
        self, texts: str | Sequence[str], context_length: int, truncate: bool = False
    ) -> Tensor:
        """Encode texts as <start> pieces <end>, padded to `context_length`.

        Args:
            texts: one string or B of them.
            context_length: most tokens a text may have, marks included.
            truncate: cut longer texts (their <end> is kept) instead of refusing them.
        Returns:
            int64 tensor (B, T), T = context_length.
        Raises:
            ValueError: for a text that is too long.
            TypeError: for something that is not a string.
        """
        texts = [texts] if isinstance(texts, str) else list(texts)
        if wrong := [type(text).__name__ for text in texts if not isinstance(text, str)]:
            raise TypeError(f"expected a string or a list of strings, got {wrong[0]} in it")
        texts = [clean(text) for text in texts] if self.openai else texts
        tokens = torch.full((len(texts), context_length), self.pad)
        for row, encoding in enumerate(self.bpe.encode_batch(texts, add_special_tokens=False)):
            ids = [self.start, *encoding.ids, self.end]
            if len(ids) > context_length:
                if not truncate:
                    raise ValueError(
                        f"{texts[row][:60]!r} has {len(ids)} tokens, the model reads at most {context_length}; shorten it or pass truncate=True"
                    )
                ids = ids[: context_length - 1] + [self.end]
            tokens[row, : len(ids)] = torch.tensor(ids)
        return tokens

    def decode(self, ids: Sequence[int]) -> str:
        """The text of token ids, without the marks."""
        ids = [int(i) for i in ids]
        return self.bpe.decode(
            ids[: ids.index(self.end)] if self.end in ids else ids, skip_special_tokens=True
        ).strip()

    def pieces(self, text: str) -> list[str]:
        """The pieces that a text is cut into, for looking at."""
        return [
            self.bpe.decode([id_]) for id_ in self.bpe.encode(text, add_special_tokens=False).ids
        ]

    def to_json(self) -> str:
        """The whole tokenizer as JSON text, as a checkpoint keeps it."""
        return self.bpe.to_str()

    @classmethod
    def from_json(cls, text: str) -> Tokenizer:
        """Read what `to_json` wrote."""
        return cls(BPE.from_str(text))
