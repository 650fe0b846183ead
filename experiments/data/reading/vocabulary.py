"""Words to numbers, learnt from the training sentences."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence

import numpy as np

from experiments.data.dataset import Array

#: The numbers that stand for no word: nothing, start of all, end of a sentence, and a word that is not known.
PADDING, START, END, UNKNOWN = range(4)
SPECIAL = ("[PAD]", "[CLS]", "[SEP]", "[UNK]")
_WORD = re.compile(r"[a-z0-9']+|[^\sa-z0-9]")


def words(sentence: str) -> list[str]:
    """Return the lower-case words and marks of a sentence."""
    return _WORD.findall(sentence.lower())


class Vocabulary:
    """The most frequent words."""

    def __init__(self, sentences: Iterable[str], size: int) -> None:
        """Learn from sentences; of ``size`` numbers four are special."""
        counts = Counter(word for sentence in sentences for word in words(sentence))
        # Equal counts by the alphabet, so that the same sentences give the same numbers.
        ranked = sorted(counts, key=lambda word: (-counts[word], word))
        self.numbers = {word: number for number, word in enumerate(ranked[: size - len(SPECIAL)], len(SPECIAL))}

    def encode(self, sentences: Sequence[str]) -> list[int]:
        """Return ``[CLS] first [SEP] second [SEP]``."""
        encoded = [START]
        for sentence in sentences:
            encoded += [self.numbers.get(word, UNKNOWN) for word in words(sentence)] + [END]
        return encoded


def padded(encoded: Sequence[Sequence[int]], length: int) -> Array:
    """Return ``(N, length)`` int64, cut or filled up with 0."""
    rows = np.full((len(encoded), length), PADDING, np.int64)
    for row, numbers in zip(rows, encoded, strict=True):
        row[: min(len(numbers), length)] = numbers[:length]
    return rows
