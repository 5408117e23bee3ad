"""Every threshold of every rule: its unit and why it has this value.

Sections belong to rules. A number in a rule's code that is no entry here is a bug.
"""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Limits:
    """All thresholds; seconds unless the name says otherwise."""

    # -- ingest -------------------------------------------------------------------------------
    block_bytes: int = 16 << 20  # one parse unit: big enough to amortise, small enough to bound memory (PERF §5)
    held_events: int = 3_000_000  # lookups held in memory, 45 bytes each; more go to disk
    sought_bytes: int = 16 << 20  # smaller files are read as fast as searched for the time asked for
    disorder_s: float = 60.0  # lines out of order by no more are found by that search (PERF §3)
    fed_bytes: int = 1 << 30  # of standard input that is watched: kept on disk, so that its lines can be cited
    cached_bytes: int = 4 << 20  # smaller inputs are read again as fast as they are found
    cache_bytes: int = 2 << 30  # of all that is kept between runs
    shown_bytes: int = 256 << 20  # of logs that `show` reads again of itself: two seconds or so
    line_bytes: int = 8 << 20  # a longer line is counted as bad: no log line is that long, a JSON bomb is
    unpacked_bytes: int = 1 << 30  # a packed file may grow to so much in any case
    unpacked_ratio: int = 1_000  # ... and to so many times its size: logs shrink to a 70th at best, zeros to a 1,030th
    inner_bytes: int = 2 << 30  # an archive in an archive is copied, to be sought in; a bigger one is refused
    members: int = 100_000  # of an archive: a list of more is no set of logs

    # -- lines that are told twice ------------------------------------------------------------
    double_sample: int = 50_000  # events looked at, besides ...
    double_ends: int = 50_000  # ... the first and last ones of inputs, which show short overlaps
    double_fine_us: int = 10_000  # instants that are not whole hundredths of a second: equal ones are rare
    double_keyed: float = 0.15  # weight of a coarser instant with a key or a duration; of a fine one it is 1
    double_bare: float = 0.03  # ... without: replicas that do the same in the same second are common
    double_proof: float = 3.0  # sum of weights: less may be chance
    double_far: int = 10  # lines from one that is told again to it, at least: a piece of a log, not a busy key
    double_share: float = 0.9  # of what the smaller input says where both overlap; by chance a quarter at most
    double_coarse: float = 0.98  # likewise where whole seconds are all there is: mirrored traffic comes near
    double_same: float = 0.7  # of what the bigger one says: it is the same log, not one of several in it
    double_copies: int = 16  # inputs that tell one line; more is a coarse clock

    # -- zones and years ----------------------------------------------------------------------
    zone_step_s: float = 900.0  # zones differ by whole quarters of an hour
    zone_early_s: float = 1.0  # an envelope is not written before its line, but its time may be cut to whole seconds
    zone_late_s: float = 30.0  # collectors take seconds; with more a wrong quarter of an hour gets near
    zone_share: float = 0.9  # of the lines looked at agree on one zone
    zone_lines: int = 3  # ... and are so many at least: one may agree by chance (31 of 900)
    year_slack_s: float = 86_400.0  # inputs of one set overlap, or nearly
    midnight_fall_s: float = 21_600.0  # by more the time of day falls at midnight alone; lines are late by less

    # -- what logs cannot tell ----------------------------------------------------------------
    level_lines: int = 20  # among the first ones that bear a level: by chance not all are warnings
    level_events: float = 0.1  # of the lines: with more, lookups are logged as they are

    declared_s: float = 60.0  # a reload of the configuration, a poll of the files (1 s, unless told), then the load
    # -- counters (log likelihood ratios, cumulative against per interval) ---------------------
    counter_prior: float = 1.39  # ln 4: of the formats known (Caffeine, functools, vLLM, Go caches) 4 in 5 go on
    counter_rise: float = 0.85  # ln(0.94/0.40) a step where no figure falls: always, but for restarts; or by chance
    counter_fall: float = -2.08  # ln(0.05/0.40) a step where no figure rises: a restart; or less traffic
    counter_mixed: float = -2.30  # ln(0.02/0.20) hits fall and misses rise, or the reverse: a restart that ran long

    # -- what the platform says beside the logs -------------------------------------------------
    deploy_s: float = 900.0  # a deploy may be behind what begins so long after it: images are pulled, pods replaced
    deploy_late_s: float = 60.0  # ... or so shortly before: clocks differ, and some tell of a deploy at its end

    # -- charts of the HTML report -------------------------------------------------------------
    chart_findings: int = 24  # findings with a picture: about 40 kB each, 2 MB with the rest of the page at most
    chart_points: int = 300  # windows of a chart: a screen has about three pixels for each
    chart_rows: int = 24  # windows of the table behind it, and the fewest that still show a course
    chart_window_lookups: float = 60.0  # of a line, in a window: at a miss rate of 20 % the interval is +-10 points
    chart_around_s: float = 900.0  # at least so much is shown before and after a finding
    chart_replicas: int = 40  # lanes; the others are summed
    chart_bands: int = 400  # of all lanes: a fleet that flaps has thousands, too narrow to be seen
    chart_marks: int = 240  # events drawn, evenly chosen where there are more

    # -- versions -----------------------------------------------------------------------------
    skew_s: float = 30.0  # runs shorter than this are clock skew or overlap of a rollout (METHODS §4)
    dwell_s: float = 60.0  # the newer version must have held this long to be certain
    in_flight_s: float = 2.0  # so long after a switch, requests that began before it are answered by the version before
    hold_s: float = 300.0  # the older version must have held this long to be certain
    episode_gap_s: float = 1800.0  # regressions of one model closer than this are one episode
    announced_s: float = 1800.0  # a rollout line explains what replicas do up to this long after it
    clock_slack_s: float = 60.0  # and this long before it: clocks of controller and replica differ
    fleet_share: float = 0.9  # of the replicas that had the newer version: they all went back (METHODS §4)
    canary_share: float = 0.25  # of the fleet at most had the newer version: it was a canary
    restart_before_s: float = 300.0  # a restart this long before an older load is part of its story
    flap_changes: int = 4  # changes of level within flap_s on one replica (METHODS §4)
    flap_s: float = 3600.0
    stale_critical: float = 0.10  # share of a model's lookups answered by the older version (METHODS §7)
    stale_high: int = 1000  # lookups answered by the older version

    traced: int = 3  # regressions whose patient zero is looked for: the worst
    traced_replicas: int = 3  # of those that went back, and of those that did not
    traced_lines: int = 40  # before the load: a start of a server logs about so many

    # -- stuck-rollout, version-skew ----------------------------------------------------------
    rollout_grace_s: float = (
        600.0  # a rollout that goes on takes up its next replica sooner (unless its pauses say more)
    )
    rollout_pauses: float = 3.0  # times its own longest pause between two replicas (METHODS §4: times its span)
    rollout_sure_s: float = 1800.0  # METHODS §4's fixed grace: from then on it is certain
    rollout_stall: float = 4.0  # times its longest pause otherwise: it stood still, though it went on
    canary_fleet: int = 3  # in a fleet of so many, one replica is no canary but a third of it
    arms_s: float = 7200.0  # two versions for so long, each on half of the fleet or so, are meant (METHODS §4)

    # -- log-gap ------------------------------------------------------------------------------
    gap_s: float = 60.0  # a shorter silence loses little, and pauses of a process take as long
    gap_lines: float = 30.0  # lines expected in it: that there is none is by chance e^-30
    gap_peers: float = 0.2  # of the others' usual lines: with fewer it is the fleet that is silent
    gap_z: float = 4.0  # standard deviations between lost lines and lost traffic, to tell one from the other
    gap_habit: int = 2  # more such silences of one replica, or of the fleet, are how it works
    gap_edge_s: float = 120.0  # a restart, load or unload so near to it explains it
    gap_medium_s: float = 300.0  # longer ones can hide a whole incident

    # -- mutable-version ----------------------------------------------------------------------
    digests_most: int = 4  # of a version; more are digests of requests, of entries or of files
    digests_lookups: int = 20  # of a digest on a replica: fewer are an odd line

    # -- stale-serve --------------------------------------------------------------------------
    stale_grace_s: float = (
        60.0  # after a load, lookups under way and late lines may show the older version (METHODS §4)
    )
    stale_lookups: int = 30  # by the older version, or of stale entries; fewer are odd lines
    stale_alone: float = 0.05  # of them at most the newer version answers meanwhile: next to none
    stale_expected: float = 10.0  # misses that they should have had: by chance none once in 20,000
    stale_share: float = 0.01  # of the lookups: fewer stale entries are not worth a word
    stale_much: float = 0.2  # of the lookups of a minute
    stale_times: float = 3.0  # times the share in the rest of the log

    # -- clock-skew ---------------------------------------------------------------------------
    clock_off_s: float = 20.0  # clocks that are kept in time differ by far less; shipping of lines takes seconds
    clock_peers: int = 3  # of two replicas nobody can tell which is off
    clock_blocks: int = 8  # groups of neighbouring lines: fewer may be one late batch
    clock_lines: int = 50  # lookups of a replica: its first and last tell when its log begins and ends
    clock_slack_ends_s: float = 3.0  # logs that are cut together begin and end together up to this, and ...
    clock_pauses: float = 6.0  # ... so many of its mean pauses between lines: by chance e^-6
    clock_rollouts: int = 2  # by one alone, it was just earlier
    clock_step_s: float = 600.0  # files put together in the wrong order go back by more
    clock_slack_zone_s: float = 300.0  # a third of a quarter of an hour: three signs so near to one zone mean it
    clock_zone_s: float = 1740.0  # half an hour, nearly: the smallest difference of time zones there is

    # -- load-failure, replica-restart --------------------------------------------------------
    restarts: int = 3  # within restart_s: a rollout restarts a replica once, an operator perhaps twice
    restart_s: float = 3600.0
    restart_burst_s: float = 10.0  # starts closer than this are the worker processes of one start
    restarts_high: int = 6  # within restart_s: a crash loop at the longest back-off of Kubernetes (5 min) gives 12

    # -- miss-rate-shift ----------------------------------------------------------------------
    shift_windows: int = 2_000  # windows a series at most (METHODS §1.1): longer ones get wider windows
    shift_window_lookups: float = 5.0  # median expected lookups a window: below, windows are mostly 0 or 1 miss
    shift_lookups: int = 200  # in the whole series; below it no shift of any size could be shown
    shift_misses: int = 10  # likewise
    shift_cusum: float = 3.0  # times ln(windows): threshold of a proposal; tuned on simulated series (METHODS §1.3)
    shift_p: float = 1e-3  # of a single step, as a scanned maximum (METHODS §1.4)
    shift_fdr: float = 0.01  # share of false ones among all steps told
    shift_odds: float = 1.25  # odds ratio: smaller steps are real in big logs, and nobody's concern
    shift_rate: float = 0.005  # difference of the rates, likewise
    shift_parts: int = 8  # groups of replicas of a model that are looked at by themselves; more are a storm of loads
    shift_transient_s: float = 900.0  # a change that is over within this is an episode of its own, lower class
    shift_pending_s: float = 300.0  # a rise that began so shortly before the end may be over before anybody looks
    shift_sure: float = 1e-6  # adjusted p from which on a step is beyond doubt
    shift_noisy: float = 3.0  # dispersion phi beyond which a series is too wild to be sure of
    shift_known: float = 0.25  # lookups before, as a share of those after: under it the old level may be a passing low
    shift_same_s: float = 300.0  # onsets of models within this, beside their intervals, are one
    shift_fleet: float = 0.3  # share of the other models that shift too: it is the fleet (METHODS §7)
    parts_rows: int = 200_000  # lookups of a model whose keys are told apart in a change: 60 ms
    foreign_rows: int = 20_000  # lookups of a model by which keys are judged
    foreign_lookups: int = 200  # late ones with a new key, and with a known one: below, keys are believed
    foreign_misses: float = 1.5  # new keys that miss at most so many times as often as known ones are none of the cache
    foreign_hits: float = 0.5  # ... and hit at least so many times as often
    foreign_unseen: float = 0.1  # where hardly a key comes twice, hits of so many new keys are proof enough
    stray_events: int = 500  # of fewer nobody can say which time is strange
    stray_share: float = 0.001  # of the events at each end may be strays
    stray_least_s: float = 86_400.0  # nearer to the others none is
    stray_times: int = 10  # ... nor within so many times the length of the period
    ages_rows: int = 100_000  # lookups of a model whose keys are followed; more are sampled by key
    ages_keyed: float = 0.8  # share of lookups that must have a key
    ages_share: float = 0.5  # of the excess: so much is most of it
    slope_min_s: float = 6 * 3600  # over such a span the slope of a day would pass for a step (measured)
    season_min_s: float = 1.5 * 86_400  # a span under this cannot tell a day's rhythm from a step
    week_min_s: float = 14 * 86_400  # two of each weekday
    shift_apart: float = 2.0  # times the shortest segment lie between steps; 1 where a rise is known to pass soon
    shift_left: float = 0.0  # of a change may be left when it is over

    # -- rises of an hour in logs of days -----------------------------------------------------
    passing_z: float = (
        5.0  # standard deviations of such stretches of a model: by chance in one of a thousand months of a model
    )
    passing_cells: int = (
        4_000_000  # of a quarter of an hour, of all models: of more no closer look is taken (32 MB a sum)
    )
    passing_habit: int = 2  # more at the same time of day are a rhythm: a job of the night
    passing_looks: int = 6  # stretches that are looked at closely, the clearest: each takes as long as half a day
    passing_left: float = 0.5  # of a rise may be left when it has passed: the level of half a day wanders
    passing_around_s: float = 21_600.0  # on either side: long enough to know the level, and in windows of a minute

    # -- eviction-thrash, ttl-churn, new-keys -------------------------------------------------
    cause_share: float = 0.5  # of the extra misses of a rise have this cause: it is most of it
    ttl_shorter: float = 0.8  # of what it was: a time to live jitters by less
    stands_known: float = 0.5  # share of the lookups that miss for one cause all the time: worth a word
    stands_medium: float = 0.7  # the cache does not work

    # -- stampede -----------------------------------------------------------------------------
    herd_misses: int = 5  # of one key while the first of them is being filled: two or three meet by chance
    herd_everywhere: int = 10  # of one key at so many caches at once, where each has to fill its own
    herd_share: float = 0.1  # of the misses of a model: fewer are no load worth a word
    herd_medium: float = 0.2

    # -- load-churn, load-slow ----------------------------------------------------------------
    churn_cycles: int = 3  # load, drop, load of one version on one replica (METHODS §4)
    churn_s: float = 600.0  # ... within this
    churn_gap_s: float = 60.0  # median time from drop to load: it was dropped although it was needed (METHODS §4)
    churn_medium: int = 20  # cycles: loads take seconds each, requests wait
    slow_ratio: float = 3.0  # of the medians: disks and networks vary by less
    slow_s: float = 2.0  # difference of the medians
    slow_loads: int = 3  # on either side
    slow_orders: int = 50  # in so many orders of the loads at least the later ones would not all be the longer ones
    slow_p: float = 1e-3  # of the rank sum, times the places where the step may be
    slow_medium_s: float = 10.0  # longer each: a rollout over a fleet takes minutes more

    # -- cold-start ---------------------------------------------------------------------------
    wave_gap_s: float = 300.0  # loads and restarts of one model closer than this are one rollout
    settle_max_s: float = 1800.0  # a cold start takes no longer (METHODS §1.5: 1.5 times its decay time)
    settle_look_s: float = 60.0  # rates are compared over so much time at least
    settle_lookups: int = 50  # ... and over so many lookups
    settle_level_lookups: int = 100  # a level known from fewer is not known
    settle_lookback_s: float = 1800.0  # the level before: recent enough not to hold another hour's traffic
    settle_echo_s: float = 7200.0  # entries filled together expire together; seen for two lifetimes of an hour
    cold_misses: int = 10  # fewer extra misses are no cold start worth a word
    cold_cut: float = 0.5  # share of the loads and restarts after which the next came before it had settled: a loop
    cold_z: float = 3.0  # standard deviations of the excess: chance does not do that
    settle_z: float = 1.64  # standard deviations above the level that still pass for it

    # -- causes of misses ---------------------------------------------------------------------
    causes_rows: int = 20_000_000  # lookups whose causes are found exactly; of more, a sample of keys is followed
    causes_batch: int = 500_000  # lookups looked at together, two batches at a time: 150 bytes each
    causes_sample: int = 100_000  # lookups of a model and cache from which lifetimes are read
    fill_s: float = 1.0  # how long a fill takes where misses have no latency (METHODS §5)
    fill_share: float = (
        0.95  # of the fills of a model are over within what is taken for the time of a fill (METHODS §5)
    )
    error_s: float = 1.0  # a miss so near to a failed load is part of it (METHODS §5)
    warm_reuses: float = 3.0  # times the median time until a key is asked for again: then most keys have been seen
    warm_unseen: float = 0.1  # of the lookups ask for keys never seen, or fewer: most keys are known by then
    warm_share: float = 0.5  # of the period at most
    flush_alive: float = 0.1  # share of the entries asked for again after a flush that were there: clocks are not exact
    flush_entries: int = 20  # entries asked for again that must be gone to call it a flush without a line
    scope_rows: int = 20_000  # lookups of a model and cache from which its scope is read
    scope_pairs: int = 30  # lookups right after a miss elsewhere that show whether replicas share a cache
    lifetime_lookups: int = 200  # from fewer no lifetime is read
    lifetime_misses: int = 20  # on either side of the edge
    lifetime_price: float = 0.02  # of the misses: a stretch of its own must explain so many more
    lifetime_sharp: float = 1.1  # a time to live with jitter is sharp within so much (METHODS §5: bins 10 % wide)
    lifetime_blur: float = 1.5  # the age at which a cache of 25 entries evicts varies by 1/sqrt(25), twice
    lifetime_near: float = 1.5  # ages are near the edge within this factor
    ttl_older: float = 0.01  # of the lookups beyond a time to live are hits (METHODS §5)
    ttl_younger: float = 0.5  # of the lookups right before it are
    ttl_idle: float = 0.002  # errors of an edge in the time since the last lookup that is a time to live all the same
    lru_older: float = 0.05  # of the lookups beyond the age at which entries are evicted are hits
    lru_younger: float = 0.95  # of those well before it are

    # -- attribution --------------------------------------------------------------------------
    link_slack_s: float = 60.0  # clocks: a cause may seem to come this long after its effect (METHODS §6.3)
    link_before_s: float = 600.0  # decay of the belief in a cause that came earlier
    link_after_s: float = 60.0  # and in one that came later: causes do not follow effects
    link_other_model: float = 0.5  # prior of an event of another model on the same replicas
    link_unknown: float = 0.05  # prior of a cause that left no line
    link_score: float = 0.3  # fit of scope times fit of time: below it a cause is too far off to be named
    link_nearer: float = 0.8  # of the fit of what the keys show: so well must an event fit to be the reason behind it
    link_least: float = 0.5  # belief from which on a finding is told as the effect of another

    # -- check --------------------------------------------------------------------------------
    check_lookups: float = 30.0  # effective ones, on either side: fewer are never enough (METHODS §2)
    check_least: float = 0.002  # a smaller increase allowed is as good as none, and takes a million lookups to show
    check_error: float = 0.05  # of a verdict over all models: of failing, and of passing, what it should not
    check_grace_s: float = 60.0  # after a replica took the deploy up: what was under way, and clocks
    check_slice_s: float = 300.0  # counts are cut so finely to see how they vary (METHODS §2) ...
    check_slices: int = 12  # ... or finer, to have so many on the shorter side
    check_before_s: float = 3600.0  # of the time before is looked at, or ...
    check_before_times: float = 4.0  # ... so many times as long as after: what is longer ago is another traffic

    # -- severity by harm (METHODS §7) --------------------------------------------------------
    critical_rate: float = 0.20  # difference of miss rates on the affected replicas ...
    critical_share: float = 0.10  # ... which take at least so much of the model's lookups, and it goes on
    high_rate: float = 0.05  # difference of miss rates, or ...
    high_odds: float = 3.0  # ... odds ratio: tripled is bad at any level
    high_misses: float = 1_000  # extra misses, lower end of the 95 % interval
    medium_rate: float = 0.01
    medium_misses: float = 100

    # inspect: below this share of lines that are events it proposes maps; templates that are shown of an input
    inspect_read_share: float = 0.5
    inspect_templates: int = 20

    def for_memory(self, bytes_: int) -> Limits:
        """Return the limits with which reading stays within so much memory, as far as the logs' variety allows.

        The program and its libraries take about 200 MB, blocks that are read and parsed at once about ten times their
        size, and an event 45 bytes three times over while it is sorted for the disk. While causes of misses are looked
        for a lookup takes 300 bytes; of more lookups than that leaves room for, a sample of keys is followed.
        """
        block = self.block_bytes if bytes_ >= 1 << 30 else self.block_bytes // 4
        room = bytes_ - (200 << 20) - 10 * block
        return replace(
            self,
            block_bytes=block,
            held_events=min(self.held_events, max(room // 135, 50_000)),
            causes_rows=min(self.causes_rows, max(room // 300, 50_000)),
            causes_batch=min(self.causes_batch, max(room // 1200, 50_000)),
        )

    def for_span(self, seconds: float) -> Limits:
        """Return the limits for a log of this length: in a log of two minutes 30 s are no mere overlap of a rollout.

        METHODS chose skew, dwell and hold on logs of many hours. They are capped at the 12th, 6th and 4th part of
        the log, so that an hour keeps them as they are; what holds only by the capped ones has less confidence.
        """
        return replace(
            self,
            skew_s=min(self.skew_s, seconds / 12),
            dwell_s=min(self.dwell_s, seconds / 6),
            hold_s=min(self.hold_s, seconds / 4),
            rollout_grace_s=min(self.rollout_grace_s, seconds / 6),
            gap_s=min(self.gap_s, seconds / 6),
            stale_grace_s=min(self.stale_grace_s, seconds / 12),
            shift_pending_s=min(self.shift_pending_s, seconds / 6),
            settle_look_s=min(self.settle_look_s, seconds / 12),
        )


DEFAULT = Limits()
