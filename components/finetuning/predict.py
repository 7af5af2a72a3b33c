"""What a fine-tuned model says about items."""

# Shapes: N items, C classes or answers.

from collections.abc import Sequence

import torch
from torch import Tensor

from components.errors import InputError
from components.finetuning.batches import collate
from components.finetuning.heads import TaskModel
from components.finetuning.transforms import Encoded


def predict(model: TaskModel, items: Sequence[Encoded], batch_sequences: int) -> Tensor:
    """Logits [N, C] in the order of the items, float32 on the CPU, without dropout; items of like length share a batch.

    Raises:
        InputError: a logit is NaN or infinite: the training has diverged.
    """
    model.eval()
    device = next(model.parameters()).device
    order = sorted(range(len(items)), key=lambda i: items[i].length)
    logits: dict[int, Tensor] = {}
    with torch.inference_mode():
        for start in range(0, len(order), batch_sequences):
            batch = order[start : start + batch_sequences]
            found_BC = model(collate([items[i] for i in batch]).to(device))[0].float().cpu()
            logits.update(zip(batch, found_BC, strict=True))
    logits_NC = torch.stack([logits[i] for i in range(len(items))])
    finite_N = logits_NC.isfinite().all(dim=1)
    if not finite_N.all():
        raise InputError(f"the scores of {int((~finite_N).sum())} of {len(items)} items are not numbers; lower finetuning.learning_rate")
    return logits_NC


def count_right(logits_NC: Tensor, items: Sequence[Encoded]) -> int:
    """Items whose highest logit is that of the label; of several as high the first."""
    return int((logits_NC.argmax(dim=1) == torch.tensor([item.label for item in items])).sum())
