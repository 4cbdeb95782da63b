"""A folder on the Hub, in one commit: all of it is there, or nothing is.

What is there already is not sent again, and the commit names the one that it follows, so that an
upload that was interrupted is completed by the same command, and what somebody else has committed
meanwhile is never overwritten. Requests are repeated while they fail in a way that may pass.
"""

from __future__ import annotations

import hashlib
import json
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from steepest.errors import InputError
from steepest.events.retries import is_temporary, patiently
from steepest.folder import write_model
from steepest.folder.hub import hub_errors, load, repository
from steepest.folder.manifest import NAME as MANIFEST
from steepest.share.weaver import preprocess_files
from steepest.trained import FORMAT, TrainedModel

CARD = "README.md"
_OF_ANYONE = (".gitattributes", "LICENSE", "LICENSE.md", "LICENSE.txt", ".gitignore")
"""Files that a repository has from the start."""


@dataclass(frozen=True)
class Target:
    """Where something is uploaded to.

    Parameters
    ----------
    repo
        ``ORG/NAME``.
    kind
        "model" or "dataset".
    private
        Whether a repository that is made is private; None is what the organisation's rule is.
    pull_request
        Propose it, in place of committing it.
    branch
        None is main.
    token
        None is the one that `huggingface_hub` finds: ``HF_TOKEN``, or that of ``hf auth login``.
    message
        Of the commit.
    """

    repo: str
    kind: str = "model"
    private: bool | None = None
    pull_request: bool = False
    branch: str | None = None
    token: str | None = field(default=None, repr=False)
    message: str = "Upload with steepest"

    @property
    def what(self) -> str:
        """How messages call it."""
        return f"The {self.kind} {self.repo}"


@dataclass(frozen=True)
class Published:
    """What an upload has done.

    Attributes
    ----------
    url
        Of the commit, or of the pull request.
    sent
        The names of the files that were new or have changed.
    unchanged
        The names of those that were there.
    made
        Whether the repository was made.
    kept
        The names of files that were changed by hand on the Hub, and are left as they are.
    removed
        The names of files that were uploaded before, and that the folder has no more: of events,
        or figures of merit of another model.
    """

    url: str
    sent: tuple[str, ...]
    unchanged: tuple[str, ...]
    made: bool = False
    kept: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()

    def sentences(self) -> list[str]:
        """Return what was done, for a person."""
        said = ["The repository was made."] if self.made else []
        if self.sent:
            said.append(f"Sent: {', '.join(self.sent)}.")
        if self.unchanged:
            said.append(f"There already: {', '.join(self.unchanged)}.")
        if self.kept:
            said.append(
                f"{', '.join(self.kept)} was changed by hand on the Hub, and is left as it is "
                "there; --pull-request proposes the new one."
            )
        if self.removed:
            said.append(f"Removed: {', '.join(self.removed)}.")
        return [*said, self.url]

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        return {
            "url": self.url,
            "sent": list(self.sent),
            "unchanged": list(self.unchanged),
            "made": self.made,
            "kept": list(self.kept),
            "removed": list(self.removed),
        }


def publish(folder: Path, target: Target) -> Published:
    """Upload the files of a folder in one commit.

    Raises
    ------
    InputError
        The Hub refuses or cannot be reached; the repository has other content, or has changed
        meanwhile; HF_HUB_OFFLINE is set.
    MissingExtraError
        huggingface_hub is not installed.
    """
    repository(target.repo, what=target.kind)
    hub = load("Uploading to the Hub")
    if hub.constants.HF_HUB_OFFLINE:
        raise InputError(
            f"{target.what} cannot be uploaded offline.",
            expected="the Hub",
            found="HF_HUB_OFFLINE",
            do="unset HF_HUB_OFFLINE; --dry-run shows what would be uploaded",
        )
    upload = _Upload(hub, folder, target)
    with hub_errors(target.what, target.repo, target.branch), _bars(hub):
        return patiently(upload.attempt, attempts=4)


@contextmanager
def _bars(hub: Any) -> Iterator[None]:
    """Let the client draw its progress in a terminal alone."""
    bars = hub.utils
    if sys.stderr.isatty() or bars.are_progress_bars_disabled():
        yield
        return
    bars.disable_progress_bars()
    try:
        yield
    finally:
        bars.enable_progress_bars()


def push_model(model: TrainedModel, others: Mapping[str, str], target: Target) -> Published:
    """Upload a model by itself, with `others`, texts by their file's name, and a short card."""
    from steepest.share.card import card_of_model

    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "model"
        texts = {**preprocess_files(model), **others, CARD: card_of_model(model, target.repo)}
        write_model(folder, model, texts)
        return publish(folder, target)


class _Upload:
    """One upload, tried as often as need be; each attempt looks at what is there."""

    def __init__(self, hub: Any, folder: Path, target: Target) -> None:
        self.hub, self.folder, self.target = hub, folder, target
        self.api = hub.HfApi(token=target.token, library_name="steepest")
        self.where = {"repo_id": target.repo, "repo_type": target.kind}
        self.made = False

    def attempt(self) -> Published:
        """Make the repository if there is none, and commit what differs."""
        try:
            return self._attempt()
        except json.JSONDecodeError as error:
            raise OSError("an answer that is no JSON, as of a proxy") from error
        except RuntimeError as error:  # of a thread that sent a file
            if error.__cause__ is not None and is_temporary(error.__cause__):
                raise error.__cause__ from None
            raise

    def _attempt(self) -> Published:
        info = self._known()
        if info is None:
            self._make()
            info = self.api.repo_info(**self.where, files_metadata=True)
        there = {
            file.rfilename: file.lfs.sha256 if file.lfs else file.blob_id
            for file in info.siblings or ()
        }
        self._refuse_other(there, info.sha)
        kept = self._edited(there, info.sha)
        local = {
            file.relative_to(self.folder).as_posix(): file
            for file in sorted(self.folder.rglob("*"))
            if file.is_file()
        }
        sent = [n for n, f in local.items() if n not in kept and there.get(n) not in _ids(f)]
        stale = self._stale(there, local, info.sha)
        unchanged = tuple(name for name in local if name not in sent and name not in kept)
        if not sent and not stale:
            return Published(self._url(info.sha), (), unchanged, self.made, kept)
        commit = self.api.create_commit(
            **self.where,
            operations=[
                self.hub.CommitOperationAdd(path_in_repo=name, path_or_fileobj=local[name])
                for name in sent
            ]
            + [self.hub.CommitOperationDelete(path_in_repo=name) for name in stale],
            commit_message=self.target.message,
            revision=self.target.branch,
            create_pr=self.target.pull_request,
            parent_commit=info.sha,
        )
        url = commit.pr_url or commit.commit_url
        return Published(str(url), tuple(sent), unchanged, self.made, kept, tuple(stale))

    def _known(self) -> Any:
        """What the Hub tells of the repository; None where there is none."""
        try:
            return self.api.repo_info(
                **self.where, revision=self.target.branch, files_metadata=True
            )
        except self.hub.errors.GatedRepoError:
            raise
        except self.hub.errors.RepositoryNotFoundError:
            if self.target.pull_request or self.target.branch not in (None, "main"):
                raise
            return None

    def _make(self) -> None:
        self.api.create_repo(**self.where, private=self.target.private, exist_ok=True)
        self.made = True

    def _url(self, commit: str) -> str:
        kind = "datasets/" if self.target.kind == "dataset" else ""
        return f"{self.api.endpoint}/{kind}{self.target.repo}/commit/{commit}"

    def _refuse_other(self, there: Mapping[str, Any], commit: str) -> None:
        """Raise InputError for a repository that holds something else."""
        others = sorted(there.keys() - set(_OF_ANYONE))
        if not others or self.target.pull_request:
            return
        try:
            found = json.loads(self._text(MARKS[self.target.kind], there, commit) or "{}")
            ours = found.get("format") in (FORMAT["format"], "steepest-events")
        except (ValueError, AttributeError):
            ours = False
        if not ours:
            raise InputError(
                f"{self.target.what} holds something else.",
                expected=f"a new repository, or one with a {self.target.kind} of steepest",
                found=", ".join(others[:5]),
                cause="another model or dataset has this name",
                do="choose another name, or propose it with --pull-request",
            )

    def _edited(self, there: Mapping[str, Any], commit: str) -> tuple[str, ...]:
        """The card, if somebody has changed it on the Hub since it was uploaded."""
        if CARD not in there or self.target.pull_request:
            return ()
        return () if CARD in self._uploaded(there, commit, [CARD]) else (CARD,)

    def _stale(self, there: Mapping[str, Any], local: Mapping[str, Path], commit: str) -> list[str]:
        """The files of an upload before that the folder has not."""
        gone = [name for name in there if name not in local]
        if self.target.kind == "dataset":
            return [name for name in gone if name.startswith("data/")]
        return self._uploaded(there, commit, gone)

    def _uploaded(self, there: Mapping[str, Any], commit: str, names: Sequence[str]) -> list[str]:
        """Those of the names that manifest.json there lists, and that nobody has changed since."""
        try:
            table = json.loads(self._text(MANIFEST, there, commit) or "{}")
            sums = {name: tuple(entry["sha256"]) for name, entry in table["files"].items()}
        except (ValueError, KeyError, TypeError, AttributeError):  # somebody has changed that
            return []

        def is_ours(name: str) -> bool:
            content = self._text(name, there, commit) or b""
            return hashlib.sha256(content).hexdigest() in sums[name]

        return [name for name in names if name in sums and is_ours(name)]

    def _text(self, name: str, there: Mapping[str, Any], commit: str) -> bytes | None:
        if name not in there:
            return None
        path = self.hub.hf_hub_download(
            self.target.repo,
            name,
            repo_type=self.target.kind,
            revision=commit,
            token=self.target.token,
            library_name="steepest",
        )
        return Path(path).read_bytes()


MARKS = {"model": "config.json", "dataset": "steepest.json"}
"""The file by which a repository is known to be ours."""


def _ids(file: Path) -> tuple[str, str]:
    """The ids that the Hub has for a file's content: of large ones, and of git's."""
    blob = hashlib.sha1(b"blob %d\0" % file.stat().st_size, usedforsecurity=False)
    whole = hashlib.sha256()
    with file.open("rb") as opened:
        while data := opened.read(2**20):
            blob.update(data)
            whole.update(data)
    return whole.hexdigest(), blob.hexdigest()
