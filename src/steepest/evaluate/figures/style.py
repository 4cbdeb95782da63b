"""Style of the figures, labels of axes, and writing of figures to files."""

from __future__ import annotations

import io
import logging
import re
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.text import Annotation

__all__ = [
    "BLUE",
    "COLOURS",
    "GREY",
    "LINE_STYLES",
    "MARKERS",
    "ORANGE",
    "RED",
    "TARGET",
    "axis_label",
    "drawing",
    "labelled",
    "laid_out",
    "new_figure",
    "note",
    "points",
    "rendered",
    "rendered_in",
    "save",
    "scaled_label",
    "short",
    "stated_units",
    "style",
    "title_of",
    "typeset",
    "with_units",
]

# M. A. Petroff, "Accessible Color Sequences for Data Visualization", arXiv:2107.02270: the set of
# six, which colour-blind readers can distinguish; line styles and markers differ for greyscale.
COLOURS = ("#5790fc", "#e42536", "#f89c20", "#964a8b", "#7a21dd", "#9c9ca1")
BLUE, RED, ORANGE, _, _, GREY = COLOURS
LINE_STYLES = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)), (0, (1, 1)))
MARKERS = ("o", "s", "^", "D", "v", "P")

# The style of CMS figures from mplhep, with font sizes for figures of about seven inches.
_SIZES: dict[str, Any] = {
    "font.family": ["TeX Gyre Heros", "DejaVu Sans"],  # the second has nearly all characters
    "font.size": 14,
    "legend.fontsize": 12,
    "legend.handlelength": 2.0,
    "axes.linewidth": 1.2,
    "lines.linewidth": 1.8,
    "xtick.major.size": 7,
    "ytick.major.size": 7,
    "xtick.minor.size": 3.5,
    "ytick.minor.size": 3.5,
    "xtick.major.width": 1.0,
    "ytick.major.width": 1.0,
    "hatch.linewidth": 0.8,
    "axes.unicode_minus": True,
    "figure.constrained_layout.use": True,
    "figure.dpi": 150,  # as it is saved: text is measured once
    "savefig.dpi": 150,
    "savefig.bbox": "standard",
    "svg.hashsalt": "steepest",
    "pdf.fonttype": 42,
}

_NO_METADATA = {
    "png": {"Software": None},
    "pdf": {"Creator": None, "Producer": None, "CreationDate": None},
    "svg": {"Creator": None, "Date": None, "Format": None, "Type": None},
}

_SYMBOLS: dict[str, str] = {
    "pt": "$p_{T}$",
    "energy": "$E$",
    "e": "$E$",
    "px": "$p_{x}$",
    "py": "$p_{y}$",
    "pz": "$p_{z}$",
    "mass": "$m$",
    "soft_drop_mass": "$m_{SD}$",
    "met": r"$p_{T}^{miss}$",
    "ht": "$H_{T}$",
    "eta": r"$\eta$",
    "phi": r"$\phi$",
    "delta_r": r"$\Delta R$",
    "n_constituents": "Number of constituents",
    "multiplicity": "Multiplicity",
    "c2": "$C_{2}$",
    "d2": "$D_{2}$",
    "width": "Width",
    "ptd": "$p_{T}^{D}$",
}
_ALIASES = {
    "m": "mass",
    "softdrop_mass": "soft_drop_mass",
    "msd": "soft_drop_mass",
    "m_sd": "soft_drop_mass",
    "nconst": "n_constituents",
    "pt_dispersion": "ptd",
    "n_particles": "n_constituents",
}


UNITS: ContextVar[Mapping[str, Mapping[str, str]]] = ContextVar(
    "units", default=MappingProxyType({})
)
"""Of columns by name what is known of "title" and "unit"; see `stated_units`."""


def title_of(
    name: str, units: Mapping[str, Mapping[str, str]] | None = None, longest: int = 40
) -> str:
    """Return the title of a feature: as given, else a usual symbol; prefixes like ``jet_`` go."""
    said = (UNITS.get() if units is None else units).get(name, {}).get("title")
    if said is not None:
        said = said if said.count("$") % 2 == 0 else said.replace("$", r"\$")
        return _short_title(said, longest + MORE)
    known = re.sub(r"^(jet|fatjet)_", "", name.lower())
    known = _ALIASES.get(known, known)
    subjettiness = re.fullmatch(r"tau_?(\d{1,2})", known)
    if subjettiness:
        return rf"$\tau_{{{subjettiness[1]}}}$"
    if known in _SYMBOLS:
        return _SYMBOLS[known]
    # dollar signs would start math mode inside an unknown name
    return short(name, longest).replace("$", r"\$")


MORE = 8
"""Letters that a title may have beyond those of a name."""


def _short_title(text: str, longest: int) -> str:
    """Return a title; of one that is too long the beginning, with mathematics kept whole."""
    if "$" not in text or r"\$" in text:
        return short(text, longest)
    kept, length = "", 0
    for piece in re.split(r"(\$[^$]*\$)", text):
        marked = re.sub(r"\\[A-Za-z]+", "x", piece).translate(_MARKUP)
        seen = len(marked if piece.startswith("$") else piece)
        if length + seen > longest:
            room = longest - length - 1
            return f"{kept}{'' if piece.startswith('$') else piece[: max(room, 0)]}…"
        kept, length = kept + piece, length + seen
    return kept


_MARKUP = str.maketrans("", "", "${}_^ ")


def short(text: str, longest: int = 30) -> str:
    """Return a text, with its middle replaced by … if it is too long; math is not shortened.

    An expression may be longer than a figure is wide. The numbers of a figure have the full text.

    Examples
    --------
    >>> short("sqrt((e1 + e2)**2 - (px1 + px2)**2) / 1000", 24)
    'sqrt((e1 + e2)…2) / 1000'
    """
    if len(text) <= longest or "$" in text:
        return text
    end = (longest - 1) * 2 // 5
    return f"{text[: longest - 1 - end]}…{text[-end:]}"


def axis_label(
    name: str, longest: int = 40, units: Mapping[str, Mapping[str, str]] | None = None
) -> str:
    r"""Return the axis label of a feature, with its unit where one is given.

    `units` has what is known of "title" and "unit", by name; left out, that of `stated_units`.
    Unknown names are shortened to `longest`.

    Examples
    --------
    >>> axis_label("jet_pt"), axis_label("tau32"), axis_label("my_feature")
    ('$p_{T}$', '$\\tau_{32}$', 'my_feature')
    >>> axis_label("met", units={"met": {"unit": "GeV"}})
    '$p_{T}^{miss}$ [GeV]'
    """
    units = UNITS.get() if units is None else units
    unit = units.get(name, {}).get("unit")
    title = title_of(name, units, longest)
    return f"{title} [{unit}]" if unit else title


def scaled_label(name: str, longest: int = 40) -> str:
    """Return the axis label of a scaled feature, which has no unit.

    Examples
    --------
    >>> scaled_label("pt")
    '$p_{T}$, scaled'
    """
    return f"{title_of(name, None, longest)}, scaled"


@contextmanager
def stated_units(units: Mapping[str, Mapping[str, str]]) -> Iterator[None]:
    """Context in which columns have these titles and units."""
    token = UNITS.set(units)
    try:
        yield
    finally:
        UNITS.reset(token)


def with_units(draw: Callable[[], Figure], units: Mapping[str, Mapping[str, str]]) -> Figure:
    """Draw a figure with titles and units of columns."""
    with stated_units(units):
        return draw()


@contextmanager
def style(**changes: Any) -> Iterator[None]:
    """Context in which a figure is made or written; global settings are not changed.

    `changes` are Matplotlib settings for this figure only. Matplotlib's warnings about a layout
    that does not fit and about missing characters, and messages about font files, are suppressed,
    since they do not help the user.
    """
    import matplotlib

    with _quiet("matplotlib", "fontTools"), warnings.catch_warnings():
        import mplhep

        settings: Any = {**mplhep.style.CMS, **_SIZES, **changes}
        warnings.filterwarnings("ignore", "constrained_layout not applied", UserWarning)
        warnings.filterwarnings("ignore", "Glyph .* missing from font", UserWarning)
        with matplotlib.rc_context(settings):
            yield
            interactive = matplotlib.is_interactive()  # a notebook's first figure makes it so
        matplotlib.interactive(interactive)


@contextmanager
def _quiet(*names: str) -> Iterator[None]:
    """Let these loggers tell errors only."""
    loggers = [logging.getLogger(name) for name in names]
    levels = [logger.level for logger in loggers]
    try:
        for logger in loggers:
            logger.setLevel(logging.ERROR)
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


TARGET: ContextVar[Callable[[float, float], Any] | None] = ContextVar("target", default=None)
"""Where figures are drawn instead of a new one, see `steepest.evaluate.figures.again`."""


@contextmanager
def drawing(width: float, height: float, **changes: Any) -> Iterator[Figure]:
    """Context in which an empty figure of a size in inches is filled; at its end it is laid out."""
    target = TARGET.get()
    if target is not None:  # it is drawn later, with settings in which mplhep's fonts are unknown
        changes |= {"mathtext.fontset": "dejavusans"}
    with style(**changes):
        if target is not None:
            yield target(width, height)
            return
        figure = new_figure(width, height)
        yield figure
        for axes in figure.axes:
            # at the other end than the label of the axis
            axes.xaxis.get_offset_text().set(x=0, horizontalalignment="left")
        _typeset(figure)
        laid_out(figure)


_POWER = re.compile(r"(?<![\w.])(\d+(?:\.\d+)?)e([+-]\d+)(?!\w)|·10([⁻⁰¹²³⁴⁵⁶⁷⁸⁹]+)")
_DIGITS = str.maketrans("⁻⁰¹²³⁴⁵⁶⁷⁸⁹₀₁₂₃₄₅₆₇₈₉", "-01234567890123456789")
_MATHEMATICS = re.compile(r"((?<!\\)\$[^$]*\$)")
_RAISED, _LOWERED = re.compile("[⁻⁰⁴⁵⁶⁷⁸⁹¹²³]+"), re.compile("[₀₁₂₃₄₅₆₇₈₉]+")


def typeset(text: str) -> str:
    r"""Return a text with powers of ten as mathematics, in one notation.

    Examples
    --------
    >>> typeset("S = 1.82e-10"), typeset("(1.8 ± 0.2)·10⁻⁶")
    ('S = 1.82$\\cdot 10^{-10}$', '(1.8 ± 0.2)$\\cdot 10^{-6}$')
    >>> typeset(r"$p_T$ in 10⁸ V"), typeset("10⁸ V")
    ('$p_T$ in 10$^{8}$ V', '10⁸ V')
    """

    def power(found: re.Match[str]) -> str:
        exponent = int((found[2] or found[3]).translate(_DIGITS))
        return rf"{found[1] or ''}$\cdot 10^{{{exponent}}}$"

    pieces = _MATHEMATICS.split(_POWER.sub(power, text))
    if len(pieces) > 1:  # beside mathematics there is no second font for what the first one lacks
        pieces[::2] = [_LOWERED.sub(_index, _RAISED.sub(_index, each)) for each in pieces[::2]]
    return "".join(pieces)


def _index(run: re.Match[str]) -> str:
    """Return raised or lowered digits as mathematics."""
    mark = "_" if _LOWERED.match(run[0]) else "^"
    return rf"${mark}{{{run[0].translate(_DIGITS)}}}$"


def _typeset(figure: Figure) -> None:
    """Set powers of ten as mathematics: those in texts, and those that stand by an axis."""
    from matplotlib.text import Text
    from matplotlib.ticker import ScalarFormatter

    texts, legends = [*figure.texts], [*figure.legends]
    for axes in figure.axes:
        texts += [*axes.texts, axes.title, axes.xaxis.label, axes.yaxis.label]
        legends += [legend] if (legend := axes.get_legend()) else []
        for axis in (axes.xaxis, axes.yaxis):
            formatter = axis.get_major_formatter()
            if isinstance(formatter, ScalarFormatter):
                formatter.set_locs(list(axis.get_majorticklocs()))
                if formatter.get_offset():  # not for all: mathematics is slow to lay out
                    formatter.set_useMathText(True)
    texts += [each for legend in legends for each in legend.findobj(Text)]  # its title too
    for text in texts:
        if text.get_text() != (said := typeset(text.get_text())):
            text.set_text(said)


def points(
    axes: Axes, x: Any, value: Any, low: Any, high: Any, across: Any = None, **options: Any
) -> None:
    """Draw points with their intervals; an end that is not finite is not drawn."""
    below, above = (
        np.nan_to_num(np.maximum(length, 0), posinf=0)
        for length in (np.subtract(value, low), np.subtract(high, value))
    )
    axes.errorbar(x, value, (below, above), across, markeredgecolor="white", **options)


def note(axes: Axes, lines: Sequence[str]) -> None:
    """Write lines into the upper left corner."""
    axes.text(0.04, 0.96, "\n".join(lines), transform=axes.transAxes, va="top", fontsize=12)


def new_figure(width: float, height: float) -> Figure:
    """Return an empty figure with sizes in inches; call it within `style()`."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height))


def laid_out(figure: Figure) -> Figure:
    """Return the figure with its layout computed once and then fixed.

    Otherwise Matplotlib changes the layout by a fraction of a pixel each time the figure is drawn,
    and saving a figure twice would give two different files.
    """
    engine = figure.get_layout_engine()
    if engine is not None:
        engine.execute(figure)
    figure.set_layout_engine("none")
    return figure


def labelled(draw: Callable[[], Figure], label: str) -> Figure:
    """Draw a figure, and write a label such as "CMS Simulation" above it, its first word bold."""
    with style():
        figure = draw()
        first, _, rest = label.partition(" ")
        axes = figure.axes[0]
        room = axes.set_title(" ", loc="left", fontsize=15)
        figure.set_layout_engine("constrained")
        laid_out(figure)
        # above what stands above the axes
        height = axes.transAxes.inverted().transform(room.get_window_extent())[0, 1]
        bold = axes.annotate(first, (0, height), (0, 0), "axes fraction", "offset points",
                             fontsize=16, fontweight="bold", va="bottom")  # fmt: skip
        beside = axes.annotate(f" {rest}", (1, 0), (0, 0), bold, "offset points", fontsize=14,
                               fontstyle="italic", va="bottom")  # fmt: skip
        _fit(beside, figure)
    return figure


SMALLEST = 9
"""Points of a label that would leave the frame; what is longer yet is cut."""


def _fit(text: Annotation, figure: Figure) -> None:
    """Make a text smaller, and then shorter, until its end is in the frame."""
    width, said = figure.bbox.width, text.get_text()
    size = float(text.get_fontsize())
    while text.get_window_extent().x1 > width and size > SMALLEST:
        size -= 0.5
        text.set_fontsize(size)
    if text.get_window_extent().x1 <= width:
        return

    def fits(letters: int) -> bool:
        text.set_text(f"{said[:letters]}…")
        return text.get_window_extent().x1 <= width

    least, most = 0, len(said)
    while most - least > 1:
        middle = (least + most) // 2
        least, most = (middle, most) if fits(middle) else (least, middle)
    fits(least)


def save(figure: Figure, path: str | Path) -> Path:
    """Write a figure to `path` in the format of its suffix, by default PNG.

    Dates, versions and random identifiers are left out, so the same numbers give the same bytes
    with the same versions of Matplotlib and FreeType.

    Parameters
    ----------
    figure
        A figure of one of these functions.
    path
        File to write, with the suffix ``.png``, ``.pdf``, ``.svg`` or another one that Matplotlib
        supports.

    Returns
    -------
    Path
        The file written.
    """
    path = Path(path)
    if not path.suffix:
        path = path.with_suffix(".png")
    path.write_bytes(rendered(figure, path.suffix[1:].lower()))
    return path


def rendered(figure: Figure, kind: str = "png") -> bytes:
    """Return the bytes that `save` writes."""
    buffer = io.BytesIO()
    with style():
        if kind in ("png", "pdf"):
            _print(figure, kind, buffer)
        else:
            figure.savefig(buffer, format=kind, metadata=_NO_METADATA.get(kind))
    return buffer.getvalue()


def rendered_in(figure: Figure, kinds: Sequence[str]) -> dict[str, bytes]:
    """The bytes of a figure in each format; its layout is that of the first, and computed once."""
    files = {}
    for kind in kinds:
        files[kind] = rendered(figure, kind)
        figure.set_layout_engine("none")
    return files


def _print(figure: Figure, kind: str, buffer: io.BytesIO) -> None:
    """Write a PNG or PDF, without the first pass of `savefig`, which computes the layout again."""
    from matplotlib import rcParams
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.backends.backend_pdf import FigureCanvasPdf

    dpi = figure.dpi
    figure.set_dpi(rcParams["savefig.dpi"])
    try:
        if kind == "png":
            FigureCanvasAgg(figure).print_png(buffer, metadata=_NO_METADATA[kind])
        else:
            FigureCanvasPdf(figure).print_pdf(buffer, metadata=_NO_METADATA[kind])
    finally:
        figure.set_dpi(dpi)
