"""A GPT with a linear layer on the extract state (GPT-1 eq. 3)."""

# Shapes: B items, S sequences of an item, T positions, D d_model, C classes or answers; N = B * S sequences.

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from components.tasks.config import Transformation
from components.transformer.model import GPT, INIT_STD


@dataclass(frozen=True)
class Batch:
    """``tokens`` int64 [B, S, T], padded on the right; ``lengths`` [B, S] the real ones; ``labels`` [B], int64, or scores in float32."""

    tokens: Tensor
    lengths: Tensor
    labels: Tensor

    def to(self, device: torch.device) -> "Batch":
        """The same on another device."""
        return Batch(self.tokens.to(device), self.lengths.to(device), self.labels.to(device))


class ExtractHead(nn.Module):
    """Dropout and one linear layer, N(0, 0.02) and 0, as GPT-1's released code has them.

    Similarity: the extract states of both orders are added. Multiple choice: one score for each answer, from a shared
    layer, with one dropout mask for all answers of an item.
    """

    def __init__(self, d_model: int, num_outputs: int, dropout: float, transformation: Transformation, generator: torch.Generator) -> None:
        super().__init__()
        self.transformation, self.dropout = transformation, dropout
        self.linear = nn.Linear(d_model, num_outputs)
        nn.init.normal_(self.linear.weight, std=INIT_STD, generator=generator)
        nn.init.zeros_(self.linear.bias)

    def forward(self, states_BSD: Tensor) -> Tensor:
        """Extract states -> logits [B, C]."""
        if self.transformation == "similarity":
            states_BSD = states_BSD.sum(dim=1, keepdim=True)
        mask_B1D = F.dropout(torch.ones_like(states_BSD[:, :1]), self.dropout, self.training)
        logits_BSC: Tensor = self.linear(states_BSD * mask_B1D)
        return logits_BSC.flatten(1)


class TaskModel(nn.Module):
    """A GPT whose vocabulary has the three special tokens, and its head."""

    def __init__(self, gpt: GPT, head: ExtractHead) -> None:
        super().__init__()
        self.gpt, self.head = gpt, head

    def forward(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Logits [B, C] and hidden states [N, T, D]."""
        hidden_NTD = self.gpt.hidden(batch.tokens.flatten(0, 1))
        rows_N = torch.arange(len(hidden_NTD), device=hidden_NTD.device)
        states_ND = hidden_NTD[rows_N, batch.lengths.flatten() - 1]
        return self.head(states_ND.view(*batch.lengths.shape, -1)), hidden_NTD


def label_loss(logits_BC: Tensor, labels_B: Tensor) -> Tensor:
    """L2 (GPT-1 eq. 4): mean cross-entropy of the labels [nats]; labels that are no whole numbers are scores (``soft_labels``)."""
    return F.cross_entropy(logits_BC.float(), soft_labels(labels_B, logits_BC.shape[1]) if labels_B.is_floating_point() else labels_B)


def soft_labels(scores_B: Tensor, num_classes: int) -> Tensor:
    """A score between two whole numbers as shares of both, the nearer one's the larger [B, C]: 2.3 is 0.7 of class 2 and 0.3 of class 3.

    Source: Tai, Socher and Manning 2015, section 4.2, which GPT-1's released code has a helper for, though no task there calls it;
    the paper itself does not say how STS-B was learnt. Differs: cross-entropy in place of their KL divergence, which is the same
    but for a constant; a scale may begin at any whole number.
    """
    return (1 - (scores_B[:, None] - torch.arange(num_classes, device=scores_B.device)).abs()).clamp(min=0)


def language_model_loss(gpt: GPT, hidden_NTD: Tensor, batch: Batch) -> Tensor:
    """L1 on the labelled text (GPT-1 eq. 1): for each sequence the mean over its real next tokens, then the mean over sequences.

    As in the released code the delimiter and extract tokens are targets too, and wrong answers of a multiple choice count.
    Differs: that code holds positions in the same matrix as tokens, so its softmax runs over them as well, and it drops out
    elements of that matrix where we drop out the sum of the two embeddings.
    """
    tokens_NT, lengths_N = batch.tokens.flatten(0, 1), batch.lengths.flatten()
    real_NT = torch.arange(1, tokens_NT.shape[1], device=tokens_NT.device) < lengths_N[:, None]
    losses = F.cross_entropy(gpt.logits(hidden_NTD[:, :-1][real_NT]), tokens_NT[:, 1:][real_NT], reduction="none")
    weights = (1 / (lengths_N - 1)).repeat_interleave(lengths_N - 1, output_size=len(losses))
    return (losses * weights).sum() / len(lengths_N)
