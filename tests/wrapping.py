"""Lines as the tools around containers write them."""

from __future__ import annotations

import json

TIME = "2026-11-23T15:16:30.248043060Z"
POD = "scorer-6d9f7c5b8-4kq2x"


def cri(line, tag="F", stream="stdout"):
    return f"{TIME} {stream} {tag} {line}"


def docker_json(line, end="\n", stream="stdout", time=TIME):
    return json.dumps({"log": line + end, "stream": stream, "time": time}, separators=(",", ":"), ensure_ascii=False)


def kubectl(line):
    return f"[pod/{POD}/scorer] {TIME} {line}"


def stern(line):
    return f"{POD} scorer {line}"


WRAPPERS = {"cri": cri, "docker_json": docker_json, "kubectl": kubectl, "stern": stern}
