"""Animation of the descent: the path grows on the surface, next to the loss curve."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from steepest.errors import InputError
from steepest.evaluate.figures.style import BLUE, RED, laid_out, new_figure, style
from steepest.landscape.figures.picture import Picture, spans_decades
from steepest.landscape.figures.plots import contours_on, path_line

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Array = np.ndarray

FRAMES = 60
SECONDS = 6.0
HOLD = 12
"""Number of frames that repeat the end."""
DOTS = 96
"""Dots per inch."""


def frames(picture: Picture, count: int = FRAMES) -> Iterator[Array]:
    """Yield the frames as RGB ``(height, width, 3)`` uint8; the last one is repeated.

    Each frame advances by the same number of path points, which are dense in the first steps, where
    J falls fastest. InputError if no path is drawn on the plane.
    """
    path = picture.drawn_path()
    if path is None or not picture.has_descent:
        raise InputError(
            "There is no path to animate on this landscape.",
            expected="a plane with a path within it",
            found="a line" if len(picture.axes) != 2 else "no path within the plane",
            do="steepest landscape RUN --directions principal",
        )
    with style():
        yield from _frames(picture, path, count)


def _frames(picture: Picture, path: Array, count: int) -> Iterator[Array]:
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    figure = new_figure(11.0, 4.8)
    canvas = FigureCanvasAgg(figure)
    figure.set_dpi(DOTS)
    left, right = figure.subplots(1, 2, width_ratios=[1.35, 1])
    contours_on(figure, left, picture)
    line = left.add_line(path_line(path[:1]))
    ball = left.plot([], [], marker="o", markersize=9, color="white", markeredgecolor="black",
                     linestyle="", zorder=7)[0]  # fmt: skip
    curves = {line: path.T, **_losses(right, picture)}
    for artist in (ball, *curves):
        artist.set_animated(True)
    laid_out(figure)
    canvas.draw()
    ground = canvas.copy_from_bbox(figure.bbox)
    ends = np.unique(np.linspace(1, len(path), min(count, len(path))).astype(int))
    for end in [*ends.tolist(), *[len(path)] * HOLD]:
        canvas.restore_region(ground)
        ball.set_data(*path[end - 1 : end].T)
        for artist, (x, y) in curves.items():
            artist.set_data(x[:end], y[:end])
        for artist in (*curves, ball):
            artist.axes.draw_artist(artist)
        yield np.asarray(canvas.buffer_rgba())[..., :3].copy()


def _losses(axes: Axes, picture: Picture) -> dict[Any, tuple[Array, Array]]:
    """Return the curves of true and surface losses, and the points of each."""
    path = picture.path
    assert path is not None
    true = axes.plot([], [], color=RED, marker="o", markersize=3)[0]
    under = axes.plot([], [], color=BLUE, linestyle="--")[0]
    both = np.concatenate([path.losses, path.surface_losses])
    both = both[np.isfinite(both)]
    if spans_decades(both):
        axes.set_yscale("log")
    margin = 0.08 * float(np.ptp(both))
    axes.set_ylim(max(both.min() - margin, 0.8 * both.min()), both.max() + margin)
    axes.set_xscale("symlog", linthresh=1)
    axes.set_xlim(0, max(1, float(path.steps[-1])))
    axes.plot([], [], color=RED, marker="o", markersize=3, label="True loss")
    axes.plot([], [], color=BLUE, linestyle="--", label="Surface under the path")
    axes.set_xlabel("Step")
    axes.set_ylabel(picture.quantity.split(" (")[0])
    axes.legend(loc="upper right")
    return {true: (path.steps, path.losses), under: (path.steps, path.surface_losses)}


def write_gif(picture: Picture, path: Path, count: int = FRAMES) -> None:
    """Write the animation as GIF, with one palette for all frames."""
    from PIL import Image

    images = [Image.fromarray(frame) for frame in frames(picture, count)]
    palette = images[-1].quantize(colors=255, dither=Image.Dither.NONE)
    reduced = [image.quantize(palette=palette, dither=Image.Dither.NONE) for image in images]
    each = int(1000 * SECONDS / len(images))
    reduced[0].save(path, format="GIF", save_all=True, append_images=reduced[1:], duration=each,
                    loop=0, optimize=True)  # fmt: skip


def has_ffmpeg() -> bool:
    """Whether FFmpeg is installed."""
    return shutil.which("ffmpeg") is not None


def write_mp4(picture: Picture, path: Path, count: int = FRAMES) -> None:
    """Write the animation as MP4 (H.264), using FFmpeg."""
    program = shutil.which("ffmpeg")
    if program is None:
        raise InputError("An MP4 needs the program FFmpeg.", found="none", do="install ffmpeg")
    pictures = list(frames(picture, count))
    height, width = (size // 2 * 2 for size in pictures[0].shape[:2])  # H.264 wants even ones
    rate = f"{len(pictures) / SECONDS:g}"
    given = f"-f rawvideo -pix_fmt rgb24 -s {width}x{height} -r {rate} -i -".split()
    wanted = ["-c:v", "libx264", "-pix_fmt", "yuv420p", "-movflags", "+faststart", "-f", "mp4"]
    command = [program, "-y", "-loglevel", "error", *given, *wanted, str(path)]
    data = b"".join(frame[:height, :width].tobytes() for frame in pictures)
    done = subprocess.run(command, input=data, capture_output=True, check=False)
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip().splitlines() or ["nothing"]
        raise InputError("FFmpeg did not write the MP4.", found=said[-1], do="use the GIF")
