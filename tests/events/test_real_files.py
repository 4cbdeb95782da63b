"""Files of experiments, where their folder lies beside the repository or STEEPEST_DATA names it."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from steepest.events import load_sample, open_events
from steepest.events.formats.nested import unreadable_name
from steepest.recipe import EventsRecipe

BESIDE = Path(__file__).parents[3] / "shared" / "data"
FOLDER = Path(os.environ.get("STEEPEST_DATA") or BESIDE)

pytestmark = pytest.mark.skipif(
    not FOLDER.is_dir(), reason="no folder of real files: set STEEPEST_DATA to it"
)

NTUPLE = "cmsopendata2015_ttbar_19980_NANOAOD_RNTupleImporter_rntuple_v1-0-0-1.root"
FILES = {
    "uproot-Zmumu.root": (2304, 20),
    "uproot-HZZ.root": (2421, 51),
    "nanoAOD_2015_CMS_Open_Data_ttbar.root": (200, 947),
    NTUPLE: (10, 947),
    "pfnano.root:Events": (10, 1802),
    "nano_dimuon.root:Events": (40, 1601),
    "Zmumu_Run2011A.csv": (10_583, 14),
    "higgs.train": (7000, 29),
    "higgs.test": (500, 29),
}


def path(name: str) -> str:
    if name.endswith(".root") or ".root:" in name:
        pytest.importorskip("uproot", reason="needs the extra [root]")
    file = FOLDER / name.split(":")[0]
    if not file.exists():
        pytest.skip(f"{file.name} is not in the folder of real files")
    return str(FOLDER / name)


def whole(name: str, columns: list[str]) -> dict:
    blocks = [block.batch for block in open_events(path(name)).batches(columns, batch_rows=999)]
    return {c: [v for batch in blocks for v in batch.column(c).to_pylist()] for c in columns}


@pytest.mark.parametrize("name", FILES)
def test_every_file_opens_and_some_columns_reads(name) -> None:
    rows, columns = FILES[name]
    source = open_events(path(name))
    assert (source.rows, len(source.schema)) == (rows, columns)
    assert [f.name for f in source.schema if unreadable_name(f.type) is not None] == []
    used = source.schema.names[::50]
    assert sum(block.batch.num_rows for block in source.batches(used)) == rows


def test_the_mass_of_z_follows_from_its_muons() -> None:
    found = whole("uproot-Zmumu.root", ["pt1", "eta1", "phi1", "pt2", "eta2", "phi2", "M", "Type"])
    pt1, eta1, phi1, pt2, eta2, phi2, mass = (np.array(found[c]) for c in list(found)[:7])
    massless = np.sqrt(2 * pt1 * pt2 * (np.cosh(eta1 - eta2) - np.cos(phi1 - phi2)))
    assert np.median(np.abs(massless / mass - 1)) < 1e-3
    assert set(found["Type"]) == {"GT", "GG", "TT"}


def test_the_lengths_of_lists_are_those_that_the_tree_counts() -> None:
    found = whole("uproot-HZZ.root", ["NJet", "Jet_Px", "Jet_ID"])
    assert [len(values) for values in found["Jet_Px"]] == found["NJet"]
    assert [len(values) for values in found["Jet_ID"]] == found["NJet"]
    assert sum(found["NJet"]) == 2773


def test_the_rntuple_holds_what_the_tree_holds() -> None:
    columns = ["run", "event", "nJet", "Jet_pt", "Jet_hadronFlavour", "HLT_IsoMu18"]
    tree = whole("nanoAOD_2015_CMS_Open_Data_ttbar.root", columns)
    assert sum(tree["nJet"]) == 537
    ntuple = whole(NTUPLE, columns)
    rows = [tree["event"].index(event) for event in ntuple["event"] if event in tree["event"]]
    for column in columns if len(rows) == 10 else ():
        assert ntuple[column] == [tree[column][row] for row in rows]
    assert [len(values) for values in ntuple["Jet_pt"]] == ntuple["nJet"]


def test_particle_flow_candidates() -> None:
    found = whole("pfnano.root:Events", ["nPFCands", "PFCands_pt", "nFatJet"])
    assert sum(found["nPFCands"]) == sum(map(len, found["PFCands_pt"])) == 18_197
    assert sum(found["nFatJet"]) == 24


def test_a_sample_from_csv() -> None:
    recipe = EventsRecipe(path=path("Zmumu_Run2011A.csv"), label="pt1", features=["pt2", "iso2"])
    sample = load_sample(recipe)
    assert sample.task == "regression"
    assert sample.features.shape == (10_583, 2)


def test_higgs_has_no_header() -> None:
    sample = load_sample(EventsRecipe(path=[path("higgs.train"), path("higgs.test")], label="c0"))
    assert sample.names == tuple(f"c{i}" for i in range(1, 29))
    assert sample.features.shape == (7500, 28)
    assert sample.features[0, 0] == 0.869
    assert sample.task == "binary"
