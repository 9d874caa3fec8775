"""Models that others have published: `hf://OWNER/REPO/FILE`, of the Hugging Face Hub, as a file."""

from __future__ import annotations

import re
import sys
from pathlib import Path

from rnascl_keras.errors import UserError, one_line
from rnascl_keras.progress import shows_bars

PREFIX = "hf://"
FORM = re.compile(rf"{PREFIX}(?P<repo>[^/@]+/[^/@]+)(?:@(?P<revision>[^/]+))?/(?P<file>.+[^/])")
INSTALL = "pip install 'rnascl-keras[hub]'"


def model_file(named: str | Path) -> Path:
    """Return the file that a user's name of a model stands for.

    What is on the hub is fetched once and then found in huggingface_hub's own cache, also where
    there is no network; `hf://OWNER/REPO@REVISION/FILE` is that of a branch, a tag or a commit.
    Other names are paths, and are not looked at.

    Raises:
        UserError: it is on the hub and not named in full, cannot be fetched, or huggingface_hub
            is not installed.
    """
    if not is_on_hub(named):
        return Path(named)
    parts = FORM.fullmatch(str(named))
    if parts is None:
        raise UserError(
            f"{named} does not name a file of the hub; expected hf://OWNER/REPO/FILE, e.g. "
            "hf://someone/robust-models/resnet18.onnx, or of a revision hf://OWNER/REPO@v1/FILE."
        )
    return _fetched(str(named), **parts.groupdict())


def is_on_hub(named: str | Path) -> bool:
    """Return whether a user's name of a model is that of a file of the hub."""
    return str(named).startswith(PREFIX)


def _fetched(named: str, repo: str, revision: str | None, file: str) -> Path:
    try:
        from huggingface_hub import hf_hub_download, utils  # pyright: ignore[reportMissingImports]
    except ModuleNotFoundError as error:
        raise UserError(
            f"{named} is fetched by huggingface_hub, which is not installed; type: {INSTALL}, or "
            "give a file."
        ) from error
    if not shows_bars(sys.stderr):
        utils.disable_progress_bars()
    try:
        return Path(hf_hub_download(repo, file, revision=revision))
    except Exception as error:  # of its own, of HTTP, of the disk: each is a reason in words
        raise UserError(f"{named} cannot be fetched: {_reason(error, repo, file)}") from error


def _reason(error: Exception, repo: str, file: str) -> str:
    """Say why, and what to do."""
    from huggingface_hub import errors  # pyright: ignore[reportMissingImports]

    if isinstance(error, errors.LocalEntryNotFoundError):
        return "the hub does not answer, and it was not fetched before; try again, or give a file."
    if isinstance(error, errors.RevisionNotFoundError):
        return f"{repo} has no such revision."
    if isinstance(error, errors.EntryNotFoundError):
        return f"{repo} holds no {file}."
    if isinstance(error, errors.RepositoryNotFoundError):
        return f"there is no {repo}, or it is private: log in with `hf auth login`."
    return f"{one_line(error)}; give a file."
