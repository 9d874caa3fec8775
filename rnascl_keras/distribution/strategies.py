"""On how many devices and hosts a run works: TensorFlow's strategies by name."""

from __future__ import annotations

import os

import tensorflow as tf

from rnascl_keras.distribution.cluster import resolve_cluster
from rnascl_keras.errors import UserError, check_name, one_line

STRATEGIES = ("auto", "one", "mirrored", "multi_worker", "tpu")
TPU_VARIABLES = ("TPU_NAME", "COLAB_TPU_ADDR")


def make_strategy(name: str = "auto") -> tf.distribute.Strategy:
    """Return the strategy called `name`; make it before anything else that uses TensorFlow.

    Args:
        name: "one" device; "mirrored", all GPUs of this host (or, without a GPU, its logical CPU
            devices); "multi_worker", the hosts that TF_CONFIG, Slurm or Kubernetes tell of; "tpu",
            the one that TPU_NAME names. "auto" takes the first that the environment offers, of
            "tpu", "multi_worker" and, with several GPUs, "mirrored"; else "one".

    Raises:
        UserError: unknown name, or the environment has no such devices.
    """
    check_name("strategy", name, STRATEGIES)
    return _MAKERS[_offered() if name == "auto" else name]()


def _offered() -> str:
    if any(variable in os.environ for variable in TPU_VARIABLES):
        return "tpu"
    if resolve_cluster() is not None:
        return "multi_worker"
    return offered_by_this_host()


def offered_by_this_host() -> str:
    """Return the strategy that takes all GPUs of this host, whatever cluster it is part of."""
    return "mirrored" if len(tf.config.list_physical_devices("GPU")) > 1 else "one"


def _one() -> tf.distribute.Strategy:
    return tf.distribute.get_strategy()


def _mirrored() -> tf.distribute.Strategy:
    kind = "GPU" if tf.config.list_logical_devices("GPU") else "CPU"
    return tf.distribute.MirroredStrategy([d.name for d in tf.config.list_logical_devices(kind)])


def _multi_worker() -> tf.distribute.Strategy:
    resolver = resolve_cluster()
    if resolver is None:
        raise UserError(
            "strategy multi_worker needs several workers: set TF_CONFIG (cluster, task) on every "
            "host, start with Slurm's srun, or as an indexed Job of Kubernetes; none of them is "
            "there. On one host take --strategy mirrored or one."
        )
    try:
        return tf.distribute.MultiWorkerMirroredStrategy(cluster_resolver=resolver)
    except (ValueError, RuntimeError, tf.errors.OpError) as error:
        raise UserError(f"the workers cannot join: {one_line(error)}") from error


def _tpu() -> tf.distribute.Strategy:
    try:
        resolver = tf.distribute.cluster_resolver.TPUClusterResolver()
        tf.config.experimental_connect_to_cluster(resolver)
        tf.tpu.experimental.initialize_tpu_system(resolver)
    except (ValueError, RuntimeError, tf.errors.OpError) as error:
        raise UserError(
            f"no TPU answers ({one_line(error)}); set TPU_NAME, or choose another --strategy."
        ) from error
    return tf.distribute.TPUStrategy(resolver)


_MAKERS = {"one": _one, "mirrored": _mirrored, "multi_worker": _multi_worker, "tpu": _tpu}
