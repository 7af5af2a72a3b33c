"""What a fine-tuned model says about items."""

# Shapes: N items, C classes or answers.

from collections.abc import Sequence

import torch
from torch import Tensor

from components.finetuning.batches import collate
from components.finetuning.heads import TaskModel
from components.finetuning.transforms import Encoded


def predict(model: TaskModel, items: Sequence[Encoded], batch_sequences: int) -> Tensor:
    """Logits [N, C] in the order of the items, float32 on the CPU, without dropout; items of like length share a batch."""
    model.eval()
    device = next(model.parameters()).device
    order = sorted(range(len(items)), key=lambda i: items[i].length)
    logits: dict[int, Tensor] = {}
    with torch.inference_mode():
        for start in range(0, len(order), batch_sequences):
            batch = order[start : start + batch_sequences]
            found_BC = model(collate([items[i] for i in batch]).to(device))[0].float().cpu()
            logits.update(zip(batch, found_BC, strict=True))
    return torch.stack([logits[i] for i in range(len(items))]) if items else torch.zeros(0, 1)
