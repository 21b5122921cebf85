# SPDX-License-Identifier: GPL-3.0-or-later
"""Jobs: what is finished is kept whatever happens, and is never made twice."""

from pathlib import Path

import pytest

from latte3d_blender.client.engine import Launch, source_folder
from latte3d_blender.populate import job


@pytest.fixture
def made(fake_engine, tmp_path):
    """`made(wants)` → (what came of each, in order; the job), with an engine that makes boxes."""

    def make(wants: list[job.Want], fault: str = "", **more):
        kept = job.Job(tmp_path / "job")
        launch = Launch(Path(fake_engine(fault)), source_folder(), None, "auto", tmp_path / "engine.log")
        return list(job.make(kept, wants, lambda: launch, lambda text: None, {}, **more)), kept

    return make


def wants(*names: str) -> list[job.Want]:
    return [job.Want(f"a {name} cube", 0, "", "draft") for name in names]


def test_an_engine_that_dies_takes_one_object_with_it(made):
    asked = wants(*(f"number {i}" for i in range(70)), "explosive", "last")
    told = []
    outcomes, kept = made(asked, progress=told.append)
    failed = [want for want, fault in outcomes if fault]
    assert failed == [asked[70]] == list(kept.failed) and sum(map(kept.has, asked)) == 71
    assert (told[0].done, told[-1].done, told[-1].total) == (0, 72, 72) and told[-1].left_s == 0


def test_cancelled_and_resumed(made):
    asked, seen = wants(*map(str, range(12))), []
    outcomes, kept = made(asked, cancelled=lambda: len(seen) >= 5 or seen.append(1))
    before = {path.name: path.stat().st_mtime_ns for path in kept.folder.glob("*.latte3d")}
    assert len(outcomes) == len(before) == 6
    kept.path(asked[0]).write_bytes(b"half a file")
    assert not kept.has(asked[0]) and kept.read(asked[0]) is None
    outcomes, kept = made(asked)
    after = {path.name: path.stat().st_mtime_ns for path in kept.folder.glob("*.latte3d")}
    assert len(outcomes) == 7 and len(after) == 12
    assert all(after[name] == time for name, time in before.items() if name != kept.path(asked[0]).name)
    result = kept.read(asked[3])
    assert result.prompt == "a 3 cube" and result.complete
    assert made(asked, fault="load")[0] == [], "nothing is left to be made: no engine is started"


def test_shards_are_all_and_share_nothing():
    asked = wants(*map(str, range(10)))
    parts = [job.shard(asked, (i, 3)) for i in (1, 2, 3)]
    assert sorted(want.prompt for part in parts for want in part) == sorted(want.prompt for want in asked)
