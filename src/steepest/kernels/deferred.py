"""Functions that only compiled code calls: machine code is made of their callers alone.

Numba optimises each function and turns it into machine code, and does so again for all that a
function calls as part of it: what lies four calls below an entry is compiled five times. Here a
part is translated to LLVM's language and left at that; the entry that it is linked into is
optimised and compiled, once, with all its parts. A part can then not be called from Python.
"""

from __future__ import annotations

from typing import Any

from numba.core.codegen import JITCodeLibrary
from numba.core.compiler import Compiler

__all__ = ["PartCompiler"]


class PartCompiler(Compiler):
    """Numba's compiler, up to where machine code would be made."""

    def define_pipelines(self) -> Any:
        """The passes of Numba's compiler, which put their code into a library that is set."""
        state = self.state
        if state.library is None:
            state.library = _Part(state.targetctx.codegen(), state.func_id.func_qualname)
            state.library.enable_object_caching()
        return super().define_pipelines()


class _Part(JITCodeLibrary):
    """Code that is there to be linked into other code."""

    def add_llvm_module(self, ll_module: Any) -> None:
        """Take code as it was translated."""
        ll_module.data_layout = self._codegen._data_layout
        self._final_module.link_in(ll_module)

    def finalize(self) -> None:
        """Link what the part itself calls, each once."""
        self._raise_if_finalized()
        for library in dict.fromkeys(self._linking_libraries):
            self._reload_init.update(library._reload_init)
            self._final_module.link_in(library._get_module_for_linking(), preserve=True)
        self._final_module.verify()
        self._finalized = True

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
