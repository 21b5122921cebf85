# SPDX-License-Identifier: GPL-3.0-or-later
"""Many objects through Ray: the files that come of it, and what is lost on the way."""

import json
import os
import subprocess
import sys
import time
from collections import Counter

import pytest

from core.bulk import cli, maker
from core.bulk.maker import Failure, Maker, Want
from core.errors import BadRequest, EngineError, MissingWeights
from tests.conftest import ROOT
from tests.fake_engine import FakePipeline


def wants(count: int, *more: str) -> list[Want]:
    prompts = [*(f"a number {i} cube" for i in range(count)), *more]
    return [Want(f"key{i}", prompt, 0, "", "draft") for i, prompt in enumerate(prompts)]


class SlowPipeline(FakePipeline):
    """A cube takes long enough to be interrupted."""

    def make(self, prompt, strict, progress, cancelled, before, total):
        time.sleep(0.15)
        super().make(prompt, strict, progress, cancelled, before, total)


def test_a_worker_gives_files_and_reasons():
    worker = Maker(FakePipeline, strict=True)
    one, unknown, none = wants(1, "a dragon", "an impossible cube")
    blob = worker.make(one)
    length = int.from_bytes(blob[:8], "little")
    about = json.loads(json.loads(blob[8 : 8 + length])["__metadata__"]["rpc"])
    assert (about["prompt"], about["settings"], about["style"]) == ("a number 0 cube", {"detail": "draft"}, None)
    assert about["fields"]["model"] == "fake" and about["fields"]["detail"] == "draft"
    assert [worker.make(want).kind for want in (unknown, none)] == ["unfamiliar", "bad_request"]
    assert "no model 'other'" in str(worker.make(Want("k", "a cube", 0, "other", "draft")))


def test_what_is_asked_for_is_checked(tmp_path):
    file = tmp_path / "wanted.jsonl"
    good = {"key": "a1", "prompt": "a cube", "seed": 0, "model": "", "quality": "draft"}
    file.write_text(json.dumps(good) + "\n")
    assert maker.read_wants(file) == [Want(**good)]
    for bad in ("{", json.dumps(good | {"key": "../up"}), json.dumps(good | {"quality": "fine"}), json.dumps({"key": "a"})):
        file.write_text(json.dumps(good) + "\n" + bad + "\n")
        with pytest.raises(BadRequest, match=r"wanted\.jsonl:2"):
            maker.read_wants(file)


@pytest.fixture(scope="module")
def nodes():
    """A cluster of a head without cores and two nodes of one core; `nodes.add()`, `nodes.kill(node)`."""
    pytest.importorskip("ray")
    from ray.cluster_utils import Cluster

    os.environ["PYTHONPATH"] = str(ROOT)  # for the workers
    quick = {"health_check_initial_delay_ms": 0, "health_check_period_ms": 500, "health_check_failure_threshold": 4}
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "_system_config": quick, "object_store_memory": 100 << 20})
    cluster.add = lambda: cluster.add_node(num_cpus=1, object_store_memory=100 << 20)
    yield cluster
    cluster.shutdown()


@pytest.fixture
def connected(nodes):
    """Workers of one core each on it, or of one GPU each where there are some."""
    from core.bulk.cluster import Cluster

    said = []
    made = Cluster(nodes.address, SlowPipeline, cores=1, gpus=True, strict=False, say=said.append)
    made.said = said
    yield made
    made.end()


@pytest.mark.slow
def test_a_killed_node_is_replaced_and_each_object_comes_once(nodes, connected):
    first, _ = nodes.add(), nodes.add()
    asked, came, places = wants(40, "an explosive cube", "an impossible cube"), Counter(), set()
    for want, result in connected.make(asked):
        came[want.key] += 1
        assert isinstance(result, Failure) == (want.prompt in ("an explosive cube", "an impossible cube")), result
        if isinstance(result, Failure):
            places.add((want.prompt, result.kind))
        if len(came) == 15:
            nodes.remove_node(first, allow_graceful=False)
            nodes.add()
    assert came == Counter(want.key for want in asked)
    assert places == {("an explosive cube", "crashed"), ("an impossible cube", "bad_request")}
    assert connected.lost == 4 <= sum(connected.devices.values()), connected.said  # the node, and three times the cube


@pytest.mark.slow
def test_each_gpu_has_a_worker(nodes, connected):
    """GPUs that are declared and not there: who has what is Ray's to say."""
    nodes.add_node(num_cpus=4, num_gpus=2, object_store_memory=100 << 20)
    assert len(list(connected.make(wants(8)))) == 8
    assert sum(connected.devices.values()) == len(connected.workers) == 2 and connected.lost == 0


@pytest.mark.slow
def test_workers_that_do_not_start_are_given_up(nodes):
    from core.bulk.cluster import Cluster

    def load():
        raise MissingWeights("There is no model.", "The folder is empty.", "Choose a model folder.")

    nodes.add()
    cluster = Cluster(nodes.address, load, cores=1, gpus=False, strict=False, say=print)
    try:
        with pytest.raises(EngineError, match=r"No worker starts on the cluster\. .*There is no model"):
            list(cluster.make(wants(1)))
    finally:
        cluster.end()


@pytest.mark.slow
def test_the_command_on_this_machine_alone(tmp_path):
    """With the starter model."""
    pytest.importorskip("ray")
    prompts = ("a red mushroom", "a wooden chair")
    rows = [{"key": f"k{i}", "prompt": prompt, "seed": 0, "model": "", "quality": "draft"} for i, prompt in enumerate(prompts)]
    (tmp_path / "wanted.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    command = [sys.executable, "-m", "core", "bulk", tmp_path / "wanted.jsonl", "--out", tmp_path / "made", "--ray", "local", "--json"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)
    last = json.loads(done.stdout.splitlines()[-1])
    assert (last["made"], last["failed"], last["lost"]) == (2, 0, 0) and last["devices"], done.stderr
    assert sorted(path.name for path in (tmp_path / "made").iterdir()) == ["k0.latte3d", "k1.latte3d"]


def test_without_ray_it_says_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    (tmp_path / "wanted.jsonl").write_text("")
    with pytest.raises(BadRequest, match=r"Ray is not installed.*pip install -r .*ray\.txt"):
        cli.main([str(tmp_path / "wanted.jsonl"), "--out", str(tmp_path), "--ray", "local"])
