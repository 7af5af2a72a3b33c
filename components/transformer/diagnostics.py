"""What a look inside a GPT shows: how strongly each layer's weights pull on the loss."""

import torch
import torch.nn.functional as F
from torch import Tensor

from components.transformer.model import GPT


def gradient_norms(model: GPT, tokens: Tensor) -> list[float]:
    """Norm of the gradient of the next-token loss with respect to W2 of each layer's feed-forward part, from the input upwards.

    ``tokens``: int64 [S, T + 1], T at most the context length. The picture of Xiong 2020 figure 3: at the start of
    training it falls towards the input for post-LN and is flat for pre-LN. The model's own gradients stay as they are.
    """
    logits_STV = model(tokens[:, :-1])
    loss = F.cross_entropy(logits_STV.flatten(0, 1), tokens[:, 1:].flatten())
    weights = [parameter for name, parameter in model.named_parameters() if name.endswith("feed_forward.projection.weight")]
    return [float(gradient.norm()) for gradient in torch.autograd.grad(loss, weights)]
