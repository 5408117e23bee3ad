"""Hypothesis looks at the same examples in every run: what passes here passes in CI."""

from __future__ import annotations

import os
import tempfile

from hypothesis import settings

settings.register_profile("same", derandomize=True, deadline=None)
settings.load_profile("same")

# no test finds what another run of the tests, or the developer, has read before
os.environ["XDG_CACHE_HOME"] = tempfile.mkdtemp(prefix="cachelog-tests-")
