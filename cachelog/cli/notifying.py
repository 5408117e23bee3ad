"""Webhooks: the one place that uses a network, and only where `--notify` names one."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING
from urllib.parse import SplitResult, urlsplit

from cachelog.cli.printing import say
from cachelog.contract.errors import UsageError
from cachelog.render.registry import LINES, PAYLOADS, ReportFormat

if TYPE_CHECKING:
    import requests

_NAMED = re.compile(r"([a-z]+)=(https?://.*)", re.DOTALL)
_HOSTS = {
    "hooks.slack.com": ReportFormat.SLACK,
    "hooks.slack-gov.com": ReportFormat.SLACK,
    "events.pagerduty.com": ReportFormat.PAGERDUTY,
    "events.eu.pagerduty.com": ReportFormat.PAGERDUTY,
}
_PATHS = {"/api/v2/alerts": ReportFormat.ALERTMANAGER, "/api/annotations": ReportFormat.GRAFANA}
_OWN = (ReportFormat.ALERTMANAGER, ReportFormat.GRAFANA, ReportFormat.JSON)  # services that may see the token
_PATIENCE = (5.0, 15.0)  # seconds to connect, to answer
_TRIES = 3  # times more when the service is busy
_PAUSE = 30  # seconds that a busy service may ask for


@dataclass(frozen=True)
class Post:
    """One payload to send; the address may be a secret and is never shown."""

    format: ReportFormat
    url: str

    @property
    def host(self) -> str:
        """Return whom messages may name."""
        return urlsplit(self.url).hostname or "?"


def planned_posts(given: Sequence[str], asked: ReportFormat | None) -> tuple[Post, ...]:
    """Read what `--notify` names, as URL or FORMAT=URL; raises UsageError."""
    posts = tuple(_post(text, asked) for text in given)
    if posts and find_spec("requests") is None:
        raise UsageError("--notify needs the library requests: pip install 'cachelog[notify]'")
    if any(post.format is ReportFormat.PAGERDUTY for post in posts) and not os.environ.get("PAGERDUTY_ROUTING_KEY"):
        raise UsageError("PagerDuty needs the routing key of a service in PAGERDUTY_ROUTING_KEY")
    return posts


def _post(given: str, asked: ReportFormat | None) -> Post:
    found = _NAMED.fullmatch(given)
    url = found[2] if found else given
    try:
        parts = urlsplit(url)
        valid = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        valid = False
    if not valid or not url.isprintable():
        raise UsageError("--notify takes a URL that begins with http:// or https://, or FORMAT=URL")
    wanted = found[1] if found else _kind(parts, asked)
    if wanted not in PAYLOADS:
        raise UsageError(f"--notify cannot tell what {parts.hostname} takes; name it: {'|'.join(PAYLOADS)}=URL")
    return Post(ReportFormat(wanted), url)


def _kind(parts: SplitResult, asked: ReportFormat | None) -> ReportFormat | None:
    """Return what a service takes, by its host or path, else what --format says."""
    by_path = (kind for path, kind in _PATHS.items() if parts.path.rstrip("/").endswith(path))
    return _HOSTS.get(parts.hostname or "") or next(by_path, None) or asked


def send(post: Post, payload: str | bytes) -> None:
    """Post a payload, the formats of lines line by line; what fails is a message and changes no exit code."""
    import requests

    body = payload if isinstance(payload, str) else payload.decode()
    bodies = body.splitlines() if post.format in LINES else [body]
    try:
        with _session(post) as session:
            for one in bodies:
                if one.strip() not in ("", "[]"):
                    _send_one(session, post, one)
    except requests.HTTPError as error:
        say(f"cachelog: {post.host} did not take the {post.format.value} message: {error}")
    except requests.RequestException as error:
        say(f"cachelog: {post.host} could not be reached: {type(error).__name__}")  # its text holds the address


def _session(post: Post) -> requests.Session:
    import requests
    from urllib3.util import Retry

    import cachelog

    session = requests.Session()
    again = Retry(
        total=_TRIES, read=0, status_forcelist=(429, 502, 503, 504), allowed_methods={"POST"}, backoff_factor=0.5,
        raise_on_status=False, retry_after_max=_PAUSE,
    )  # fmt: skip
    for scheme in ("http://", "https://"):
        session.mount(scheme, requests.adapters.HTTPAdapter(max_retries=again))
    session.headers.update({"Content-Type": "application/json", "User-Agent": f"cachelog/{cachelog.__version__}"})
    token = os.environ.get("CACHELOG_NOTIFY_TOKEN")
    if token and post.format in _OWN:
        session.auth = lambda request: _signed(request, token)
    return session


def _signed(request: requests.PreparedRequest, token: str) -> requests.PreparedRequest:
    request.headers["Authorization"] = f"Bearer {token}"
    return request


def _send_one(session: requests.Session, post: Post, body: str) -> None:
    import requests

    answer = session.post(post.url, data=body.encode(), timeout=_PATIENCE, allow_redirects=False)
    if answer.status_code >= 300:  # a webhook that moves is told of, not followed
        raise requests.HTTPError(f"HTTP {answer.status_code}")
