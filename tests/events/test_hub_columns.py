"""Large Parquet files of the Hub: what is sent for some of their columns, and what is kept.

huggingface_hub reads its environment as it is imported, so each environment is one process.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from events.small_hub import COMMIT, LATER, small_hub
from steepest.events.remote import BLOCK

pytest.importorskip("huggingface_hub", reason="needs the extra [hub]")

ROWS, GROUPS, COLUMNS = 40_000, 2, 30
USED = ["x2", "x17", "x29"]
PRELUDE = """
import json, os, sys, time, urllib.request
time.sleep = lambda seconds: None  # huggingface_hub waits between its tries
from steepest.errors import SteepestError
from steepest.events import EventSource, open_events
from steepest.events.hub import use_revisions
from steepest.events.source import Condition

def read(path, columns, where=()):
    try:
        source = open_events("hf://datasets/o/" + path)
        blocks = list(source.batches(columns, where, batch_rows=7_000))
        sums = {name: sum(float(block.batch[name].to_numpy().sum()) for block in blocks)
                for name in columns}
        rows = [(block.first_row, block.batch.num_rows) for block in blocks]
        return {"sums": sums, "rows": rows, "source": source.fingerprint()}
    except SteepestError as error:
        return str(error)

"""


def table(seed: int = 0) -> pa.Table:
    random = np.random.default_rng(seed)
    columns = {f"x{i}": random.normal(size=ROWS) for i in range(COLUMNS)}
    return pa.table({"row": np.arange(ROWS), **columns})


def parquet(events: pa.Table) -> bytes:
    stream = io.BytesIO()
    pq.write_table(events, stream, row_group_size=ROWS // GROUPS)
    return stream.getvalue()


@pytest.fixture(scope="module")
def jets() -> pa.Table:
    return table()


@pytest.fixture(scope="module")
def files(jets) -> dict[str, bytes]:
    return {"data/jets.parquet": parquet(jets), "data/more.parquet": parquet(table(2))}


def run(code: str, url: str, home: Path, **environment: str):
    """Run code in a process of its own; return what it assigned to `found`."""
    clean = {k: v for k, v in os.environ.items() if not k.startswith("HF_")}
    source = Path(str(sys.modules["steepest"].__file__)).parents[1]
    done = subprocess.run(
        [sys.executable, "-c", f"{PRELUDE}\n{code}\njson.dump(found, sys.stdout)"],
        env=clean | {"HF_ENDPOINT": url, "HF_HOME": str(home), "PYTHONPATH": str(source),
                     "HF_HUB_DISABLE_PROGRESS_BARS": "1"} | environment,
        capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "Retry" not in done.stderr  # what the Hub's library tells of each attempt
    return json.loads(done.stdout)


def sums(events: pa.Table, names: list[str]) -> dict[str, float]:
    """The sums, in the blocks in which they are read."""
    group = ROWS // GROUPS
    cuts = [(g * group + a, min(7_000, group - a)) for g in range(GROUPS)
            for a in range(0, group, 7_000)]  # fmt: skip
    return {n: sum(float(events[n].to_numpy()[a : a + k].sum()) for a, k in cuts) for n in names}


def chunks(content: bytes, names: list[str], groups: range) -> int:
    """The bytes that columns take in row groups, and the footer."""
    metadata = pq.ParquetFile(io.BytesIO(content)).metadata
    footer = int.from_bytes(content[-8:-4], "little") + 8
    return footer + sum(
        metadata.row_group(g).column(c).total_compressed_size
        for g in groups
        for c in range(metadata.num_columns)
        if metadata.row_group(g).column(c).path_in_schema in names
    )


@pytest.mark.slow
def test_only_the_columns_and_row_groups_that_are_used_are_sent(files, jets, tmp_path) -> None:
    content, path = files["data/jets.parquet"], "public/data/jets.parquet"
    with small_hub(files) as url:
        found = run(f"found = read({path!r}, {USED})", url, tmp_path)
        assert found["sums"] == sums(jets, USED)
        sent = url.bytes("public")
        needed = chunks(content, USED, range(GROUPS))
        most = needed + 64 * 2**10 + (2 * 3 * GROUPS + 2) * BLOCK
        assert needed <= sent <= most, "whole blocks, and the footer with 64 KiB"
        assert sent < 0.14 * len(content), "3 of 30 columns, whose bytes do not compress"
        assert len(url.sent) <= 2 + 3 * GROUPS
        assert all(is_part for *_, is_part in url.sent)

        url.sent.clear()
        again = run(f"found = read({path!r}, {USED})", url, tmp_path)
        assert again == found
        assert url.sent == [], "what came is kept"
        more = run(f"found = read({path!r}, ['x2', 'x5'])", url, tmp_path)
        assert more["sums"] == sums(jets, ["x2", "x5"])
        footer = chunks(content, [], range(0))
        added = chunks(content, ["x5"], range(GROUPS)) - footer
        assert added <= url.bytes("public") <= added + 2 * GROUPS * BLOCK

        url.sent.clear()
        where = f"[Condition('row', '>=', {ROWS - 10})]"
        half = run(f"found = read({path!r}, ['row', 'x9'], {where})", url, tmp_path)
        assert half["rows"][0][0] == ROWS // GROUPS, "the first row group holds no such row"
        last = range(GROUPS - 1, GROUPS)
        assert url.bytes("public") <= chunks(content, ["row", "x9"], last) + 4 * BLOCK

    offline = run(f"found = read({path!r}, {USED})", url, tmp_path, HF_HUB_OFFLINE="1")
    assert offline == found
    unknown = run(f"found = read({path!r}, ['x2', 'x7'])", url, tmp_path, HF_HUB_OFFLINE="1")
    assert unknown.replace(str(tmp_path), "HOME").splitlines() == [
        f"hf://datasets/o/{path} (columns x2, x7) is not in the cache, and HF_HUB_OFFLINE forbids "
        "to download it.",
        "  expected: a copy in HOME",
        "  do:       unset HF_HUB_OFFLINE, or give a local file",
    ]
    down = run(f"found = read({path!r}, {USED})", url, tmp_path)
    assert down == found, "without a network, the commit that was last seen is read"


@pytest.mark.slow  # four processes
def test_a_whole_file_and_a_part_of_one_are_the_same_events(files, jets, tmp_path) -> None:
    """A glob; offline too; and a copy that the Hub's own library has made."""
    code = f"found = read('public/data/*.parquet', {USED})"
    with small_hub(files) as url:
        part = run(code, url, tmp_path / "a")
        whole = run(
            "import huggingface_hub\n"
            "for name in ('data/jets.parquet', 'data/more.parquet'):\n"
            "    huggingface_hub.hf_hub_download('o/public', name, repo_type='dataset')\n" + code,
            url, tmp_path / "b",
        )  # fmt: skip
    assert part == whole
    assert part["sums"]["x2"] == pytest.approx(
        sums(jets, USED)["x2"] + sums(table(2), USED)["x2"], rel=1e-12
    )
    assert run(code, url, tmp_path / "a", HF_HUB_OFFLINE="1") == part
    assert run(code, url, tmp_path / "b", HF_HUB_OFFLINE="1") == part
    for told, name in zip(part["source"]["files"], files, strict=True):
        footer = int.from_bytes(files[name][-8:-4], "little") + 8
        assert told == {
            "name": Path(name).name,
            "size": len(files[name]),
            "rows": ROWS,
            "sha256": hashlib.sha256(files[name][-footer:]).hexdigest(),
            "sha256_of": "footer",
            "dataset": "o/public",
            "revision": COMMIT,
        }


@pytest.mark.slow
def test_one_process_reads_one_commit(files, tmp_path) -> None:
    """A branch that moves is followed by the next process; a run's record pins it."""
    later = {"data/jets.parquet": parquet(table(9))}
    look = f"read('moving/data/jets.parquet', {USED})"
    with small_hub(files, later) as url:
        first, second = run(
            f"a = {look}\nurllib.request.urlopen(os.environ['HF_ENDPOINT'] + '/move').close()\n"
            f"found = [a, {look}]", url, tmp_path,
        )  # fmt: skip
        assert first == second
        third = run(f"found = {look}", url, tmp_path)
        recorded = json.dumps(first["source"])
        recorded = run(
            f"use_revisions(None)\nuse_revisions(json.loads({recorded!r}))\nfound = {look}",
            url,
            tmp_path / "new",
        )
    assert first["source"]["files"][0]["revision"] == COMMIT
    assert third["source"]["files"][0]["revision"] == LATER
    assert third["sums"] == sums(table(9), USED)
    assert recorded == first


@pytest.mark.slow
@pytest.mark.parametrize("key", [None, "number"])
def test_a_friend_is_that_of_the_commit_that_was_read(files, key, tmp_path) -> None:
    """Row by row and by key: a run's record pins the commit of its friends."""
    numbers = pa.table({"number": np.arange(ROWS), "own": np.arange(ROWS) % 2})
    pq.write_table(numbers, tmp_path / "own.parquet")

    def content(seed: int) -> dict[str, bytes]:
        return {
            "data/jets.parquet": parquet(table(seed).append_column("number", numbers["number"]))
        }

    path = "hf://datasets/o/moving/data/jets.parquet"
    friend = {"path": path, "key": key} if key else {"path": path}
    look = f"""
from steepest.events import load_sample
from steepest.recipe import EventsRecipe
sample = load_sample(EventsRecipe.model_validate({{
    "path": {str(tmp_path / "own.parquet")!r}, "label": "own", "features": ["x1"],
    "friends": [{friend!r}], "split": {{"validation": 0.0, "test": 0.5}}}}))
found = {{"source": sample.source, "sum": float(sample.features.sum())}}
"""
    with small_hub(content(1), content(9)) as url:
        first = run(look + MOVE, url, tmp_path / "a")
        later = run(look, url, tmp_path / "a")
        recorded = json.dumps(first["source"])
        again = run(f"use_revisions(json.loads({recorded!r}))\n{look}", url, tmp_path / "b")
    assert first["source"]["files"][0]["friends"][0]["revision"] == COMMIT
    assert later["sum"] != first["sum"]
    assert again == first


MOVE = "urllib.request.urlopen(os.environ['HF_ENDPOINT'] + '/move').close()\n"


@pytest.mark.slow
def test_a_run_goes_on_with_the_commit_that_it_has_read(files, tmp_path) -> None:
    """Although the branch has moved since: its evaluation says no other events."""
    later = {"data/jets.parquet": parquet(table(9))}
    train = """
import steepest
recipe = steepest.Recipe.model_validate({
    "events": {"path": "hf://datasets/o/moving/data/jets.parquet", "label": "x0 > 0",
               "features": ["x1", "x2"], "split": {"validation": 0.1, "test": 0.2}},
    "model": {"hidden": []}, "descent": {"epochs": 1}, "evaluate": {"baseline": False},
})
found = steepest.train(recipe, RUN, progress=False).metrics["source"]
urllib.request.urlopen(os.environ["HF_ENDPOINT"] + "/move").close()
"""
    evaluate = """
from steepest.training import TrainingCallback, evaluate_run
class Heard(TrainingCallback):
    said = []
    def say(self, text): self.said.append(text)
found = [evaluate_run(RUN, callback=Heard())["source"], Heard.said, read(
    "moving/data/jets.parquet", ["x2"])["source"]["files"][0]["revision"]]
"""
    run_folder = f"RUN = {str(tmp_path / 'run')!r}\n"
    with small_hub(files, later) as url:
        trained = run(run_folder + train, url, tmp_path / "home")
        source, said, revision = run(run_folder + evaluate, url, tmp_path / "home")
    assert trained["files"][0]["revision"] == COMMIT
    assert source == trained
    assert said == []
    assert revision == COMMIT, "for the rest of the process, too"


@pytest.mark.slow
def test_resumed_scores_go_on_with_the_commit_that_they_were_begun_with(files, tmp_path) -> None:
    """Although the branch has moved since; from the start the new one is read."""
    later = {"data/jets.parquet": parquet(table(9))}
    common = f"""
import steepest
from steepest.prediction import scorer
scorer.MOST_IN_BLOCK, scorer.MOST_IN_PART, scorer.LEAST = 1_000, 5_000, 1
RUN, OUT = {str(tmp_path / "run")!r}, {str(tmp_path / "scores.parquet")!r}
EVENTS = "hf://datasets/o/moving/data/jets.parquet"
"""
    begin = """
steepest.train({
    "events": {"path": EVENTS, "label": "x0 > 0", "features": ["x1", "x2"]},
    "model": {"hidden": []}, "descent": {"epochs": 1}, "evaluate": {"baseline": False},
}, RUN, progress=False)
score, calls = scorer.Scorer.score, []
def breaks(self, block):
    calls.append(block)
    if len(calls) > 17:
        raise ConnectionError("broken")
    return score(self, block)
scorer.Scorer.score = breaks
try:
    steepest.predict(RUN, EVENTS, OUT, columns="row,x1".split(","), progress=False)
except ConnectionError:
    found = sorted(os.listdir(os.path.dirname(OUT) + "/.scores.parquet.parts"))
urllib.request.urlopen(os.environ["HF_ENDPOINT"] + "/move").close()
"""
    resume = """
from steepest.errors import InputError
at = EVENTS.replace("moving", "moving@REVISION")
try:
    steepest.predict(RUN, at, OUT, columns=["row", "x1"], resume=True, progress=False)
except InputError as error:
    refused = str(error).splitlines()[0]
done = steepest.predict(RUN, EVENTS, OUT, columns=["row", "x1"], resume=True, progress=False)
found = [refused, done.rows, done.resumed]
""".replace("REVISION", LATER)
    anew = """
done = steepest.predict(RUN, EVENTS, OUT, columns=["row", "x1"], overwrite=True, progress=False)
found = done.rows
"""

    def written() -> tuple[list[float], str]:
        scores = pq.read_table(tmp_path / "scores.parquet")
        meaning = json.loads(scores.schema.metadata[b"steepest"])
        return scores["x1"].to_pylist(), meaning["events"][0]["revision"]

    with small_hub(files, later) as url:
        kept = run(common + begin, url, tmp_path / "home")
        assert [name for name in kept if name.startswith("part-")] == [
            f"part-{index:06d}.arrow" for index in range(3)
        ]
        refused, rows, resumed = run(common + resume, url, tmp_path / "home")
        parts = tmp_path / ".scores.parquet.parts"
        assert refused == (
            f"The unfinished scores in {parts} were begun with other input: the events."
        )
        assert (rows, resumed) == (ROWS, 15_000)
        assert written() == (table()["x1"].to_pylist(), COMMIT)
        assert run(common + anew, url, tmp_path / "home") == ROWS
        assert written() == (table(9)["x1"].to_pylist(), LATER)


LOOKING = """
from steepest.events.transfers import observe
found = {}
for path in PATHS:
    told = []
    with observe(lambda *counts: told.append(counts)):
        answer = read(path, ["x2"])
    found[path] = [told, isinstance(answer, str)]
"""


def test_transfers_are_told_of(files, tmp_path) -> None:
    """The bytes that came, of those asked for: of parts of a file, and of one that comes whole.

    What does not come is not asked for any more.
    """
    paths = [f"{dataset}/data/jets.parquet" for dataset in ("public", "deaf", "down")]
    with small_hub(files) as url:
        found = run(f"PATHS = {paths!r}\n{LOOKING}", url, tmp_path)
        sent = url.bytes("public")
    for path in paths[:2]:
        told, failed = found[path]
        assert not failed
        came, asked = zip(*told, strict=True)
        assert list(came) == sorted(came)
        assert all(done <= whole for done, whole in told)
        assert came[-1] == asked[-1]
        assert came[-1] == (sent if path == paths[0] else len(files["data/jets.parquet"]))
    told, failed = found[paths[2]]
    assert failed
    assert told[-1] == [0, 0]


def test_a_busy_hub_is_asked_again(files, jets, tmp_path) -> None:
    """Here each row group is fetched while the one before is used."""
    path = "busy/data/jets.parquet"
    code = "from steepest.events.formats import parquet\nparquet.WINDOW = 1\n"
    with small_hub(files) as url:
        found = run(f"{code}found = read({path!r}, {USED})", url, tmp_path)
        assert found["sums"] == sums(jets, USED)
        assert len(url.refused) >= len(url.sent) + 1, "each part, and the question for the commit"


def test_a_copy_without_a_good_record_is_fetched_again(files, jets, tmp_path) -> None:
    path = "public/data/jets.parquet"
    with small_hub(files) as url:
        found = run(f"found = read({path!r}, {USED})", url, tmp_path)
        first = url.bytes("public")
        (record,) = tmp_path.rglob("blocks/*.blocks")
        record.write_bytes(record.read_bytes()[:-5])
        os.truncate(record.with_suffix(""), 2**20)
        assert run(f"found = read({path!r}, {USED})", url, tmp_path) == found
        assert url.bytes("public") == 2 * first


def test_a_server_without_ranges_sends_whole_files(files, jets, tmp_path) -> None:
    paths = ["deaf/data/jets.parquet", "fickle/data/jets.parquet"]
    code = f"found = [read(path, {USED}) for path in {paths}]"
    with small_hub(files) as url:
        found = run(code, url, tmp_path)
        assert [one["sums"] for one in found] == [sums(jets, USED)] * 2
        url.sent.clear()
        assert run(code, url, tmp_path) == found
        assert url.sent == []


def damaged() -> bytes:
    """A Parquet file of which a page of the second row group differs in one bit."""
    stream = io.BytesIO()
    pq.write_table(table(), stream, row_group_size=ROWS // GROUPS, write_page_checksum=True)
    content = bytearray(stream.getvalue())
    chunk = pq.ParquetFile(stream).metadata.row_group(1).column(3)
    content[chunk.data_page_offset + 1_000] ^= 1
    return bytes(content)


MESSAGES = {
    "down": """
hf://datasets/o/down/data/jets.parquet cannot be downloaded.
  expected: an answer of URL
  found:    Server error '504 Gateway Timeout' for url \
'URL/datasets/o/down/resolve/COMMIT/data/jets.parquet'
  cause:    the network, a proxy, or the Hub is down; what was downloaded is kept
  do:       try again, or download the file and give its path
""",
    "broken": """
hf://datasets/o/broken/data/jets.parquet cannot be downloaded.
  expected: an answer of URL
  found:    peer closed connection without sending complete message body (received 8192 bytes, \
expected 16384)
  cause:    the network, a proxy, or the Hub is down; what was downloaded is kept
  do:       try again, or download the file and give its path
""",
    "gated": """
The dataset o/gated is gated.
  expected: an account that was granted access
  found:    status 403
  do:       ask for access on the page of o/gated, then: hf auth login
""",
    "limited": """
hf://datasets/o/limited/data/jets.parquet cannot be downloaded.
  expected: an answer of URL
  found:    Client error '429 Too Many Requests' for url \
'URL/api/datasets/o/limited/revision/main?blobs=true'
  cause:    too many requests in a short time
  do:       wait some minutes, or log in, which raises the limit: hf auth login
""",
    "absent": """
There is no dataset o/absent on the Hub, or it is private.
  expected: hf://datasets/OWNER/NAME/PATH
  found:    status 401
  cause:    a misspelt name, or a private dataset and no HF_TOKEN
  do:       check the name; for a private dataset: hf auth login, or set HF_TOKEN
""",
}


@pytest.fixture(scope="module")
def answers(files, tmp_path_factory) -> dict[str, str]:
    home = tmp_path_factory.mktemp("home")
    paths = {name: f"{name}/data/jets.parquet" for name in MESSAGES}
    paths |= {name: f"public/data/{name}.parquet" for name in ("none", "damaged")}
    more = {"data/none.parquet": b"PAR1" + bytes(2**20), "data/damaged.parquet": damaged()}
    with small_hub(files | more) as url:
        found = run(f"found = {{n: read(p, ['x2']) for n, p in {paths}.items()}}", url, home)
    return {name: text.replace(url, "URL").replace(COMMIT, "COMMIT")
            for name, text in found.items()}  # fmt: skip


@pytest.mark.parametrize("name", MESSAGES)
def test_messages(answers, name) -> None:
    assert answers[name].strip() == MESSAGES[name].strip()


def test_a_name_is_enough_for_no_parquet(answers) -> None:
    """What ends on .parquet and is none is downloaded whole, and its message is the usual one."""
    assert "is cut short: it begins as Parquet but does not end as Parquet." in answers["none"]


def test_damage_is_said_of_the_row_group(answers) -> None:
    assert "is damaged in row group 1 of 2 (rows 20000 to 39999)." in answers["damaged"]


def test_without_a_network_and_without_a_copy(files, tmp_path) -> None:
    with small_hub(files) as url:
        pass
    found = run("found = read('public/data/jets.parquet', ['x2'])", url, tmp_path)
    assert found.replace(url, "URL").splitlines() == [
        "hf://datasets/o/public/data/jets.parquet cannot be downloaded.",
        "  expected: an answer of URL",
        "  found:    [Errno 111] Connection refused",
        "  cause:    the network, a proxy, or the Hub is down; what was downloaded is kept",
        "  do:       try again, or download the file and give its path",
    ]
