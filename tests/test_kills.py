"""Runs that are killed while logs are written and rotated lose and double nothing (200 kills: python -m bench.kills)."""

from __future__ import annotations

import pytest

from bench.kills import killed


@pytest.mark.parametrize(("command", "kills"), [("report", 3), ("watch", 2)])
def test_what_killed_runs_left_adds_up_to_one_batch_run(tmp_path, command, kills):
    found = killed(command, kills, 5, tmp_path, pause=0.01, longest=0.8)
    assert found.killed == kills
    assert sum(found.rotations.values())
    assert found.followed == found.batch


@pytest.mark.slow
@pytest.mark.parametrize("command", ["report", "watch"])
def test_two_hundred_kills(tmp_path, command):
    found = killed(command, 200, 7, tmp_path, pause=0.02)
    assert found.followed == found.batch
