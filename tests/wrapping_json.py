"""Lines as the envelopes that are JSON have them; `around` gives each to many lines at once where it can."""

from __future__ import annotations

import json

from tests.wrapping import POD, TIME

ISO, MS, NS = "2026-11-23T15:16:30.248Z", 1795446990248, "1795446990248043060"


def dumped(found):
    return json.dumps(found, separators=(",", ":"), ensure_ascii=False)


def value(line):
    """Return the line as a collector that parses JSON has it."""
    try:
        found = json.loads(line)
    except ValueError:
        return line
    return found if isinstance(found, dict) else line


def gcp(line):
    kind = "textPayload" if isinstance(value(line), str) else "jsonPayload"
    resource = {"type": "k8s_container", "labels": {"pod_name": POD}}
    return dumped(
        {
            "insertId": "0",
            kind: value(line),
            "resource": resource,
            "timestamp": TIME,
            "logName": "projects/p/logs/stdout",
        }
    )


def cloudwatch(line):
    return cloudwatch_events([line])


def cloudwatch_events(lines, **dump):
    events = [
        {"logStreamName": POD, "timestamp": MS, "message": line, "ingestionTime": MS, "eventId": "3"} for line in lines
    ]
    return json.dumps({"events": events, "searchedLogStreams": []}, ensure_ascii=False, **dump)


def subscription(line):
    events = [{"id": "3", "timestamp": MS, "message": line}]
    return dumped({"messageType": "DATA_MESSAGE", "logGroup": "/ml", "logStream": POD, "logEvents": events})


def insights(line):
    fields = {"@timestamp": "2026-11-23 15:16:30.248", "@message": line, "@logStream": POD, "@ptr": "C"}
    return dumped({"results": [[{"field": k, "value": v} for k, v in fields.items()]], "status": "Complete"})


def otlp(line):
    return otlp_records([line])


def otlp_records(lines, **dump):
    resource = {"attributes": [{"key": "k8s.pod.name", "value": {"stringValue": POD}}]}
    records = [{"timeUnixNano": NS, "severityText": "INFO", "body": {"stringValue": line}} for line in lines]
    logs = {"resourceLogs": [{"resource": resource, "scopeLogs": [{"scope": {"name": "s"}, "logRecords": records}]}]}
    return json.dumps(logs, ensure_ascii=False, **dump)


def otlp_attributes(line):
    records = [
        {
            "timeUnixNano": NS,
            "body": {"stringValue": line},
            "attributes": [{"key": "log.iostream", "value": {"stringValue": "stdout"}}],
        }
    ]
    return dumped({"resourceLogs": [{"scopeLogs": [{"logRecords": records}]}]})


def azure(line):
    return dumped({"TimeGenerated": ISO, "PodName": POD, "LogMessage": value(line), "LogSource": "stdout"})


def azure_records(line):
    return dumped(
        {"records": [{"time": ISO, "category": "C", "properties": {"log": line, "pod": POD, "stream": "stdout"}}]}
    )


def datadog(line):
    return dumped(
        {
            "_id": "A",
            "date": ISO,
            "host": "n",
            "attributes": {},
            "source": "s",
            "message": line,
            "tags": [f"pod_name:{POD}"],
        }
    )


def ecs(line):
    return dumped(
        {
            "@timestamp": ISO,
            "message": line,
            "ecs": {"version": "8"},
            "kubernetes": {"pod": {"name": POD}},
            "agent": {"type": "filebeat"},
        }
    )


def elasticsearch(line):
    return dumped({"_index": "i", "_id": "1", "_source": json.loads(ecs(line))})


def elasticsearch_hits(line):
    return dumped({"took": 1, "hits": {"total": {"value": 1}, "hits": [json.loads(elasticsearch(line))]}})


def fluent(line):
    return dumped({"date": 1795446990.248043, "log": f"{line}\n", "stream": "stdout", "kubernetes": {"pod_name": POD}})


def fluentd_file(line):
    return f"2026-11-23T15:16:30+00:00\tkube.scorer\t{fluent(line)}"


def journald(line):
    return dumped({"__REALTIME_TIMESTAMP": NS[:16], "_BOOT_ID": "0", "_HOSTNAME": POD, "MESSAGE": line})


def journald_bytes(line):
    return dumped({"__REALTIME_TIMESTAMP": NS[:16], "_BOOT_ID": "0", "_HOSTNAME": POD, "MESSAGE": list(line.encode())})


def loki(line):
    return dumped({"labels": {"pod": POD}, "line": line, "timestamp": TIME})


def loki_streams(line):
    result = [{"stream": {"pod": POD}, "values": [[NS, line]]}]
    return dumped({"status": "success", "data": {"resultType": "streams", "result": result}})


def splunk(line):
    return dumped({"preview": False, "offset": 0, "result": {"_raw": line, "_time": ISO, "host": POD}})


def splunk_hec(line):
    return dumped({"time": 1795446990.248, "host": POD, "sourcetype": "s", "event": value(line)})


def stern_json(line):
    return dumped({"message": line, "nodeName": "n", "namespace": "ml", "podName": POD, "containerName": "scorer"})


def stern_extjson(line):
    return dumped({"pod": POD, "container": "scorer", "message": value(line)})


def vector(line):
    return dumped(
        {"message": line, "source_type": "kubernetes_logs", "timestamp": TIME, "kubernetes": {"pod_name": POD}}
    )


def victorialogs(line):
    return dumped({"_msg": line, "_stream": "{}", "_time": TIME, "kubernetes.pod_name": POD})


def listed(line):
    return f"[{gcp(line)}]"


#: Name of the envelope -> how it writes a line.
JSON_WRAPPERS = {
    "azure": [azure, azure_records], "cloudwatch": [cloudwatch, subscription, insights], "datadog": [datadog], "ecs": [ecs],
    "elasticsearch": [elasticsearch, elasticsearch_hits], "fluent": [fluent, fluentd_file], "gcp": [gcp, listed],
    "journald": [journald, journald_bytes], "loki": [loki, loki_streams], "otlp": [otlp, otlp_attributes],
    "splunk": [splunk, splunk_hec], "stern_json": [stern_json, stern_extjson], "vector": [vector], "victorialogs": [victorialogs],
}  # fmt: skip
