"""Elasticsearch and OpenSearch: documents of a search, and of dumps; those of bulk files stand on lines of their own.

The document is in `_source`, and is read like a line: what shippers wrote (ecs, fluent, vector), or an application.
The action lines of bulk files, {"index": {}}, say nothing.
"""

from __future__ import annotations

from cachelog.contract.layout import Layout

NAME = "elasticsearch"
SOURCE = "elastic.co/guide/en/elasticsearch/reference: search API, bulk API; elasticdump"
BLIND = "a search returns 10 documents unless asked for more, and 10,000 at most"
SAMPLES = (
    '{"_index":"logs","_id":"1","_score":1.0,"_source":{"@timestamp":"2026-11-23T15:16:30.240Z","event":"ready"}}',
    '{"took":1,"hits":{"total":{"value":1},"hits":[{"_index":"logs","_id":"1","_source":{"event":"ready"}}]}}',
)

LAYOUTS = (
    Layout(payload=("_source",), tells=(("_source",), ("_index", "_id"))),
    Layout(records="hits.hits[]", payload=("_source",), tells=(("_source",), ("_index", "_id"))),
)
