"""Four-vectors, sorted lists and bits in expressions, against plain NumPy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from steepest.errors import EventsError, RecipeError
from steepest.events import load_sample, parse
from steepest.events.expressions import lists
from steepest.recipe import EventsRecipe

COUNTS = [3, 2, 0, 4, 1]
RANDOM = np.random.default_rng(6)
JETS: dict[str, list[np.ndarray]] = {
    "pt": [RANDOM.exponential(50, n) for n in COUNTS],
    "eta": [RANDOM.normal(size=n) for n in COUNTS],
    "phi": [RANDOM.uniform(-3, 3, n) for n in COUNTS],
    "m": [RANDOM.uniform(0, 20, n) for n in COUNTS],
}
BATCH = pa.record_batch(
    {
        **{name: [each.tolist() for each in values] for name, values in JETS.items()},
        "a": [1, 2, 4, 8, -1],
        "b": [3, 5, -1, 0, 7],
        "u": np.array([2**63, 1, 2, 3, 2**64 - 1], np.uint64),
    }
)
JET = "p4(pt, eta, phi, m)"


def momenta(event: int, chosen: Any = slice(None)) -> np.ndarray:
    """The sum (px, py, pz, E) of some jets of an event."""
    pt, eta, phi, m = (values[event][chosen] for values in JETS.values())
    p = np.array([pt * np.cos(phi), pt * np.sin(phi), pt * np.sinh(eta)])
    return np.array([*p.sum(axis=-1), np.sqrt((p**2).sum(axis=0) + m**2).sum()])


def value(attribute: str, p: np.ndarray) -> float:
    px, py, pz, energy = p
    squared = energy**2 - px**2 - py**2 - pz**2
    return {
        "px": px, "py": py, "pz": pz, "E": energy,
        "pt": np.hypot(px, py), "phi": np.arctan2(py, px), "mass": np.sqrt(max(squared, 0)),
        "eta": np.arctanh(pz / np.sqrt(px**2 + py**2 + pz**2)),
    }[attribute]  # fmt: skip


@pytest.mark.parametrize("attribute", ["px", "py", "pz", "E", "pt", "eta", "phi", "mass"])
def test_the_sum_of_a_list(attribute) -> None:
    found = parse(f"sum({JET}[pt > 20]).{attribute}").evaluate(BATCH)
    for event in (0, 3):
        expected = value(attribute, momenta(event, JETS["pt"][event] > 20))
        assert found[event] == pytest.approx(expected, rel=1e-9, abs=1e-9)


def test_elements_are_added_and_those_that_are_not_there_are_missing() -> None:
    found = parse(f"({JET}[0] + {JET}[1]).mass").evaluate(BATCH)
    for event in (0, 1, 3):
        expected = value("mass", momenta(event, slice(0, 2)))
        assert found[event] == pytest.approx(expected)
    assert np.isnan(found[[2, 4]]).all()
    difference = parse(f"({JET}[0] - {JET}[1]).px").evaluate(BATCH)
    expected = momenta(0, slice(0, 1))[0] - momenta(0, slice(1, 2))[0]
    assert difference[0] == pytest.approx(expected)


def test_one_vector_has_what_it_is_made_of() -> None:
    for attribute, name in {"pt": "pt", "eta": "eta", "phi": "phi", "mass": "m"}.items():
        found = parse(f"{JET}.{attribute}").evaluate(BATCH)
        for event, values in enumerate(found):
            np.testing.assert_allclose(values, JETS[name][event], rtol=1e-6, atol=1e-6)


def test_sorted_lists() -> None:
    own, other = (parse(text).evaluate(BATCH) for text in ("sort(pt)", "sort(eta, pt)"))
    leading = parse("sort(eta, pt)[0]").evaluate(BATCH)
    for event, pt in enumerate(JETS["pt"]):
        order = np.argsort(-pt)
        np.testing.assert_array_equal(own[event], pt[order])
        np.testing.assert_array_equal(other[event], JETS["eta"][event][order])
        if len(pt):
            assert leading[event] == JETS["eta"][event][order[0]]


def test_nan_is_sorted_to_the_end() -> None:
    batch = pa.record_batch({"x": [[1.0, float("nan"), 3.0, None]]})
    (found,) = parse("sort(x)").evaluate(batch)
    np.testing.assert_array_equal(found, [3.0, 1.0, np.nan, np.nan])


def test_bits_of_integers() -> None:
    a, b, u = (BATCH[name].to_numpy() for name in "abu")
    np.testing.assert_array_equal(parse("a | b").evaluate(BATCH), a | b)
    np.testing.assert_array_equal(parse("a & b | 8").evaluate(BATCH), a & b | 8)
    np.testing.assert_array_equal(parse("u | b").evaluate(BATCH), u | b.astype(np.uint64))
    np.testing.assert_array_equal(parse("u & b").evaluate(BATCH), u & b.astype(np.uint64))
    np.testing.assert_array_equal(parse("a | b == 3").evaluate(BATCH), (a | b) == 3)


def test_the_name_of_a_component_tells_expressions_apart() -> None:
    assert not parse(f"{JET}.pt").same_as(parse(f"{JET}.eta"))
    assert parse(f"{JET}.pt").same_as(parse("p4(pt,eta,phi,m) .pt"))


@pytest.mark.parametrize(
    ("text", "error", "message"),
    [
        (JET, EventsError, "a four-vector stands where a number is needed"),
        (f"{JET}.foo", EventsError, "a four-vector has no 'foo'"),
        ("p4(pt, eta).mass", RecipeError, "p4 has the wrong number of arguments"),
        ("(pt).mass", EventsError, "only a four-vector has components"),
        ("sum(p4(a, a, a, a)).mass", EventsError, "takes a list of four-vectors"),
        ("sort(a)", EventsError, "sort takes lists"),
        ("sort(pt, eta, phi)", RecipeError, "sort has the wrong number of arguments"),
        ("pt | a", EventsError, r"\| takes integers"),
        (f"{JET}.mass > 5", EventsError, "a list stands where one value an event is needed"),
    ],
)
def test_what_is_refused(text, error, message) -> None:
    with pytest.raises(error, match=message):
        parse(text).scalar(BATCH.schema)


MUONS = {
    "pt": [RANDOM.exponential(30, n) for n in (2, 1, 3, 0, 2)],
    "eta": [RANDOM.normal(size=n) for n in (2, 1, 3, 0, 2)],
    "phi": [RANDOM.uniform(-3, 3, n) for n in (2, 1, 3, 0, 2)],
    "mass": [np.full(n, 0.106) for n in (2, 1, 3, 0, 2)],
    "charge": [RANDOM.choice([-1, 1], n) for n in (2, 1, 3, 0, 2)],
}
BOTH = pa.record_batch(
    {f"Jet_{'mass' if n == 'm' else n}": [e.tolist() for e in v] for n, v in JETS.items()}
    | {f"Mu_{name}": [each.tolist() for each in values] for name, values in MUONS.items()}
    | {"MET_phi": RANDOM.uniform(-3, 3, 5), "MET_pt": RANDOM.exponential(40, 5)}
)


def vectors(event: int) -> tuple[np.ndarray, np.ndarray]:
    """Jets and muons of an event, (n, 4): px, py, pz, E."""
    made = []
    for objects in (JETS, MUONS):
        pt, eta, phi, m = (values[event] for values in list(objects.values())[:4])
        p = np.array([pt * np.cos(phi), pt * np.sin(phi), pt * np.sinh(eta)])
        made.append(np.vstack([p, np.sqrt((p**2).sum(axis=0) + m**2)]).T.reshape(-1, 4))
    return made[0], made[1]


def distance(event: int, i: int, j: int, other: Any = MUONS) -> float:
    """ΔR of jet i and muon j (or jet j)."""
    eta = JETS["eta"][event][i] - other["eta"][event][j]
    phi = JETS["phi"][event][i] - other["phi"][event][j]
    return float(np.hypot(eta, (phi + np.pi) % (2 * np.pi) - np.pi))


def test_pairs_of_one_list() -> None:
    masses = parse("pairs(p4(Jet)).mass").evaluate(BOTH)
    apart = parse("deltaR(first(p4(Jet)), second(p4(Jet)))").evaluate(BOTH)
    largest = parse("max(pairs(p4(Jet)).mass)").evaluate(BOTH)
    for event, count in enumerate(COUNTS):
        jets, _ = vectors(event)
        places = [(i, j) for i in range(count) for j in range(i + 1, count)]
        expected = [value("mass", jets[i] + jets[j]) for i, j in places]
        np.testing.assert_allclose(masses[event], expected, rtol=1e-9)
        np.testing.assert_allclose(apart[event], [distance(event, i, j, JETS) for i, j in places])
        assert largest[event] == pytest.approx(max(expected, default=np.nan), nan_ok=True)


def test_pairs_of_two_lists() -> None:
    masses = parse("pairs(p4(Jet), p4(Mu)).mass").evaluate(BOTH)
    smallest = parse("min(delta_r(first(p4(Jet), p4(Mu)), second(p4(Jet), p4(Mu))))").evaluate(BOTH)
    tight = parse("first(Jet_pt, p4(Mu))[second(Jet_pt, Mu_charge) > 0]").evaluate(BOTH)
    for event, count in enumerate(COUNTS):
        jets, muons = vectors(event)
        places = [(i, j) for i in range(count) for j in range(len(muons))]
        expected = [value("mass", jets[i] + muons[j]) for i, j in places]
        np.testing.assert_allclose(masses[event], expected, rtol=1e-9)
        apart = min((distance(event, i, j) for i, j in places), default=np.nan)
        assert smallest[event] == pytest.approx(apart, nan_ok=True)
        charges = MUONS["charge"][event]
        kept = [JETS["pt"][event][i] for i, j in places if charges[j] > 0]
        np.testing.assert_array_equal(tight[event], kept)


def test_the_pair_of_opposite_charge_nearest_to_a_mass() -> None:
    opposite = "pairs(p4(Mu))[first(Mu_charge) != second(Mu_charge)].mass"
    found = parse(f"{opposite}[argmin(abs({opposite} - 91.2))]").evaluate(BOTH)
    for event in range(len(COUNTS)):
        _, muons = vectors(event)
        charges = MUONS["charge"][event]
        masses = [
            value("mass", muons[i] + muons[j])
            for i in range(len(muons))
            for j in range(i + 1, len(muons))
            if charges[i] != charges[j]
        ]
        nearest = min(masses, key=lambda mass: abs(mass - 91.2), default=np.nan)
        assert found[event] == pytest.approx(nearest, nan_ok=True, rel=1e-6)


def test_angles_to_one_vector_and_the_order_of_another_list() -> None:
    met = "p4(MET_pt, 0, MET_phi, 0)"
    found = parse(f"min(abs(deltaPhi(p4(Jet), {met})))").evaluate(BOTH)
    leading = parse("sort(p4(Jet), Jet_eta)[0].pt").evaluate(BOTH)
    for event, count in enumerate(COUNTS):
        phi = JETS["phi"][event] - BOTH["MET_phi"][event].as_py()
        expected = np.abs((phi + np.pi) % (2 * np.pi) - np.pi).min() if count else np.nan
        assert found[event] == pytest.approx(expected, nan_ok=True)
        if count:
            expected = JETS["pt"][event][np.argmax(JETS["eta"][event])]
            assert leading[event] == pytest.approx(expected)


def test_lists_that_are_null_have_no_pairs() -> None:
    batch = pa.record_batch({"x": [[1.0, 2.0, 3.0], None, []], "y": [[5.0], [6.0], None]})
    for text, expected in {
        "second(x)": [[2, 3, 3], None, []],
        "first(x, y)": [[1, 2, 3], None, None],
        "second(x, y)": [[5, 5, 5], None, None],
    }.items():
        found = parse(text).evaluate(batch)
        for each, right in zip(found, expected, strict=True):
            assert (each is None) == (right is None)
            np.testing.assert_array_equal(each, right)


def test_columns_of_a_name_are_replaced() -> None:
    given = parse("max(p4(Jet).pt) + MET_pt")
    assert given.columns == {"Jet_pt", "Jet_eta", "Jet_phi", "Jet_mass", "MET_pt"}
    varied = given.substituted({"Jet_pt": parse("1.1 * Jet_pt"), "MET_pt": parse("0 * MET_pt")})
    assert (
        varied.text == "max(p4((1.1 * Jet_pt), `Jet_eta`, `Jet_phi`, `Jet_mass`).pt) + (0 * MET_pt)"
    )
    expected = 1.1 * parse("max(Jet_pt)").evaluate(BOTH)
    np.testing.assert_allclose(varied.evaluate(BOTH), expected)


@pytest.mark.parametrize(
    ("text", "error", "message"),
    [
        ("pairs(Jet_pt).mass", EventsError, "pairs takes lists of four-vectors"),
        ("max(pairs(Jet_pt))", EventsError, "pairs takes lists of four-vectors"),
        ("pairs(p4(Jet))", EventsError, "a four-vector stands where a number is needed"),
        ("p4(Jet) + p4(Jet)", EventsError, "a four-vector stands where a number is needed"),
        ("pairs(p4(Jet)[0]).mass", EventsError, "pairs takes lists"),
        ("first(MET_pt)", EventsError, "first takes lists"),
        ("pairs().mass", RecipeError, "pairs has the wrong number of arguments"),
        ("deltaR(p4(Jet))", RecipeError, "deltaR has the wrong number of arguments"),
        ("deltaR(p4(Jet), MET_phi)", EventsError, "only a four-vector has components"),
        ("deltaR(MET_phi, MET_pt)", RecipeError, "deltaR has the wrong number of arguments"),
        ("p4(Muon).mass", EventsError, "there is no column 'Muon_pt'"),
    ],
)
def test_pairs_that_are_refused(text: str, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        parse(text).evaluate(BOTH)


def test_names_of_other_files_for_the_components_of_a_name() -> None:
    usual = parse("max(pairs(p4(Jet)).mass)").evaluate(BOTH)
    for names in (
        {"Jet_pt": "Jet.pt", "Jet_eta": "Jet.eta", "Jet_phi": "Jet.phi", "Jet_mass": "Jet.mass"},
        {"Jet_pt": "Jet.PT", "Jet_eta": "Jet.Eta", "Jet_phi": "Jet.Phi", "Jet_mass": "Jet.Mass"},
    ):
        batch = BOTH.rename_columns([names.get(name, name) for name in BOTH.schema.names])
        given = parse("max(pairs(p4(Jet)).mass)", names=batch.schema.names)
        assert given.columns == set(names.values())
        np.testing.assert_array_equal(given.evaluate(batch), usual)


def test_the_columns_that_a_name_lacks_are_told() -> None:
    with pytest.raises(EventsError) as caught:
        parse("p4(MET).mass").evaluate(BOTH)
    assert caught.value.details["expected"] == "p4(MET) is p4(MET_pt, MET_eta, MET_phi, MET_mass)"
    assert caught.value.details["found"] == "MET_phi, MET_pt"
    with pytest.raises(EventsError) as caught:
        parse("p4(Jets).mass").evaluate(BOTH)
    assert caught.value.details["do"] == "write p4(Jet)"


def test_distances_of_numbers_have_both_spellings() -> None:
    for text in ("{}(1, MET_phi, 2, 0.5)", "{}(MET_pt, MET_phi, 2, Jet_phi)"):
        ours, others = (parse(text.format(f)).evaluate(BOTH) for f in ("deltaR", "delta_r"))
        np.testing.assert_array_equal(list(map(str, ours)), list(map(str, others)))
    np.testing.assert_array_equal(
        parse("deltaPhi(MET_phi, 3)").evaluate(BOTH), parse("delta_phi(MET_phi, 3)").evaluate(BOTH)
    )
    with pytest.raises(EventsError, match="a list stands where one value"):
        parse("deltaR(p4(Jet), p4(Jet)[0])").scalar(BOTH.schema)


def test_pairs_of_long_lists_are_made_in_pieces_or_refused(tmp_path, monkeypatch) -> None:
    lengths = [3, 70, 2, 80, 60, 0, 5]
    columns = {"pt": 10.0, "eta": 1.0, "phi": 3.0, "mass": 0.1}
    random = np.random.default_rng(1)
    events = {
        f"Jet_{k}": [random.uniform(0, v, n).tolist() for n in lengths] for k, v in columns.items()
    }
    pq.write_table(pa.table({**events, "y": [0, 1, 0, 1, 0, 1, 0]}), tmp_path / "e.parquet")
    features = [
        {"name": "m", "value": "max(pairs(p4(Jet)).mass)", "fill": 0},
        {"name": "n", "value": "count(first(Jet_pt))"},
    ]
    table = {"path": str(tmp_path / "e.parquet"), "label": "y", "features": features}
    recipe = EventsRecipe.model_validate({**table, "split": {"validation": 0.0, "test": 0.3}})
    whole = load_sample(recipe).features
    assert whole[:, 1].tolist() == [n * (n - 1) / 2 for n in lengths]
    monkeypatch.setattr(lists, "PAIRS_AT_ONCE", 5_000)
    np.testing.assert_array_equal(load_sample(recipe).features, whole)
    monkeypatch.setattr(lists, "MOST_PAIRS", 3_000)
    with pytest.raises(EventsError, match=r"too many pairs in .*e.parquet at row 3") as caught:
        load_sample(recipe)
    assert caught.value.details["found"] == "3,160 pairs"
