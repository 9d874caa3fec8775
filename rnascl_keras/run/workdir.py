"""The work folder of a run: which files it holds, and what made them."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rnascl_keras.errors import UserError
from rnascl_keras.files.exported import KINDS, exported_files
from rnascl_keras.files.hashes import digest
from rnascl_keras.recipe import Recipe
from rnascl_keras.run.command import Command
from rnascl_keras.run.origin import signature_in

if TYPE_CHECKING:
    import keras
    import tensorflow as tf

    from rnascl_keras.data import Splits
    from rnascl_keras.method.architecture import Architecture
    from rnascl_keras.method.need import Need
    from rnascl_keras.teachers.cache import TeacherCache
    from rnascl_keras.teachers.cache.settings import CacheSettings

READ = ("teacher", "cache", "architecture", "_students")
"""What a run reads of its own files and keeps until it is told to forget it."""


@dataclass
class Run:
    """A recipe in its work folder.

    Its teacher, cache, architecture and students are read when they are first asked for, and kept
    for the stage: `forget` lets go of them.

    Args:
        recipe: the settings.
        workdir: where the run's files go.
        data_dir: where tensorflow-datasets keeps its data, or None for its own default.
        listener: takes each line of progress.
        command: how the user called for it, by the recipe's name where that is not known.
        overwrite: whether work of other settings may be lost.
        log: where trainings are written down beside the folder, see `tracking.TRACKERS`.
        cache_settings: what `models.cache_settings` has found out, for later stages.
    """

    recipe: Recipe
    workdir: Path
    data_dir: str | None = None
    listener: Callable[[str], None] = print
    command: Command | None = None
    overwrite: bool = False
    log: tuple[str, ...] = ()
    cache_settings: dict[str, CacheSettings] = field(default_factory=dict, repr=False)
    _new_folders: list[Path] = field(default_factory=list, init=False, repr=False)

    def path(self, name: str) -> Path:
        """Return the path of one of the run's files."""
        return self.workdir / name

    def say(self, line: str) -> None:
        """Tell the user a line of progress; of several workers, the chief alone speaks."""
        if self.is_chief:
            self.listener(line)

    def command_line(self, verb: str, *more: str) -> str:
        """Return the command `rnascl VERB` of this run, with `more` at its end."""
        return (self.command or Command(self.recipe.name)).line(verb, *more)

    def open(self) -> None:
        """Make the work folder.

        Raises:
            UserError: it cannot be written to.
        """
        folder = self.path(".stages")
        self._new_folders = [p for p in (folder, *folder.parents) if not p.exists()]
        try:
            folder.mkdir(parents=True, exist_ok=True)
            probe = self.path(f".stages/probe{os.getpid()}")
            probe.touch()
            probe.unlink()
        except OSError as error:
            raise UserError(
                f"work folder {self.workdir} cannot be written to ({error.strerror}); "
                "choose another with --workdir."
            ) from error

    def leave(self) -> None:
        """Remove the folders that `open` has made, where nothing was written into them."""
        if self.workdir in self._new_folders:
            inside = [path for path in self.workdir.rglob("*") if path.is_dir()]
            self._new_folders = [*sorted(inside, reverse=True), *self._new_folders]
        for folder in self._new_folders:
            with suppress(OSError):  # it holds something
                folder.rmdir()

    @cached_property
    def strategy(self) -> tf.distribute.Strategy:
        """The recipe's strategy; to be made before anything else that uses TensorFlow.

        Raises:
            UserError: the environment has no such devices.
        """
        from rnascl_keras.distribution.strategies import make_strategy

        return make_strategy(self.recipe.distribution.strategy)

    @property
    def workers(self) -> int:
        """Number of processes that work on this run together."""
        from rnascl_keras.distribution.workers import worker_count

        return worker_count(self.strategy)

    @property
    def is_chief(self) -> bool:
        """Whether this process writes the files that all workers share."""
        from rnascl_keras.distribution.workers import is_chief

        return is_chief(self.strategy)

    def total(self, value: float) -> float:
        """Return the sum of what every worker gives; all of them must ask."""
        from rnascl_keras.distribution.workers import total

        return total(self.strategy, value)

    def check_one_host(self, command: str) -> None:
        """Raise UserError where several workers are at a command that works on one host."""
        if self.workers > 1:
            raise UserError(
                f"{command} works on one host; start it once, without TF_CONFIG or --ntasks, there "
                "with all GPUs."
            )

    def wait_for_all_workers(self) -> None:
        """Go on when every worker has come here; all of them must."""
        from rnascl_keras.distribution.workers import wait_for_all_workers

        wait_for_all_workers(self.strategy)

    @cached_property
    def data(self) -> Splits:
        """The recipe's data set, loaded once.

        Raises:
            UserError: it cannot be loaded, or a stage's batch is larger than its training split or
                cannot be shared by the replicas.
        """
        from rnascl_keras.data import Share, load_data

        data = load_data(data_dir=self.data_dir, say=self.say, **self.recipe.data.arguments())
        if told := data.test.preprocessing:
            self.say(f"data: each image of {self.recipe.data.source} is {told}")
        replicas = Share(self.strategy.num_replicas_in_sync)
        for section, settings in self.recipe.trainings():
            replicas.check(settings.batch_size, f"{section}.batch_size")
            if settings.batch_size > len(data.train):
                raise UserError(
                    f"{section}.batch_size is {settings.batch_size}, but there are only "
                    f"{len(data.train)} training images; lower it."
                )
        return data

    @cached_property
    def held(self) -> dict[str, str]:
        """What the recipe's data are where they are the user's own: `data`, and a hash; or empty.

        Raises:
            UserError: they cannot be read.
        """
        from rnascl_keras.data.held import held_by

        data = self.recipe.data
        try:
            found = held_by(data.source, self.data_dir, data.class_list)
        except OSError as error:
            raise UserError(f"{error.filename} cannot be read: {error.strerror}.") from error
        return {"data": found} if found else {}

    def signed(self, parts: list[Any], *notes: Path) -> tuple[str, dict[str, str]]:
        """Return the signature of what is made of `parts` and of the images, and these as `held`.

        What was noted before images counted is known by its signature without them.

        Args:
            parts: plain values.
            notes: files that may note a signature.
        """
        older = digest(parts)
        if not self.held or older in map(signature_in, notes):
            return older, {}
        return digest([*parts, self.held]), self.held

    @cached_property
    def teacher(self) -> keras.Model:
        """The teacher, of `teacher.keras`; see `models.read_teacher`."""
        from rnascl_keras.run.models import read_teacher

        return read_teacher(self)

    @cached_property
    def cache(self) -> TeacherCache | None:
        """What the teacher says, of the folder `cache`, or None; see `models.read_cache`."""
        from rnascl_keras.run.models import read_cache

        return read_cache(self)

    @cached_property
    def architecture(self) -> Architecture:
        """What the search has found, of `architecture.json`.

        Raises:
            UserError: it cannot be read.
        """
        from rnascl_keras.method.architecture import Architecture

        return Architecture.load(self.path("architecture.json"))

    def student(self, name: str) -> keras.Model:
        """Return one of `students`, see `models.read_student`."""
        from rnascl_keras.run.models import read_student

        if name not in self._students:
            self._students[name] = read_student(self, name)
        return self._students[name]

    @cached_property
    def _students(self) -> dict[str, keras.Model]:
        return {}

    def who_answers(self, needs: Collection[Need] = ()) -> keras.Model | TeacherCache:
        """Return whom a distillation asks: the cache where it `holds` what is needed, else the
        teacher, which otherwise need not stay in memory."""
        if self.cache is None or not set(needs) <= set(self.cache.holds):
            return self.teacher
        self.forget("teacher")
        return self.cache

    def forget(self, *names: str) -> None:
        """Let go of these of `READ`, by default of all; who asks for one reads it anew."""
        for name in names or READ:
            vars(self).pop(name, None)

    @property
    def students(self) -> list[str]:
        """Names of the students that this recipe ends with; none where it searches no space."""
        if self.recipe.space is None:
            return []
        return ["student", "student_trades"] if self.recipe.finetune else ["student"]

    def exported(self, student: str) -> list[str]:
        """Return the names of a deployed model's files in `export/`, the SavedModel apart."""
        return exported_files(student, KINDS if self.recipe.export.litert else KINDS[:1])

    @property
    def deployed(self) -> list[str]:
        """Names of the models that are exported: the students, or the teacher where it is all."""
        return self.students or ["teacher"]

    def model(self, name: str) -> keras.Model:
        """Return one of `deployed`, or the teacher."""
        return self.teacher if name == "teacher" else self.student(name)

    def checkpoint(self, stage: str) -> Path:
        """Return where a stage keeps its training state while it is under way."""
        return self.path(f".stages/{stage}_checkpoint.npz")

    def begun(self, stage: str) -> Path:
        """Return the file that says from what a stage that is under way is made."""
        return self.path(f".stages/{stage}_begun.json")

    def spent(self, stage: str) -> Path:
        """Return the file that says how long a stage that is under way has taken."""
        return self.path(f".stages/{stage}_spent.json")

    def stamp(self, stage: str) -> Path:
        """Return the file that says from what a finished stage was made."""
        return self.path(f".stages/{stage}.json")
