"""CloudEvents in JSON: what happened is the type of the event, with what data."""

from __future__ import annotations

from cachelog.contract.layout import Layout

NAME = "cloudevents"
SOURCE = "github.com/cloudevents/spec, formats/json-format.md 1.0"
BLIND = "data in base64 (data_base64) is not looked into"
SAMPLES = (
    '{"specversion":"1.0","id":"7","source":"/scorer/scorer-0","type":"ready","time":"2026-11-23T15:16:30.24Z",'
    '"datacontenttype":"application/json","data":{"port":8080}}',
)

LAYOUTS = (
    Layout(
        payload=("data+type",),
        time=("time",),
        replica=("source",),
        tells=(("specversion",), ("type",), ("data",)),
    ),
)
