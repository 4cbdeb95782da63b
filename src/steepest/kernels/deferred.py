"""Functions that only compiled code calls: machine code is made of their callers alone.

Numba optimises each function and turns it into machine code, and does so again for all that a
function calls as part of it: what lies four calls below an entry is compiled five times. Here a
part is translated to LLVM's language and left at that; the entry that needs it links it, with all
that it needs itself, each once, and is then optimised and compiled. A part can then not be called
from Python.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from llvmlite.binding import Linkage
from numba.core.codegen import JITCodeLibrary
from numba.core.compiler import Compiler
from numba.core.typed_passes import InlineOverloads, NopythonRewrites
from numba.core.untyped_passes import InlineClosureLikes, InlineInlinables

__all__ = ["EntryCompiler", "PartCompiler"]


class EntryCompiler(Compiler):
    """Numba's compiler, for a function that may call parts."""

    library: Any
    """The kind of library that the code is put into."""

    def define_pipelines(self) -> Any:
        """The passes of Numba's compiler, which put their code into a library that is set."""
        state = self.state
        if state.library is None:
            state.library = self.library(state.targetctx.codegen(), state.func_id.func_qualname)
            state.library.enable_object_caching()
        return super().define_pipelines()


class PartCompiler(EntryCompiler):
    """Numba's compiler, up to where machine code would be made."""

    def define_pipelines(self) -> Any:
        """Without the passes that look for what parts do not have: a twentieth of the time."""
        pipelines = super().define_pipelines()
        for pipeline in pipelines:
            pipeline.passes = [item for item in pipeline.passes if item[0] not in _NEEDLESS]
        return pipelines


_NEEDLESS = {InlineClosureLikes, InlineInlinables, InlineOverloads, NopythonRewrites}
"""For functions within functions, Numba's own way to inline, and arithmetic on whole arrays."""


class _Entry(JITCodeLibrary):
    """Code that is optimised and turned into machine code with all parts that it needs."""

    def add_linking_library(self, library: Any) -> None:
        """Remember what is to be linked, and what that needs."""
        for needed in _with_needed(library):
            super().add_linking_library(needed)


class _Part(JITCodeLibrary):
    """Code that is there to be linked into other code."""

    def add_llvm_module(self, ll_module: Any) -> None:
        """Take code as it was translated."""
        ll_module.data_layout = self._codegen._data_layout
        self._final_module.link_in(ll_module)

    def finalize(self) -> None:
        """Let several entries have the functions, each its own: what `linkonce_odr` is."""
        self._raise_if_finalized()
        for function in self._final_module.functions:
            if not function.is_declaration and function.linkage == Linkage.external:
                function.linkage = "linkonce_odr"
        self._shared_module = self._final_module
        self._finalized = True

    def needed(self) -> Iterator[Any]:
        """What the part itself calls."""
        yield from self._linking_libraries

    def get_pointer_to_function(self, name: str) -> int:
        """There is none."""
        self._ensure_finalized()
        return 0

    @property
    def codegen(self) -> Any:
        """Who would be told the address of a function's environment, were there machine code."""
        return _Nobody


class _Nobody:
    @staticmethod
    def set_env(name: str, environment: Any) -> None:
        """Do nothing."""


def _with_needed(library: Any) -> Iterator[Any]:
    """A library, and all that its parts call, in the order of the calls."""
    yield library
    if isinstance(library, _Part):
        for other in library.needed():
            yield from _with_needed(other)


EntryCompiler.library, PartCompiler.library = _Entry, _Part
