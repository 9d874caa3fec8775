"""Reading a run's files again, to say of one that was changed whether it is damaged."""

from __future__ import annotations

from collections.abc import Iterable

from rnascl_keras.files.whole import read_json
from rnascl_keras.method.callbacks import read_history
from rnascl_keras.method.outcome import SearchOutcome
from rnascl_keras.run.workdir import Run


def check_readable(run: Run, names: Iterable[str]) -> None:
    """Raise UserError where one of a run's files is damaged, or is something else altogether."""
    for name in names:
        path = run.path(name)
        if not path.exists():
            continue
        if name == "architecture.json":
            _ = run.architecture
        elif name == "search/outcome.json":
            SearchOutcome.load(path)
        elif name == "search/choices.csv":
            read_history(path)
        elif name == "teacher.keras":
            _ = run.teacher
        elif path.suffix == ".keras":
            run.student(path.stem)
        elif path.suffix == ".json":
            read_json(path)
