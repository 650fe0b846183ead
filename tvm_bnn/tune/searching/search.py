"""MetaSchedule's evolutionary search over one layer's space, in rounds that can be kept and continued."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Iterable, Sequence

import numpy as np
import tvm
from tvm import s_tir

from schedules.files.line_file import Warn
from schedules.tuned import space
from schedules.tuned.trace import replay, to_json
from schedules.tuned.trace_key import Trace, key_of
from tvm_bnn.tune.runners.runner import Measured
from tvm_bnn.tune.searching.database import FAILED_S, Entry
from tvm_bnn.tune.searching.metaschedule import ms
from tvm_bnn.tune.tasks import Task

_POPULATION, _GENERATIONS = 64, 3
_MANY = 1 << 20
#: Draws at random that may turn out to be known before a space counts as exhausted.
_VAIN_DRAWS = 4


@dataclasses.dataclass(frozen=True)
class Candidate:
    """One point of a layer's space."""

    schedule: s_tir.Schedule
    trace: Trace
    key: str


def candidate_of(schedule: s_tir.Schedule) -> Candidate:
    """Return a schedule with its trace."""
    trace = to_json(schedule)
    return Candidate(schedule, trace, key_of(trace))


class Search:
    """What is known of one layer, and what to try next.

    Parameters
    ----------
    task
        The layer.
    target
        TVM's target.
    threads
        That a kernel may use.
    caches
        Whether who judges candidates knows of caches: a model of a processor does not.
    seed
        Of the search.
    """

    def __init__(
        self, task: Task, target: tvm.target.Target, threads: int = 1, caches: bool = True, seed: int = 1
    ) -> None:
        self.task = task
        self.known: dict[str, Entry] = {}
        self._foreign: set[str] = set()
        self.default = candidate_of(space.default_point(task.function, task.isa))
        self._target, self._threads, self._caches, self._seed = target, threads, caches, seed
        self._database = ms.database.MemoryDatabase()
        self._workload = self._database.commit_workload(task.module)
        self._context: ms.TuneContext | None = None
        self._cost_model: ms.CostModel | None = None

    def remember(self, entries: Iterable[Entry], warn: Warn) -> None:
        """Take over measurements of this layer that are in the log already; say which are none of it after all."""
        for entry in entries:
            if entry.workload != self.task.workload or entry.key in self.known or entry.key in self._foreign:
                continue
            try:
                schedule = replay(self.task.function, entry.trace)
            except ValueError as error:
                self._foreign.add(entry.key)
                warn(f"{entry.place}: {error}; skipped")
            else:
                self.known[entry.key] = entry
                self._database.commit_tuning_record(self._record(schedule, entry.seconds))

    def best(self, count: int) -> list[Entry]:
        """Return the fastest so far that could be measured."""
        working = [entry for entry in self.known.values() if not entry.failed]
        return sorted(working, key=lambda entry: entry.mean_s)[:count]

    def propose(self, count: int) -> list[Candidate]:
        """Return candidates that were never measured, at most so many; none once the space is exhausted."""
        found: dict[str, Candidate] = {}
        if self.default.key not in self.known:
            found[self.default.key] = self.default
        for schedules in self._ideas(count):
            for schedule in schedules:
                candidate = candidate_of(schedule)
                if candidate.key not in self.known and len(found) < count:
                    found.setdefault(candidate.key, candidate)
            if len(found) == count:
                break
        return list(found.values())

    def learn(self, measured: Sequence[tuple[Candidate, Measured]]) -> None:
        """Take over what a round measured, and teach the cost model."""
        for candidate, result in measured:
            seconds = result.seconds or (FAILED_S,)
            self.known[candidate.key] = Entry(self.task.workload, candidate.trace, seconds)
            self._database.commit_tuning_record(self._record(candidate.schedule, seconds))
        context, model = self._begun()
        information = ms.arg_info.ArgInfo.from_prim_func(self.task.function)
        candidates = [ms.MeasureCandidate(candidate.schedule, information) for candidate, _ in measured]
        results = [
            ms.runner.RunnerResult(list(result.seconds) or None, result.failure or None) for _, result in measured
        ]
        model.update(context, candidates, results)

    def _ideas(self, count: int) -> Iterable[list[s_tir.Schedule]]:
        """Yield what the search thinks best, if it has anything to go by, then what chance brings."""
        context, _ = self._begun()
        if self.known:
            context.pre_tuning(_MANY, count, self._drawn(), self._database, self._cost_model)
            candidates = context.generate_measure_candidates()
            context.post_tuning()
            yield [candidate.sch for candidate in candidates or []]
        for _ in range(_VAIN_DRAWS):
            schedules = self._drawn()
            order = np.random.default_rng((self._seed, len(self.known))).permutation(len(schedules))
            yield [schedules[index] for index in order]

    def _drawn(self) -> list[s_tir.Schedule]:
        """Return one point of every design, drawn at random."""
        context, _ = self._begun()
        return list(context.generate_design_space())

    def _begun(self) -> tuple[ms.TuneContext, ms.CostModel]:
        if self._context is None or self._cost_model is None:
            self._context = ms.TuneContext(
                self.task.module,
                target=self._target,
                space_generator=ms.space_generator.ScheduleFn(
                    lambda schedule: space.generate(schedule, self.task.isa, self._threads, self._caches),
                    sch_rules=[],
                    postprocs=[],
                    mutator_probs={ms.mutator.MutateTileSize(): 1.0},
                ),
                search_strategy=ms.search_strategy.EvolutionarySearch(
                    population_size=_POPULATION, init_min_unmeasured=1, genetic_num_iters=_GENERATIONS
                ),
                task_name=self.task.name,
                rand_state=self._seed,
                num_threads=1,
                logger=_quiet(),
            )
            self._cost_model = ms.cost_model.XGBModel(num_tuning_cores=1)
        return self._context, self._cost_model

    def _record(self, schedule: s_tir.Schedule, seconds: Sequence[float]) -> ms.database.TuningRecord:
        return ms.database.TuningRecord(schedule.trace, self._workload, list(seconds), self._target, None)


def _quiet() -> logging.Logger:
    """Return a logger for MetaSchedule's remarks on its own work, which would interrupt ours."""
    logger = logging.getLogger("tvm_bnn.tune.searching.metaschedule")
    logger.addHandler(logging.NullHandler())
    logger.propagate = False
    return logger
