"""The one part that pyproject.toml cannot say: the native code, which is left out where no compiler is there."""

import sys
from glob import glob

from setuptools import Extension, setup

FLAGS = ["/std:c++17", "/O2", "/EHsc"] if sys.platform == "win32" else ["-std=c++17", "-O3", "-fvisibility=hidden"]

#: Module -> its source. Where one is not built, Polars does the same.
NATIVE = {
    "cachelog.ingest._scan": "cachelog/ingest/scan.cpp",
    "cachelog.ingest._text": "cachelog/ingest/text.cpp",
    "cachelog.metrics._tally": "cachelog/metrics/tally.cpp",
}

setup(
    ext_modules=[
        Extension(
            name,
            [source],
            depends=sorted(glob("cachelog/ingest/*.hpp")),
            language="c++",
            extra_compile_args=FLAGS,
            py_limited_api=True,
            optional=True,
        )
        for name, source in NATIVE.items()
    ],
    options={"bdist_wheel": {"py_limited_api": "cp311"}},
)
