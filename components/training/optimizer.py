"""AdamW as the GPT papers use it."""

import torch
from torch import nn


def build_adamw(
    model: nn.Module, learning_rate: float, weight_decay: float, beta1: float, beta2: float, epsilon: float
) -> torch.optim.AdamW:
    """AdamW with decoupled decay on matrices only: no bias and no LayerNorm gain decays (GPT-1 section 4.1)."""
    parameters = [p for p in model.parameters() if p.requires_grad]
    groups = [
        {"params": [p for p in parameters if p.ndim >= 2], "weight_decay": weight_decay},
        {"params": [p for p in parameters if p.ndim < 2], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=learning_rate, betas=(beta1, beta2), eps=epsilon, fused=True)
