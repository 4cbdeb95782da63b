"""Models on the Hugging Face Hub: ``hf://ORG/NAME[@REVISION]``, downloaded into the Hub's cache.

Only the files of a model folder are asked for, by their names: what else a repository holds, and
how it calls that, does not matter. `huggingface_hub` honours ``HF_ENDPOINT``, ``HF_HOME``,
``HF_TOKEN`` and ``HF_HUB_OFFLINE``; without the Hub's answer, the cache's copy is taken.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from steepest.errors import InputError, SteepestError
from steepest.events import extra
from steepest.events.retries import is_temporary, patiently

PREFIX = "hf://"
SHAPE = "hf://ORG/NAME or hf://ORG/NAME@REVISION"
_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,94}[A-Za-z0-9_])?")
PATTERNS = (
    "config.json",
    "model.safetensors",
    "scaling.safetensors",
    "training.json",
    "estimator.json",
    "preprocess.json",
    "manifest.json",
)
"""The files of a model folder, see docs/hub.md."""


class ModelAddress(NamedTuple):
    """A model on the Hub, and the branch, tag or commit of it."""

    repo: str
    revision: str | None = None


def is_address(path: str | Path) -> bool:
    """Whether a path names something on the Hub.

    Examples
    --------
    >>> is_address("hf://dl4phys/top-tagger"), is_address("runs/first")
    (True, False)
    """
    return isinstance(path, str) and path.startswith(PREFIX)


def address_of(text: str) -> ModelAddress:
    """Return the model that ``hf://ORG/NAME[@REVISION]`` names.

    Raises
    ------
    InputError
        It is not of that shape.

    Examples
    --------
    >>> address_of("hf://dl4phys/top-tagger@v1")
    ModelAddress(repo='dl4phys/top-tagger', revision='v1')
    """
    repo, _, revision = text.removeprefix(PREFIX).removesuffix("/").partition("@")
    if "@" in text and not revision:
        raise _misnamed(text)
    return ModelAddress(repository(repo, text), revision or None)


def repository(name: str, text: str | None = None, what: str = "model") -> str:
    """Return the name of a repository, ``ORG/NAME``; InputError for what is none.

    `what` is "model" or "dataset", for the message.

    Examples
    --------
    >>> repository("dl4phys/top-tagger")
    'dl4phys/top-tagger'
    """
    parts = name.split("/")
    wrong = ".." in name or "--" in name or name.endswith(".git")
    if len(parts) != 2 or not all(map(_NAME.fullmatch, parts)) or wrong:
        raise _misnamed(text or name, what)
    return name


def _misnamed(text: str, what: str = "model") -> InputError:
    return InputError(
        f"{text} is no name of a {what} on the Hub.",
        expected="ORG/NAME, of letters, digits, and single - . _ between them"
        if PREFIX not in text
        else SHAPE,
        found=repr(text),
        do="write the account or organisation, a slash, and the " + what + "'s name",
    )


def model_folder(text: str, **options: Any) -> Path:
    """Return the folder in the Hub's cache with the files of a model; downloads what is not there.

    `options` are those of `huggingface_hub.snapshot_download`.

    Raises
    ------
    InputError
        There is no such model or revision, it is private or gated, the Hub cannot be reached and
        the cache has no copy, or `text` is no such name.
    MissingExtraError
        huggingface_hub is not installed.
    """
    address = address_of(text)
    hub = load("Loading models from the Hub")
    revision = options.pop("revision", None) or address.revision

    def download() -> Path:
        return Path(
            hub.snapshot_download(
                address.repo,
                revision=revision,
                allow_patterns=list(PATTERNS),
                library_name="steepest",
                tqdm_class=_silent(hub),
                **options,
            )
        )

    with hub_errors(f"The model {address.repo}", address.repo, revision):
        return patiently(download, attempts=3)


def load(purpose: str, module: str = "huggingface_hub") -> Any:
    """Return huggingface_hub or a module of it, or raise the error with the install line."""
    return extra.load(module, "hub", purpose)


def _silent(hub: Any) -> type:
    class Silent(hub.utils.tqdm):
        """A progress bar that is not drawn."""

        def __init__(self, *args: Any, **options: Any) -> None:
            super().__init__(*args, **{**options, "disable": True})

    return Silent


@contextmanager
def hub_errors(what: str, repo: str, revision: str | None = None) -> Iterator[None]:
    """Raise InputError for what the Hub refuses about a repository; `what` begins the sentence."""
    errors = load("The Hub", "huggingface_hub.errors")
    log = load("The Hub", "huggingface_hub.utils").logging
    before = log.get_verbosity()
    log.set_verbosity_error()  # its warnings about repeated requests
    try:
        yield
    except SteepestError:
        raise
    except (OSError, ValueError, RuntimeError, errors.HTTPError) as error:
        raise _refused(error, errors, what, repo, revision) from None
    finally:
        log.set_verbosity(before)


def _refused(
    error: BaseException, errors: Any, what: str, repo: str, revision: str | None
) -> InputError:
    """Return the error of ours for one of the Hub's; it never has what the request held."""
    constants = load("The Hub", "huggingface_hub.constants")
    status, found = _found(error)
    if isinstance(error, UnicodeEncodeError):  # whose text would have a character of it
        return InputError(
            "The token of the Hub has a character that no token has.",
            expected="hf_, then letters and digits",
            cause="HF_TOKEN, or the file that hf auth login wrote, holds something else",
            do="set HF_TOKEN again, or: hf auth login",
        )
    if isinstance(error, errors.GatedRepoError):
        return InputError(
            f"{what} is gated.",
            expected="an account that was granted access",
            found=found,
            do=f"ask for access on {constants.ENDPOINT}/{repo}, then: hf auth login",
        )
    if isinstance(error, errors.RevisionNotFoundError):
        return InputError(
            f"{what} has no revision {revision!r}.",
            expected="a branch, tag or commit",
            found=found,
            do="check the word after @",
        )
    if isinstance(error, errors.RepositoryNotFoundError) or status in (401, 404):
        return InputError(
            f"{what} is not on the Hub, or is private.",
            expected="a repository that this account may read",
            found=found,
            cause="a misspelt name, or no token, or one that has expired",
            do="check the name; for a private one: hf auth login, or set HF_TOKEN",
        )
    if status == 403:
        return InputError(
            f"{what} is not open to this account.",
            expected="a token that may do this",
            found=found,
            cause="a token that may only read, or an organisation that you are no member of",
            do="make a token with write access in the settings of the Hub, then: hf auth login",
        )
    if status in (409, 412):
        return InputError(
            f"{what} has changed meanwhile.",
            expected="the commit that the upload began from",
            found=found,
            cause="somebody else has committed to it",
            do="look at what has changed, and run the command again",
        )
    if constants.HF_HUB_OFFLINE:
        return InputError(
            f"{what} is not in the cache, and HF_HUB_OFFLINE forbids to ask the Hub.",
            expected=f"a copy in {constants.HF_HOME}",
            do="unset HF_HUB_OFFLINE",
        )
    if status == 429:
        return InputError(
            f"{what}: the Hub has had too many requests.",
            found=found,
            do="wait some minutes, or log in, which raises the limit: hf auth login",
        )
    return InputError(
        f"{what}: the Hub does not answer as it should.",
        expected=f"an answer of {constants.ENDPOINT}",
        found=found,
        cause="the network, a proxy, or the Hub is down"
        if status is None or is_temporary(error)
        else None,
        do="run the same command again: it goes on where it was",
    )


def _found(error: BaseException) -> tuple[int | None, str]:
    """Return the status of an answer, and what went wrong, without addresses and tokens."""
    inner: BaseException | None = error
    while inner is not None:
        response = getattr(inner, "response", None)
        status = getattr(response, "status_code", None)
        if isinstance(status, int):
            notes = ", ".join(["", *getattr(inner, "__notes__", ())])
            return status, f"status {status}{notes}"
        inner = inner.__cause__ or (inner.__context__ if inner.__suppress_context__ else None)
    deepest = error
    while deepest.__cause__ is not None:
        deepest = deepest.__cause__
    text = str(deepest).strip().splitlines()[0] if str(deepest).strip() else ""
    return None, ": ".join(filter(None, [type(deepest).__name__, without_tokens(text)]))


def without_tokens(text: str) -> str:
    """Return a text with everything that looks like a token of the Hub replaced.

    Examples
    --------
    >>> without_tokens("Bearer hf_abcDEF123 was refused")
    'Bearer hf_… was refused'
    """
    return re.sub(r"hf_(?:jwt_)?[A-Za-z0-9._-]{4,}", "hf_…", text)
