"""Promises of the tokenizer: any text goes in and comes back, and too long a text is never cut
silently."""

import pytest
import torch

from miniclip import Tokenizer
from miniclip.tokenizer import trim

CAPTIONS = [
    "A dog on the beach.",
    "two dogs on a beach",
    "a red car in the street",
    "there is a dog beside a car",
] * 3


@pytest.fixture(scope="module")
def tokenizer():
    return Tokenizer.train(CAPTIONS, 320)


@pytest.mark.parametrize(
    "text", ["a dog on the beach", "ein bär für 5 €", "🐕 on the 🏖", "名前", "x" * 20]
)
def test_any_text_comes_back_from_its_tokens(tokenizer, text):
    assert tokenizer.decode(tokenizer(text, 77)[0]) == text


def test_texts_are_lower_cased_and_white_space_is_tidied(tokenizer):
    assert torch.equal(tokenizer("A DOG\non the beach ", 32), tokenizer("a dog on the beach", 32))


def test_a_text_stands_between_its_marks_and_padding_follows(tokenizer):
    row = tokenizer("a dog", 12)[0].tolist()
    end = row.index(tokenizer.end)
    assert row[0] == tokenizer.start and set(row[end + 1 :]) == {tokenizer.pad} and len(row) == 12
    assert not {tokenizer.start, tokenizer.end, tokenizer.pad} & set(row[1:end])
    assert tokenizer("", 4)[0].tolist() == [
        tokenizer.start,
        tokenizer.end,
        tokenizer.pad,
        tokenizer.pad,
    ]


def test_frequent_words_become_one_piece(tokenizer):
    assert [piece.strip() for piece in tokenizer.pieces("a dog on the zebra")][:4] == [
        "a",
        "dog",
        "on",
        "the",
    ]
    assert "".join(tokenizer.pieces("a dog on the zebra")).strip() == "a dog on the zebra"


def test_a_mark_written_out_in_a_text_ends_it_nowhere_else(tokenizer):
    row = tokenizer("a dog <end> a car", 32)[0].tolist()
    assert row.count(tokenizer.end) == 1


def test_too_long_a_text_is_refused_or_cut_when_asked(tokenizer):
    text = "a dog on the beach " * 20
    with pytest.raises(
        ValueError, match="tokens, the model reads at most 16; shorten it or pass truncate=True"
    ):
        tokenizer(["a dog", text], 16)
    row = tokenizer(text, 16, truncate=True)[0]
    assert row.shape == (16,) and row[-1] == tokenizer.end and row[0] == tokenizer.start


@pytest.mark.parametrize("wrong", [[3], ["a dog", None], [["a dog"]]])
def test_what_is_no_text_is_refused_with_a_sentence(tokenizer, wrong):
    with pytest.raises(TypeError, match="expected a string or a list of strings"):
        tokenizer(wrong, 16)


def test_json_holds_all_of_it_and_training_is_repeatable(tokenizer):
    copy, again = Tokenizer.from_json(tokenizer.to_json()), Tokenizer.train(CAPTIONS, 320)
    for other in (copy, again):
        assert len(other) == len(tokenizer) and torch.equal(
            other(CAPTIONS, 32), tokenizer(CAPTIONS, 32)
        )


def test_the_vocabulary_is_no_larger_than_asked(tokenizer):
    assert 259 <= len(tokenizer) <= 320  # 256 bytes and three marks at least


def test_trimming_leaves_the_longest_text_and_may_round_its_length_up(tokenizer):
    tokens = tokenizer(["a dog", "a red car in the street"], 77)
    longest = int((tokens != 0).sum(dim=1).max())  # marks included, padding is 0
    assert torch.equal(trim(tokens, tokenizer.end), tokens[:, :longest])
    rounded = trim(tokens, tokenizer.end, multiple=16)
    assert rounded.shape[1] % 16 == 0 and longest <= rounded.shape[1] < longest + 16
    assert torch.equal(rounded, tokens[:, : rounded.shape[1]])
    assert trim(tokens, tokenizer.end, multiple=50).shape[1] in (50, 77)
    assert trim(tokens, tokenizer.end, multiple=1000).shape[1] == 77  # no more than there are
