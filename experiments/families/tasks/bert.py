"""BiBERT: fully binarized BERT with a Boolean attention (Qin et al., ICLR 2022, arXiv 2203.06390)."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.nn import functional

from experiments.families.building_blocks import apply, trick
from experiments.families.family import Family, Inputs

WORDS, LENGTH, HIDDEN, HEADS, INNER, LABELS = 60, 12, 48, 4, 96, 3


class BooleanSign(torch.autograd.Function):
    """bool(score) of the paper's bi-attention: sign, in which -1 is overwritten by 0; straight through."""

    @staticmethod
    def forward(ctx: Any, score: torch.Tensor) -> torch.Tensor:
        """Return 1 where the score is positive, else 0."""
        ctx.save_for_backward(score)
        out = torch.sign(score)
        out[out == -1] = 0.0
        return out

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> torch.Tensor:
        """Pass the gradient where the score is at most 1 in magnitude."""
        (score,) = ctx.saved_tensors
        return gradient.masked_fill(score.abs().gt(1), 0.0)


def clamp_sign(x: torch.Tensor) -> torch.Tensor:
    """Sign by the detach trick over clamp."""
    return trick(torch.sign(x), torch.clamp(x, -1.0, 1.0))


def binary_rows(weight: torch.Tensor) -> torch.Tensor:
    """Centre each row; ±mean|w| by the detach trick."""
    centred = weight - weight.mean(-1).unsqueeze(-1)
    scale = torch.mean(torch.abs(centred), dim=-1, keepdim=True).detach()
    return trick(scale * torch.sign(centred), torch.clamp(centred, -1.0, 1.0))


class BinaryLinear(nn.Linear):
    """Binary linear layer; the bias is added afterwards."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Binarize both operands, multiply, add."""
        out = functional.linear(clamp_sign(x), binary_rows(self.weight))
        return out + self.bias.view(1, -1).expand_as(out)


class BinaryEmbedding(nn.Embedding):
    """Words are ±1 vectors times one scale a word; a table look-up, no product."""

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        """Look up binarized rows."""
        return functional.embedding(ids, binary_rows(self.weight))


class Attention(nn.Module):
    """Attention over binary queries and keys; ``boolean`` makes the attention {0, 1}, else it is the real softmax."""

    def __init__(self, boolean: bool) -> None:
        super().__init__()
        self.boolean = boolean
        self.query, self.key, self.value = (BinaryLinear(HIDDEN, HIDDEN) for _ in range(3))
        self.output = BinaryLinear(HIDDEN, HIDDEN)
        self.norm = nn.LayerNorm(HIDDEN)

    def heads(self, x: torch.Tensor) -> torch.Tensor:
        """Map ``(N, L, HIDDEN)`` to ``(N, HEADS, L, HIDDEN / HEADS)``."""
        return x.view(*x.shape[:2], HEADS, HIDDEN // HEADS).permute(0, 2, 1, 3)

    def forward(self, x: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Attend, project, add and normalise."""
        query, key, value = (self.heads(layer(x)) for layer in (self.query, self.key, self.value))
        scores = torch.matmul(clamp_sign(query), clamp_sign(key).transpose(-1, -2)) / (HIDDEN // HEADS) ** 0.5 + mask
        if self.boolean:
            context = torch.matmul(apply(BooleanSign, scores), clamp_sign(value))
        else:
            context = torch.matmul(functional.softmax(scores, dim=-1), value)
        context = context.permute(0, 2, 1, 3).contiguous().view(*x.shape)
        attended: torch.Tensor = self.norm(self.output(context) + x)
        return attended


class Layer(nn.Module):
    """Attention and feed-forward; behind gelu many values saturate to exactly -0."""

    def __init__(self, boolean: bool) -> None:
        super().__init__()
        self.attention = Attention(boolean)
        self.inner, self.outer = BinaryLinear(HIDDEN, INNER), BinaryLinear(INNER, HIDDEN)
        self.norm = nn.LayerNorm(HIDDEN)

    def forward(self, x: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Transform ``(N, L, HIDDEN)``."""
        x = self.attention(x, mask)
        transformed: torch.Tensor = self.norm(self.outer(functional.gelu(self.inner(x))) + x)
        return transformed


class Bert(nn.Module):
    """Binary word embedding, real positions, two layers, real pooler and classifier."""

    def __init__(self, boolean: bool) -> None:
        super().__init__()
        self.words, self.positions = BinaryEmbedding(WORDS, HIDDEN), nn.Embedding(LENGTH, HIDDEN)
        self.norm = nn.LayerNorm(HIDDEN)
        self.layers = nn.ModuleList(Layer(boolean) for _ in range(2))
        self.pooler, self.classifier = nn.Linear(HIDDEN, HIDDEN), nn.Linear(HIDDEN, LABELS)

    def forward(self, ids: torch.Tensor, present: torch.Tensor) -> torch.Tensor:
        """Classify ``ids`` ``(N, LENGTH)``; ``present`` is 1 for words and 0 for padding."""
        mask = (1.0 - present[:, None, None, :].to(torch.float32)) * -10000.0
        x = self.norm(self.words(ids) + self.positions(torch.arange(LENGTH)))
        for layer in self.layers:
            x = layer(x, mask)
        logits: torch.Tensor = self.classifier(torch.tanh(self.pooler(x[:, 0])))
        return logits


def sentences() -> Inputs:
    """Return two sentences of word numbers, the second three words short, and their mask."""
    ids = torch.randint(WORDS, (2, LENGTH), generator=torch.Generator().manual_seed(0))
    present = torch.ones_like(ids)
    present[1, -3:] = 0
    return ids, present


FAMILIES = (
    Family(
        "BiBERT",
        "trick(sign, clamp); scores: out = sign(score + mask); out[out == -1] = 0",
        lambda: Bert(boolean=True),
        sentences,
        binary_layers=16,
        total_layers=18,
        notes="six linears and two matrix products a layer; a score of exactly zero attends to nothing",
    ),
    Family(
        "BERT, binary but for the attention",
        "trick(sign, clamp) in the linears and in query × key; softmax stays real",
        lambda: Bert(boolean=False),
        sentences,
        binary_layers=14,
        total_layers=18,
    ),
)
