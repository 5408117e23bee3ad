"""The peer: the main question by hand in DuckDB, `python -m bench.duckdb_job LOG`.

One pass of the log into a table; lookups and misses per model, version, replica and minute; loads of an older version
after a newer one. Prints the sums that the run is checked by. No line numbers and no bad lines, which cost it more.
"""

from __future__ import annotations

import json
import sys

import duckdb

_READ = """create temp table events as select * from read_json('{path}', format='newline_delimited', ignore_errors=true,
  columns={{ts: 'TIMESTAMP', event: 'VARCHAR', pod: 'VARCHAR', model: 'VARCHAR', version: 'VARCHAR', cache: 'VARCHAR'}})
  where event in ('cache.lookup', 'model.load', 'cache.evict')"""
_COUNT = """create temp table counts as select model, pod, version, date_trunc('minute', ts) as minute,
  count(*) as lookups, count(*) filter (cache = 'miss') as misses
  from events where event = 'cache.lookup' group by all"""
_OLDER = """select count(*) from (select try_cast(version as bigint) as v, lag(try_cast(version as bigint))
  over (partition by model, pod order by ts) as before from events where event = 'model.load') where v < before"""


def main(path: str) -> None:
    """Print lookups, misses, rows of the table of counts, and loads of an older version."""
    base = duckdb.connect()
    base.execute("set threads = 2")
    base.execute("set preserve_insertion_order = false")
    base.execute(_READ.format(path=path.replace("'", "''")))
    base.execute(_COUNT)
    row = base.execute("select sum(lookups)::bigint, sum(misses)::bigint, count(*) from counts").fetchone()
    older = base.execute(_OLDER).fetchone()
    assert row is not None
    assert older is not None
    print(json.dumps({"lookups": row[0], "misses": row[1], "groups": row[2], "older": older[0]}))


if __name__ == "__main__":
    main(sys.argv[1])
