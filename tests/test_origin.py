"""Patient zero: the first line from which replicas differ, and what only these logged before it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zlib import crc32

import pytest

from cachelog import pipeline
from cachelog.origin import VALUE, read

START = datetime(2026, 11, 20, 12, tzinfo=UTC)
PODS = ("scorer-a", "scorer-b", "scorer-c", "scorer-d", "scorer-e")


def stamp(seconds):
    return (START + timedelta(seconds=seconds)).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def boot(at, pod, version, rev, extra=()):
    """What a start logs: the process, some noise, where the model comes from, its load."""
    said = [
        (0.0, "INFO server starting up"), (0.4, f"INFO pool of {7 + len(pod)} threads, seed {crc32(f'{pod}{at}'.encode()) % 9973}"),
        (0.9, f"INFO fetching manifest rev {rev} from registry"), *((1.2, text) for text in extra),
        (4.0, f"INFO loaded model=fraud version={version}"),
    ]  # fmt: skip
    return [(at + t, text) for t, text in said]


def served(pod, version, start, end):
    return [
        (
            t + len(PODS) / (9 + PODS.index(pod)),
            f"INFO predict model=fraud version={version}"
            f" cache={'miss' if t % 50 == 0 else 'hit'} key=k{(t * t + PODS.index(pod)) % 13}",
        )
        for t in range(start, end, 5)
    ]


def write(folder, rev_of_odd, extra=(), odd=PODS[:2]):
    """Five pods take v2 up one after the other; later some start again, and have v1."""
    for k, pod in enumerate(PODS):
        lines = [*boot(10 * k, pod, "v1", 87), *served(pod, "v1", 60, 600 + 20 * k)]
        lines += [*boot(600 + 20 * k, pod, "v2", 88)]
        back = 2000 + 30 * k if pod in odd else 3600
        lines += served(pod, "v2", 720, back)
        if pod in odd:
            lines += [*boot(back, pod, "v1", rev_of_odd, extra), *served(pod, "v1", back + 10, 3600)]
        (folder / f"{pod}.log").write_text("".join(f"{stamp(t)} {text}\n" for t, text in sorted(lines)))
    return pipeline.analyze([str(folder)])


def traced(report):
    (finding,) = [f for f in report.findings if f.rule == "version-regression"]
    zero = [e for e in finding.evidence if e.role == "patient-zero"]
    before = [e for e in finding.evidence if e.role.startswith("logged before it")]
    return finding, zero, before


def test_the_first_older_load_is_patient_zero(tmp_path):
    _, zero, _ = traced(write(tmp_path, 87))
    assert [e.path.rsplit("/", 1)[1] for e in zero] == ["scorer-a.log"]
    assert "loaded model=fraud version=v1" in zero[0].text
    assert zero[0].time == START + timedelta(seconds=2004)


def test_a_value_in_which_the_sides_differ_is_told_with_the_other_one(tmp_path):
    finding, _, before = traced(write(tmp_path, 87))
    assert [e.text.split("Z ")[1] for e in before] == ["INFO fetching manifest rev 87 from registry"]
    assert "rev 87" in finding.next_steps[0]
    assert "3 replicas that kept v2 have 88 there" in finding.next_steps[0]


def test_a_line_that_only_they_logged_is_told(tmp_path):
    finding, _, before = traced(write(tmp_path, 88, extra=["WARN registry unreachable, using volume /models"]))
    assert [e.text.split("Z ")[1] for e in before] == ["WARN registry unreachable, using volume /models"]
    assert "did not log the like before theirs" in finding.next_steps[0]


def test_nothing_is_told_where_they_logged_the_same(tmp_path):
    finding, zero, before = traced(write(tmp_path, 88))
    assert (len(zero), before) == (1, [])
    assert not any(step.startswith("see why") for step in finding.next_steps)


def test_of_one_replica_a_value_proves_nothing(tmp_path):
    _, zero, before = traced(write(tmp_path, 87, odd=PODS[:1]))
    assert (len(zero), before) == (1, [])


@pytest.mark.parametrize(
    ("text", "template", "values"),
    [
        ("2026-11-20T12:00:00.5Z INFO took 12 ms", ("INFO", "took", VALUE, "ms"), ("12",)),
        ('{"ts":1789363572.473,"rev":87,"msg":"ok"}', ("ts", "rev", VALUE, "msg", "ok"), ("87",)),
        ("Nov 24 15:00:01 pod-7 up", ("up",), ()),
        ("", (), ()),
    ],
)
def test_templates_leave_out_times_and_the_own_name(text, template, values):
    line = read(text, "pod-7")
    assert (line.template, line.values) == (template, values)
