"""Write the embedded jets again as a physicist may have them: ROOT, HDF5, with event weights.

    python examples/jets/make_events.py [--jets 24000] [--out examples/jets]

`jets.root` has a TTree `jets` with jagged branches of the constituents; `jets.h5` a
group `jets` with a dataset a column, and the constituents' momenta as a matrix padded with zeros;
`weighted.parquet` weights of both signs, as generators at next-to-leading order give them.
"""

from __future__ import annotations

import argparse
from importlib.resources import as_file, files
from pathlib import Path

import awkward as ak
import h5py
import numpy as np
import polars as pl
import uproot

SCALARS = ("pt", "eta", "phi", "mass", "n_constituents", "tau1", "tau2", "tau3", "is_top")
CONSTITUENTS = ("part_pt", "part_eta", "part_phi", "part_charge")
HARDEST = 16
"""Constituents in each row of the padded matrix."""


def embedded(jets: int) -> pl.DataFrame:
    """The first of the package's jets."""
    with as_file(files("steepest") / "events" / "embedded" / "top-jets.parquet") as path:
        return pl.read_parquet(path).head(jets)


def jagged(lists: pl.Series) -> ak.Array:
    """Lists without missing values, as awkward has them."""
    return ak.drop_none(ak.from_arrow(lists.to_arrow()))


def write_root(jets: pl.DataFrame, path: Path) -> None:
    """One branch a column; the constituents' branches are jagged, counted by `npart`."""
    lists = {name.removeprefix("part_"): jagged(jets[name]) for name in CONSTITUENTS}
    columns = {name: jets[name].to_numpy() for name in (*SCALARS, "event_number")}
    with uproot.recreate(path) as file:
        file.mktree("jets", columns | {"part": ak.zip(lists)})


def write_hdf5(jets: pl.DataFrame, path: Path) -> None:
    """A dataset a column, and a matrix (jets, constituents) of transverse momenta."""
    padded = ak.pad_none(jagged(jets["part_pt"]), HARDEST, clip=True)
    with h5py.File(path, "w") as file:
        for name in SCALARS:
            file.create_dataset(f"jets/{name}", data=jets[name].to_numpy(), compression="gzip")
        matrix = ak.to_numpy(ak.fill_none(padded, 0.0)).astype(np.float32)
        file.create_dataset("jets/part_pt", data=matrix, compression="gzip")


def write_weighted(jets: pl.DataFrame, path: Path) -> None:
    """Weights ± a cross section of the class, with more negative ones among hard jets."""
    rng = np.random.default_rng(1)
    share = 0.15 + 0.1 * (jets["pt"].to_numpy() - 550) / 100
    sign = np.where(rng.random(len(jets)) < share, -1.0, 1.0)
    cross_section = np.where(jets["is_top"].to_numpy() == 1, 0.4, 2.5)
    jets.with_columns(mc_weight=sign * cross_section).write_parquet(path)


def main() -> None:
    """Write the three files."""
    parser = argparse.ArgumentParser(description="Write the embedded jets in other formats.")
    parser.add_argument("--jets", type=int, default=24_000)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent)
    options = parser.parse_args()
    jets = embedded(options.jets)
    write_root(jets, options.out / "jets.root")
    write_hdf5(jets, options.out / "jets.h5")
    write_weighted(jets, options.out / "weighted.parquet")
    print(f"{len(jets):,} jets in jets.root, jets.h5 and weighted.parquet in {options.out}")


if __name__ == "__main__":
    main()
