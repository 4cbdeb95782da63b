"""The page's files: what is vendored, what is exported, and the events in it."""

from __future__ import annotations

import hashlib
import json
from importlib import resources

import numpy as np
import pytest

from steepest.errors import EventsError, InputError
from steepest.lab import Dataset, built_in, export_site, from_recipe
from steepest.lab import datasets as lab_datasets
from steepest.lab.command import datasets_of, run_lab
from steepest.lab.pages import content_type, pages
from steepest.recipe import Recipe

VENDOR = resources.files("steepest.lab").joinpath("static", "vendor")


def test_what_is_vendored_is_what_was_published():
    listed = json.loads(VENDOR.joinpath("vendored.json").read_text())
    assert {one["file"] for one in listed} | {"vendored.json"} == {f.name for f in VENDOR.iterdir()}
    for one in listed:
        content = VENDOR.joinpath(one["file"]).read_bytes()
        assert hashlib.sha256(content).hexdigest() == one["sha256"], one["file"]
        assert VENDOR.joinpath(f"{one['package']}.LICENSE.txt").is_file()


def test_no_page_has_inline_scripts_or_styles_or_other_hosts():
    for name, page in pages([], server=True).items():
        text = page.content.decode() if content_type(name).startswith("text/") else ""
        if name.startswith("vendor/"):
            continue
        assert 'style="' not in text, name
        assert "eval(" not in text, name
        assert "new Function" not in text, name
        if name.endswith(".html"):
            assert "<script>" not in text
            assert "<style" not in text
            assert "http" not in text.replace("http-equiv", "")


@pytest.mark.parametrize("dataset", built_in(), ids=lambda one: one.name)
def test_columns_are_the_events(dataset):
    described = dataset.description()
    json.dumps(described, allow_nan=False)
    columns = np.frombuffer(dataset.columns(), "<f8")
    n, m = len(described["features"]), described["events"]
    assert len(columns) == m * (n + 1 + described["weighted"])
    np.testing.assert_array_equal(columns[: n * m].reshape(n, m).T, dataset.sample.features)
    np.testing.assert_array_equal(columns[n * m : (n + 1) * m], dataset.sample.labels)
    assert set(described["chosen"]) <= {one["name"] for one in described["features"]}
    again = Recipe.from_dict({"events": described["events_table"]})
    assert again.events == dataset.recipe.events


def test_weights_have_mean_one(recipe_table):
    table = {"events": {**recipe_table["events"]}}
    dataset = Dataset("own", "Own", Recipe.from_dict(table))
    described = dataset.description()
    if not described["weighted"]:
        pytest.skip("the small recipe has no weights")
    columns = np.frombuffer(dataset.columns(), "<f8")
    assert columns[-described["events"] :].mean() == pytest.approx(1.0)


def test_a_site_is_exported_into_an_empty_folder(tmp_path):
    site = tmp_path / "site"
    written = export_site(site, built_in()[:1])
    assert {"index.html", "app.css", "icon.svg"} <= {path.name for path in written}
    index = json.loads((site / "data/index.json").read_text())
    assert (index["format"], index["version"], index["server"]) == ("steepest-lab", 1, False)
    assert [one["name"] for one in index["datasets"]] == ["noisy-line"]
    with pytest.raises(InputError, match="is not empty"):
        export_site(site, built_in()[:1])
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="a file"):
        export_site(tmp_path / "file", built_in()[:1])


def test_events_of_ones_own_come_first(events_file, monkeypatch):
    found = datasets_of([str(events_file)], "is_top", ["mass", "pt"])
    assert found[0].title == "events"
    assert [one.name for one in found[1:]] == [one.name for one in built_in()]
    monkeypatch.setattr(lab_datasets, "MOST_EVENTS", 10)
    recipe = found[0].recipe
    with pytest.raises(EventsError, match="cannot be shown in the playground"):
        from_recipe(recipe, "Many")


def test_files_need_a_label_and_labels_need_files(events_file):
    with pytest.raises(InputError, match="need a label"):
        datasets_of([str(events_file)], None, [])
    with pytest.raises(InputError, match="--label and --features are for files"):
        datasets_of([], "signal", [])


def test_an_exported_lab_has_no_runs(tmp_path):
    with pytest.raises(InputError, match="has no runs"):
        run_lab(
            [tmp_path], [], None, [],
            host="127.0.0.1", port=0, export=tmp_path / "site", browser=False, say=print,
        )  # fmt: skip


def test_export_by_the_command(tmp_path):
    said = []
    run_lab(
        None, [], None, [],
        host="127.0.0.1", port=0, export=tmp_path / "site", browser=False, say=said.append,
    )  # fmt: skip
    assert "http.server" in said[1]
    assert (tmp_path / "site" / "data" / "top-jets.bin").is_file()
