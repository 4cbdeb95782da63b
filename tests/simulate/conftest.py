from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from steepest.simulate.blocks import Plan
from steepest.simulate.production import produce

HERE = Path(__file__).parent
PURE = {"test_sim_columns.py", "test_sim_detector.py", "test_sim_errors.py", "test_sim_output.py"}
MISSING = [name for name in ("pythia8mc", "fastjet", "awkward") if find_spec(name) is None]

PLAN = Plan(jets=28, seed=11, jets_per_block=5)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE not in item.path.parents:
            continue
        item.add_marker(pytest.mark.simulate)
        if MISSING and item.path.name not in PURE:
            reason = f"{MISSING[0]} is missing: pip install 'steepest[simulate]'"
            item.add_marker(pytest.mark.skip(reason=reason))


@pytest.fixture(scope="session")
def plan() -> Plan:
    return PLAN


@pytest.fixture(scope="session")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three small blocks, made by two workers."""
    path = tmp_path_factory.mktemp("simulated") / "jets.parquet"
    produce(PLAN, path, workers=2)
    return path


@pytest.fixture(scope="session")
def table(sample: Path) -> pa.Table:
    return pq.read_table(sample)
