"""Promises of the losses: they are what the papers' formulas say, written out by hand below."""

import math

import pytest
import torch
import torch.nn.functional as F

from miniclip import info_nce, sigmoid_loss


@pytest.fixture
def pairs():
    torch.manual_seed(0)
    return F.normalize(torch.randn(5, 8, dtype=torch.float64), dim=1), F.normalize(
        torch.randn(5, 8, dtype=torch.float64), dim=1
    )


def test_info_nce_is_the_mean_surprise_of_the_right_partner_both_ways(pairs):
    image, text = pairs
    total = 0.0
    for i in range(5):
        for a, b in ((image, text), (text, image)):
            similar = [math.exp(3.0 * float(a[i] @ b[j])) for j in range(5)]
            total += -math.log(similar[i] / sum(similar))
    assert info_nce(image, text, 3.0).item() == pytest.approx(total / 10, abs=1e-12)


def test_sigmoid_loss_asks_about_every_pair_by_itself(pairs):
    image, text = pairs
    total = 0.0
    for i in range(5):
        for j in range(5):
            logit = 10.0 * float(image[i] @ text[j]) - 10.0
            total += -math.log(1 / (1 + math.exp(-logit if i == j else logit)))
    assert sigmoid_loss(image, text, 10.0, -10.0).item() == pytest.approx(total / 5, abs=1e-12)


@pytest.mark.parametrize("B", [2, 64])
def test_a_guesser_pays_log_b_and_a_perfect_model_nothing(B):
    same = F.normalize(torch.ones(B, 8), dim=1)
    assert info_nce(same, same, 14.3).item() == pytest.approx(math.log(B), abs=1e-5)
    perfect = torch.eye(B)
    assert info_nce(perfect, perfect, 100.0).item() < 1e-5
    assert sigmoid_loss(perfect, perfect, 100.0, -50.0).item() < 1e-5


def test_both_directions_count(pairs):
    image, text = pairs
    assert info_nce(image, text, 5.0).item() == pytest.approx(info_nce(text, image, 5.0).item())
    one_way = F.cross_entropy(5.0 * image @ text.T, torch.arange(5))
    assert info_nce(image, text, 5.0).item() != pytest.approx(one_way.item())


@pytest.mark.parametrize("loss", [info_nce, lambda i, t, s: sigmoid_loss(i, t, s, -1.0)])
def test_partners_attract_and_strangers_repel(loss):
    image, text = (
        torch.eye(3, dtype=torch.float64).requires_grad_(),
        torch.eye(3, dtype=torch.float64),
    )
    loss(image, text, 2.0).backward()
    pull = image.grad @ text.T  # what a step along each text would do to the loss
    assert (pull.diag() < 0).all() and (pull - torch.diag(pull.diag()) >= 0).all()
    assert torch.autograd.gradcheck(lambda x: loss(x, text, 2.0), image)


@pytest.mark.parametrize("loss", [info_nce, lambda i, t, s: sigmoid_loss(i, t, s, 0.0)])
@pytest.mark.parametrize("shapes", [((3, 8), (4, 8)), ((3, 8), (3, 7)), ((8,), (8,))])
def test_features_that_do_not_pair_are_refused_with_a_sentence(loss, shapes):
    with pytest.raises(
        ValueError, match=r"two \(B, E\) tensors, row i of one belonging to row i of the other; got"
    ):
        loss(torch.zeros(shapes[0]), torch.zeros(shapes[1]), 1.0)
