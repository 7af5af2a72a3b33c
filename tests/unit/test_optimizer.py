"""Our AdamW is torch's, bit for bit: from the start, after a state is loaded, and where a parameter has no gradient."""

import copy

import pytest
import torch
from torch import nn

from components.training.optimizer import build_adamw

SETTINGS = {"learning_rate": 0.01, "weight_decay": 0.1, "beta1": 0.9, "beta2": 0.95, "epsilon": 1e-8}


def model() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(5, 7), nn.LayerNorm(7), nn.Linear(7, 3))


def plain(like: torch.optim.Optimizer) -> torch.optim.AdamW:
    groups = [{"params": group["params"], "weight_decay": group["weight_decay"]} for group in like.param_groups]
    return torch.optim.AdamW(groups, lr=0.01, betas=(0.9, 0.95), eps=1e-8, fused=True)


def take(optimizer: torch.optim.Optimizer, net: nn.Module, steps: range, without: int | None = None) -> None:
    for step in steps:
        generator = torch.Generator().manual_seed(step)
        for number, parameter in enumerate(net.parameters()):
            gradient = torch.randn(parameter.shape, generator=generator)
            parameter.grad = None if number == without else gradient
        optimizer.param_groups[0]["lr"] = 0.01 / (1 + step)
        optimizer.step()


def assert_equal(one: nn.Module, other: nn.Module) -> None:
    for a, b in zip(one.parameters(), other.parameters(), strict=True):
        assert torch.equal(a, b)


@pytest.mark.parametrize("without", [None, 3])
def test_weights_and_state_are_those_of_torch(without: int | None) -> None:
    ours, theirs = model(), model()
    optimizers = build_adamw(ours, **SETTINGS), plain(build_adamw(theirs, **SETTINGS))
    for optimizer, net in zip(optimizers, (ours, theirs), strict=True):
        take(optimizer, net, range(3), without)
        take(optimizer, net, range(3, 6))
        take(optimizer, net, range(6, 8), without)
        take(optimizer, net, range(8, 10))
    assert_equal(ours, theirs)
    one, other = (optimizer.state_dict()["state"] for optimizer in optimizers)
    assert one.keys() == other.keys()
    for number in one:
        assert all(torch.equal(one[number][name], other[number][name]) for name in ("step", "exp_avg", "exp_avg_sq"))


def test_a_loaded_state_is_the_one_that_it_goes_on_with() -> None:
    whole, resumed = model(), model()
    first = build_adamw(whole, **SETTINGS)
    take(first, whole, range(4))
    saved, weights = copy.deepcopy(first.state_dict()), copy.deepcopy(whole.state_dict())
    take(first, whole, range(4, 6))
    second = build_adamw(resumed, **SETTINGS)
    take(second, resumed, range(9))  # its lists are of another state
    resumed.load_state_dict(weights)
    second.load_state_dict(saved)
    take(second, resumed, range(4, 6))
    assert_equal(whole, resumed)


def test_the_closure_runs_first_and_with_gradients() -> None:
    net = model()
    optimizer = build_adamw(net, **SETTINGS)
    for _ in range(2):
        take(optimizer, net, range(1))

        def closure() -> bool:
            for parameter in net.parameters():
                parameter.grad = torch.zeros_like(parameter)
            return torch.is_grad_enabled()

        assert optimizer.step(closure)
