"""An interactive landscape for a browser: one self-contained HTML file, made with Plotly."""

from __future__ import annotations

import importlib
import importlib.util
import re
from html import escape
from typing import Any

import numpy as np

from steepest.errors import MissingExtraError
from steepest.landscape.figures.picture import Picture, decade_ticks, shades, spans_decades

Array = np.ndarray

COLOURS = "Viridis"
PATH_COLOUR = "#e42536"


def has_plotly() -> bool:
    """Whether Plotly is installed."""
    return importlib.util.find_spec("plotly") is not None


def require_plotly() -> Any:
    """Return ``plotly.graph_objects``; MissingExtraError if Plotly is not installed."""
    if not has_plotly():
        raise MissingExtraError("landscape", "plotly", "The interactive page")
    return importlib.import_module("plotly.graph_objects")


def page(picture: Picture, title: str) -> str:
    """Return a self-contained page with the landscape."""
    plotly, flat = require_plotly(), len(picture.axes) == 2
    figure = plotly.Figure(_plane(plotly, picture) if flat else _line(plotly, picture))
    figure.update_layout(
        title={"text": escape(title), "x": 0.02},
        template="plotly_white",
        font={"family": "Helvetica, Arial, sans-serif", "size": 14},
        legend={"x": 0.02, "y": 0.98},
        margin={"l": 0, "r": 0, "t": 50, "b": 0} if flat else None,
    )
    if flat:
        _dress(figure, picture)
    else:
        figure.update_xaxes(title=plain(picture.labels[0]))
        kind = "log" if spans_decades(picture.losses) else "linear"
        figure.update_yaxes(title=plain(picture.quantity), type=kind)
    text = figure.to_html(include_plotlyjs=True, full_html=True, default_height="96vh",
                          config={"displaylogo": False})  # fmt: skip
    return text.replace("<head>", f"<head><title>{escape(title)}</title>", 1)


def plain(label: str) -> str:
    r"""Return a Matplotlib label as HTML.

    Examples
    --------
    >>> plain(r"Towards b,  $\Vert\Delta\theta\Vert$"), plain(r"Coefficient of $p_{T}$ [1/GeV]")
    ('Towards b,  ‖Δθ‖', 'Coefficient of p<sub>T</sub> [1/GeV]')
    """
    words = {r"\Vert": "‖", r"\Delta": "Δ", r"\theta": "θ", r"\lambda": "λ", r"\eta": "η",
             r"\phi": "φ", r"\tau": "τ"}  # fmt: skip
    label = escape(label, quote=False)
    for macro, letter in words.items():
        label = label.replace(macro, letter)
    for mark, tag in (("_", "sub"), (r"\^", "sup")):
        label = re.sub(mark + r"\{([^}]*)\}", rf"<{tag}>\1</{tag}>", label)
    return label.replace("$", "")


def _plane(plotly: Any, picture: Picture) -> list[Any]:
    x, y = picture.axes
    surface = plotly.Surface(
        x=x,
        y=y,
        z=np.where(np.isfinite(picture.losses), picture.losses, np.nan).T,
        surfacecolor=shades(picture.losses).T,
        colorscale=COLOURS,
        showscale=False,
        hovertemplate="x %{x:.4g}<br>y %{y:.4g}<br>J %{z:.5g}<extra></extra>",
        connectgaps=False,
        opacity=0.92,  # a path below remains visible
        lighting={"ambient": 0.55, "diffuse": 0.75, "specular": 0.15, "roughness": 0.6},
        lightposition={"x": -1000, "y": 1000, "z": 2000},
        name=plain(picture.quantity),
    )
    path = picture.drawn_path()
    if path is None or picture.path is None:
        return [surface]
    inside = picture.path_within()
    steps = [f"step {step:,}" for step in picture.path.steps[inside].tolist()]
    place = {"x": path[inside, 0], "y": path[inside, 1], "text": steps}
    true = plotly.Scatter3d(
        **place,
        z=picture.path.losses[inside],
        mode="lines+markers",
        line={"color": PATH_COLOUR, "width": 6},
        marker={"size": 2.5, "color": PATH_COLOUR},
        hovertemplate="%{text}<br>true loss %{z:.5g}<extra></extra>",
        name="Path, at its true losses",
    )
    under = plotly.Scatter3d(
        **place,
        z=picture.path.surface_losses[inside],
        mode="lines",
        line={"color": "black", "width": 3, "dash": "dot"},
        hovertemplate="%{text}<br>surface %{z:.5g}<extra></extra>",
        name="Surface under the path",
    )
    return [surface, true, under]


def _line(plotly: Any, picture: Picture) -> list[Any]:
    (x,) = picture.axes
    losses = np.where(np.isfinite(picture.losses), picture.losses, np.nan)
    traces = [plotly.Scatter(x=x, y=losses, mode="lines", name="On the line", connectgaps=False)]
    path = picture.drawn_path()
    if path is not None and picture.path is not None:
        steps = [f"step {step:,}" for step in picture.path.steps.tolist()]
        line = {"color": PATH_COLOUR, "dash": "dash"}
        traces.append(plotly.Scatter(x=path[:, 0], y=picture.path.losses, mode="lines+markers",
                                     line=line, name="Path, true losses", text=steps))  # fmt: skip
    return traces


def _dress(figure: Any, picture: Picture) -> None:
    """Set axis labels, a logarithmic height if useful, and buttons to switch it."""
    kind = "log" if spans_decades(picture.losses) else "linear"
    figure.update_scenes(
        xaxis_title=plain(picture.labels[0]),
        yaxis_title=plain(picture.labels[1]),
        zaxis_title=plain(picture.quantity.split(" (")[0]),
        zaxis_type=kind,
        zaxis_tickvals=decade_ticks(picture.losses).tolist() if kind == "log" else None,
        aspectratio={"x": 1, "y": 1, "z": 0.6},
        camera={"eye": {"x": -1.3, "y": -1.3, "z": 0.9}},
    )
    if picture.losses[np.isfinite(picture.losses)].min(initial=np.inf) <= 0:
        return
    buttons = [
        {"method": "relayout", "label": label, "args": [{"scene.zaxis.type": name}]}
        for label, name in (("Logarithmic", "log"), ("Linear", "linear"))
    ]
    menu = {"type": "buttons", "direction": "right", "x": 0.98, "xanchor": "right", "y": 1.0,
            "yanchor": "top", "active": int(kind == "linear"), "buttons": buttons}  # fmt: skip
    figure.update_layout(updatemenus=[menu])
