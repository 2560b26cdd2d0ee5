"""Promises of the rivals: they learn what they are asked to, from the same pictures in the same
order as CLIP."""

import pytest
import torch

import miniclip
from miniclip import CLIPConfig, Recipe, World
from miniclip.evaluation import baselines
from miniclip.evaluation.baselines import BagOfWords, Captioner, evaluate_baseline
from miniclip.training.batches import Batches

SMALL = CLIPConfig(
    image_size=32,
    vision_width=64,
    vision_layers=1,
    text_width=64,
    text_layers=1,
    embed_dim=32,
    vocab_size=500,
)
NOUNS = ("apple", "tree", "bus", "whale")
NAMES = ("an apple", "a tree", "a bus", "a whale")
EASY = World(
    nouns=NOUNS,
    objects=1,
    places=("grass",),
    lights={"day": 1},
    weathers={"clear": 1},
    styles={"full": 1},
    painted=0,
)
OPTIONS = {
    "recipe": Recipe(batch_size=32, captions_per_image=1),
    "eval_at": 4,
    "device": "cpu",
    "progress": False,
}


@pytest.fixture(scope="module")
def data():
    return miniclip.data.picturebook(512, seed=1, size=32, world=EASY)


@pytest.fixture(scope="module")
def test():
    return miniclip.data.picturebook(100, seed=2, size=32, world=EASY)


def test_a_supervised_tower_learns_its_classes_and_knows_no_others(data, test):
    model, history = baselines.supervised(
        data, data.facts["object"], NOUNS, SMALL, seen=32 * 40, **OPTIONS
    )
    assert (
        evaluate_baseline(model, test, test.facts["object"], NOUNS).accuracy > 0.8
        and len(history.rows) == 4
    )
    with pytest.raises(ValueError, match="trained on 4 classes and cannot be asked about 5"):
        evaluate_baseline(model, test, test.facts["object"], (*NOUNS, "dog"))
    with pytest.raises(ValueError, match="a target among the 3 labels"):
        baselines.supervised(data, data.facts["object"], NOUNS[:3], SMALL, seen=64, **OPTIONS)


@pytest.mark.parametrize("train", [baselines.bag_of_words, baselines.captioner])
def test_predicting_captions_teaches_to_name(data, test, train):
    model, history = train(data, SMALL, seen=32 * 60, **OPTIONS)
    losses = history.column("loss")[1]
    assert losses[-1] < losses[0] - 0.5
    assert (
        evaluate_baseline(
            model, test, test.facts["object"], NOUNS, NAMES, calibrate=data[:64]
        ).accuracy
        > 0.6
    )  # chance 0.25


def test_a_bag_is_what_stands_in_the_caption(data):
    model = BagOfWords(baselines._start(data, SMALL, {}))
    tokens = model.tokenizer(["a bus a bus", "a tree"], 32)
    bag = baselines._bag(tokens, model.config)
    assert bag.sum(1).tolist() == [2.0, 2.0] and bag[0, tokens[0, 2]] == 1 and not bag[:, :3].any()
    images, rows = torch.randn(2, 3, 32, 32), torch.arange(2)
    by_hand = -torch.stack([model(images)[i, bag[i].bool()].mean() for i in range(2)]).mean()
    assert torch.isclose(model.loss(images, tokens, rows), by_hand)


def test_a_captioner_is_a_language_model(data):
    """The probabilities of all next tokens add up to 1; a word does not see what follows; padding
    changes nothing."""
    torch.manual_seed(0)
    model = Captioner(baselines._start(data, SMALL, {})).eval()
    patches = model.read(torch.randn(1, 3, 32, 32))
    start, end = model.tokenizer.start, model.tokenizer.end
    everything = torch.tensor([[start, token] for token in range(1, model.config.vocab_size)])
    total = model(patches.expand(len(everything), -1, -1), everything)[:, 0].exp().sum()
    assert 0.9 < total < 1  # all but padding
    one, two = torch.tensor([[start, 7, 8, end]]), torch.tensor([[start, 7, 9, end]])
    assert torch.allclose(
        model(patches, one)[0, 0], model(patches, two)[0, 0], atol=1e-6
    ) and not torch.allclose(model(patches, one)[0, 2], model(patches, two)[0, 2])
    padded = torch.nn.functional.pad(one, (0, 5))
    assert (
        torch.allclose(model(patches, padded)[0, :3], model(patches, one)[0], atol=1e-5)
        and not model(patches, padded)[0, 3:].any()
    )


def test_all_texts_of_a_picture_in_one_row_score_as_each_by_itself(data):
    torch.manual_seed(0)
    model = Captioner(baselines._start(data, SMALL, {})).eval()
    patches = model.read(torch.randn(2, 3, 32, 32))
    tokens = model.tokenizer(["a bus", "a small red apple on the grass", "tree"], 16)
    each = [model(patches, text.expand(2, -1)).sum(dim=1) for text in tokens]
    assert torch.allclose(model.score_all(patches, tokens), torch.stack(each, dim=1), atol=1e-4)


def test_calibration_takes_off_what_is_likely_on_any_picture(data, test):
    """A word a thousand times as frequent as the others is said of everything, until that is taken
    off."""
    model, _ = baselines.bag_of_words(data, SMALL, seen=32 * 60, **OPTIONS)
    apple = int(model.tokenizer(["apple"], 32)[0, 1])
    with torch.no_grad():
        model.words.bias[apple] += 12
    targets = test.facts["object"]
    plain = evaluate_baseline(model, test, targets, NOUNS)
    fair = evaluate_baseline(model, test, targets, NOUNS, calibrate=data[:100])
    assert (plain.predictions == NOUNS.index("apple")).mean() > 0.9 and fair.accuracy > 0.6


def test_a_captioner_writes_the_likeliest_token_each_time(data):
    torch.manual_seed(0)
    model, images = Captioner(baselines._start(data, SMALL, {})).eval(), data.images[:3]
    patches, start, end = (
        model.read(model.clip.preprocess(images)),
        model.tokenizer.start,
        model.tokenizer.end,
    )
    for image, text in zip(range(3), model.write(images, longest=5)):
        ids = [start]
        while len(ids) < 6 and end not in ids:
            follows = torch.tensor(
                [[*ids, token] for token in range(1, model.config.vocab_size)]
            )  # padding has no probability to ask for
            own = model(patches[image].expand(len(follows), -1, -1), follows)[:, -1]
            assert torch.allclose(
                model.after(patches[image : image + 1], torch.tensor([ids]))[0, -1, 1:],
                own,
                atol=1e-5,
            )
            ids.append(int(own.argmax()) + 1)
        assert model.tokenizer.decode(ids) == text


def test_everyone_sees_the_same_pictures_in_the_same_order(data):
    recipe, seen = Recipe(batch_size=32, captions_per_image=1), []
    clip = baselines._start(data, SMALL, {"recipe": recipe})
    baselines.fit_baseline(
        BagOfWords(clip),
        data,
        lambda images, tokens, rows: seen.append(rows) or clip.visual(images).sum() * 0,
        seen=32 * 3,
        **OPTIONS,
    )
    batches = Batches(data, clip.tokenizer, clip.config, recipe, torch.device("cpu"))
    assert len(seen) == 3 and all(
        torch.equal(rows, batches.rows(step)) for step, rows in enumerate(seen)
    )
    again, _ = miniclip.train(data, SMALL, seen=32, recipe=recipe, device="cpu", progress=False)
    assert again.tokenizer.to_json() == clip.tokenizer.to_json()


def test_a_bag_of_a_text_does_not_know_its_order_and_can_be_contrasted(data):
    model, history = baselines.contrast_of_bags(
        data,
        "nano",
        seen=64 * 4,
        recipe=Recipe(batch_size=32),
        eval_at=2,
        device="cpu",
        progress=False,
    )
    some, other = model.encode_text(["a red dog on the grass", "on a grass red the dog"])
    assert torch.allclose(some, other, atol=1e-6) and not torch.allclose(
        some, model.encode_text("a blue dog")[0], atol=1e-3
    )
    assert len(history.rows) == 2 and history.rows[-1]["seen"] == 256
