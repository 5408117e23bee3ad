"""The names that applications give to what cachelog needs: canonical PARSED field -> aliases, best first.

The first alias that a line has wins. A dotted alias matches the literal dotted key as well as the nested
path. Sources: structlog, zap, zerolog, pino, logrus, python-json-logger, ECS, OpenTelemetry semantic
conventions, nginx JSON recipes (reference: CONVENTIONS §4); of edges: Cloudflare Logpush datasets
http_requests and workers_trace_events, Fastly's, Envoy's and Caddy's JSON access logs, CloudFront and Azure Front Door
in JSON.
"""

from __future__ import annotations

_ALIASES: dict[str, tuple[str, ...]] = {
    "time": (
        "timestamp_ns", "timestamp", "@timestamp", "time", "ts", "t", "at", "datetime", "date_time", "_time",
        "eventTime", "event_time", "asctime", "time_iso8601", "msec", "timeUnixNano", "created_at",
        "__REALTIME_TIMESTAMP", "instant.epochSecond", "timeMillis",
        "time_local", "start_time", "EdgeStartTimestamp", "EventTimestampMs", "eventTimestamp",
    ),
    "event": ("event", "event.action", "event_name", "eventName", "event_type", "eventType", "action_name"),
    "message": ("message", "msg", "body", "_msg", "log", "line", "text", "MESSAGE", "textPayload", "fields.message"),
    "replica": (
        "pod", "pod_name", "podName", "replica", "replica_id", "replicaId", "instance", "instance_id", "instanceId",
        "k8s.pod.name", "kubernetes.pod_name", "kubernetes.pod.name", "resource.k8s.pod.name", "service.instance.id",
        "service.node.name", "fastly_server", "EdgeColoCode", "x-edge-location", "x_edge_location", "worker",
        "worker_id", "hostname", "_HOSTNAME", "host", "host.name", "host_name", "node",
        "node_name", "server_name",
    ),
    "model": (
        "model", "model_name", "modelName", "model_id", "modelId", "model.name", "model.id", "servable",
        "servable_name", "ml.model", "ml.model.name", "ml_model", "labels.model", "gen_ai.request.model",
        "deployment_model", "predictor",
    ),
    "version": (
        "model_version", "modelVersion", "model.version", "version", "model_ver", "servable_version",
        "ml.model.version", "labels.model_version", "labels.version", "model_revision", "artifact_version",
        "revision", "ver", "tag",
    ),
    "from_version": ("from_version", "fromVersion", "previous_version", "previousVersion", "old_version", "from"),
    "to_version": ("to_version", "toVersion", "target_version", "targetVersion", "new_version", "to"),
    "outcome": (
        "cache_status", "cacheStatus", "cache_result", "cacheResult", "upstream_cache_status", "result", "outcome",
        "cache_outcome", "lookup", "cache.status", "cache.result", "cache.outcome", "CacheCacheStatus", "x_cache",
        "cache", "status", "labels.cache", "labels.result",
        "x-cache", "X-Cache", "xCache", "cf_cache_status", "cf-cache-status", "response_state", "fastly_info_state",
        "fastly_info.state", "x-edge-result-type", "x_edge_result_type", "properties.cacheStatus", "varnish_handling",
        "Varnish:handling", "handling", "cache-status", "Cache-Status", "resp_headers.Cache-Status",
        "resp_headers.X-Cache", "resp_headers.X-Cache-Status", "resp_headers.Cf-Cache-Status",
    ),
    "hit": ("cache_hit", "cacheHit", "hit", "is_hit", "isHit", "cached", "from_cache", "fromCache", "cache.hit"),
    "cache": ("cache_name", "cacheName", "cache_type", "cacheType", "cache_layer", "cache.name", "cache.type", "layer"),
    "key": ("key", "cache_key", "cacheKey", "cache.key", "key_hash", "keyHash", "object_id", "request_hash"),
    "digest": (
        "digest", "sha256", "model_digest", "checksum", "image_digest", "artifact_digest", "model.digest", "sha",
    ),
    "reason": ("reason", "error", "err", "exception", "error.message", "error_message", "cause", "action"),
    "n": ("n", "count_of_lookups"),
    "hits": (
        "hits", "cache_hits", "hit_count", "cache_hit_count", "hitCount", "cacheHits", "num_hits", "hits_total",
        "total_hits", "cache_hits_total", "cache.hits",
    ),
    "misses": (
        "misses", "cache_misses", "miss_count", "cache_miss_count", "missCount", "cacheMisses", "num_misses",
        "misses_total", "total_misses", "cache_misses_total", "cache.misses",
    ),
    "lookups": (
        "lookups", "cache_lookups", "cache_requests", "lookup_count", "request_count", "requestCount", "total_lookups",
        "requests", "total_requests", "queries", "cache.lookups", "cache.requests",
    ),
    "ms": (
        "latency_ms", "latencyMs", "duration_ms", "durationMs", "elapsed_ms", "elapsedMs", "load_ms", "loadMs",
        "took_ms", "response_time_ms", "time_ms", "load_time_ms", "load_duration_ms",
    ),
    "seconds": (
        "latency_s", "latency_seconds", "duration_s", "duration_seconds", "elapsed_s", "elapsed_seconds",
        "load_seconds", "load_s", "request_time", "upstream_response_time", "load_time_s",
    ),
    "duration": ("dur", "duration", "latency", "elapsed", "took", "response_time", "load_time"),
    "url": (
        "upstream_path", "upstream_uri", "request_uri", "uri", "url", "url.path", "path", "http.target", "http.path",
        "request", "request_path",
        "ClientRequestURI", "ClientRequestPath", "cs-uri-stem", "cs_uri_stem", "request.uri", "properties.requestUri",
        "Event.Request.URL", "event.request.url",
    ),
}

#: Objects in which loggers put the fields of an event (Rust's tracing, ECS, OpenTelemetry, loguru, Cloudflare Workers),
#: and what is looked for in them.
_INSIDE = ("fields", "labels", "attributes", "extra", "data", "context", "source")
_THERE = frozenset(
    (
        "event", "model", "model_name", "version", "model_version", "result", "outcome", "cache", "cache_status",
        "cache_hit", "hit", "key", "cache_key", "latency_ms", "duration_ms", "pod",
    )
)  # fmt: skip


def _with_inside(names: tuple[str, ...]) -> tuple[str, ...]:
    nested = (f"{outer}.{name}" for outer in _INSIDE for name in names if name in _THERE)
    return tuple(dict.fromkeys((*names, *nested)))


ALIASES: dict[str, tuple[str, ...]] = {field: _with_inside(names) for field, names in _ALIASES.items()}

#: What JSON loggers say of a line beside its message: the logger or the file that it is from, the thread (Ray Serve:
#: the function) that wrote it, and the part of the second that log4j's JsonLayout keeps apart from the seconds.
BESIDE: dict[str, tuple[str, ...]] = {
    "origin": ("loggerName", "logger_name", "log.logger", "logger", "caller", "filename"),
    "context": ("thread", "thread_name", "threadName", "process.thread.name", "task_func_name"),
    "nanos": ("instant.nanoOfSecond",),
}

#: Which alias gave the outcome tells which cache was asked.
EDGE_ALIASES = (
    "upstream_cache_status", "CacheCacheStatus", "x_cache", "x-cache", "X-Cache", "xCache", "cf_cache_status",
    "cf-cache-status", "response_state", "fastly_info_state", "fastly_info.state", "x-edge-result-type",
    "x_edge_result_type", "properties.cacheStatus", "varnish_handling", "Varnish:handling", "handling",
    "cache-status", "Cache-Status", "resp_headers.Cache-Status", "resp_headers.X-Cache",
    "resp_headers.X-Cache-Status", "resp_headers.Cf-Cache-Status",
)  # fmt: skip
