"""Promises of zero-shot classification, prompts and retrieval, on models simple enough to know
the answers."""

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from miniclip import classifier, classify, evaluate, prompts
from miniclip.data import CaptionedImages
from miniclip.retrieval import (
    duplicates,
    evaluate_retrieval,
    nearest_neighbors,
    recall_at_k,
    search,
)
from miniclip.zeroshot import fill, image_features, wilson

COLORS = {"red": (255, 0, 0), "green": (0, 255, 0), "blue": (0, 0, 255)}


class ColorModel:
    """Sees the mean colour of a picture and reads colour words: a student's own model, of two
    methods."""

    def encode_image(self, images):
        images = torch.as_tensor(np.asarray(images)).float()
        images = images[None] if images.ndim == 3 else images
        return F.normalize(images.mean(dim=(1, 2)) + 1e-3, dim=-1)

    def encode_text(self, texts):
        texts = [texts] if isinstance(texts, str) else texts
        return F.normalize(
            torch.stack(
                [
                    sum(
                        (torch.tensor(rgb).float() for word, rgb in COLORS.items() if word in text),
                        torch.full((3,), 1e-3),
                    )
                    for text in texts
                ]
            ),
            dim=-1,
        )


def plain(*names):
    return np.stack([np.full((4, 4, 3), COLORS[name], np.uint8) for name in names])


def test_the_label_that_lies_nearest_wins_and_probabilities_add_up():
    answer = classify(ColorModel(), plain("green")[0], ["red", "green", "blue"], "a {} thing")
    assert next(iter(answer)) == "green" and sum(answer.values()) == pytest.approx(1)
    assert list(answer.values()) == sorted(answer.values(), reverse=True)


def test_probabilities_are_the_softmax_of_scaled_cosines():
    model = ColorModel()
    model.logit_scale = torch.tensor(math.log(7.0))
    image = (plain("red")[0] * 0.6 + plain("blue")[0] * 0.4).astype(np.uint8)
    cosines = (model.encode_image(image) @ model.encode_text(["red", "blue"]).T)[0]
    expected = (7 * cosines).softmax(0)
    answer = classify(model, image, ["red", "blue"])
    assert answer["red"] == pytest.approx(expected[0].item(), abs=1e-6)


def test_an_ensemble_is_the_normalised_mean_of_its_sentences():
    model, templates = ColorModel(), ["{}", "a red {}", "green {} green"]
    one = classifier(model, ["blue"], templates)[0]
    expected = F.normalize(
        model.encode_text([t.replace("{}", "blue") for t in templates]).mean(0), dim=0
    )
    assert torch.allclose(one, expected, atol=1e-6) and one.norm().item() == pytest.approx(
        1, abs=1e-6
    )


def test_evaluate_counts_right_answers_and_says_how_sure_it_is():
    score = evaluate(
        ColorModel(),
        plain("red", "green", "blue", "blue"),
        ["red", "green", "blue", "red"],
        ["red", "green", "blue"],
    )
    assert score.accuracy == 0.75 and score.n == 4 and score.chance == pytest.approx(1 / 3)
    assert (
        score.predictions.tolist() == [0, 1, 2, 2] and score.interval[0] < 0.75 < score.interval[1]
    )
    assert str(score).startswith("75.0%")


def test_of_labels_with_one_name_the_first_is_predicted():
    """Whatever the last digits of their similarities say."""

    class Unsteady(ColorModel):
        def encode_text(self, texts):
            vectors = super().encode_text(texts)
            vectors[:, 0] += 1e-3 * torch.arange(len(vectors)).flip(0)  # the last one is nearest
            return vectors

    labels = ["green", "light blue", "dark blue", "blue sky"]
    names = ["green", "blue", "blue", "blue"]
    given = ["dark blue", "light blue", "blue sky"]
    score = evaluate(Unsteady(), plain(*["blue"] * 3), given, labels, names=names)
    assert score.predictions.tolist() == [1, 1, 1] and score.accuracy == pytest.approx(1 / 3)


def test_names_are_how_labels_stand_in_a_sentence():
    by_name = evaluate(
        ColorModel(),
        plain("red", "blue"),
        ["r", "b"],
        ["r", "b"],
        "{} thing",
        names=["red", "blue"],
    )
    assert by_name.accuracy == 1


@pytest.mark.parametrize(
    "hits, n, low, high",
    [(0, 10, 0.0, 0.2775), (5, 10, 0.2366, 0.7634), (960, 1000, 0.9460, 0.9704)],
)
def test_intervals_are_wilsons(
    hits, n, low, high
):  # against published values of the Wilson score interval
    assert wilson(hits, n) == pytest.approx((low, high), abs=5e-4)


@pytest.mark.parametrize("template", ["a dog", "{} and {}", ""])
def test_a_template_without_one_place_for_the_name_is_refused(template):
    with pytest.raises(ValueError, match="one pair of braces where the class name goes"):
        classifier(ColorModel(), ["red"], template)


@pytest.mark.parametrize(
    "labels, templates", [([], "{}"), (["red", " "], "{}"), (["red"], []), ([3], "{}")]
)
def test_nothing_to_choose_from_is_refused(labels, templates):
    with pytest.raises(ValueError, match="at least one template and one label, none of them empty"):
        classifier(ColorModel(), labels, templates)


def test_targets_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="targets that are not among the labels: pink"):
        evaluate(ColorModel(), plain("red"), ["pink"], ["red"])
    with pytest.raises(ValueError, match="got 1 pictures and 2 targets"):
        evaluate(ColorModel(), plain("red"), ["red", "red"], ["red"])


def test_the_batch_size_changes_nothing():
    images = plain("red", "green", "blue", "red", "blue")
    assert torch.equal(
        image_features(ColorModel(), images, batch_size=2), image_features(ColorModel(), images)
    )


# ---- templates


def test_there_are_eighty_templates_and_more_all_different_and_all_usable():
    assert len(prompts.ALL) >= 80 and len(set(prompts.ALL)) == len(prompts.ALL)
    for name, templates in prompts.SETS.items():
        assert templates and all("dog" in fill(template, "dog") for template in templates), name


# ---- retrieval


def test_recall_by_hand():
    images = torch.eye(3)
    texts = F.normalize(torch.tensor([[1.0, 0, 0], [0.9, 1, 0], [0, 1, 0.5], [1, 0.1, 0.2]]), dim=1)
    recall = recall_at_k(images, texts, [0, 0, 1, 2], ks=(1, 2, 3))
    # Texts in order find their own picture first, second (1 is nearer), first, and third at the
    # second try.
    assert recall.text_to_image == pytest.approx({1: 2 / 4, 2: 4 / 4, 3: 1.0})
    # Picture 0 finds text 0 first; picture 1 finds text 2 first; picture 2 finds text 2 first
    # (wrong), then its own text 3.
    assert recall.image_to_text == pytest.approx({1: 2 / 3, 2: 1.0, 3: 1.0})
    assert recall.pictures == 3 and recall.texts == 4


def test_recall_agrees_with_sorting_everything():
    torch.manual_seed(0)
    images, texts = F.normalize(torch.randn(40, 6), dim=1), F.normalize(torch.randn(200, 6), dim=1)
    owner = torch.arange(200) % 40
    recall = recall_at_k(images, texts, owner)
    order = (images @ texts.T).argsort(dim=1, descending=True)
    for k in (1, 5, 10):
        assert recall.image_to_text[k] == pytest.approx(
            np.mean([(owner[order[i, :k]] == i).any().item() for i in range(40)])
        )
    order = (texts @ images.T).argsort(dim=1, descending=True)
    for k in (1, 5, 10):
        assert recall.text_to_image[k] == pytest.approx(
            np.mean([(order[j, :k] == owner[j]).any().item() for j in range(200)])
        )


def test_a_model_that_says_the_same_of_everything_gets_nothing_for_it():
    recall = recall_at_k(torch.ones(50, 4) / 2, torch.ones(50, 4) / 2, torch.arange(50))
    assert recall.image_to_text[10] == recall.text_to_image[10] == 0


@pytest.mark.parametrize("owner", [[0, 0, 1], [0, 0, 0, 0], [0, 1, 2, 9]])
def test_texts_and_pictures_that_do_not_belong_together_are_refused(owner):
    with pytest.raises(ValueError, match="every text needs one picture, every picture a text"):
        recall_at_k(torch.eye(3), torch.ones(4, 3), owner)


def test_retrieval_works_with_any_model_and_search_finds_the_nearest():
    data = CaptionedImages(
        plain("red", "green", "blue"), [["red"], ["green thing", "so green"], ["a blue one"]]
    )
    recall = evaluate_retrieval(ColorModel(), data, ks=(1,))
    assert recall.image_to_text == recall.text_to_image == {1: 1.0} and "recall@1 100.0%" in str(
        recall
    )
    found = search(ColorModel(), "something blue", image_features(ColorModel(), data), k=9)
    assert (
        [row for row, _ in found][0] == 2
        and len(found) == 3
        and found[0][1] == pytest.approx(1, abs=1e-3)
    )


def test_pictures_that_were_trained_on_are_found():
    rng = np.random.default_rng(0)
    train, test = rng.integers(0, 256, (2, 50, 8, 8, 3)).astype(np.uint8)
    assert duplicates(test, train) == []
    test[[3, 17]] = train[[9, 0]]
    assert duplicates(test, train) == [3, 17]
    test[17, 0, 0, 0] ^= 1  # one pixel, a little
    a, b = (
        F.normalize(torch.from_numpy(x.reshape(50, -1)).float() - 127, dim=1) for x in (test, train)
    )
    cosines, rows = nearest_neighbors(a, b, block=7)
    assert (
        duplicates(test, train) == [3]
        and (cosines > 0.99).nonzero().flatten().tolist() == [3, 17]
        and rows[[3, 17]].tolist() == [9, 0]
    )
