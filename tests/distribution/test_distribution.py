"""Which strategy an environment gives, and what is said where it gives none."""

import json
from types import SimpleNamespace

import pytest
import tensorflow as tf

from rnascl_keras.distribution import cluster
from rnascl_keras.distribution.strategies import make_strategy
from rnascl_keras.distribution.workers import is_chief, total, worker_count
from rnascl_keras.errors import UserError

VARIABLES = ("TF_CONFIG", "TPU_NAME", "COLAB_TPU_ADDR", "SLURM_STEP_NUM_TASKS")


@pytest.fixture(autouse=True)
def bare(monkeypatch):
    """An environment without a cluster."""
    for name in (*VARIABLES, "JOB_COMPLETION_INDEX", "KUBERNETES_SERVICE_HOST"):
        monkeypatch.delenv(name, raising=False)


def test_without_anything_it_is_one_device_and_its_only_worker():
    for name in ("auto", "one"):
        strategy = make_strategy(name)
        assert strategy.num_replicas_in_sync == 1
        assert worker_count(strategy) == 1 and is_chief(strategy)
        assert total(strategy, 3) == 3


def test_mirrored_takes_the_cpu_where_there_is_no_gpu():
    strategy = make_strategy("mirrored")
    assert isinstance(strategy, tf.distribute.MirroredStrategy)
    assert strategy.num_replicas_in_sync == len(tf.config.list_logical_devices("CPU"))


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("mirored", "'mirored' is unknown; expected one of auto, one.*Did you mean 'mirrored'"),
        ("multi_worker", "needs several workers: set TF_CONFIG.*--strategy mirrored or one"),
        ("tpu", "no TPU answers.*set TPU_NAME"),
    ],
)
def test_what_the_environment_does_not_have_is_told(name, message):
    with pytest.raises(UserError, match=message) as caught:
        make_strategy(name)
    assert "\n" not in str(caught.value)


CLUSTER = {"worker": ["a:1", "b:1"]}


@pytest.mark.parametrize(
    "config",
    [
        "nonsense",
        "[]",
        json.dumps({"cluster": CLUSTER}),
        json.dumps({"cluster": CLUSTER, "task": {"type": "worker", "index": 2}}),
        json.dumps({"cluster": CLUSTER, "task": {"type": "boss", "index": 0}}),
    ],
)
def test_a_wrong_tf_config_is_told(monkeypatch, config):
    monkeypatch.setenv("TF_CONFIG", config)
    with pytest.raises(UserError, match="TF_CONFIG is not that of a worker.*expected"):
        make_strategy()


def test_tf_config(monkeypatch):
    task = {"type": "worker", "index": 1}
    monkeypatch.setenv("TF_CONFIG", json.dumps({"cluster": CLUSTER, "task": task}))
    resolver = cluster.resolve_cluster()
    assert resolver.cluster_spec().as_dict() == CLUSTER
    assert (resolver.task_type, resolver.task_id) == ("worker", 1)
    alone = {"cluster": {"worker": ["a:1"]}, "task": {"type": "worker", "index": 0}}
    monkeypatch.setenv("TF_CONFIG", json.dumps(alone))
    assert cluster.resolve_cluster() is None


def test_slurm(monkeypatch):
    step = {
        "SLURM_STEP_NUM_TASKS": "4",
        "SLURM_STEP_NODELIST": "node[01-02]",
        "SLURM_STEP_TASKS_PER_NODE": "2(x2)",
        "SLURM_PROCID": "3",
    }
    for name, value in step.items():
        monkeypatch.setenv(name, value)
    resolver = cluster.resolve_cluster()
    assert resolver.cluster_spec().as_dict() == {
        "worker": ["node01:8888", "node01:8889", "node02:8888", "node02:8889"]
    }
    assert (resolver.task_type, resolver.task_id) == ("worker", 3)
    monkeypatch.delenv("SLURM_PROCID")
    with pytest.raises(UserError, match="Slurm's variables do not tell the workers"):
        cluster.resolve_cluster()


class Pods:
    """A Kubernetes client that knows the pods of one Job."""

    def __init__(self, count, phase="Running"):
        self.count, self.phase = count, phase

    def list_pod_for_all_namespaces(self, label_selector):
        assert label_selector == "job-name=search"
        status = [
            SimpleNamespace(host_ip=f"10.0.0.{k}", phase=self.phase) for k in range(9, -1, -1)
        ]
        names = [SimpleNamespace(name=f"search-{k}-x") for k in range(9, -1, -1)]
        pods = [SimpleNamespace(status=s, metadata=n) for s, n in zip(status, names, strict=True)]
        return SimpleNamespace(items=pods[-self.count :])


def test_kubernetes(monkeypatch):
    indexed = {"JOB_COMPLETION_INDEX": "1", "HOSTNAME": "search-1"}
    for name, value in {**indexed, "KUBERNETES_SERVICE_HOST": "10.0.0.99"}.items():
        monkeypatch.setenv(name, value)
    resolver = cluster._from_kubernetes(Pods(3))
    assert resolver.cluster_spec().as_dict() == {
        "worker": ["10.0.0.0:8470", "10.0.0.1:8470", "10.0.0.2:8470"]
    }
    assert (resolver.task_type, resolver.task_id) == ("worker", 1)
    with pytest.raises(UserError, match="pods of Job 'search' cannot be told .*not running"):
        cluster._from_kubernetes(Pods(3, phase="Pending"))
    with pytest.raises(UserError, match="set TF_CONFIG instead"):  # no client is installed
        cluster.resolve_cluster()


def test_a_batch_that_the_replicas_cannot_share_is_told_before_anything_runs(tmp_path, monkeypatch):
    from rnascl_keras.recipe import load_recipe
    from rnascl_keras.run.workdir import Run

    run = Run(load_recipe("digits"), tmp_path)
    monkeypatch.setitem(run.__dict__, "strategy", SimpleNamespace(num_replicas_in_sync=7))
    with pytest.raises(UserError, match="batch_size=.* cannot be shared evenly by 7 replicas"):
        _ = run.data
