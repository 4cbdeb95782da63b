"""A Hub on the loopback address that the client of this process talks to, and a fresh cache."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from share.loopback_hub import TOKEN, Hub, loopback_hub


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """An empty Hub; the account may write."""
    constants = pytest.importorskip("huggingface_hub.constants", reason="needs the extra [hub]")
    from huggingface_hub import file_download, hf_api

    home = tmp_path / "hf"
    with loopback_hub() as served:
        monkeypatch.setenv("HF_TOKEN", TOKEN)
        for name, value in {
            "ENDPOINT": served.url,
            "HF_HOME": str(home),
            "HF_HUB_CACHE": str(home / "hub"),
            "HF_HUB_DISABLE_XET": True,
            "HF_HUB_OFFLINE": False,
            "HF_TOKEN_PATH": str(home / "token"),
            "HF_HUB_DISABLE_PROGRESS_BARS": True,
        }.items():
            monkeypatch.setattr(constants, name, value)
        template = served.url + "/{repo_id}/resolve/{revision}/{filename}"
        for module in (constants, file_download, hf_api):
            if hasattr(module, "HUGGINGFACE_CO_URL_TEMPLATE"):
                monkeypatch.setattr(module, "HUGGINGFACE_CO_URL_TEMPLATE", template)
        yield served
