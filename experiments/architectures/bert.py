"""BERT tiny, small and base, with BiBERT's bi-attention (Devlin et al., NAACL 2019; Qin et al., ICLR 2022)."""

from __future__ import annotations

import dataclasses
import math

import torch
from torch import nn
from torch.nn import functional

from experiments.architectures.architecture import Architecture, InputSpec
from experiments.binarizers.parts.binarizer import Binarizer
from experiments.binarizers.parts.estimators import estimated_sign, inside

PAPER = "Devlin et al., BERT, NAACL 2019; Turc et al., 2019; Qin et al., BiBERT, ICLR 2022"


@dataclasses.dataclass(frozen=True)
class Size:
    """How large an encoder is."""

    layers: int
    hidden: int
    heads: int
    words: int = 30522
    length: int = 128


_EMBEDDING_DEVIATION = 0.02
TINY, SMALL, BASE = Size(2, 128, 2), Size(4, 512, 8), Size(12, 768, 12)
EMBEDDED = Size(2, 64, 2, 64, 32)


def _twice_inside(score: torch.Tensor) -> torch.Tensor:
    """Return the slope of a sign of which half is taken."""
    return 2 * inside(score)


class Boolean(nn.Module):
    """bool(score): 1 where the score is at least 0, else 0; straight through inside [-1, 1] (BiBERT's bool)."""

    def forward(self, score: torch.Tensor) -> torch.Tensor:
        """Binarize to {0, 1}."""
        return (estimated_sign(score, _twice_inside) + 1) / 2


class Attention(nn.Module):
    """Bi-attention: binary queries, keys and values, Boolean weights; softmax where activations are real."""

    def __init__(self, binarizer: Binarizer, size: Size) -> None:
        super().__init__()
        hidden = size.hidden
        self.heads = size.heads
        self.query, self.key, self.value, self.output = (binarizer.linear(hidden, hidden, bias=True) for _ in range(4))
        self.boolean = binarizer.binary_activations
        self.scores, self.context = binarizer.matmul(), binarizer.attend(Boolean())
        self.norm = nn.LayerNorm(hidden)

    def split(self, x: torch.Tensor) -> torch.Tensor:
        """Map ``(N, L, hidden)`` to ``(N, heads, L, hidden / heads)``."""
        return x.reshape(*x.shape[:2], self.heads, -1).transpose(1, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Attend, project, add and normalise."""
        query, key, value = (self.split(layer(x)) for layer in (self.query, self.key, self.value))
        scores = self.scores(query, key.transpose(-1, -2)) / math.sqrt(query.shape[-1])
        context = self.context(scores if self.boolean else functional.softmax(scores, dim=-1), value)
        attended: torch.Tensor = self.norm(self.output(context.transpose(1, 2).flatten(2)) + x)
        return attended


class Layer(nn.Module):
    """Attention and a feed-forward part of four times the width."""

    def __init__(self, binarizer: Binarizer, size: Size) -> None:
        super().__init__()
        self.attention = Attention(binarizer, size)
        self.inner = binarizer.linear(size.hidden, 4 * size.hidden, bias=True)
        self.outer = binarizer.linear(4 * size.hidden, size.hidden, bias=True)
        self.norm = nn.LayerNorm(size.hidden)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Transform ``(N, L, hidden)``."""
        x = self.attention(x)
        transformed: torch.Tensor = self.norm(self.outer(functional.gelu(self.inner(x))) + x)
        return transformed


class Bert(nn.Module):
    """Real embeddings, binary encoder layers, real pooler and classifier."""

    def __init__(self, binarizer: Binarizer, size: Size, classes: int) -> None:
        super().__init__()
        self.words, self.positions = nn.Embedding(size.words, size.hidden), nn.Embedding(size.length, size.hidden)
        for table in (self.words, self.positions):
            # As BERT's start. PyTorch's own N(0, 1) would outlast a short training: a rare word moves a rate at a time.
            nn.init.normal_(table.weight, std=_EMBEDDING_DEVIATION)
        self.norm = nn.LayerNorm(size.hidden)
        self.layers = nn.Sequential(*(Layer(binarizer, size) for _ in range(size.layers)))
        self.pooler, self.classifier = nn.Linear(size.hidden, size.hidden), nn.Linear(size.hidden, classes)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        """Classify ``(N, L)`` word numbers."""
        x = self.layers(self.norm(self.words(ids) + self.positions.weight[: ids.shape[1]]))
        logits: torch.Tensor = self.classifier(torch.tanh(self.pooler(x[:, 0])))
        return logits


def bert_tiny(binarizer: Binarizer, classes: int, small: bool) -> nn.Module:
    """Return two layers of 128."""
    return Bert(binarizer, EMBEDDED if small else TINY, classes)


def bert_small(binarizer: Binarizer, classes: int, small: bool) -> nn.Module:
    """Return four layers of 512; small, three of 64."""
    return Bert(binarizer, dataclasses.replace(EMBEDDED, layers=3) if small else SMALL, classes)


def bert_base(binarizer: Binarizer, classes: int, small: bool) -> nn.Module:
    """Return twelve layers of 768; small, two of 96."""
    return Bert(binarizer, dataclasses.replace(EMBEDDED, hidden=96, heads=3) if small else BASE, classes)


_TEXT, _SMALL_TEXT = (InputSpec((128,), TINY.words),), (InputSpec((32,), EMBEDDED.words),)
ARCHITECTURES = (
    Architecture("bert-tiny", "transformer", "text", PAPER, bert_tiny, _TEXT, _SMALL_TEXT),
    Architecture("bert-small", "transformer", "text", PAPER, bert_small, _TEXT, _SMALL_TEXT),
    Architecture("bert-base", "transformer", "text", PAPER, bert_base, _TEXT, _SMALL_TEXT),
)
