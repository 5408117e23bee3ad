"""The one part that pyproject.toml cannot say: the native scanner, which is left out where no compiler is there."""

import sys

from setuptools import Extension, setup

FLAGS = ["/std:c++17", "/O2", "/EHsc"] if sys.platform == "win32" else ["-std=c++17", "-O3", "-fvisibility=hidden"]

setup(
    ext_modules=[
        Extension(
            "cachelog.ingest._scan",
            ["cachelog/ingest/scan.cpp"],
            language="c++",
            extra_compile_args=FLAGS,
            py_limited_api=True,
            optional=True,  # json_scan then reads with Polars
        )
    ],
    options={"bdist_wheel": {"py_limited_api": "cp311"}},
)
