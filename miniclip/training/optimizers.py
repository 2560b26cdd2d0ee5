"""How the weights are updated: by AdamW as in the paper (2.5), and by Muon for the weights that are
matrices, which learns more from the same pictures.

At the start nearly all features point in the same direction, and the differences that tell
pictures apart are small. Adam's steps are dominated by the few large directions; Muon gives every
direction of a matrix a step of the same size (measured in `datasets/recipe.md`). Taught in
notebook 02.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

import torch
from torch import Tensor, nn


def orthogonal(x: Tensor, steps: int = 5) -> Tensor:
    """Bring the singular values of matrices close to 1 and keep their singular vectors, by a
    Newton-Schulz iteration (Jordan et al. 2024).

    Args:
        x: (number, rows, columns), any scale.
        steps: five suffice to bring all but the tiniest singular values into 0.7 to 1.2.
    """
    tall = x.shape[1] > x.shape[2]
    x = (x.mT if tall else x) / (x.norm(dim=(1, 2), keepdim=True) + 1e-12)
    for _ in range(steps):
        a = x @ x.mT
        polynomial = torch.baddbmm(a, a, a, beta=-4.7750, alpha=2.0315)
        # x becomes 3.4445 x - 4.7750 (x xT) x + 2.0315 (x xT)^2 x.
        x = torch.baddbmm(x, polynomial, x, beta=3.4445)
    return x.mT if tall else x


class Muon(torch.optim.Optimizer):
    """Momentum whose steps are made orthogonal (Jordan et al. 2024), on the scale of AdamW's
    steps (Liu et al. 2025).

    Args:
        weights: parameters of two or more dimensions; a convolution counts as a matrix of
            (channels out) x (all the rest).
        lr, weight_decay: as for AdamW.
        momentum: share of the past that is kept in each step.
    """

    def __init__(
        self,
        weights: Iterable[Tensor],
        lr: float | Tensor,
        weight_decay: float,
        momentum: float = 0.95,
    ):
        super().__init__(weights, {"lr": lr, "weight_decay": weight_decay, "momentum": momentum})

    @torch.no_grad()
    def step(self) -> None:
        """Update every weight that has a gradient. Matrices of the same shape are made orthogonal
        together, which is faster."""
        for group in self.param_groups:
            alike: dict[torch.Size, list[tuple[Tensor, Tensor]]] = {}
            for weight in group["params"]:
                if weight.grad is None:
                    continue
                if not self.state[weight]:
                    self.state[weight]["momentum"] = torch.zeros_like(weight)
                memory = self.state[weight]["momentum"]
                memory.lerp_(weight.grad, 1 - group["momentum"])
                # Nesterov's look ahead: (rows, columns).
                ahead = weight.grad.lerp(memory, group["momentum"]).flatten(1)
                alike.setdefault(ahead.shape, []).append((weight, ahead))
            for shape, pairs in alike.items():
                size = 0.2 * max(shape) ** 0.5  # each number moves by about 0.2 lr, as under AdamW
                for (weight, _), turned in zip(
                    pairs, orthogonal(torch.stack([ahead for _, ahead in pairs]))
                ):
                    weight.mul_(1 - group["lr"] * group["weight_decay"])
                    weight.sub_(turned.reshape(weight.shape) * (group["lr"] * size))


def make_optimizers(
    model: nn.Module, recipe, capturable: bool = False
) -> list[torch.optim.Optimizer]:
    """The optimizers of a recipe: AdamW for all weights, or Muon for matrices and AdamW for the
    rest.

    Weight decay spares gains, biases, positions and the temperature (paper 2.5). Muon spares the
    token embedding too, which is a table of vectors and not a map from one space to another.

    Args:
        model: on the device that it is trained on.
        recipe: a `miniclip.Recipe`.
        capturable: keep learning rates on the GPU, where a recorded step (`compiled_step.py`)
            reads them anew each time.
    """
    decayed, spared, matrices = [], [], []
    for name, weight in model.named_parameters():
        if weight.ndim < 2 or "positional" in name:
            spared.append(weight)
        elif recipe.optimizer == "muon" and "token_embedding" not in name:
            matrices.append(weight)
        else:
            decayed.append(weight)
    groups = [
        {"params": decayed, "weight_decay": recipe.weight_decay},
        {"params": spared, "weight_decay": 0.0},
    ]
    device = decayed[0].device

    def rate(peak: float) -> float | Tensor:
        return torch.tensor(peak, device=device) if capturable else peak

    optimizers: list[torch.optim.Optimizer] = [
        torch.optim.AdamW(
            groups,
            lr=rate(recipe.lr),
            betas=recipe.betas,
            eps=recipe.eps,
            fused=device.type in ("cpu", "cuda"),
            capturable=capturable,
        )
    ]
    if matrices:
        optimizers.append(Muon(matrices, rate(recipe.muon_lr), recipe.weight_decay))
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group["peak_lr"] = recipe.muon_lr if isinstance(optimizer, Muon) else recipe.lr
    return optimizers


def set_learning_rates(optimizers: Iterable[torch.optim.Optimizer], share: float) -> None:
    """Set every learning rate to a share of its peak."""
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            if isinstance(group["lr"], Tensor):
                group["lr"].fill_(group["peak_lr"] * share)
            else:
                group["lr"] = group["peak_lr"] * share


def schedule(progress: float, warmup: float, decay: str = "cosine") -> float:
    """The learning rate, as a share of its peak, when a share `progress` of the budget is spent.

    It rises linearly during `warmup`, then falls along half a cosine to zero (paper 2.5), or stays
    where it is if `decay` is "none".
    """
    if progress < warmup:
        return max(progress, 1e-3) / warmup
    if decay == "none":
        return 1.0
    return 0.5 * (1 + math.cos(math.pi * min(1.0, (progress - warmup) / (1 - warmup))))


def optimizer_state(optimizers: list[torch.optim.Optimizer], model: nn.Module) -> dict[str, Tensor]:
    """The state of the optimizers for a checkpoint, by `optimizer.{name of the weight}.{key}`."""
    names = {weight: name for name, weight in model.named_parameters()}
    return {
        f"optimizer.{names[weight]}.{key}": value
        for optimizer in optimizers
        for weight, memory in optimizer.state.items()
        for key, value in memory.items()
    }


def restore(
    optimizers: list[torch.optim.Optimizer], model: nn.Module, memory: dict[str, Tensor]
) -> None:
    """Give the optimizers the state back that `optimizer_state` returned."""
    names = {weight: name for name, weight in model.named_parameters()}
    for optimizer in optimizers:
        fused = optimizer.defaults.get("fused")
        for weight in (weight for group in optimizer.param_groups for weight in group["params"]):
            prefix = f"optimizer.{names[weight]}."
            found = {
                key.removeprefix(prefix): value
                for key, value in memory.items()
                if key.startswith(prefix)
            }
            if found:
                # AdamW keeps its count of steps on the CPU, unless it is fused: then it is where
                # the weights are.
                optimizer.state[weight] = {
                    key: value.to("cpu" if key == "step" and not fused else weight.device)
                    for key, value in found.items()
                }
