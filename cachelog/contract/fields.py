"""The names that applications give to what cachelog needs: canonical PARSED field -> aliases, best first.

The first alias that a line has wins. A dotted alias matches the literal dotted key as well as the nested
path. Names in snake_case are also known in the other spellings (camelCase, PascalCase, kebab-case, UPPER_CASE), and
within the objects in which loggers put the fields of an event. Sources: structlog, zap, zerolog, pino, logrus,
python-json-logger, ECS, OpenTelemetry semantic conventions, nginx JSON recipes (reference: CONVENTIONS §4); of edges:
Cloudflare Logpush datasets http_requests and workers_trace_events, Fastly's, Envoy's and Caddy's JSON access logs,
CloudFront and Azure Front Door in JSON.
"""

from __future__ import annotations

import re

#: In an alias: what is behind it stands in the object before it, and nowhere else. No key has this character.
INTO = "\x1f"

_ALIASES: dict[str, tuple[str, ...]] = {
    "time": (
        "timestamp_ns", "timestamp", "@timestamp", "time", "ts", "t", "at", "datetime", "date_time", "_time",
        "eventTime", "event_time", "asctime", "time_iso8601", "msec", "timeUnixNano", "created_at",
        "__REALTIME_TIMESTAMP", "instant.epochSecond", "timeMillis",
        "time_local", "start_time", "EdgeStartTimestamp", "EventTimestampMs", "eventTimestamp", "@t",
        "record.time.timestamp", "_aws.Timestamp",
    ),
    "event": ("event", "event.action", "event_name", "eventName", "event_type", "eventType", "action_name"),
    "message": (
        "message", "msg", "body", "_msg", "log", "line", "short_message", "@m", "rendered_message", "record.message",
        "text", "MESSAGE", "textPayload", "fields.message", "@mt", "message_template",
    ),
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
        "deployment_model", "predictor", "registered_model", "registered_model_name", "served_model",
        "served_model_name", "mlmodel", "modelname",
    ),
    "version": (
        "model_version", "modelVersion", "model.version", "version", "model_ver", "servable_version",
        "ml.model.version", "labels.model_version", "labels.version", "model_revision", "artifact_version",
        "revision", "ver", "tag", "modelversion", "served_version", "loaded_version", "serving_version",
    ),
    "from_version": ("from_version", "fromVersion", "previous_version", "previousVersion", "old_version", "from"),
    "to_version": ("to_version", "toVersion", "target_version", "targetVersion", "new_version", "to"),
    "outcome": (
        "cache_status", "cacheStatus", "cache_result", "cacheResult", "upstream_cache_status", "result", "outcome",
        "cache_outcome", "lookup", "cache.status", "cache.result", "cache.outcome", "cache.state", "cache_state",
        "lookup_result", "cache_lookup", "cache_lookup_result", "result_cache", "response_cache", "prediction_cache",
        "feature_cache", "embedding_cache", "CacheCacheStatus", "x_cache",
        "cache", "status", "labels.cache", "labels.result",
        "x-cache", "X-Cache", "xCache", "cf_cache_status", "cf-cache-status", "response_state", "fastly_info_state",
        "fastly_info.state", "x-edge-result-type", "x_edge_result_type", "properties.cacheStatus", "varnish_handling",
        "Varnish:handling", "handling", "cache-status", "Cache-Status", "resp_headers.Cache-Status",
        "resp_headers.X-Cache", "resp_headers.X-Cache-Status", "resp_headers.Cf-Cache-Status",
        "downstream_Cache-Status", "downstream_X-Cache", "downstream_X-Cache-Status", "ucs",
    ),
    "hit": ("cache_hit", "cacheHit", "hit", "is_hit", "isHit", "cached", "from_cache", "fromCache", "cache.hit"),
    "miss": ("cache_miss", "is_miss", "miss", "cache.miss"),
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
        "Event.Request.URL", "event.request.url", "req.url", "request.url", "request.path", "http.url",
        "http.request.path", "url.original",
    ),
}

#: Objects in which loggers put the fields of an event: Rust's tracing, ECS, OpenTelemetry, loguru, Cloudflare Workers.
_INSIDE = ("fields", "labels", "attributes", "extra", "data", "context", "source")
#: Others that do, whose keys are never written with dots: winston, Serilog, Microsoft.Extensions.Logging, NLog,
#: Monolog, Elixir, log4j2, logback, loguru (serialize), spans of tracing.
_ALSO_INSIDE = (
    *_INSIDE, "metadata", "meta", "properties", "event_properties", "state", "payload", "ctx", "context_map", "mdc",
    "span", f"record{INTO}extra", "params", "details",
)  # fmt: skip
#: What is looked for in them.
_THERE = frozenset(
    (
        "event", "model", "model_name", "version", "model_version", "result", "outcome", "cache", "cache_status",
        "cache_hit", "hit", "key", "cache_key", "latency_ms", "duration_ms", "pod",
    )
)  # fmt: skip
_ALSO_THERE = _THERE | {
    "cache_result", "lookup_result", "cached", "from_cache", "cache_miss", "miss", "model_id", "message", "replica",
    "from_version", "to_version", "digest", "reason", "url", "elapsed_ms", "load_ms", "model.name", "model.version",
    "ml.model.name", "ml.model.version", "cache.hit", "cache.status", "cache.result",
}  # fmt: skip
#: Fields that GELF's senders put an underscore before, and which are few enough to be known by it.
_UNDERSCORED = frozenset(
    (
        "model", "model_name", "model_version", "cache", "cache_status", "cache_result", "cache_hit", "cache_key",
        "result", "outcome", "hit", "event", "pod",
    )
)  # fmt: skip
#: What is asked and answered: there a version is that of the protocol.
_ASKED = ("request", "response", "req", "res")
_ASKED_THERE = frozenset(("model", "model_name", "model_version", "cache", "cache_status", "cache_hit", "cached"))
_SHORT = 3  # letters: shorter names mean something else in capitals


def _spelled(name: str) -> tuple[str, ...]:
    """Return a name in all spellings, itself first; names with dots or capitals have one."""
    if len(name) < _SHORT or not re.fullmatch("[a-z_-]+", name) or name.startswith("_"):
        return (name,)
    first, *others = words = re.split("[_-]", name)
    capitals = [word.capitalize() for word in words]
    camel = "".join([first, *capitals[1:]])
    return (name, camel, "".join(capitals), "-".join(words), "_".join(words).upper()) if others else (
        name, capitals[0], name.upper()
    )  # fmt: skip


def _container(name: str) -> tuple[str, ...]:
    """Return the ways in which an object of fields is called: as it is, in camelCase and in PascalCase."""
    *around, last = name.split(INTO)
    return tuple(INTO.join((*around, one)) for one in _spelled(last)[:3] if not one.isupper())


def _everywhere(names: tuple[str, ...]) -> tuple[str, ...]:
    """Return aliases in all spellings, then those within objects of fields."""
    marked = {name: (f"_{name}",) for name in _UNDERSCORED.intersection(names)}
    spelled = [one for name in names for one in (*_spelled(name), *marked.get(name, ()))]
    nested = [f"{outer}.{name}" for outer in _INSIDE for name in names if name in _THERE]
    inner = [one for name in names if name in _ALSO_THERE for one in _spelled(name)[:3]]
    below = [f"{outer}{INTO}{one}" for holder in _ALSO_INSIDE for outer in _container(holder) for one in inner]
    told = [one for name in names if name in _ASKED_THERE for one in _spelled(name)[:3]]
    asked = [f"{outer}{INTO}{one}" for outer in _ASKED for one in told]
    return tuple(dict.fromkeys((*spelled, *nested, *below, *asked)))


ALIASES: dict[str, tuple[str, ...]] = {field: _everywhere(names) for field, names in _ALIASES.items()}

#: What JSON loggers say of a line beside its message: the logger or the file that it is from, the thread (Ray Serve:
#: the function) that wrote it, and the part of the second that log4j's JsonLayout keeps apart from the seconds.
BESIDE: dict[str, tuple[str, ...]] = {
    "origin": ("loggerName", "logger_name", "log.logger", "logger", "caller", "filename"),
    "context": ("thread", "thread_name", "threadName", "process.thread.name", "task_func_name"),
    "nanos": ("instant.nanoOfSecond",),
}

#: Which alias gave the outcome tells which cache was asked.
_EDGES = (
    "upstream_cache_status", "CacheCacheStatus", "x_cache", "x-cache", "X-Cache", "xCache", "cf_cache_status",
    "cf-cache-status", "response_state", "fastly_info_state", "fastly_info.state", "x-edge-result-type",
    "x_edge_result_type", "properties.cacheStatus", "varnish_handling", "Varnish:handling", "handling",
    "cache-status", "Cache-Status", "resp_headers.Cache-Status", "resp_headers.X-Cache",
    "resp_headers.X-Cache-Status", "resp_headers.Cf-Cache-Status",
    "downstream_Cache-Status", "downstream_X-Cache", "downstream_X-Cache-Status", "ucs",
)  # fmt: skip
EDGE_ALIASES = tuple(dict.fromkeys(one for name in _EDGES for one in _spelled(name)))
