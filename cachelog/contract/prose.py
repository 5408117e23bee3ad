"""Model and version out of sentences: "Loaded model fraud version v41 from s3://x", "churn current version v9 -> v10".

Only words that name a model beyond doubt are taken: beside `model`, before `version`, or quoted behind what is done to
models. A word that names no model ("cache version 3", "loading configuration") is none.
"""

from __future__ import annotations

import polars as pl

_QUOTE = "['\"`]?"
_NAME = r"([A-Za-z0-9_](?:[A-Za-z0-9_./+-]*[A-Za-z0-9_])?)"
_PLAIN = r"([A-Za-z0-9_](?:[A-Za-z0-9_.+-]*[A-Za-z0-9_])?)"  # no path
_NUMBER = r"[vV]?[0-9](?:[A-Za-z0-9_.+-]*[A-Za-z0-9_])?"  # what must look like a version to be one
_TOKEN = r"[A-Za-z0-9_](?:[A-Za-z0-9_.+-]*[A-Za-z0-9_])?"  # what stands behind the word itself
_WORD = r"(?:(?:current|active|default|target|desired|new|latest) )?(?:version|ver\.?|revision)"
_DONE = (
    r"(?:(?:un|re)?load(?:ed|ing)?|evict(?:ed|ing)?|promot(?:ed|ing)|deploy(?:ed|ing)|revert(?:ed|ing)|"
    r"roll(?:ed|ing)[ -]?(?:back|out|forward)|activat(?:ed|ing)|register(?:ed|ing)|serv(?:ed|ing)|for)"
)
#: What was looked up stands right behind what came of it: "[CACHE HIT] fraud v41", "cache lookup fraud:41 -> miss".
_FOUND = r"(?:hit|miss|missed|stale|lookup)[\])]?"
_OF = rf"(?:(?:{_DONE}|{_FOUND}|models?|servables?)[ :=]+(?:the )?(?:models? |servables? )?)"
_ARROW = r"['\"`]? ?(?:->|=>|→|to) ?(?:version )?['\"`]?"

#: Best first; what is no name is skipped, and the next one tried.
_MODELS = (
    rf"(?i)\b(?:model|servable)s?(?: name| id)?[ :=]+['\"`]{_NAME}['\"`]",
    rf"(?i)\b{_OF}{_QUOTE}{_NAME}{_QUOTE}[@:]{_NUMBER}",
    rf"(?i)(?:^|[ ('\"`]){_NAME}{_QUOTE},? \(?{_WORD}[ :=#]",
    rf"(?i)\b{_OF}{_QUOTE}{_NAME}{_QUOTE} \(?v[0-9]",
    rf"(?i)\b{_OF}{_QUOTE}{_NAME}{_QUOTE} (?:from {_NUMBER} )?to (?:version )?{_NUMBER}",
    rf"(?i)\b{_WORD} {_QUOTE}{_NUMBER}{_QUOTE} of (?:model |servable )?{_QUOTE}{_NAME}",
    rf"(?i)^{_QUOTE}{_PLAIN}{_QUOTE}[@:]{_NUMBER} (?:\w+ )?(?:served|answered|returned|found|not|hit|miss|cache)\b",
    rf"(?i)^{_QUOTE}{_PLAIN}{_QUOTE} v[0-9][\w.]*: ",
    rf"(?i)\b(?:{_DONE} (?:the )?model|(?:hit|miss|stale):) {_QUOTE}{_PLAIN}/{_NUMBER}(?:[\s,;)'\"]|$)",
    rf"(?i)\b(?:model|servable)[ :=]+{_QUOTE}{_NAME}",
    rf"(?i)\b{_DONE}[ :=]+['\"`]{_NAME}['\"`]",
)
_VERSIONS = (
    rf"(?i)\b(?:version|ver\.?|revision)[ :=#]+['\"`(]?({_TOKEN})",
    rf"(?i)\b{_OF}{_QUOTE}[A-Za-z0-9_./+-]+{_QUOTE}[@:]({_NUMBER})",
    rf"(?i)^{_QUOTE}{_TOKEN}{_QUOTE}[@:]({_NUMBER}) (?:\w+ )?(?:served|answered|returned|found|not|hit|miss|cache)\b",
    rf"(?i)\b(?:{_DONE} (?:the )?model|(?:hit|miss|stale):) {_QUOTE}{_TOKEN}/({_NUMBER})(?:[\s,;)'\"]|$)",
    r"(?:^|[ (@:'\"`])(v[0-9](?:[A-Za-z0-9_.+-]*[A-Za-z0-9_])?)(?:$|[ ),;:.'\"`])",
)
_TO = rf"(?i)\b(?:to|->|=>|→) ?(?:version )?['\"`]?({_NUMBER})|{_NUMBER}{_ARROW}({_NUMBER})"

_NO_MODELS = (
    "model", "models", "servable", "servables", "cache", "caches", "version", "versions", "revision", "the", "a",
    "an", "is", "was", "are", "were", "has", "have", "had", "not", "no", "none", "for", "from", "in", "on", "at",
    "to", "into", "with", "without", "of", "by", "and", "or", "as", "if", "when", "while", "because", "due", "it",
    "this", "that", "all", "any", "every", "each", "some", "other", "current", "active", "default", "target",
    "desired", "new", "old", "latest", "previous", "next", "same", "wrong", "unknown", "missing", "registry",
    "repository", "repo", "server", "service", "store", "storage", "manager", "loader", "handler", "controller",
    "config", "configuration", "settings", "schema", "api", "app", "application", "program", "python", "java",
    "user", "session", "item", "product", "customer", "order", "account", "query", "prompt", "embedding", "feature",
    "document", "localhost", "port", "line", "step", "epoch", "batch", "out", "node", "go", "rust", "protocol",
    "plugin", "extension", "package", "library", "module", "driver", "runtime",
    "image", "chart", "database", "db", "table", "index", "redis", "cuda", "client", "request", "requests",
    "response", "replica", "pod", "host", "process", "worker", "thread", "weights", "artifact", "artifacts",
    "checkpoint", "file", "files", "path", "directory", "folder", "name", "id", "key", "entry", "entries", "item",
    "items", "value", "hash", "load", "loads", "loaded", "loading", "unload", "unloaded", "unloading", "reload",
    "reloaded", "failed", "fails", "failure", "error", "errors", "success", "successful", "successfully", "miss",
    "misses", "missed", "hit", "hits", "stale", "bypass", "evicted", "eviction", "expired", "deployed", "promoted",
    "started", "starting", "stopped", "ready", "done", "ok", "memory", "disk", "gpu", "cpu", "http", "https",
)  # fmt: skip


def is_no_model(name: pl.Expr) -> pl.Expr:
    """Return whether a word stands where a name would, and is none."""
    return name.str.to_lowercase().is_in(list(_NO_MODELS))


def model(text: pl.Expr) -> pl.Expr:
    """Return the model that a sentence names, null where it names none."""
    names = [text.str.extract(pattern, 1) for pattern in _MODELS]
    return pl.coalesce(pl.when(~is_no_model(name)).then(name) for name in names)


def version(text: pl.Expr) -> pl.Expr:
    """Return the version that a sentence names, null where it names none; of two the first."""
    said = [text.str.extract(pattern, 1) for pattern in _VERSIONS]
    words = [pl.when(value.str.contains("[0-9]") | (value.str.len_bytes() > 6)).then(value) for value in said]
    return pl.coalesce(words)


def to_version(text: pl.Expr) -> pl.Expr:
    """Return the version that a sentence says is gone to: "to v42", "v41 -> v42"."""
    return pl.coalesce(text.str.extract(_TO, 1), text.str.extract(_TO, 2))
