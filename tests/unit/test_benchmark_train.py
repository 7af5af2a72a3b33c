"""The benchmark of training: its parts run at a tiny size, say what they skip, and the GPU's table is whole."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode

from benchmarks import train
from benchmarks.peers import gpu_table, training_steps
from benchmarks.peers.training_steps import Shape
from components.training.lit_model import next_token_loss
from components.transformer import kernels
from components.transformer.model import GPT

TINY = Shape("tiny", num_layers=1, d_model=8, num_heads=2, vocab_size=32, context_length=8, batch_sequences=2)


def test_ours_and_transformers_start_at_the_loss_of_guessing() -> None:
    pytest.importorskip("transformers")
    for build in (training_steps.ours, training_steps.transformers):
        training_steps.check_loss(build.__name__, build(TINY, False)(), TINY.vocab_size)


def test_a_peer_that_computes_something_else_ends_the_benchmark() -> None:
    with pytest.raises(SystemExit, match="first loss of other is 1"):
        training_steps.check_loss("other", 1.0, 32)


def test_rows_without_a_checkout_are_skipped_and_said_so(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("transformers")
    monkeypatch.setitem(train.AT_LEAST, TINY, {train.TRANSFORMERS: 0.0, train.LITGPT: 0.0})
    rows = train.step_rows(TINY, False, peak=1e12, repeats=2, nanogpt=None, litgpt=None)
    assert [len(row.ours) for row in rows] == [2]
    assert "SKIPPED: no checkout of litgpt" in capsys.readouterr().out


def test_steps_are_taken_in_turn() -> None:
    order: list[str] = []
    times = train.interleave({name: lambda name=name: order.append(name) or 0.0 for name in "ab"}, 3)  # type: ignore[misc]
    assert order == ["a", "b"] * 3
    assert {name: len(values) for name, values in times.items()} == {"a": 3, "b": 3}


def test_the_table_of_a_gpu_is_made_by_the_same_code_on_a_cpu(tmp_path: Path) -> None:
    size = gpu_table.Size(TINY, micro_batches=2, aim_tokens_per_second=1.0)
    measured = gpu_table.measure(size, "cpu", steps=5, compiled=False)
    low, middle, high = measured.tokens_per_second
    assert 0 < low <= middle <= high
    page = tmp_path / "RESULTS.md"
    page.write_text(f"# Title\n\n{gpu_table.HEADING}\n\nold\n\n## Another\n\nkept\n")
    section = gpu_table.table([measured], peak=1e12, device="a processor", commit="abc")
    gpu_table.write_section(page, section)
    text = page.read_text()
    assert "old" not in text
    assert text.count(gpu_table.HEADING) == 1
    assert text.endswith("## Another\n\nkept\n")
    assert "Commit abc; a processor" in text


def loss_and_gradients(loss: Callable[[GPT, torch.Tensor], torch.Tensor], model: GPT, tokens: torch.Tensor) -> list[torch.Tensor]:
    value = loss(model, tokens)
    return [value.detach(), *torch.autograd.grad(value, list(model.parameters()))]


def test_the_form_of_a_gpu_is_one_graph_and_computes_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """Traced forwards and backwards with not one break, as ``--device cuda`` compiles it; only the compiler behind is left out."""
    torch.manual_seed(0)
    model, tokens = GPT(TINY.config()), TINY.tokens()
    expected = loss_and_gradients(next_token_loss, model, tokens)
    monkeypatch.setattr(kernels, "are_for", lambda _: False)
    compiled = torch.compile(next_token_loss, dynamic=False, fullgraph=True, backend="aot_eager")
    torch.testing.assert_close(loss_and_gradients(compiled, model, tokens), expected, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("size", gpu_table.SIZES)
def test_the_parts_of_each_size_fit_together_on_a_gpu(size: gpu_table.Size) -> None:
    """The forward pass with tensors that have a device and a shape and no memory; torch has no autocast for a GPU that is not there."""
    with FakeTensorMode(), torch.device("cuda"):
        tokens = torch.zeros(size.shape.batch_sequences, size.shape.context_length + 1, dtype=torch.int64)
        loss = next_token_loss(GPT(size.shape.config()), tokens)
    assert (loss.shape, loss.dtype, loss.device.type) == ((), torch.float32, "cuda")


def test_share_of_the_peak_follows_the_stated_formula() -> None:
    shape = gpu_table.SIZES[0].shape
    measured = gpu_table.Measured(gpu_table.SIZES[0], (1.0,), 2**30)
    tokens = 16 * 32 * 1024
    flops = 3 * (2 * (12 * 12 * 768**2 + 50304 * 768) + 4 * 12 * 1024 * 768)
    assert f"| {tokens * flops / 1e15:.1%} |" in gpu_table.table([measured], 1e15, "d", "c")
    assert shape.batch_tokens == 32 * 1024
