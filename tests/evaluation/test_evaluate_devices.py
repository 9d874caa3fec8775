"""`rnascl evaluate MODEL.keras` on several devices: the figures of one."""

import os
import subprocess
import sys

import keras
import numpy as np
from tiny_models import CLASSES, IMAGE, tiny_batch

from rnascl_keras.files.whole import read_json

PROGRAM = """
import sys
import tensorflow as tf
cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 3)
from rnascl_keras.cli import main
main()
"""


def save_model_and_images(folder):
    """A linear classifier, which is right on 50 images that three devices do not share evenly."""
    keras.utils.set_random_seed(0)
    layers = [keras.Input(IMAGE), keras.layers.Flatten(), keras.layers.Dense(CLASSES)]
    model = keras.Sequential(layers)
    model.save(folder / "model.keras")
    images, _ = tiny_batch(50)
    labels = model.predict(images, verbose=0).argmax(axis=-1)
    np.savez(folder / "images.npz", x=images, y=labels)


def evaluated(folder, strategy, attacks="pgd,square"):
    """What the command writes of the model in `folder`, and what it says."""
    options = ["--data", folder / "images.npz", "--eps", "0.03", "--check", "0", "--n", "50"]
    options += ["--attacks", attacks, "--strategy", strategy]
    out = folder / f"{strategy}.json"
    command = [sys.executable, "-c", PROGRAM, "evaluate", folder / "model.keras", *options]
    done = subprocess.run(
        [*map(str, command), "--json", str(out)], env=dict(os.environ), capture_output=True
    )
    return (read_json(out) if out.exists() else None), done.stderr.decode()


def test_three_devices_find_what_one_finds(tmp_path):
    save_model_and_images(tmp_path)
    (one, said), (three, _) = (evaluated(tmp_path, name) for name in ("one", "mirrored"))
    assert one is not None, said
    assert one["accuracy"] == three["accuracy"]
    assert 0 < one["accuracy"]["worst"] < one["accuracy"]["clean"] == 1


def test_a_model_of_one_size_of_batch_is_not_cut_into_parts(tmp_path):
    save_model_and_images(tmp_path)
    images = keras.Input(batch_shape=(6, *IMAGE))
    flat = keras.ops.reshape(images, (6, int(np.prod(IMAGE))))
    model = keras.Model(images, keras.layers.Dense(CLASSES)(flat))
    model.set_weights(keras.models.load_model(tmp_path / "model.keras").get_weights())
    one, _ = evaluated(tmp_path, "one", "fgsm")
    model.save(tmp_path / "model.keras")
    three, said = evaluated(tmp_path, "mirrored", "fgsm")
    assert three is not None and one is not None, said
    assert one["accuracy"] == three["accuracy"]


def test_several_hosts_are_refused(tmp_path):
    save_model_and_images(tmp_path)
    found, said = evaluated(tmp_path, "multi_worker")
    assert found is None and "is evaluated on one host; give --strategy one" in said
