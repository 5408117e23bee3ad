"""GitLab: deployments of a project (`glab api projects/ID/deployments`), and webhooks about them."""

from __future__ import annotations

from collections.abc import Iterator

import polars as pl

from cachelog.contract.layout import Layout
from cachelog.contract.objects import Object, Told, deploys, instant, parsed, text

NAME = "gitlab"
SOURCE = "docs.gitlab.com/api/deployments; webhook events: deployment"
BLIND = "a deployment names no model"
SAMPLES = (
    '{"id":42,"iid":2,"ref":"main","sha":"a91957a858320c0e17f3a0eca7cfacbff50ea29a","created_at":'
    '"2026-11-23T15:16:30.027Z","updated_at":"2026-11-23T15:17:02.485Z","status":"success","environment":{"id":9,"name":'
    '"production","external_url":"https://scorer.example.com"},"deployable":{"id":664,"name":"deploy","status":"success",'
    '"created_at":"2026-11-23T15:16:29.100Z","finished_at":"2026-11-23T15:17:02.300Z"},"user":{"username":"ada"}}',
    '{"object_kind":"deployment","status":"success","status_changed_at":"2026-11-23 15:17:02 +0000","deployment_id":42,'
    '"deployable_id":664,"deployable_url":"https://gitlab.example.com/o/scorer/-/jobs/664","environment":"production",'
    '"project":{"path_with_namespace":"o/scorer"},"ref":"main","short_sha":"a91957a8"}',
)
LAYOUTS = (
    Layout(payload=("",), tells=(("deployable", "iid"), ("environment.name",), ("sha",), ("ref",), ("created_at",))),
    Layout(payload=("",), tells=(("deployment_id",), ("object_kind",), ("status_changed_at",))),
)


def parse(lines: pl.DataFrame) -> pl.DataFrame:
    """Return a deploy for each deployment: when its job had finished, else when it was created."""
    return parsed(lines, _deployment)


def _deployment(one: Object) -> Iterator[Told]:
    number = text(one, "deployment_id") or text(one, "iid") or text(one, "id")
    said = f"GitLab deployment {number}"
    sha = text(one, "sha") or text(one, "short_sha")
    where = text(one, "environment.name") or text(one, "environment")
    for word, what in (("of", text(one, "ref")), ("at", sha and sha[:8]), ("to", where)):
        said += f" {word} {what}" if what else ""
    said += f": {text(one, 'status')}" if text(one, "status") else ""
    done = ("deployable.finished_at", "updated_at") if text(one, "status") == "success" else ()
    return deploys(instant(one, "status_changed_at", *done, "created_at"), said, sha)
