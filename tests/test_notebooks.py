"""Every notebook of `examples/notebooks` runs, and shows what it says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

nbformat = pytest.importorskip("nbformat", reason="needs nbclient")
nbclient = pytest.importorskip("nbclient", reason="needs nbclient")
pytest.importorskip("ipykernel", reason="needs ipykernel")

FOLDER = Path(__file__).parents[1] / "examples" / "notebooks"
SHOWN = {
    "first-run": ('alt="ROC curve"', 'alt="roc"', "sk-estimator", "image/png"),
    "compare-and-share": ("Differences", "Passed:", "library_name: steepest", "; output: score."),
}
"""What the outputs of a notebook hold, among other things."""


def read(name: str) -> Any:
    return nbformat.read(FOLDER / f"{name}.ipynb", as_version=4)


def test_each_is_listed_and_holds_no_output():
    assert {path.stem for path in FOLDER.glob("*.ipynb")} == SHOWN.keys()
    for name in SHOWN:
        for cell in read(name).cells:
            assert not cell.get("outputs")
            assert cell.get("execution_count") is None
            if cell.cell_type == "code":
                compile(cell.source, name, "exec")


@pytest.mark.slow  # ten seconds, with the kernel that it starts
@pytest.mark.parametrize("name", SHOWN)
@pytest.mark.filterwarnings("ignore:.*TCP without encryption")
def test_it_runs_and_shows_itself(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    if name == "compare-and-share":
        pytest.importorskip("huggingface_hub", reason="needs the extra [hub]")
        pytest.importorskip("onnxruntime", reason="needs the extra [onnx]")
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    notebook = read(name)
    work = {"metadata": {"path": str(tmp_path)}}
    nbclient.NotebookClient(notebook, timeout=120, kernel_name="python3", resources=work).execute()
    shown = "".join(str(cell.get("outputs", "")) for cell in notebook.cells)
    for text in SHOWN[name]:
        assert text in shown, text
    assert (tmp_path / "runs").is_dir()
