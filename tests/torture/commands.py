"""The commands that are disturbed, on a recipe that takes seconds, and how one is undone.

What a command takes here is the building of its models and graphs, not the training, so the space
has one block. Two epochs of several steps, each of them saved, leave moments of every kind. Looking
for signs of false robustness writes no file, so it is left out.
"""

import shutil

RECIPE = """
from rnascl_keras.method.spaces import SearchSpace, Stage
from rnascl_keras.recipe import Cache, Data, Evaluation, Export, Finetune, Recipe, Search, Teacher
from rnascl_keras.recipe import Train

batches = {"batch_size": 60, "learning_rate": 0.05}
recipe = Recipe(
    space=SearchSpace("tiny", (Stage(1, (12, 8)),), stem_width=8),
    data=Data(source="digits", augmentation="shift", limit_train=240, validation=60),
    teacher=Teacher(architecture="digits_cnn", epsilon=0.1, epochs=2, **batches),
    cache=Cache(views=2),
    search=Search(epochs=2, **batches),
    train=Train(epochs=2, **batches),
    finetune=Finetune(epsilon=0.1, step_size=0.05, steps=2, epochs=2, **batches),
    export=Export(agreement=0),  # nets that have learned nothing are undecided between classes
    evaluation=Evaluation(n=20, epsilon=0.1, attacks=("pgd",), check=0),
)
"""
FIRST_FILES = {  # of each command, what makes it undone
    "teacher": ("teacher.keras", ".stages/teacher.json"),
    "cache": ("cache", ".stages/cache.json"),
    "search": ("search", ".stages/search.json"),
    "derive": ("architecture.json", ".stages/derive.json"),
    "train": ("student.keras", ".stages/train.json"),
    "finetune": ("student_trades.keras", ".stages/finetune.json"),
    "export": ("export", ".stages/export.json"),
    "evaluate": ("evaluation.json", ".stages/evaluate.json"),
    "report": ("report.json", "report.html", ".stages/report.json"),
    "attack": ("attack.json",),
    "compare": ("compare", "compare.json", "compare.svg"),
    "tune": ("tune", "tune.json", "tune.png", "tiny_tuned.py"),
}
NAMES = tuple(FIRST_FILES)


def arguments(name, recipe, work):
    """Return the command line of a stage, or of what is done beside."""
    if name == "attack":
        options = ["--data", "digits", "--eps", "0.1", "--n", "200", "--attacks", "pgd,square"]
        return [
            "attack",
            work / "export" / "student.onnx",
            *options,
            "--json",
            work / "attack.json",
        ]
    more = {
        "compare": ["--methods", "cross_entropy"],
        "tune": [
            *("--trials", "2", "--tune", "gamma_t", "--method", "random", "--least-clean", "0.05"),
        ],
    }
    saving = ["--set", "distribution.save_every_steps=1"]
    return [name, recipe, "--workdir", work, *saving, *more.get(name, ())]


def undo(name, work):
    """Remove a command's files."""
    for file in FIRST_FILES[name]:
        remove(work / file)


def remove(path):
    """Remove a file or a folder."""
    shutil.rmtree(path) if path.is_dir() else path.unlink()
