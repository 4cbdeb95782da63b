"""onnxruntime's headers, from Debian's package `libonnxruntime-dev`, without installing it."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

PACKAGE = "libonnxruntime-dev"
RELEASE = "trixie"
"""Debian 13, the first release that has the package."""
KEYS = Path("/usr/share/keyrings/debian-archive-keyring.gpg")


def headers_of_debian(folder: Path) -> Path | None:
    """Unpack the package into a folder, and return its ``include``; None where apt has it not.

    apt keeps its lists in the folder too, so that the machine's own stay as they are.
    """
    mirror = _mirror()
    if mirror is None or not KEYS.is_file() or shutil.which("dpkg-deb") is None:
        return None
    for name in ("state/lists/partial", "cache/archives/partial"):
        (folder / name).mkdir(parents=True)
    sources = folder / "sources.list"
    sources.write_text(f"deb [signed-by={KEYS}] {mirror} {RELEASE} main\n")
    options = {
        "Dir::Etc::sourcelist": sources,
        "Dir::Etc::sourceparts": "-",
        "Dir::State": folder / "state",
        "Dir::Cache": folder / "cache",
        "APT::Sandbox::User": "root",
    }
    apt = ["apt-get", "-qq", *(f"-o{key}={value}" for key, value in options.items())]
    for command in (["update"], ["download", PACKAGE]):
        done = subprocess.run([*apt, *command], cwd=folder, capture_output=True, check=False)
        if done.returncode != 0:
            return None
    (package,) = folder.glob(f"{PACKAGE}_*.deb")
    subprocess.run(["dpkg-deb", "-x", package, folder / "root"], check=True)
    return folder / "root" / "usr" / "include"


def _mirror() -> str | None:
    """Where this machine gets Debian's packages from."""
    if shutil.which("apt-get") is None:
        return None
    command = ["apt-get", "indextargets", "--format", "$(ORIGIN) $(REPO_URI)"]
    listed = subprocess.run(command, capture_output=True, text=True, check=False).stdout
    for line in listed.splitlines():
        origin, _, address = line.partition(" ")
        if origin == "Debian" and not address.rstrip("/").endswith("-security"):
            return address
    return None
