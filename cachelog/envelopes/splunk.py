"""Splunk: results of searches (`_raw`) as exports stream them or in one document, and events for its HTTP collector."""

from __future__ import annotations

from cachelog.contract.layout import Layout

NAME = "splunk"
SOURCE = "docs.splunk.com: RESTREF search/jobs/export, Data/FormateventsforHTTPEventCollector"
BLIND = "events for the collector that stand on one line without anything between them"
SAMPLES = (
    '{"preview":false,"offset":0,"result":{"_raw":"INFO uvicorn.error: ready","_time":"2026-11-23 15:16:30.240 UTC",'
    '"host":"scorer-0","source":"/var/log/scorer.log"}}',
    '{"preview":false,"results":[{"_raw":"INFO ready","_time":"2026-11-23T15:16:30.240+00:00","host":"scorer-0"}]}',
    '{"time":1795446990.240,"host":"scorer-0","source":"stdout","sourcetype":"python","event":"INFO ready"}',
)

_POD = ("pod", "pod_name", "k8s.pod.name", "kubernetes.pod_name", "host")

LAYOUTS = (
    Layout(
        payload=("result._raw",),
        time=("result._time",),
        replica=tuple(f"result.{name}" for name in _POD),
        tells=(("result._raw",),),
    ),
    Layout(records="results[]", payload=("_raw",), time=("_time",), replica=_POD, tells=(("_raw",),)),
    Layout(
        payload=("event",),
        time=("time",),
        replica=(*(f"fields.{name}" for name in _POD), "host"),
        tells=(("sourcetype",), ("event",)),
    ),
)
