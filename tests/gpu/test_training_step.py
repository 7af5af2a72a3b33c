"""On a GPU: the compiled step of the benchmark runs, and the loss is that of the CPU."""

import pytest
import torch

from benchmarks.peers import gpu_table
from components.training.lit_model import next_token_loss
from components.transformer.model import GPT
from tests.unit.test_benchmark_train import TINY

pytestmark = [pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")]


def test_loss_and_gradients_equal_those_of_the_cpu() -> None:
    torch.manual_seed(0)
    model, tokens = GPT(TINY.config()), TINY.tokens()
    found = []
    for device in ("cpu", "cuda"):
        model.to(device).zero_grad()
        loss = next_token_loss(model, tokens.to(device))
        loss.backward()  # type: ignore[no-untyped-call]
        found.append([loss.detach().cpu(), *(parameter.grad.cpu() for parameter in model.parameters() if parameter.grad is not None)])
    torch.testing.assert_close(found[0], found[1], rtol=1e-3, atol=1e-5)


@pytest.mark.slow
def test_compiled_step_runs_and_says_its_memory() -> None:
    measured = gpu_table.measure(gpu_table.Size(TINY, 2, 1.0), "cuda", steps=3, compiled=True)
    assert measured.peak_bytes > 0
