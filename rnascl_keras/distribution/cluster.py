"""Which processes train together: from TF_CONFIG, or from what Slurm or Kubernetes set."""

from __future__ import annotations

import json
import os
from typing import Any, TypeAlias

import tensorflow as tf

from rnascl_keras.errors import UserError

Resolver: TypeAlias = tf.distribute.cluster_resolver.ClusterResolver


def resolve_cluster() -> Resolver | None:
    """Return the resolver of the several workers that the environment tells of; None where there
    are none.

    Raises:
        UserError: what it tells is not whole.
    """
    for resolve in (_from_tf_config, _from_slurm, _from_kubernetes):
        if (resolver := resolve()) is not None:
            return resolver
    return None


def _from_tf_config() -> Resolver | None:
    if not os.environ.get("TF_CONFIG"):
        return None
    example = (
        '{"cluster": {"worker": ["host1:12345", ...]}, "task": {"type": "worker", "index": 0}}'
    )
    try:
        config = json.loads(os.environ["TF_CONFIG"])
        cluster = config.get("cluster", {})
        workers = [address for job in ("chief", "worker") for address in cluster.get(job, ())]
        if len(workers) < 2:
            return None
        task = config["task"]
        cluster[task["type"]][int(task["index"])]
    except (ValueError, KeyError, IndexError, TypeError, AttributeError) as error:
        raise UserError(
            f"TF_CONFIG is not that of a worker of a cluster ({error!r}); expected {example}."
        ) from error
    return tf.distribute.cluster_resolver.TFConfigClusterResolver()


def _from_slurm() -> Resolver | None:
    """Of a job step, as srun starts it; in a batch script outside of srun there is none.

    Which GPUs a task sees is left to Slurm (`--gpus-per-task`): by now TensorFlow has looked.
    """
    tasks = int(os.environ.get("SLURM_STEP_NUM_TASKS", 1))
    if tasks < 2:
        return None
    try:
        resolver = tf.distribute.cluster_resolver.SlurmClusterResolver(
            gpus_per_node=tasks, gpus_per_task=1, auto_set_gpu=False
        )
        resolver.cluster_spec()  # which settles who we are
    except (RuntimeError, ValueError) as error:
        raise UserError(f"Slurm's variables do not tell the workers: {error}") from error
    return resolver


def _from_kubernetes(client: Any = None) -> Resolver | None:
    """Of an indexed Job on the hosts' network, whose pods bear the label `job-name`."""
    index = os.environ.get("JOB_COMPLETION_INDEX")
    if index is None or "KUBERNETES_SERVICE_HOST" not in os.environ:
        return None
    job = os.environ.get("HOSTNAME", "").removesuffix(f"-{index}")
    try:
        resolver = tf.distribute.cluster_resolver.KubernetesClusterResolver(
            {"worker": [f"job-name={job}"]}, override_client=client
        )
        workers = resolver.cluster_spec().num_tasks("worker")
    except (ImportError, RuntimeError) as error:
        raise UserError(
            f"the pods of Job {job!r} cannot be told ({error}); set TF_CONFIG instead."
        ) from error
    if workers > 10:  # the resolver sorts by name: pod 10 would come before pod 2
        raise UserError(f"Job {job!r} has {workers} pods; for more than 10 set TF_CONFIG.")
    resolver.task_type, resolver.task_id = "worker", int(index)
    return resolver if workers > 1 else None
