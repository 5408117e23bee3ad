"""The machine, the date and the commit that figures are of."""

from __future__ import annotations

import os
import platform
import subprocess
import time
from pathlib import Path


def line() -> str:
    """Return them as a sentence."""
    root = Path(__file__).parent.parent
    told = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], cwd=root, capture_output=True, text=True, check=False
    )
    day = time.strftime("%Y-%m-%d", time.gmtime())
    return f"{day}, commit {told.stdout.strip() or 'unknown'}, {platform.machine()}, {os.cpu_count()} cores.\n"
