"""GLUE (Wang et al., ICLR 2019): eight tasks on sentences, as the tsv files of its download.

Tested on the development sets, as papers do: the labels of the test sets are secret.
"""

from __future__ import annotations

import csv
import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np

from experiments.data.dataset import Array, Dataset, InMemory, Metric
from experiments.data.folder import Folder
from experiments.data.reading.vocabulary import Vocabulary, padded

ADVICE = "the tasks' zip files, which https://gluebenchmark.com/tasks lists, and unpack them there, a folder each"


@dataclasses.dataclass(frozen=True)
class GlueTask:
    """One task.

    Parameters
    ----------
    folder
        Its name.
    sentences, label
        Columns; by number where the files have no header.
    classes
        As the files write them; none for a number.
    metric
        The one that GLUE ranks by; of two, the one that is not accuracy.
    development
        The file that it is tested on.
    header
        Whether the first line names the columns.
    """

    folder: str
    sentences: tuple[str, ...]
    label: str
    classes: tuple[str, ...]
    metric: Metric = "accuracy"
    development: str = "dev.tsv"
    header: bool = True


_YES_NO = ("not_entailment", "entailment")
TASKS = (
    GlueTask("CoLA", ("3",), "1", ("0", "1"), "matthews", header=False),
    GlueTask("SST-2", ("sentence",), "label", ("0", "1")),
    GlueTask("MRPC", ("#1 String", "#2 String"), "Quality", ("0", "1"), "f1"),
    GlueTask("STS-B", ("sentence1", "sentence2"), "score", (), "spearman"),
    GlueTask("QQP", ("question1", "question2"), "is_duplicate", ("0", "1"), "f1"),
    GlueTask(
        *("MNLI", ("sentence1", "sentence2"), "gold_label", ("contradiction", "neutral", "entailment")),
        development="dev_matched.tsv",
    ),
    GlueTask("QNLI", ("question", "sentence"), "label", _YES_NO),
    GlueTask("RTE", ("sentence1", "sentence2"), "label", _YES_NO),
)


def loader(task: GlueTask) -> Callable[[Path, int, int], Dataset]:
    """Return the function that loads a task from the folder of all, with so many words a sample and in all."""

    def load(path: Path, length: int, size: int) -> Dataset:
        folder = Folder(f"glue-{task.folder.lower()}", path, ADVICE)
        files = folder.require([f"{task.folder}/train.tsv", f"{task.folder}/{task.development}"])
        read = [_rows(folder, task, file) for file in files]
        vocabulary = Vocabulary((text for sentences, _ in read[0] for text in sentences), size)
        splits = [_split(task, rows, vocabulary, length) for rows in read]
        return Dataset(
            f"glue-{task.folder.lower()}", "text", task.metric, task.classes or ("score",), splits[0], splits[1]
        )

    return load


def load_lines(path: Path, length: int, size: int) -> Dataset:
    """Read ``train.tsv`` and ``test.tsv`` of lines ``sentence<TAB>label`` without a header, as SST-2 is also spread.

    Raises
    ------
    UserError
        If a file is missing, or a line is no such line.
    """
    task = GlueTask(".", ("0",), "1", ("0", "1"), development="test.tsv", header=False)
    folder = Folder("sentences", path, "train.tsv and test.tsv of lines 'sentence<TAB>0 or 1'")
    read = [_rows(folder, task, file) for file in folder.require(["train.tsv", "test.tsv"])]
    vocabulary = Vocabulary((text for sentences, _ in read[0] for text in sentences), size)
    splits = [_split(task, rows, vocabulary, length) for rows in read]
    return Dataset("sentences", "text", "accuracy", task.classes, splits[0], splits[1])


def _rows(folder: Folder, task: GlueTask, file: Path) -> list[tuple[list[str], str]]:
    """Return the sentences and the label of each line; quotation marks are text."""
    with file.open(encoding="utf-8", newline="") as lines:
        table = list(csv.reader(lines, delimiter="\t", quoting=csv.QUOTE_NONE))
    header = table.pop(0) if task.header and table else [str(number) for number in range(len(table[0]) if table else 0)]
    try:
        columns = [header.index(name) for name in (*task.sentences, task.label)]
    except ValueError:
        raise folder.refuse(f"'{task.folder}/{file.name}' has no columns {task.sentences} and '{task.label}'") from None
    rows = []
    for number, line in enumerate(table, 1 + task.header):
        # A few lines of QQP and MNLI are broken in the originals, and every reader leaves them out.
        if len(line) <= max(columns) or (task.classes and line[columns[-1]] not in task.classes):
            if task.folder in {"QQP", "MNLI"}:
                continue
            raise folder.refuse(f"'{task.folder}/{file.name}', line {number} is no sample of this task")
        rows.append(([line[column] for column in columns[:-1]], line[columns[-1]]))
    return rows


def _split(task: GlueTask, rows: list[tuple[list[str], str]], vocabulary: Vocabulary, length: int) -> InMemory:
    ids = padded([vocabulary.encode(sentences) for sentences, _ in rows], length)
    labels: Array = (
        np.array([task.classes.index(label) for _, label in rows], np.int64)
        if task.classes
        else np.array([float(label) for _, label in rows], np.float32)
    )
    return InMemory(ids, labels)
