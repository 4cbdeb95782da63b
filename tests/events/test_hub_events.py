"""Datasets of the Hub: read from a small one on the loopback address, in processes of their own.

huggingface_hub reads its environment as it is imported, so each environment is one process.
"""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from events.small_hub import COMMIT, TOKEN, small_hub
from steepest.errors import EventsError, MissingExtraError
from steepest.events import open_events
from steepest.events.hub import address_of

pytest.importorskip("huggingface_hub", reason="needs the extra [hub]")

PROGRAM = """
import json, sys
from steepest.errors import SteepestError
from steepest.events import open_events

found = {}
for path in sys.argv[1:]:
    try:
        source = open_events(path)
        found[path] = [source.rows, [file.rsplit("/", 1)[-1] for file in source.files]]
    except SteepestError as error:
        found[path] = str(error)
json.dump(found, sys.stdout)
"""
HUB = "hf://datasets/o/"
ONLINE = ["public/data/a.parquet", "public/data/*.parquet", f"public@{COMMIT}/x.csv",
          "public/*.pq", "public/data/z.parquet", "public@v9/x.csv", "absent/x.csv",
          "private/x.csv", "broken/data/a.parquet"]  # fmt: skip
OFFLINE = ["public/data/a.parquet", "public/data/*.parquet", "public/README.md", "absent/*.csv"]


def parquet() -> bytes:
    stream = io.BytesIO()
    pq.write_table(pa.table({"pt": [1.0, 2.0], "y": [0, 1]}), stream)
    return stream.getvalue()


def opened(url: str, home: Path, paths: list[str], **environment: str) -> dict:
    """Open paths of datasets in a process of its own; return rows and files, or the message."""
    clean = {k: v for k, v in os.environ.items() if not k.startswith("HF_")}
    source = Path(sys.modules["steepest"].__file__).parents[1]
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *(HUB + path for path in paths)],
        env=clean | {"HF_ENDPOINT": url, "HF_HOME": str(home), "PYTHONPATH": str(source),
                     "HF_HUB_DISABLE_PROGRESS_BARS": "1"} | environment,
        capture_output=True, text=True, check=True, timeout=120,
    )  # fmt: skip
    return {path.removeprefix(HUB): answer for path, answer in json.loads(done.stdout).items()}


@pytest.fixture(scope="module")
def answers(tmp_path_factory) -> dict[str, dict]:
    """What paths gave online, with a token, and then offline from the cache."""
    home = tmp_path_factory.mktemp("home")
    files = {"data/a.parquet": parquet(), "data/b.parquet": parquet(), "README.md": b"# jets",
             "x.csv": b"pt,y\n1,0\n"}  # fmt: skip
    with small_hub(files) as url:
        online = opened(url, home, ONLINE)
        trusted = opened(url, home, ["private/x.csv"], HF_TOKEN=TOKEN)
    offline = opened(url, home, OFFLINE, HF_HUB_OFFLINE="1")
    return {"online": online, "trusted": trusted, "offline": offline, "url": url, "home": home}


def test_a_file_a_glob_and_a_revision(answers) -> None:
    online = answers["online"]
    assert online["public/data/a.parquet"] == [2, ["a.parquet"]]
    assert online["public/data/*.parquet"] == [4, ["a.parquet", "b.parquet"]]
    assert online[f"public@{COMMIT}/x.csv"] == [1, ["x.csv"]]


def test_a_private_dataset_with_a_token(answers) -> None:
    assert answers["trusted"]["private/x.csv"] == [1, ["x.csv"]]


def test_offline_from_the_cache(answers) -> None:
    assert answers["offline"]["public/data/a.parquet"] == [2, ["a.parquet"]]
    assert answers["offline"]["public/data/*.parquet"] == [4, ["a.parquet", "b.parquet"]]


MESSAGES = {
    ("online", "absent/x.csv"): """
There is no dataset o/absent on the Hub, or it is private.
  expected: hf://datasets/OWNER/NAME/PATH
  found:    status 401
  cause:    a misspelt name, or a private dataset and no HF_TOKEN
  do:       check the name; for a private dataset: hf auth login, or set HF_TOKEN
""",
    ("online", "private/x.csv"): """
There is no dataset o/private on the Hub, or it is private.
  expected: hf://datasets/OWNER/NAME/PATH
  found:    status 401
  cause:    a misspelt name, or a private dataset and no HF_TOKEN
  do:       check the name; for a private dataset: hf auth login, or set HF_TOKEN
""",
    ("online", "public@v9/x.csv"): """
The dataset o/public has no revision 'v9'.
  expected: a branch, tag or commit
  found:    status 404
  do:       check the word after @
""",
    ("online", "public/data/z.parquet"): """
There is no file data/z.parquet in the dataset o/public.
  expected: one of README.md, data/a.parquet, data/b.parquet, x.csv
  found:    'data/z.parquet'
  do:       write hf://datasets/o/public/data/b.parquet
""",
    ("online", "public/*.pq"): """
No file matches hf://datasets/o/public/*.pq.
  expected: at least one file
  found:    in o/public: README.md, data/a.parquet, data/b.parquet, x.csv
  do:       check the pattern, and that the files are downloaded if you are offline
""",
    ("online", "broken/data/a.parquet"): """
hf://datasets/o/broken/data/a.parquet cannot be downloaded.
  expected: an answer of URL
  found:    peer closed connection without sending complete message body (received 394 bytes, \
expected 789)
  cause:    the network, a proxy, or the Hub is down; what was downloaded is kept
  do:       try again, or download the file and give its path
""",
    ("offline", "public/README.md"): """
hf://datasets/o/public/README.md is not in the cache, and HF_HUB_OFFLINE forbids to download it.
  expected: a copy in HOME
  do:       unset HF_HUB_OFFLINE, or give a local file
""",
    ("offline", "absent/*.csv"): """
hf://datasets/o/absent/*.csv is not in the cache, and HF_HUB_OFFLINE forbids to download it.
  expected: a copy in HOME
  do:       unset HF_HUB_OFFLINE, or give a local file
""",
}


@pytest.mark.parametrize(("how", "path"), MESSAGES)
def test_messages(answers, how, path) -> None:
    found = answers[how][path].replace(answers["url"], "URL").replace(str(answers["home"]), "HOME")
    size = len(parquet())
    expected = MESSAGES[how, path].strip("\n")
    expected = expected.replace("394 bytes", f"{size // 2} bytes").replace("789", str(size))
    assert found == expected


@pytest.mark.parametrize("text", ["hf://models/o/x/y", "hf://datasets/o/x", "hf://datasets//x/y"])
def test_no_address(text, refused) -> None:
    message = f"""
{text} is no path of a dataset on the Hub.
  expected: hf://datasets/OWNER/NAME/PATH
  found:    {text}
  do:       write the dataset's owner and name, then the file's path in it
"""
    refused(EventsError, message, address_of, text)


def test_without_the_extra(refused, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    message = """
Reading datasets of the Hub needs the package 'huggingface_hub', which is not installed.
  do:       pip install 'steepest[hub]'
"""
    refused(MissingExtraError, message, open_events, HUB + "public/x.csv")
