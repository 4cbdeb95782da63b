"""A hook of MkDocs: the chapter of the lecture's pictures, built by running `steepest lecture`.

Its page and figures are no files of the repository. They are drawn once a build, from the embedded
jets, and go into the site beside lecture.html, which a lecturer can show.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

from steepest.lecture import draw, lecture_recipe
from steepest.lecture.lecture import chapter

FOLDER = "lecture"


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the chapter, its figures and the page."""
    with tempfile.TemporaryDirectory() as scratch:
        lecture = draw(lecture_recipe(), Path(scratch) / FOLDER)
        text = chapter(lecture.numbers, f"{FOLDER}/")
        files.append(File.generated(config, "lecture-pictures.md", content=text))
        for file in sorted(lecture.folder.path.iterdir()):
            if file.suffix in (".png", ".pdf", ".html", ".json"):
                name = f"{FOLDER}/{file.name}"
                files.append(File.generated(config, name, content=file.read_bytes()))
    return files
