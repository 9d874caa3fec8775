"""The figures of a run: every Keras model attacked, the images replayed on every exported file."""

from __future__ import annotations

from typing import Any

from rnascl_keras.architecture import count_parameters
from rnascl_keras.cost import model_macs
from rnascl_keras.evaluate import accuracy_of, evaluate
from rnascl_keras.export import OnnxClassifier
from rnascl_keras.files import read_json, write_json
from rnascl_keras.model_files import load_model
from rnascl_keras.workdir import Run


def evaluate_run(run: Run) -> None:
    """Write `evaluation.json`.

    The adversarial images are made on the Keras model. On its ONNX file they are a *transfer*,
    named so: they say that the file behaves like the model, not that the file was attacked.
    """
    settings = run.recipe.evaluation
    images, labels = run.data.test.first(min(settings.n, len(run.data.test)))
    parity = read_json(run.path("export/parity.json"))
    files = {file: OnnxClassifier(run.path(f"export/{file}")) for file in parity}
    result: dict[str, Any] = {"epsilon": settings.epsilon, "n": len(images), "export": {}}
    models = {n: load_model(run.path(f"{n}.keras")) for n in ("teacher", *run.students)}
    for name, model in models.items():
        run.say(f"evaluate: {name} on the first {len(images)} test images")
        evaluation, adversarial = evaluate(
            model,
            images,
            labels,
            attacks=settings.attacks,
            epsilon=settings.epsilon,
            seed=run.recipe.seed,
            check=settings.check,
            other=models[run.students[-1] if name == "teacher" else "teacher"],
        )
        if evaluation.check:
            run.say(f"evaluate: {name}: {evaluation.check.verdict}")
        figures = evaluation.as_dict()
        result[name] = {
            "parameters": count_parameters(model),
            "macs": model_macs(model),
            **{key: figures[key] for key in ("accuracy", "intervals", "per_class", "check")},
        }
        file = f"{name}.onnx"
        if file in files:
            logits_of = files[file].logits
            accuracy = {"clean": accuracy_of(logits_of, images, labels)}
            for key, replayed in adversarial.items():
                accuracy[f"transfer_{key}"] = accuracy_of(logits_of, replayed, labels)
            result["export"][file] = {**parity[file], "accuracy": accuracy}
    write_json(run.path("evaluation.json"), result)
