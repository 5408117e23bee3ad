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


def docker_compose(line):
    return f"scorer-1  | {TIME} {line}"


def syslog_3164(line):
    return f"<14>Nov 23 15:16:30 node-3 scorer[4003]: {line}"


def syslog_5424(line):
    return f'<14>1 {TIME[:26]}Z node-3 scorer 4003 - [k@1 pod_name="{POD}"] {line}'


def journald_short(line):
    return f"{TIME[:19]}+0000 node-3 fraud-scorer@3.service[4003]: {line}"


def logcli(line):
    return f'{TIME[:19]}Z {{container="scorer", pod="{POD}"}} {line}'


def heroku(line):
    return f"{TIME[:26]}+00:00 app[web.1]: {line}"


def fly(line):
    return f"{TIME[:19]}Z app[6e82d4a2c12345] ams [info]{line}"


WRAPPERS = {
    "cri": cri, "docker_json": docker_json, "kubectl": kubectl, "stern": stern, "docker_compose": docker_compose,
    "syslog_3164": syslog_3164, "syslog_5424": syslog_5424, "journald_short": journald_short, "logcli": logcli,
    "heroku": heroku, "fly": fly,
}  # fmt: skip
#: Around each other three deep; the others are tried in pairs.
NODE_TOOLS = ("cri", "docker_json", "kubectl", "stern")
