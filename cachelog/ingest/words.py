"""The vocabulary of caches and rollouts: what words of outcomes and phrases of events mean."""

from __future__ import annotations

from dataclasses import dataclass

from cachelog.contract.proxylines import PERHAPS_HIT, PERHAPS_MISS

#: Lookups of an application that names no model are kept under this name.
UNNAMED = "(unnamed)"

#: Words of caches in lower case; what they mean is in their manuals: nginx $upstream_cache_status, Squid LogTags and
#: wiki SquidFaq/SquidLogs, Traffic Server admin-guide/logging/cache-results, CloudFront x-edge-result-type, Cloudflare
#: cache responses, Fastly fastly_info.state, ProxySG s-action, Azure Front Door cacheStatus, RFC 9211 (Cache-Status).
_HIT = (
    "hit", "memory_hit", "tcp_hit", "tcp_mem_hit", "tcp_disk_hit", "tcp_ims_hit", "tcp_inm_hit", "tcp_negative_hit",
    "tcp_offline_hit", "tcp_rescan_hit", "tcp_cf_hit", "tcp_remote_hit", "remote_hit", "partial_hit", "originshieldhit",
    # asked the origin, which said that the copy is still good
    "refreshhit", "revalidated", "tcp_refresh_unmodified", "tcp_cf_refresh_unmodified", "tcp_refresh_hit",
)  # fmt: skip
#: The copy was too old and the origin sent another.
EXPIRED = ("expired", "tcp_refresh_modified", "tcp_cf_refresh_modified", "tcp_refresh_miss", "tcp_expired_miss")
_MISS = (
    "miss", "missed", "tcp_miss", "tcp_partial_miss", "tcp_cf_miss", "tcp_ims_miss", "tcp_swapfail_miss",
    "tcp_swapfail", "hitmiss", "not_found_in_cache",
)  # fmt: skip
#: Served although too old: the origin did not answer, or is being asked meanwhile.
_STALE = (
    "stale", "updating", "hit-stale", "stale_hit", "tcp_stale_hit", "tcp_async_hit", "tcp_refresh_fail_old",
    "tcp_refresh_fail_hit", "tcp_ref_fail_hit",
)  # fmt: skip
_BYPASS = ("bypass", "bypassed", "uncacheable", "no-cache")
_EDGE_BYPASS = (
    "pass", "hitpass", "pipe", "dynamic", "none", "ignored", "private_nostore", "cache_noconfig", "config_nocache",
    "tcp_tunnel", "tcp_nc_miss", "tcp_client_refresh_miss", "tcp_client_refresh",
)  # fmt: skip
_EDGE_ERROR = (
    "error", "limitexceeded", "capacityexceeded", "tcp_refresh_fail_err", "tcp_refresh_fail", "err_connect_fail",
    "err_dns_fail", "err_read_timeout", "err_read_error", "err_client_abort", "err_client_read_error",
    "err_unknown",
)  # fmt: skip
OUTCOME_WORDS: dict[str, str] = (
    dict.fromkeys(_HIT, "hit")
    | dict.fromkeys((*_MISS, *EXPIRED), "miss")
    | dict.fromkeys(_STALE, "stale")
    | dict.fromkeys(_BYPASS, "bypass")
)
EDGE_WORDS = (
    OUTCOME_WORDS
    | dict.fromkeys(_EDGE_BYPASS, "bypass")
    | dict.fromkeys(_EDGE_ERROR, "error")
    | {PERHAPS_HIT: "hit", PERHAPS_MISS: "miss"}
)
#: Why a cache forwarded a request (RFC 9211, fwd=): the same in the words above.
FORWARDED = {
    "miss": "miss", "uri-miss": "miss", "vary-miss": "miss", "partial": "miss", "stale": "expired",
    "bypass": "bypass", "method": "bypass", "request": "bypass",
}  # fmt: skip
FLAGS = {"true": "hit", "1": "hit", "yes": "hit", "false": "miss", "0": "miss", "no": "miss"}
#: The same of a flag that says that it was a miss.
MISS_FLAGS = {word: "miss" if said == "hit" else "hit" for word, said in FLAGS.items()}

#: What words of home-grown outcomes probably mean: proposed to the user, never read so.
_LIKE_HIT = (
    "warm", "found", "fresh", "cached", "local", "memory", "present", "served", "reuse", "reused", "ram", "yes", "y",
    "from store", "from memory",
)  # fmt: skip
_LIKE_MISS = (
    "cold", "absent", "notfound", "not_found", "fetch", "fetched", "origin", "remote", "compute", "computed",
    "recomputed", "load", "loaded", "empty", "new", "none", "missing", "fault", "backend", "disk", "built", "no", "n",
)  # fmt: skip
_LIKE_OTHERS = {"old": "expired", "outdated": "expired", "skip": "bypass", "skipped": "bypass", "fail": "error"}
GUESSES: dict[str, str] = dict.fromkeys(_LIKE_HIT, "hit") | dict.fromkeys(_LIKE_MISS, "miss") | _LIKE_OTHERS


@dataclass(frozen=True)
class Phrase:
    """Texts that match `yes` and not `unless` mean `op`; `outcome` is set for lookups."""

    op: str
    yes: str
    unless: str | None = None
    outcome: str | None = None


_FAILED = r"fail(?:ed|ure|s|ing)?|error(?:ed)?|unable|could ?n.t|cannot|can.t|abort(?:ed)?"
_DONE = r"complete[d]?|success\w*|succeeded|finished|done|ok"
#: Figures about a cache are no lookups.
_RATES = r"\b(?:hit|miss)(?:s|es)? ?(?:rate|ratio|count|percent\w*|total|stat\w*)\b|\b(?:hits|misses) ?[=:]"
#: Caches of downloads are no caches of answers.
_FILES = rf"{_RATES}|\b(?:dir|directory|folder|path|files?|weights|checkpoints?|tokenizers?|datasets?|download\w*)\b"
#: The first phrase that fits wins. Texts are lower case, with _ - . / turned to blanks.
PHRASES = (
    Phrase(
        "lookup", r"\bcache:? (?:lookup )?hit\b|\bhit (?:in|from) (?:\w+ )?cache\b|^(?:lookup )?hit$", _RATES, "hit"
    ),
    Phrase(
        "lookup",
        r"\bcache:? (?:lookup )?miss(?:ed)?\b|\bmiss(?:ed)? (?:in|on) (?:\w+ )?cache\b|^(?:lookup )?miss$",
        _RATES,
        "miss",
    ),
    *(
        Phrase(
            "lookup",
            rf"\bcache lookup\b.{{0,120}}[>:=] ?{word}\b|\blookup {word}\b|^{word} \S+[@:]v?[0-9]",
            _RATES,
            outcome,
        )
        for word, outcome in (("hit", "hit"), ("miss(?:ed)?", "miss"))
    ),
    # Spring's cache abstraction and hand-written caches: "Cache entry for key 'a' found in cache 'models'"
    Phrase("lookup", r"\b(?:no cache entry for|not (?:found |present )?in (?:the )?(?:\w+ )?cache)\b", _FILES, "miss"),
    Phrase(
        "lookup",
        r"\bfound in (?:the )?(?:\w+ )?cache\b|\b(?:serv|answer|return)(?:ed|ing) from (?:the )?(?:\w+ )?cache\b",
        rf"{_FILES}|\bno\b",
        "hit",
    ),
    Phrase("lookup", r"\bcache (?:lookup )?stale\b|\bserv(?:ed|ing) stale\b", None, "stale"),
    Phrase("lookup", r"\bcache (?:lookup )?bypass(?:ed)?\b", None, "bypass"),
    Phrase("lookup", r"\bcache (?:lookup )?error\b|\bcache lookup failed\b", None, "error"),
    Phrase("rollout", r"\broll(?:ed|ing)? ?back\b|\breverted?\b", r"transaction"),
    Phrase(
        "rollout",
        r"\broll(?:ed|ing)? ?out\b|\bdeploy(?:ed|ing|ment)?\b|\bpromot(?:e|ed|ion|ing)\b|\bregistry\b|"
        r"\b(?:default|current|active|target) version\b|\bversion (?:changed?|switch(?:ed)?|update[d]?)\b",
        rf"\b(?:{_FAILED})\b(?: to)? (?:re)?load\b",
    ),
    Phrase(
        "load_fail",
        rf"\b(?:{_FAILED})\b.{{0,40}}\b(?:re)?load(?:ing)?\b|\b(?:re)?load(?:ing)?\b.{{0,40}}\b(?:{_FAILED})\b",
    ),
    Phrase("unload", r"\bunload(?:ed|ing)?\b|\bmodel (?:removed|dropped|unregistered|deregistered)\b"),
    Phrase(
        "load",
        rf"\b(?:re)?loaded\b|\b(?:re)?load(?:ing)? (?:\w+ )?(?:{_DONE})\b|^(?:model )?(?:re)?load(?: model)?$|"
        rf"\b(?:{_DONE}) (?:re)?loading\b|\bnow serving\b|"
        r"\bmodel (?:\S+ )?ready\b|\bmodel (?:\S+ ){0,6}is ready\b",
        r"\bnot ready\b",
    ),
    Phrase(
        "load_start",
        r"\b(?:re)?loading\b|\bload (?:start(?:ed|ing)?|begin|began|requested)\b|\bstart(?:ing|ed)? (?:to )?load\b",
    ),
    Phrase("evict", r"\bevict(?:ed|ing|ion)?\b"),
    Phrase("expire", r"\b(?:cache|entry|key|item)\b.*\bexpire[ds]?\b|\bexpired? (?:cache|entry|key|item)\b"),
    Phrase(
        "flush",
        r"\b(?:flush(?:ed)?|purged?|invalidated?|invalidation|cleared?)\b.*\bcache\b|\bcache\b.*\b(?:flush(?:ed)?|purged?|invalidated?|cleared?)\b",
    ),
    Phrase(
        "restart",
        r"^(?:re)?start(?:ing|ed|up)?$|^boot(?:ing|ed)?\b|^(?:\w+ ){0,2}(?:re)?start(?:ing|ed|up)\b|"
        r"\bstarted server process\b|"
        r"\b(?:server|service|process|replica|pod|app|application) (?:re)?start(?:ing|ed|up|s)?\b",
        rf"\b(?:{_DONE}|waiting|ready|after|request|job|task|thread|worker|session|span|timer|probe|upload|download|"
        r"batch|loop|pool|monitor\w*|initiali[sz]\w*|endpoint|background|maintenance|listener|exporter|telemetry|metrics|"
        r"scheduler|consumer|watcher|clean\w*|refresh\w*|sync\w*|health\w*|certificates?)\b",
    ),
)
