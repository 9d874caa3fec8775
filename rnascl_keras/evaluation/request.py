"""What `rnascl evaluate MODEL.keras` and `rnascl attack MODEL.onnx` are asked for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from rnascl_keras.attacks import make_attack
from rnascl_keras.attacks.classifier import any_follows_gradient
from rnascl_keras.data.folder import SUFFIXES
from rnascl_keras.errors import UserError
from rnascl_keras.evaluation.false_robustness import IMAGES
from rnascl_keras.files.whole import check_writable, is_same_file

PLOTS = (".svg", ".png")


@dataclass(frozen=True)
class Request:
    """What is wanted of models in files.

    Attributes:
        data, data_dir: what to evaluate on, see `data.load_test_data`.
        attacks: names as `attacks.make_attack` takes them.
        epsilon: radius of the ball; for L-infinity in pixel units of [0, 1], e.g. 8 / 255.
        n: number of images, the first ones.
        seed: of what is random.
        out: where to write the figures, or None.
        norm: "Linf", "L2", "L1" or "L0".
        radii: more of them, at which all attacks are run too.
        plot: where to draw accuracy over radius, .svg or .png, or None.
        check: number of images on which signs of false robustness are looked for.
        page: where to write a page about them, .html, or None.
        images_out: where to write the images that attacks made, .npz, or None.
        least: by key of accuracy, the least that is wanted, see `gate`.
        corruptions: names of `corruptions.CORRUPTIONS`, under which accuracy is measured too.
    """

    data: str
    data_dir: str | None
    attacks: Sequence[str]
    epsilon: float
    n: int
    seed: int
    out: Path | None = None
    norm: str = "Linf"
    radii: Sequence[float] = ()
    plot: Path | None = None
    check: int = IMAGES
    page: Path | None = None
    images_out: Path | None = None
    least: Mapping[str, float] = field(default_factory=dict)
    corruptions: Sequence[str] = ()

    @property
    def follows_gradient(self) -> bool:
        """Whether one of the attacks follows the model's gradient."""
        names = self.attacks
        return any_follows_gradient(
            make_attack(name, self.epsilon, norm=self.norm) for name in names
        )

    def check_paths(self, *paths: Path) -> None:
        """Raise UserError where this cannot be done with the models in `paths`; none is read."""
        for name in self.attacks:
            make_attack(name, self.epsilon, norm=self.norm)
        if self.radii and not self.attacks:
            raise UserError("--sweep runs the attacks at each radius; give some with --attacks.")
        if self.plot and not self.radii:
            raise UserError(
                "--plot draws the accuracy over the radii of --sweep, which is not given: give "
                "e.g. --sweep 2/255,4/255,16/255."
            )
        if len(paths) > 1 and self.plot:
            raise UserError("--plot is for one file; --report draws the sweep of each of several.")
        for option, file, endings in (
            ("--plot", self.plot, PLOTS),
            ("--report", self.page, (".html",)),
            ("--save-images", self.images_out, (".npz",)),
        ):
            if file and file.suffix not in endings:
                raise UserError(f"{option} is {file}; expected a name in {' or '.join(endings)}.")
        for number, file in enumerate(self.written):
            check_writable(file, [*paths, Path(self.data), *self._pictures_at(file)])
            if any(is_same_file(file, other) for other in self.written[:number]):
                raise UserError(f"{file} is asked for twice; give each output a name of its own.")
        for number, path in enumerate(paths):
            if any(is_same_file(path, other) for other in paths[:number]):
                raise UserError(f"{path} is given twice; give each file once.")
            if path.is_dir():
                raise UserError(f"{path} is a folder; expected the file of a model.")
            if not path.is_file():
                raise UserError(f"there is no model file {path}.")
            if not path.stat().st_size:
                raise UserError(f"{path} is empty; was it copied or downloaded to its end?")

    def _pictures_at(self, file: Path) -> list[Path]:
        """Return `file` where it is a picture of the folder of images that is read, else nothing;
        figures may lie in that folder, too."""
        folders = [Path(self.data).expanduser(), Path(self.data_dir or "", self.data).expanduser()]
        places = [folder.resolve() for folder in folders if folder.is_dir()]
        inside = any(place in file.resolve().parent.parents for place in places)
        return [file] if inside and file.exists() and file.suffix.lower() in SUFFIXES else []

    @property
    def written(self) -> list[Path]:
        """The files that are asked for."""
        return [file for file in (self.out, self.plot, self.page, self.images_out) if file]
