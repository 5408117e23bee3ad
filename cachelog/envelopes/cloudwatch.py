"""Amazon CloudWatch Logs: events as the API returns them, a subscription delivers them, and Insights finds them.

    {"events": [{"timestamp": MS, "message": "...", "ingestionTime": MS, "logStreamName": "...", "eventId": "..."}]}
    {"messageType": "DATA_MESSAGE", "logGroup": "...", "logStream": "...", "logEvents": [{"timestamp": MS, ...}]}
    {"results": [[{"field": "@timestamp", "value": "..."}, {"field": "@message", "value": "..."}]]}

Exports to S3, which are text, are cloudwatch_export.
"""

from __future__ import annotations

from cachelog.contract.layout import Layout

NAME = "cloudwatch"
SOURCE = "docs.aws.amazon.com/AmazonCloudWatchLogs: FilterLogEvents, GetLogEvents, GetQueryResults, SubscriptionFilters"
BLIND = "Insights returns 10,000 results at most, and only the fields that the query asked for"
SAMPLES = (
    '{"events":[{"logStreamName":"scorer-0","timestamp":1795446990240,"message":"INFO uvicorn.error: ready",'
    '"ingestionTime":1795446991000,"eventId":"3"}],"searchedLogStreams":[]}',
    '{"messageType":"DATA_MESSAGE","owner":"1","logGroup":"/ml","logStream":"scorer-0","subscriptionFilters":["all"],'
    '"logEvents":[{"id":"3","timestamp":1795446990240,"message":"INFO uvicorn.error: ready"}]}',
    '{"results":[[{"field":"@timestamp","value":"2026-11-23 15:16:30.240"},{"field":"@message","value":"INFO ready"},'
    '{"field":"@logStream","value":"scorer-0"},{"field":"@ptr","value":"C"}]],"status":"Complete"}',
    '{"timestamp":1795446990240,"message":"INFO uvicorn.error: ready","ingestionTime":1795446991000}',
)

_EVENT = ("message",)

LAYOUTS = (
    Layout(
        records="events[]",
        payload=_EVENT,
        time=("timestamp",),
        replica=("logStreamName",),
        tells=(("ingestionTime", "eventId"), ("timestamp",)),
    ),
    Layout(
        records="logEvents[]",
        payload=_EVENT,
        time=("timestamp",),
        replica=("/logStream",),
        tells=(("timestamp",), ("/logGroup", "/logStream", "/messageType")),
    ),
    Layout(
        records="results[]",
        payload=("{@message}",),
        time=("{@timestamp}",),
        replica=("{kubernetes.pod_name}", "{@logStream}"),
        tells=(("{@message}", "{@ptr}", "{@timestamp}"),),
    ),
    Layout(
        payload=_EVENT,
        time=("timestamp",),
        replica=("logStreamName",),
        tells=(("ingestionTime",), ("timestamp",)),
        loose=True,
    ),
)
