"""Models on the Hub: uploaded in one commit, and loaded, by the real client over real HTTP."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import steepest
from share.loopback_hub import READ_ONLY, TOKEN, Fault, Hub
from steepest import Classifier, load
from steepest.errors import InputError, RunFolderError, SteepestError
from steepest.folder import hub as hub_models
from steepest.share import Prepared, Published, Target, share_run

pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")
NAME = "dl4phys/top-tagger"
ADDRESS = f"hf://{NAME}"
EVENTS = [[560.0, 80.0, 0.7], [610.0, 170.0, 0.5]]


@pytest.fixture(autouse=True)
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """No waiting between attempts."""
    monkeypatch.setattr("steepest.events.retries.time.sleep", lambda _: None)
    monkeypatch.setattr("huggingface_hub.utils._http.time.sleep", lambda _: None)


def test_a_model_goes_there_and_comes_back(hub: Hub, trained: Path):
    done = share_run(trained, Target(NAME))
    assert done.made
    assert done.url.startswith(f"{hub.url}/{NAME}/commit/")
    files = hub.repos[NAME].files
    assert set(done.sent) == files.keys() - {".gitattributes"}
    assert {"README.md", "config.json", "model.safetensors", "training.json"} <= files.keys()
    assert len(hub.repos[NAME].commits) == 2  # that of the new repository, and one with all files
    expected = steepest.Run(trained).predict(EVENTS)
    assert load(ADDRESS).predict(EVENTS).tobytes() == expected.tobytes()
    again = Classifier.from_pretrained(NAME)
    assert again.model_.predict(EVENTS).tobytes() == expected.tobytes()
    commit = hub.repos[NAME].head
    assert load(f"{ADDRESS}@{commit}").predict(EVENTS).tobytes() == expected.tobytes()
    assert any("steepest" in agent for agent in hub.agents)


def test_the_same_again_sends_nothing(hub: Hub, trained: Path):
    share_run(trained, Target(NAME))
    before, run = hub.repos[NAME].head, steepest.Run(trained)
    prepared = run.share(NAME, dry_run=True)
    assert isinstance(prepared, Prepared)
    assert prepared.files.keys() == hub.repos[NAME].files.keys() - {".gitattributes"}
    assert prepared.card == hub.repos[NAME].files["README.md"].decode()
    done = run.share(NAME)
    assert isinstance(done, Published)
    assert (done.sent, done.made, hub.repos[NAME].head) == ((), False, before)


def test_a_better_model_takes_its_place(
    hub: Hub, trained: Path, recipe_table: dict, tmp_path: Path
):
    share_run(trained, Target(NAME))
    recipe_table["descent"]["epochs"] = 5
    better = steepest.train(recipe_table, tmp_path / "better", progress=False)
    done = share_run(better.path, Target(NAME, message="Five epochs"))
    assert "model.safetensors" in done.sent
    assert done.kept == ()
    assert load(ADDRESS).predict(EVENTS).tobytes() == better.predict(EVENTS).tobytes()
    first = hub.repos[NAME].commits[1][0]
    old = steepest.Run(trained).predict(EVENTS)
    assert load(f"{ADDRESS}@{first}").predict(EVENTS).tobytes() == old.tobytes()


def test_what_an_upload_before_had_is_removed(hub: Hub, trained_copy: Path):
    (trained_copy / "landscape" / "random").mkdir(parents=True)
    for name in ("figures/roc.png", "landscape/random/contour.png"):
        (trained_copy / name).parent.mkdir(exist_ok=True)
        (trained_copy / name).write_bytes(b"picture")
    share_run(trained_copy, Target(NAME))
    repo = hub.repos[NAME]
    repo.commit({**repo.files, "figures/roc.png": b"changed", ".eval_results/hle.yaml": b"theirs"})
    for name in ("figures/roc.png", "landscape/random/contour.png"):
        (trained_copy / name).unlink()
    done = share_run(trained_copy, Target(NAME))
    assert done.removed == ("figures/landscape.png",)
    assert repo.files["figures/roc.png"] == b"changed"
    assert repo.files[".eval_results/hle.yaml"] == b"theirs"
    assert "figures/landscape.png" not in repo.files
    assert share_run(trained_copy, Target(NAME)).removed == ()
    repo.commit({**repo.files, "manifest.json": b"[]"})
    again = share_run(trained_copy, Target(NAME))
    assert (again.removed, again.kept) == ((), ("README.md",))
    assert load(ADDRESS).names == ("pt", "mass", "ratio")


def test_a_card_that_was_changed_by_hand_is_left(hub: Hub, trained_copy: Path):
    share_run(trained_copy, Target(NAME))
    repo = hub.repos[NAME]
    repo.commit({**repo.files, "README.md": b"# By hand\n"})
    (trained_copy / "figures").mkdir(exist_ok=True)
    (trained_copy / "figures" / "roc.png").write_bytes(b"another picture")
    done = share_run(trained_copy, Target(NAME))
    assert done.kept == ("README.md",)
    assert repo.files["README.md"] == b"# By hand\n"
    assert "changed by hand" in " ".join(done.sentences())


def test_an_estimator_is_pushed(hub: Hub):
    X = np.random.default_rng(0).normal(size=(100, 2))
    model = Classifier(l2=0.1).fit(X, np.where(X[:, 0] > 0, "top", "qcd"))
    address = model.push_to_hub(NAME, private=True)
    assert address.startswith(hub.url)
    assert hub.repos[NAME].private
    again = Classifier.from_pretrained(NAME)
    assert again.predict(X).tolist() == model.predict(X).tolist()
    assert b"not known here" in hub.repos[NAME].files["README.md"]


def test_a_private_repository(hub: Hub, trained: Path, monkeypatch: pytest.MonkeyPatch):
    share_run(trained, Target(NAME, private=True))
    assert hub.repos[NAME].private
    load(ADDRESS)
    monkeypatch.delenv("HF_TOKEN")
    with pytest.raises(InputError, match="is not on the Hub, or is private"):
        load("hf://dl4phys/other")


def test_a_pull_request_commits_nothing(hub: Hub, trained: Path):
    repo = hub.add(NAME, {"pytorch_model.bin": b"other", "README.md": b"# Other"})
    done = share_run(trained, Target(NAME, pull_request=True))
    assert done.url.endswith("/discussions/1")
    assert len(repo.commits) == 1
    assert repo.proposed is not None
    assert "config.json" in repo.proposed


def test_names_of_a_listing_do_not_leave_the_cache(hub: Hub, trained: Path, tmp_path: Path):
    share_run(trained, Target(NAME))
    repo = hub.repos[NAME]
    repo.commit({**repo.files, "../../../escaped.json": b"{}", "/etc/escaped.json": b"{}"})
    load(ADDRESS)
    assert not list(tmp_path.rglob("escaped.json"))
    assert not Path("/etc/escaped.json").exists()


# --- what fails ----------------------------------------------------------------------------------

PASSING = {
    "busy, told so": Fault("POST", "preupload", 429),
    "a gateway's time": Fault("GET", "/api/models/", 504, 2),
    "a gateway's time at the commit": Fault("POST", "/commit/", 504),
    "broken at the commit": Fault("POST", "/commit/", "broken"),
    "broken at a file": Fault("PUT", "/lfs/", "lost", 2),
    "a page of a proxy": Fault("POST", "validate-yaml", 502),
    "slow": Fault("POST", "/commit/", "slow"),
    "done, but nobody was told": Fault("POST", "/commit/", "lost"),
    "the repository, done, but nobody was told": Fault("POST", "/api/repos/create", "lost"),
}


@pytest.mark.parametrize("what", PASSING)
def test_what_may_pass_is_tried_again(what: str, hub: Hub, trained: Path):
    fault = PASSING[what]
    hub.faults.append(Fault(fault.method, fault.path, fault.how, fault.times))
    share_run(trained, Target(NAME))
    assert hub.faults[0].times == 0
    expected = steepest.Run(trained).predict(EVENTS)
    assert load(ADDRESS).predict(EVENTS).tobytes() == expected.tobytes()
    assert len(hub.repos[NAME].commits) == 2  # nothing is committed twice


LASTING = {
    "401": (Fault("POST", "/commit/", 401, 99), "is not on the Hub, or is private"),
    "403": (Fault("POST", "/commit/", 403, 99), "is not open to this account"),
    "404": (Fault("POST", "/commit/", 404, 99), "is not on the Hub, or is private"),
    "409": (Fault("POST", "/commit/", 409, 99), "has changed meanwhile"),
    "412": (Fault("POST", "/commit/", 412, 99), "has changed meanwhile"),
    "429": (Fault("POST", "/commit/", 429, 99), "too many requests"),
    "504": (Fault("POST", "/commit/", 504, 99), "does not answer as it should"),
    "broken": (Fault("POST", "/commit/", "broken", 99), "does not answer as it should"),
    "files": (Fault("PUT", "/lfs/", 503, 99), "does not answer as it should"),
}


@pytest.mark.parametrize("what", LASTING)
def test_what_lasts_is_an_error_and_the_same_command_completes(what: str, hub: Hub, trained: Path):
    fault, message = LASTING[what]
    hub.faults.append(Fault(fault.method, fault.path, fault.how, fault.times))
    if what == "broken":
        hub.faults.append(Fault("GET", "/api/models/", "broken", 99))
    with pytest.raises(InputError, match=message) as caught:
        share_run(trained, Target(NAME))
    assert TOKEN not in str(caught.value)
    if NAME in hub.repos and what != "broken":
        assert hub.repos[NAME].files.keys() == {".gitattributes"}  # nothing is half published
    hub.faults.clear()
    sent = hub.uploads()
    share_run(trained, Target(NAME))
    assert load(ADDRESS).names == ("pt", "mass", "ratio")
    if what == "504":
        assert hub.uploads() == sent  # large files were there


def test_somebody_commits_meanwhile(hub: Hub, trained: Path, monkeypatch: pytest.MonkeyPatch):
    share_run(trained, Target(NAME))
    repo = hub.repos[NAME]
    repo.commit({**repo.files, "training.json": b"{}"})
    from huggingface_hub import HfApi

    commit = HfApi.create_commit

    def late(api, *args, **options):
        repo.commit({**repo.files, "notes.md": b"theirs"})
        return commit(api, *args, **options)

    monkeypatch.setattr(HfApi, "create_commit", late)
    with pytest.raises(InputError, match="has changed meanwhile"):
        share_run(trained, Target(NAME))
    assert repo.files["notes.md"] == b"theirs"
    assert repo.files["training.json"] == b"{}"


@pytest.mark.parametrize(
    "files",
    [
        {"pytorch_model.bin": b"x"},
        {"config.json": b'{"model_type": "bert"}'},
        {"config.json": b"[]"},
        {"config.json": b"<html>"},
        {"README.md": b"# Written by hand"},
    ],
)
def test_other_content_is_never_overwritten(files: dict, hub: Hub, trained: Path):
    repo = hub.add(NAME, files)
    with pytest.raises(InputError, match=r"The model dl4phys/top-tagger holds something else\."):
        share_run(trained, Target(NAME))
    assert len(repo.commits) == 1
    assert hub.uploads() == 0


def test_an_account_that_may_only_read(hub: Hub, trained: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HF_TOKEN", READ_ONLY)
    with pytest.raises(InputError, match="is not open to this account"):
        share_run(trained, Target(NAME))
    monkeypatch.delenv("HF_TOKEN")
    with pytest.raises(InputError, match="is not on the Hub, or is private"):
        share_run(trained, Target(NAME))
    monkeypatch.setenv("HF_TOKEN", "hf_sécret")
    with pytest.raises(InputError, match="a character that no token has") as error:
        share_run(trained, Target(NAME))
    assert "cret" not in str(error.value)
    assert "xe9" not in str(error.value)


@pytest.mark.parametrize(
    "name", ["../x", "a/../b", "a/b/c", "top-tagger", "a/..", "a/b--c", "/b", "a/b.git"]
)
def test_a_name_that_is_none(name: str, hub: Hub, trained: Path):
    with pytest.raises(InputError, match="is no name of a model on the Hub"):
        share_run(trained, Target(name))
    with pytest.raises(InputError, match="is no name of a model on the Hub"):
        load(f"hf://{name}")
    with pytest.raises(InputError, match="is no name of a model on the Hub"):
        load(f"hf://{name}@")
    assert hub.asked == []


def test_what_cannot_be_loaded(hub: Hub, trained: Path):
    with pytest.raises(InputError, match="is not on the Hub, or is private"):
        load("hf://dl4phys/absent")
    share_run(trained, Target(NAME))
    with pytest.raises(InputError, match="has no revision 'v9'"):
        load(f"{ADDRESS}@v9")
    hub.add("other/empty", {"README.md": b"# Nothing"})
    with pytest.raises(SteepestError, match=r"There is no model in|does not answer"):
        load("hf://other/empty")
    repo = hub.repos[NAME]
    repo.commit({**repo.files, "model.safetensors": b"changed"})
    with pytest.raises(RunFolderError, match=r"model\.safetensors of the model .* is damaged"):
        load(ADDRESS)


def test_a_download_imports_nothing(hub: Hub, trained: Path):
    share_run(trained, Target(NAME))
    repo = hub.repos[NAME]
    config = json.loads(repo.files["config.json"])
    options = {"module": "antigravity:Net"}
    config["model"] = {"name": "module", "network": "module", "inputs": {"features": ["pt"]},
                       "outputs": 1, "options": options}  # fmt: skip
    files = {n: c for n, c in repo.files.items() if n != "manifest.json"}
    repo.commit({**files, "config.json": json.dumps(config).encode()})
    with pytest.raises(RunFolderError, match="a download imports nothing"):
        load(ADDRESS)
    assert "antigravity" not in sys.modules


# --- offline -------------------------------------------------------------------------------------


def test_offline_the_copy_is_read(hub: Hub, trained: Path, monkeypatch: pytest.MonkeyPatch):
    share_run(trained, Target(NAME))
    expected = load(ADDRESS).predict(EVENTS)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    asked = len(hub.asked)
    assert load(ADDRESS).predict(EVENTS).tobytes() == expected.tobytes()
    with pytest.raises(InputError, match="HF_HUB_OFFLINE forbids"):
        load("hf://dl4phys/other")
    with pytest.raises(InputError, match="cannot be uploaded offline"):
        share_run(trained, Target(NAME))
    assert len(hub.asked) == asked


def test_without_any_socket(trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def blocked(*_: object) -> None:
        raise OSError("sockets are blocked in this test")

    monkeypatch.setattr(socket.socket, "connect", blocked)
    monkeypatch.setattr(socket, "getaddrinfo", blocked)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    steepest.save(trained, tmp_path / "model")
    assert load(tmp_path / "model").names == ("pt", "mass", "ratio")
    with pytest.raises(InputError, match=r"sockets are blocked|does not answer"):
        load("hf://dl4phys/absent")
    with pytest.raises(InputError, match="does not answer as it should"):
        share_run(trained, Target(NAME))


# --- tokens --------------------------------------------------------------------------------------


def test_messages_have_no_token():
    assert TOKEN not in hub_models.without_tokens(f"Bearer {TOKEN}: refused")
    assert TOKEN not in repr(Target(NAME, token=TOKEN))


PROGRAM = """
import sys, numpy, steepest
blocked = ("torch", "sklearn", "h5py", "uproot", "awkward", "plotly", "fastjet", "pythia8")
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in blocked[:1] + blocked[2:]:
            raise ModuleNotFoundError(name, name=name)
sys.meta_path.insert(0, Absent())
scores = steepest.load(sys.argv[1]).predict([[560.0, 80.0, 0.7], [610.0, 170.0, 0.5]])
print(scores.tobytes().hex())
"""


@pytest.mark.slow
def test_in_a_fresh_process_by_the_environment_alone(hub: Hub, trained: Path, tmp_path: Path):
    clean = {k: v for k, v in os.environ.items() if not k.startswith("HF_")}
    environment = clean | {
        "HF_ENDPOINT": hub.url,
        "HF_HOME": str(tmp_path / "home"),
        "HF_TOKEN": TOKEN,
        "HF_HUB_DISABLE_XET": "1",
        "HF_DEBUG": "1",
        "PYTHONPATH": str(Path(steepest.__file__).parents[1]),
    }

    def run(*command: str) -> str:
        done = subprocess.run(
            [sys.executable, *command],
            check=False,
            env=environment,
            capture_output=True,
            text=True,
            timeout=200,
        )
        assert done.returncode == 0, done.stderr
        assert TOKEN not in done.stdout + done.stderr
        return done.stdout

    said = run("-m", "steepest", "share", str(trained), "--to", NAME, "--private", "--json")
    assert json.loads(said)["made"]
    scores = run("-c", PROGRAM, ADDRESS).strip()
    assert scores == steepest.Run(trained).predict(EVENTS).tobytes().hex()
    written = [f for f in (tmp_path / "home").rglob("*") if f.is_file()]
    assert written
    assert not any(TOKEN.encode() in file.read_bytes() for file in written)
