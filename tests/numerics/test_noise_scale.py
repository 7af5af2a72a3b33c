"""The gradient noise scale against truths that are known, and against a brute-force measurement on a GPT."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch

from components.training.gradient_sum import GradientSum
from components.training.lit_model import LitGPT, next_token_loss
from components.training.noise_scale import NoiseScale
from components.transformer import kernels
from components.transformer.model import GPT
from tests.configs import gpt_config, training_config


@pytest.mark.parametrize(("sizes", "steps"), [([4, 4], 4000), ([8] * 8, 2000), ([8, 8, 8, 3], 4000)])
def test_recovers_the_truth_of_a_quadratic_with_known_covariance(sizes: list[int], steps: int) -> None:
    """Loss |w - x|^2 / 2 with x ~ N(0, Sigma): an example's gradient is w - x, so G = w and its covariance is Sigma."""
    rng = np.random.default_rng(0)
    deviations, w = np.geomspace(0.1, 3.0, 20), np.full(20, 0.5)
    trace, squared_norm = float((deviations**2).sum()), float(w @ w)
    noise = NoiseScale(smoothing=0.999)
    for _ in range(steps):
        means = [(w - rng.normal(size=(size, 20)) * deviations).mean(axis=0) for size in sizes]
        batch = np.average(means, axis=0, weights=sizes)
        estimate = noise.update(sizes, [float(g @ g) for g in means], float(batch @ batch))
    assert estimate == pytest.approx(trace / squared_norm, rel=0.1)
    debias = 1 - noise.smoothing**steps
    assert noise.trace / debias == pytest.approx(trace, rel=0.1)
    assert noise.squared_norm / debias == pytest.approx(squared_norm, rel=0.1)


def test_averaging_the_ratio_instead_would_miss_it() -> None:
    """Why the two are smoothed apart."""
    rng = np.random.default_rng(0)
    w, ratios, noise = np.full(20, 0.5), [], NoiseScale(smoothing=0.999)
    for _ in range(4000):
        means = [(w - rng.normal(size=(4, 20))).mean(axis=0) for _ in range(2)]
        batch = np.mean(means, axis=0)
        arguments = ([4, 4], [float(g @ g) for g in means], float(batch @ batch))
        estimate = noise.update(*arguments)
        ratios.append(NoiseScale(smoothing=0.0).update(*arguments) or 0.0)
    assert estimate == pytest.approx(4.0, rel=0.1)
    assert abs(np.mean(ratios) - 4.0) > 0.4


def test_is_not_known_while_the_noise_hides_the_gradient() -> None:
    assert NoiseScale(smoothing=0.9).update([1, 1], [1.0, 1.0], 0.1) is None


def flat_gradient(model: GPT, batch: torch.Tensor) -> torch.Tensor:
    model.zero_grad(set_to_none=True)
    next_token_loss(model, batch).backward()
    return torch.cat([parameter.grad.flatten().double() for parameter in model.parameters() if parameter.grad is not None])


@pytest.mark.parametrize("sequences", [8, 7])
def test_micro_batches_of_a_gpt_give_its_norms_and_the_same_gradient(sequences: int) -> None:
    """Through Lightning's module: the numbers that the estimator gets, and gradients bit for bit those of plain accumulation."""
    torch.manual_seed(0)
    model = GPT(gpt_config(16, context_length=8, d_model=8))
    module = LitGPT(model, training_config(micro_batch_sequences=2))
    module.manual_backward = torch.Tensor.backward  # type: ignore[method-assign, assignment]
    batch = torch.randint(16, (sequences, 9), generator=torch.Generator().manual_seed(1))
    parts = torch.split(batch, 2)
    _, gradients = module._accumulate_gradients(parts, list(model.parameters()))
    accumulated = [parameter.grad.clone() for parameter in model.parameters() if parameter.grad is not None]
    model.zero_grad(set_to_none=True)
    for part in parts:
        (next_token_loss(model, part) * (len(part) / sequences)).backward()
    assert all(torch.equal(parameter.grad, a) for parameter, a in zip(model.parameters(), accumulated, strict=True))  # type: ignore[arg-type]
    own = [float(flat_gradient(model, part).norm()) * len(part) / sequences for part in parts]
    assert gradients.norms() == pytest.approx(own, rel=1e-5)
    assert float(gradients.norm()) == pytest.approx(float(torch.nn.utils.get_total_norm(accumulated)), rel=1e-6)


def test_norms_found_while_adding_are_those_of_torch() -> None:
    """In pieces of 4,096 elements; the sum is torch's to the last bit, and one NaN is in every norm from then on."""
    generator = torch.Generator().manual_seed(0)
    micro = [[torch.randn(*shape, generator=generator) for shape in ((3, 4097), (5,), (64, 64))] for _ in range(3)]
    exact = [math.sqrt(sum(float(tensor.double().square().sum()) for tensor in tensors)) for tensors in micro]
    expected = [a + b + c for a, b, c in zip(*micro, strict=True)]
    gradients = GradientSum()
    gradients.add(micro[0])
    assert gradients.norms() == []
    for tensors in micro[1:]:
        gradients.add(tensors)
    assert all(map(torch.equal, gradients.of_sum, expected))
    assert gradients.norms() == pytest.approx(exact, rel=1e-7)
    assert float(gradients.norm()) == pytest.approx(float(torch.nn.utils.get_total_norm(expected)), rel=1e-6)
    gradients.add([torch.full_like(tensor, torch.nan) for tensor in expected])
    assert math.isnan(gradients.norms()[-1]) and math.isnan(gradients.norm())


@pytest.mark.parametrize("count", [1, 3])
def test_where_the_kernel_does_not_compute_torch_gives_the_same(monkeypatch: pytest.MonkeyPatch, count: int) -> None:
    """As on a GPU."""
    micro = [[torch.randn(7, 9, generator=torch.Generator().manual_seed(seed))] for seed in range(count)]
    found = []
    for on_cpu in (True, False):
        monkeypatch.setattr(kernels, "are_for", lambda _, on_cpu=on_cpu: on_cpu)
        gradients = GradientSum()
        for tensors in micro:
            gradients.add([tensor.clone() for tensor in tensors])
        found.append([*gradients.of_sum, torch.tensor(gradients.norms()), gradients.norm()])
    torch.testing.assert_close(found[0], found[1])


def test_agrees_with_the_covariance_of_a_gpts_gradients(tmp_path: Path) -> None:
    """Sequences are drawn independently, so a sequence is the unit: per-sequence gradients give tr(Sigma) and G directly."""
    torch.manual_seed(0)
    model = GPT(gpt_config(16, context_length=8, d_model=8))
    module = LitGPT(model, training_config(micro_batch_sequences=2, noise_scale_smoothing=0.999))
    module.manual_backward = torch.Tensor.backward  # type: ignore[method-assign, assignment]
    generator = torch.Generator().manual_seed(1)
    probabilities = torch.softmax(torch.arange(16) * 0.3, 0)
    data = torch.multinomial(probabilities, 400 * 9, replacement=True, generator=generator).view(400, 9)
    gradients = torch.stack([flat_gradient(model, row[None]) for row in data])
    mean = gradients.mean(0)
    trace = float(((gradients - mean) ** 2).sum() / (len(data) - 1))
    truth_tokens = 8 * trace / float(mean @ mean - trace / len(data))
    for _ in range(150):
        batch = data[torch.randint(400, (8,), generator=generator)]
        model.zero_grad(set_to_none=True)
        parts = torch.split(batch, 2)
        _, micro = module._accumulate_gradients(parts, list(model.parameters()))
        module.last_row = {"grad_norm": float(micro.norm())}
        module._measure_noise(parts, micro.norms())
    assert module.last_row["noise_scale_tokens"] == pytest.approx(truth_tokens, rel=0.1)
