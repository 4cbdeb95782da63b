"""The manifest of a folder: damage is named, and a kill at any moment looks like none."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

import steepest
from steepest.errors import RunFolderError
from steepest.folder import RunFolder, load_model
from steepest.folder.manifest import Manifest, sealed, unsealed
from steepest.recipe import Recipe
from steepest.run import resume
from steepest.training import TrainingCallback


def text(content: str):
    return lambda file: file.write_text(content)


@pytest.fixture
def manifest(tmp_path: Path) -> Manifest:
    found = Manifest(tmp_path, "the run RUN", "restore it", ("log.txt", "journal"))
    found.write("metrics.json", text("one"))
    return found


def test_what_it_lists(manifest: Manifest):
    manifest.write("model/config.json", text("{}"))
    listed = json.loads((manifest.folder / "manifest.json").read_text())
    assert (listed["format"], listed["version"]) == ("steepest-manifest", 1)
    assert {name: entry["size"] for name, entry in listed["files"].items()} == {
        "metrics.json": 3,
        "model/config.json": 2,
    }
    assert manifest.read("metrics.json") == b"one"
    manifest.verify()


@pytest.mark.parametrize(("content", "found"), [("two", "other bytes"), ("longer", "6 bytes")])
def test_a_file_that_was_changed(manifest: Manifest, content: str, found: str):
    (manifest.folder / "metrics.json").write_text(content)
    for look in (lambda: manifest.read("metrics.json"), manifest.verify):
        with pytest.raises(RunFolderError) as caught:
            look()
        assert str(caught.value) == (
            "metrics.json of the run RUN is damaged.\n"
            "  expected: the 3 bytes that manifest.json has a checksum of\n"
            f"  found:    {found}\n"
            "  cause:    it was changed, or cut short by a copy\n"
            "  do:       restore it"
        )


def test_a_file_that_is_gone_or_unknown(manifest: Manifest):
    (manifest.folder / "extra.json").write_text("{}")
    with pytest.raises(RunFolderError, match="an entry in manifest"):
        manifest.read("extra.json")
    (manifest.folder / "metrics.json").unlink()
    with pytest.raises(RunFolderError, match="no such file"):
        manifest.verify()
    manifest.verify(made_anew=("metrics.json",))
    manifest.forget(("metrics.json",))
    manifest.verify()


def test_a_manifest_that_was_changed_or_is_newer(manifest: Manifest):
    file = manifest.folder / "manifest.json"
    value = unsealed(file.read_bytes())
    file.write_text(json.dumps(sealed(value | {"version": 2})))
    with pytest.raises(RunFolderError, match=r"manifest\.json of the run RUN cannot be read"):
        manifest.verify()
    for damage in (json.dumps(value), json.dumps(sealed(value) | {"new": 1}), "[]", "{"):
        file.write_text(damage)
        with pytest.raises(RunFolderError, match=r"manifest\.json of the run RUN is damaged"):
            manifest.read("metrics.json")


def test_a_kill_between_any_two_operations_is_no_damage(manifest: Manifest, monkeypatch):
    class Killed(BaseException):
        pass

    left = [0]

    def counted(original):
        def call(*arguments):
            left[0] -= 1
            if left[0] < 0:
                raise Killed
            return original(*arguments)

        return call

    for name in ("replace", "fsync"):
        monkeypatch.setattr(os, name, counted(getattr(os, name)))
    budget, done = 0, False
    while not done:
        left[0] = budget
        try:
            manifest.write("metrics.json", text(f"number {budget}"))
            done = True
        except Killed:
            pass
        manifest.verify()
        budget += 1
    assert budget > 5


def test_a_run_of_an_older_release_is_said_and_listed_with_its_first_file(
    tmp_path: Path, recipe_table: dict
):
    class Hears(TrainingCallback):
        said: list[str] = []  # noqa: RUF012

        def say(self, sentence: str) -> None:
            self.said.append(sentence)

    run = steepest.train(recipe_table, tmp_path / "run")
    (run.path / "manifest.json").unlink()
    assert run.metrics is not None
    resume(run.path, callback=Hears())
    assert Hears.said[0] == (
        f"The run {run.path} has no manifest.json, as those of older releases: whether its files "
        "are as they were written cannot be told."
    )
    RunFolder(run.path).verify()  # the report of `resume` has listed them
    (run.path / "model" / "scaling.safetensors").write_bytes(b"")
    for where in (run.path, run.path / "model"):
        with pytest.raises(RunFolderError, match=r"scaling\.safetensors of the run"):
            load_model(where)


@pytest.mark.parametrize(
    ("name", "key"), [("metrics.json", "status"), ("environment.json", "events")]
)
def test_a_key_that_is_missing_in_a_run_without_checksums(
    tmp_path: Path, recipe_table: dict, name: str, key: str
):
    folder = RunFolder.create(tmp_path / "run", Recipe.from_dict(recipe_table))
    for value in ({"format": "x"}, {"format": "x", key: False}, []):
        folder.write_json(name, value)
        with pytest.raises(RunFolderError, match=f"{name} of the run .* is damaged"):
            getattr(folder, name.removesuffix(".json"))
