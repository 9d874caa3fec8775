"""Benchmarks run where the tests are not, and measure what they say."""

from __future__ import annotations

import ast
import multiprocessing
import sys
from pathlib import Path

import numpy as np
import pytest

from benchmarks.peak import peak

ROOT = Path(__file__).parent.parent
TESTS = {path.stem for path in (ROOT / "tests").rglob("*.py")} - {
    path.stem for path in (ROOT / "benchmarks").glob("*.py")
}


@pytest.mark.parametrize("path", sorted((ROOT / "benchmarks").glob("*.py")), ids=lambda p: p.stem)
def test_a_benchmark_needs_neither_the_tests_nor_pytest(path):
    imported = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom):
            imported.add(node.module)
        elif isinstance(node, ast.Import):
            imported.update(alias.name for alias in node.names)
    assert not {name for name in imported if name.split(".")[0] in {"tests", "pytest"} | TESTS}


@pytest.mark.skipif(sys.platform != "linux", reason="Linux alone says it in /proc")
def test_the_peak_of_a_process_is_its_own():
    """A child of one that takes 300 MiB more reports less: `ru_maxrss` would say the same."""
    block = np.ones(300 * 2**17)
    with multiprocessing.get_context("spawn").Pool(1) as process:
        child = process.apply(peak)
    assert block.nbytes == 300 * 2**20 and peak() > child + 250
