"""Logs of other programs: what is read, what is said, and what is refused."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from typer.testing import CliRunner

from steepest.cli.app import app
from steepest.errors import InputError
from steepest.explain.logs import explain_log, read_log

RANDOM = np.random.default_rng(5)
STEPS = np.arange(1, 2001)
HEALTHY = 0.3 + 0.4 * np.exp(-STEPS / 150) + 0.01 * RANDOM.normal(size=2000)


def written(folder: Path, **columns: Any) -> Path:
    path = folder / "log.csv"
    pl.DataFrame(columns).write_csv(path)
    return path


def causes(path: Path, **columns: str) -> list[str]:
    return [one.cause for one in explain_log(path, **columns).findings]


def parabola(rate: float, steps: int) -> np.ndarray:
    """Losses of the lecture's parabola by batch gradient descent, after every step."""
    t = np.arange(20.0)
    y = 0.75 * (t - 9.5) ** 2 + 1 + np.random.default_rng(0).normal(0, 3, 20)
    design, theta, losses = np.column_stack([t * t, t, np.ones(20)]), np.zeros(3), []
    for _ in range(steps):
        rest = design @ theta - y
        losses.append(float(rest @ rest) / 20)
        theta = theta - rate * 2 / 20 * design.T @ rest
    return np.array(losses)


def test_a_healthy_log_has_nothing_wrong_and_says_what_it_cannot_tell(tmp_path: Path):
    found = explain_log(written(tmp_path, step=STEPS, loss=HEALTHY, lr=np.full(2000, 1e-3)))
    assert found.findings == ()
    assert "Nothing that a log tells is wrong" in found.verdict
    skipped = {one.name for one in found.checks if not one.passed}
    assert skipped >= {"curvature", "scaling", "noise", "layers", "events", "fixes"}
    assert found.measured.log.columns["rate"] == "lr"
    json.dumps(found.to_json(), allow_nan=False)


def test_divergence_tells_by_how_much_the_rate_is_above_its_bound(tmp_path: Path):
    losses = parabola(3.6e-5, 1500)
    found = explain_log(
        written(tmp_path, step=np.arange(1500), loss=losses, lr=np.full(1500, 3.6e-5))
    )
    first = found.findings[0]
    assert (first.cause, first.severity) == ("learning-rate-too-large", "wrong")
    assert [one.cause for one in found.findings] == ["learning-rate-too-large"]  # nothing contrary
    assert "1.017 times" in first.why
    assert "3.54e-05" in first.why


def test_a_crawl_does_not_blame_the_rate(tmp_path: Path):
    losses = parabola(1e-5, 100_000)[::100]
    found = explain_log(written(tmp_path, iteration=np.arange(1000) * 100, mse_loss=losses))
    assert [one.cause for one in found.findings] == ["too-few-steps"]
    first = found.findings[0]
    assert "crawls" in first.title
    assert "only scaling helps" in first.why


@pytest.mark.parametrize(
    ("columns", "cause"),
    [
        ({"loss": np.where(STEPS < 900, HEALTHY, np.nan)}, "diverged"),
        ({"loss": np.where(STEPS < 1900, HEALTHY, np.inf)}, "diverged"),
        ({"loss": HEALTHY + np.where(STEPS > 1000, 2.0, 0.0)}, "learning-rate-too-large"),
        ({"loss": np.log(2) + 0.001 * RANDOM.normal(size=2000)}, "learns-nothing"),
        ({"loss": 0.3 + 0.4 * np.exp(-STEPS / 2000)}, "too-few-steps"),
        ({"loss": 0.3 + 0.4 * np.exp(-STEPS / 150) + 0.03 * (-1.0) ** STEPS}, "oscillation"),
        ({"loss": HEALTHY + 2.0 * np.isin(STEPS, [700, 1400])}, "spikes"),
        (
            {"loss": HEALTHY, "val_loss": 0.4 + 0.4 * np.exp(-STEPS / 150) + 1e-4 * STEPS},
            "overtraining",
        ),
        ({"val_loss": 0.4 + 0.4 * np.exp(-STEPS / 150) + 1e-4 * STEPS}, "overtraining"),
    ],
)
def test_what_a_curve_says(tmp_path: Path, columns: dict[str, Any], cause: str):
    assert causes(written(tmp_path, step=STEPS, **columns))[:1] == [cause]


def test_no_finding_of_noise_alone(tmp_path: Path):
    """Healthy curves with different noise and lengths: none of severity wrong."""
    for seed in range(60):
        random = np.random.default_rng(seed)
        count = int(random.integers(60, 3000))
        steps = np.arange(1, count + 1)
        power = random.uniform(3, 12)
        losses = random.uniform(0.1, 1) + np.exp(-power * steps / count)
        losses += random.uniform(0, 0.1) * random.normal(size=count)
        found = explain_log(written(tmp_path, step=steps, loss=losses))
        assert not [one.cause for one in found.findings if one.severity == "wrong"]


def test_trainer_state(tmp_path: Path):
    rows: list[dict[str, Any]] = [
        {"step": int(s), "loss": float(v), "learning_rate": 1e-4, "epoch": s / 100}
        for s, v in zip(STEPS[::10], HEALTHY[::10], strict=True)
    ]
    rows += [{"step": 1000, "eval_loss": 0.4}, {"step": 2000, "eval_loss": 0.35}]
    rows += [{"step": 2000, "train_loss": 0.4, "train_runtime": 3.0, "total_flos": 1e9}]
    (tmp_path / "trainer_state.json").write_text(json.dumps({"log_history": rows}))
    log = read_log(tmp_path)
    assert dict(log.columns) == {
        "step": "step",
        "loss": "loss",
        "validation": "eval_loss",
        "rate": "learning_rate",
    }
    assert log.steps == 2000
    assert log.validation[1].tolist() == [0.4, 0.35]
    assert explain_log(tmp_path).findings == ()


def varint(value: int) -> bytes:
    out = b""
    while value > 0x7F:
        out += bytes([value & 0x7F | 0x80])
        value >>= 7
    return out + bytes([value])


def masked(data: bytes) -> bytes:
    """CRC-32C bit by bit, masked as TFRecord does."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    crc ^= 0xFFFFFFFF
    return struct.pack("<I", ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF)


def record(step: int, tag: str, value: float, as_tensor: bool = False) -> bytes:
    name = tag.encode()
    scalar = b"\x15" + struct.pack("<f", value)
    if as_tensor:
        content = struct.pack("<f", value)
        scalar = b"\x42" + varint(8) + b"\x08\x01\x22\x04" + content
    inner = b"\x0a" + varint(len(name)) + name + scalar
    summary = b"\x0a" + varint(len(inner)) + inner
    event = b"\x09" + struct.pack("<d", 1.0) + b"\x10" + varint(step)
    event += b"\x2a" + varint(len(summary)) + summary
    length = struct.pack("<Q", len(event))
    return length + masked(length) + event + masked(event)


@pytest.fixture
def board(tmp_path: Path) -> Path:
    for part, offset, tensor in (("train", 0.0, False), ("validation", 0.05, True)):
        (tmp_path / part).mkdir()
        rows = [record(s, "epoch_loss", 0.3 + offset + 0.5**s, tensor) for s in range(1, 40)]
        rows += [record(s, "epoch_accuracy", 0.9, tensor) for s in range(1, 40)]
        (tmp_path / part / "events.out.tfevents.1.host.v2").write_bytes(b"".join(rows))
    return tmp_path


def test_event_files(board: Path):
    log = read_log(board)
    assert log.columns["loss"] == "train/epoch_loss"
    assert log.columns["validation"] == "validation/epoch_loss"
    assert log.loss[1] == pytest.approx(0.3 + 0.5 ** np.arange(1, 40), rel=1e-6)
    assert log.validation[0].tolist() == list(range(1, 40))
    assert explain_log(board).findings == ()


def test_a_truncated_event_file_is_read_to_its_last_record(board: Path):
    file = next((board / "train").iterdir())
    file.write_bytes(file.read_bytes()[: -39 * 60])
    whole = len(read_log(file).loss[0])
    file.write_bytes(file.read_bytes()[:-3])
    assert whole - 1 <= len(read_log(file).loss[0]) <= whole


def test_a_damaged_event_file_is_refused(board: Path):
    file = next((board / "train").iterdir())
    data = bytearray(file.read_bytes())
    data[40] ^= 1
    file.write_bytes(data)
    with pytest.raises(InputError, match="wrong checksum"):
        read_log(file)
    file.write_bytes(b"not an event file at all")
    with pytest.raises(InputError, match="no record at byte 0"):
        read_log(file)
    body = b"\x0a\xff"
    length = struct.pack("<Q", len(body))
    file.write_bytes(length + masked(length) + body + masked(body))
    with pytest.raises(InputError, match="no event"):
        read_log(file)
    file.write_bytes(b"")
    with pytest.raises(InputError, match="without scalars"):
        read_log(file)


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("log.csv", "", "cannot be read as a log"),
        ("log.csv", "step,loss\n", "no rows"),
        ("log.csv", "step,accuracy\n1,0.5\n", "no column that looks like a loss"),
        ("log.csv", "step,loss\n1,0.5\n2,high\n", "'high' in row 2"),
        ("log.csv", "step,loss,x\n1,,1\n2,,1\n", "has no losses"),
        ("log.json", "{", "breaks at character"),
        ("log.json", "3", "no list of records"),
        ("log.jsonl", '{"loss": 1}\n{"lo\n{"loss": 2}\n', "line 2 is no JSON"),
        ("log.jsonl", "\n", "no records"),
    ],
)
def test_what_is_refused(tmp_path: Path, name: str, text: str, said: str):
    (tmp_path / name).write_text(text)
    with pytest.raises(InputError, match=said):
        read_log(tmp_path / name)


def test_names_that_are_not_there(tmp_path: Path):
    path = written(tmp_path, step=STEPS, trainloss=HEALTHY)
    with pytest.raises(InputError, match="--loss trainloss"):
        read_log(path, loss="trainlos")
    with pytest.raises(InputError, match="There is no file"):
        read_log(tmp_path / "nothing.csv")
    with pytest.raises(InputError, match="There is no file"):
        read_log(tmp_path / "events.out.tfevents.1")
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="no run, no event file"):
        read_log(tmp_path / "empty")


def test_lines_that_end_early_and_steps_that_go_back(tmp_path: Path):
    rows = [json.dumps({"step": s, "loss": 1 / s}) for s in [*range(1, 30), *range(20, 60)]]
    path = tmp_path / "log.jsonl"
    path.write_text("\n".join(rows) + '\n{"step": 60, "lo')
    said = [one.sentence for one in explain_log(path).checks if one.name == "log"]
    assert any("goes back 1 times" in one for one in said)
    assert any("line 70 is cut off" in one for one in said)


def test_other_layouts(tmp_path: Path):
    path = tmp_path / "log.json"
    path.write_text(json.dumps({"train_loss": [1.0, 0.5], "val_loss": [1.1, 0.6], "name": "x"}))
    assert read_log(path).validation[1].tolist() == [1.1, 0.6]
    pl.DataFrame({"epoch": [1, 2], "loss": [1.0, 0.5]}).write_parquet(tmp_path / "log.parquet")
    assert read_log(tmp_path / "log.parquet").columns["step"] == "epoch"
    (tmp_path / "log.txt").write_text("Epoch\tTrain Loss\tVal Loss\n1\t0.9\tnan\n2\t0.8\tinf\n")
    log = read_log(tmp_path / "log.txt")
    assert log.columns["loss"] == "Train Loss"
    assert causes(tmp_path / "log.txt") == ["diverged"]
    epochs = np.repeat(np.arange(10), 200)
    log = read_log(written(tmp_path, epoch=epochs, batch_loss=HEALTHY))
    assert log.steps == 2000


def test_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    written(tmp_path, step=STEPS, J=HEALTHY)
    result = CliRunner().invoke(app, ["explain", "log.csv", "--loss", "J"])
    assert result.exit_code == 0
    assert "Nothing that a log tells is wrong" in " ".join(result.stdout.split())
    result = CliRunner().invoke(app, ["explain", "log.csv", "--loss", "J", "--json"])
    assert json.loads(result.stdout)["measured"]["columns"]["loss"] == "J"
    result = CliRunner().invoke(app, ["explain", "log.csv", "--loss", "J", "--write", "new.toml"])
    assert (result.exit_code, "no recipe" in result.stderr) == (1, True)
    result = CliRunner().invoke(app, ["explain", "run", "--loss", "J"])
    assert "is no log" in result.stderr


def test_of_columns_that_would_do_the_one_with_more_records_is_taken(tmp_path: Path):
    loss = [1 / step for step in range(1, 201)]
    training = [1.0, *[None] * 198, 0.5]
    path = written(tmp_path, step=range(1, 201), training_loss=training, loss=loss)
    log = read_log(path)
    assert log.columns["loss"] == "loss"
    assert len(log.loss[0]) == 200
    assert read_log(path, loss="training_loss").columns["loss"] == "training_loss"
