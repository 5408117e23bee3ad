"""GitHub: deployments and their statuses (`gh api repos/OWNER/REPO/deployments`), and webhooks about them."""

from __future__ import annotations

from collections.abc import Iterator

import polars as pl

from cachelog.contract import jsonlines
from cachelog.contract.layout import Layout
from cachelog.contract.objects import Object, Told, at, deploys, instant, parsed, text

NAME = "github"
SOURCE = "docs.github.com/en/rest/deployments; webhook events deployment, deployment_status"
BLIND = "a deployment names no model, unless its payload has model and version"
SAMPLES = (
    '{"url":"https://api.github.com/repos/o/scorer/deployments/1","id":1,"sha":"a84d88e7554fc1fa21bcbc4efae3c782a70d2b9d",'
    '"ref":"v2.9.1","task":"deploy","payload":{},"environment":"production","description":"Deploy","creator":{"login":'
    '"ada"},"created_at":"2026-11-23T15:16:30Z","updated_at":"2026-11-23T15:17:02Z","statuses_url":'
    '"https://api.github.com/repos/o/scorer/deployments/1/statuses","repository_url":"https://api.github.com/repos/o/s"}',
    '{"url":"https://api.github.com/repos/o/scorer/deployments/1/statuses/7","id":7,"state":"success","description":'
    '"Deployment finished","environment":"production","created_at":"2026-11-23T15:17:02Z","updated_at":'
    '"2026-11-23T15:17:02Z","deployment_url":"https://api.github.com/repos/o/scorer/deployments/1"}',
    '{"action":"created","deployment_status":{"id":7,"state":"success","environment":"production","created_at":'
    '"2026-11-23T15:17:02Z"},"deployment":{"id":1,"sha":"a84d88e7554fc1fa21bcbc4efae3c782a70d2b9d","ref":"v2.9.1",'
    '"environment":"production","payload":{},"created_at":"2026-11-23T15:16:30Z"},"repository":{"full_name":"o/scorer"}}',
)
LAYOUTS = (
    Layout(payload=("",), tells=(("statuses_url",), ("sha",), ("ref",), ("environment",))),
    Layout(payload=("",), tells=(("deployment_url",), ("state",), ("created_at",))),
    Layout(payload=("",), tells=(("deployment.sha",), ("deployment.environment",), ("repository.full_name",))),
)


def parse(lines: pl.DataFrame) -> pl.DataFrame:
    """Return a deploy for each deployment, and for each status of one."""
    return parsed(lines, _object)


def _object(one: Object) -> Iterator[Told]:
    inner = at(one, "deployment")
    deployment = inner if isinstance(inner, dict) else one
    status = at(one, "deployment_status")
    status = status if isinstance(status, dict) else deployment
    number = text(deployment, "id") if deployment is not one or text(one, "sha") else None
    number = number or (text(one, "deployment_url") or "").rpartition("/")[2]
    said = f"GitHub deployment {number}"
    for name, word in (("ref", "of"), ("environment", "to")):
        said += f" {word} {text(deployment, name)}" if text(deployment, name) else ""
    said += f": {text(status, 'state')}" if text(status, "state") else ""
    version = text(deployment, "ref") or text(deployment, "sha")
    return deploys(instant(status, "created_at"), said, version, _payload(deployment))


def _payload(deployment: Object) -> list[Object]:
    """Return the payload, which may be JSON in a text."""
    found = at(deployment, "payload")
    if isinstance(found, str):
        found = jsonlines.decode(found)
    return [found] if isinstance(found, dict) else []
