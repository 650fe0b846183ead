"""Sentences: reviews from a small grammar, praising or not; negations and contrasts turn what single words say."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from experiments.data.dataset import Dataset, InMemory
from experiments.data.reading.vocabulary import Vocabulary, padded

_THINGS = ("film", "story", "plot", "cast", "script", "music", "ending", "picture", "scene", "book", "song", "play")
_ADVERBS = ("", "", "really", "quite", "so", "simply", "often", "always")
_GOOD = ("good", "moving", "funny", "bright", "tender", "clever", "rich", "warm", "gripping", "lovely", "fresh", "wise")
_BAD = ("bad", "dull", "flat", "silly", "cold", "slow", "empty", "tired", "clumsy", "stale", "weak", "noisy")
_OPENINGS = ("", "", "honestly", "in short", "i think", "to me", "they say", "well")


def load(length: int, size: int, train: int = 1600, test: int = 400) -> Dataset:
    """Return word numbers ``(N, length)`` int64, at most ``size`` different ones; drawn from fixed seeds."""
    drawn = [_drawn(count, seed) for count, seed in ((train, 1), (test, 2))]
    vocabulary = Vocabulary((sentence for sentence, _ in drawn[0]), size)
    splits = [
        InMemory(
            padded([vocabulary.encode((sentence,)) for sentence, _ in rows], length),
            np.array([label for _, label in rows], np.int64),
        )
        for rows in drawn
    ]
    return Dataset("reviews", "text", "accuracy", ("bad", "good"), splits[0], splits[1])


def _drawn(count: int, seed: int) -> list[tuple[str, int]]:
    rng = np.random.default_rng(seed)
    return [_sentence(rng) for _ in range(count)]


def _sentence(rng: np.random.Generator) -> tuple[str, int]:
    """Return a clause; or two, joined by 'and' (they agree) or 'but' (the second one decides)."""
    label = int(rng.integers(2))
    opening = _one(_OPENINGS, rng)
    form = int(rng.integers(3))
    if form == 0:
        parts = [_clause(label, rng)]
    elif form == 1:
        parts = [_clause(label, rng), "and", _clause(label, rng)]
    else:
        parts = [_clause(1 - label, rng), "but", _clause(label, rng)]
    return " ".join(part for part in (opening, *parts) if part), label


def _clause(label: int, rng: np.random.Generator) -> str:
    negated = bool(rng.random() < _NEGATED)
    quality = _one(_GOOD if (label == 1) != negated else _BAD, rng)
    words = ("the", _one(_THINGS, rng), "is", "not" if negated else "", _one(_ADVERBS, rng), quality)
    return " ".join(word for word in words if word)


def _one(words: Sequence[str], rng: np.random.Generator) -> str:
    return words[int(rng.integers(len(words)))]


_NEGATED = 0.25
