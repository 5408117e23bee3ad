"""What the figures of findings are: one phrase each, and of those that follow from others, how.

Names without a prefix are those of `numbers`; `impact.` is before those of `impact`. What is in `code` is a figure.
"""

from __future__ import annotations

from cachelog.render import text

MEANING: dict[str, str] = {
    "impact.lookups": "lookups in its scope and time",
    "impact.excess_misses": "misses beyond what was to be expected",
    "impact.excess_misses_low": "lower end of the 95 % interval",
    "impact.stale_served": "lookups answered by the wrong version",
    "impact.added_seconds": "time that callers waited longer, all together: extra misses times (mean miss - mean hit)",
    # versions
    "replicas_regressed": "replicas that went back to the older version",
    "replicas_that_had_newer": "replicas that had had the newer version by then",
    "replicas_active": "replicas with any sign of the model in these logs",
    "replicas_back": "replicas that went back",
    "replicas_behind": "replicas that have the older version still",
    "replicas_with_newer": "replicas that have the newer version",
    "replicas_with_older": "replicas that have the older version",
    "replicas_before": "replicas that took it up before the pause",
    "replicas_after": "replicas that took it up after the pause",
    "restarted_before": "of them, those that restarted within five minutes before",
    "recovered": "of them, those that had the newer version again before the logs end",
    "newer_held_seconds": "how long the newer version had been there, the longest",
    "older_held_seconds": "how long the older version stayed, the longest",
    "stale_served": "lookups that the older version answered",
    "stale_share": "stale_served / impact.lookups",
    "lookups_on_regressed": "lookups on these replicas since then, in whole windows",
    "lookups_of_older": "lookups that the older version answered",
    "rate_of_others_meanwhile": "miss rate of the other replicas in that time",
    "excess_misses": "misses - lookups x (rate_before + what the others' rate rose by)",
    "excess_misses_low": "lower end of its 95 % interval, of binomial counts",
    "holds_up_to_skew_seconds": "clocks may be off by so much, and it still holds",
    "order_within_a_file": "whether the order of lines in one file proves it, whatever the clocks",
    "announced": "whether a rollout line asks for it",
    "canary": "whether few replicas had the newer version and all of them went back",
    "changes": "changes of version on these replicas",
    "most_changes_of_a_replica": "of the replica with the most",
    "looks_like": "what speaks for intention",
    "split_seconds": "how long no replica changed by the end of the logs",
    "pause_seconds": "how long the rollout stood still",
    "rollout_seconds": "from the first replica that took it up to the last",
    "quiet_seconds": "since the last replica took it up",
    "grace_seconds": "how long a rollout of this pace may pause",
    "load_failures": "failed loads of the newer version on the replicas behind",
    "answered_by_newer": "lookups there that the newer version answered meanwhile",
    "replicas_stale": "replicas on which the older version goes on answering",
    "longest_seconds": "from the load of the newer version to the last answer of the older, the longest",
    "stale": "lookups that got an entry past its time",
    "lookups": "lookups in these logs",
    "digests": "different digests of the one label",
    "replicas_seen": "replicas that show one",
    "replicas_apart": "replicas whose digest at the end is not that of most",
    "lookups_of_those_apart": "lookups that these answered since the second digest was seen",
    # miss rates
    "rate_before": "miss rate before: misses / lookups",
    "rate_before_low": "lower end of its 95 % interval (Wilson)",
    "rate_before_high": "upper end",
    "lookups_before": "lookups before",
    "rate_after": "miss rate after: misses / lookups",
    "rate_after_low": "lower end of its 95 % interval (Wilson)",
    "rate_after_high": "upper end",
    "lookups_after": "lookups after",
    "misses_before": "misses of this cause before",
    "misses_after": "misses of this cause after",
    "rate_expected": "miss rate had the old level held",
    "difference": "rate_after - rate_expected",
    "difference_observed": "rate_after - rate_before = difference_within + difference_mix, exactly",
    "difference_within": "of it, because parts (replica, version, keys) have other rates than before",
    "difference_mix": "of it, because other parts are asked than before",
    "difference_mix_rest": "of the mix, what is of no dimension alone",
    "difference_low": "lower end of the 95 % interval of rate_after - rate_before (Newcombe)",
    "difference_high": "upper end",
    "odds_ratio": "odds of rate_after / odds of rate_expected",
    "p": "probability of a step so large anywhere in the series by chance",
    "p_adjusted": "the same for all models looked at (Benjamini-Hochberg)",
    "z": "size of the step in standard deviations",
    "phi": "how much more than binomially the counts vary",
    "rho": "how alike the lookups of a window are",
    "window_seconds": "width of the windows that lookups are counted in",
    "smallest_shift_visible": "a smaller shift could not be told in so few lookups",
    "scope": "who changed: some replicas, the whole model, or the fleet",
    "replicas_shifted": "replicas that changed",
    "share_of_lookups": "share of the model's lookups that went to them",
    "rate_before_there": "miss rate before, on them",
    "rate_after_there": "miss rate after, on them",
    "models_shifted_too": "other models that changed at the same time",
    "models_seen_beside": "other models in the same cache",
    "control_rate_before": "miss rate before of those that did not change",
    "control_rate_after": "miss rate after of those that did not change",
    "control_z": "how much more it changed than they, in standard deviations",
    "cold_start_misses": "misses of cold caches, beyond the level",
    "certain_share": "share of the extra misses that are neither first lookups nor old entries",
    "explained_share": "share of the extra misses that first lookups and old entries may explain",
    "flush_share": "share of all that became more that are misses of entries lost by a flush",
    "gradual": "whether a drift fits as well as a step",
    "seasonal_baseline": "whether the logs are long enough to know the rhythm of the day",
    # cold starts
    "replicas": "replicas that went cold",
    "events": "loads, restarts and flushes after which they were",
    "settled_seconds": "until the miss rate was level again",
    "seen_seconds": "how long the logs show them after it",
    "rate_first": "miss rate at first",
    "rate_first_low": "lower end of its 95 % interval (Wilson)",
    "rate_first_high": "upper end",
    "rate_later": "miss rate after it had settled",
    "rate_later_low": "lower end of its 95 % interval (Wilson)",
    "rate_later_high": "upper end",
    # causes of misses
    "share_of_extra_misses": "its part of all that became more",
    "misses": "misses in these logs",
    "misses_of_this_cause": "of them, those of this cause",
    "rate": "misses_of_this_cause / impact.lookups",
    "ttl_before_seconds": "age at which entries expired before",
    "ttl_after_seconds": "age at which entries expire since",
    "herds": "times that a key was missed again while it was being filled",
    "keys": "keys of which that is so",
    "misses_in_herds": "misses of these keys at these times",
    "largest_herd": "misses of the worst of them",
    "largest_herd_caches": "caches that missed it",
    "share_of_misses": "misses beyond the first of each / all misses",
    # loads, restarts, logs
    "cycles": "times that a version was dropped and loaded again; each is a load among these",
    "most_cycles_of_a_replica": "of the replica with the most",
    "median_gap_seconds": "from a drop to the load after it, in the median",
    "median_seconds_before": "how long a load took before, in the median",
    "median_seconds_after": "how long a load takes since, in the median",
    "loads_before": "loads before",
    "loads_after": "loads since",
    "failures": "failed loads",
    "replicas_failed": "replicas on which a load failed",
    "replicas_recovered": "of them, those on which a later one did not",
    "restarts": "starts of the process",
    "most_in_an_hour": "the most of them within an hour",
    "typical_gap_seconds": "from one start to the next, in the median",
    "gap_seconds": "how long no line was written",
    "lines_expected": "lines that it would have written",
    "lines_of_others": "lines that the others wrote meanwhile",
    "lines_of_others_expected": "lines that the others would have written",
    "models_changed_version": "models whose version changed meanwhile, unseen",
    "offset_seconds": "by how much the clock is ahead",
    "give_or_take_seconds": "how far off that may be",
}

PART = "difference_of_"  # a part of a change by replica, version or keys; these stand in a table of their own
_PREFIXES = {
    "extra_": "extra misses of this cause: after - before x lookups_after / lookups_before",
    "difference_mix_of_": "of the mix, because other ones of these are asked than before",
    PART: "its part of difference_observed",
}


def meaning(name: str) -> str:
    """Return what a figure is, "" where its name says it all."""
    known = MEANING.get(name)
    if known is None:
        known = next((said for prefix, said in _PREFIXES.items() if name.startswith(prefix)), "")
    return known


def words(name: str, value: float | int | str | bool | None, plain: str) -> str:
    """Return the figure in the unit that its name tells, where that is another than `plain`, and what it is."""
    unit = text.figure(name, value)
    return ": ".join(part for part in ("" if unit == plain else unit, meaning(name)) if part)
