"""The rules of axe on each view, in both themes, on a desktop and on a phone.

axe.min.js is that of axe-core 4.14.1 on the npm registry (MPL-2.0, see axe/LICENSE).
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

AXE = Path(__file__).parent / "axe" / "axe.min.js"
SHA256 = "29348999450cdf2849a8e70b7912fc2da85a849da39c0d0d5394f51d4a9ed95c"
VIEWS = {"play": "#play?show=scaling", "3d": "#play?show=linear", "jets": "#play?show=share",
         "exercises": "#exercises"}  # fmt: skip
RUN = """async () => {
  const { violations } = await axe.run(document, { resultTypes: ["violations"] });
  return violations.flatMap(({ id, nodes }) =>
    nodes.map(({ target, failureSummary }) => `${id}: ${target} ${failureSummary}`));
}"""


def test_axe_is_what_was_published():
    assert hashlib.sha256(AXE.read_bytes()).hexdigest() == SHA256


@pytest.mark.parametrize("width", [390, pytest.param(1440, marks=pytest.mark.slow)])
def test_axe_finds_nothing_in_runs(browser, runs_address, width):
    """Curves, figures, tables, the landscape and the comparison of runs."""
    size = {"width": width, "height": 900}
    theme = "dark" if width == 390 else "light"
    with browser.new_context(viewport=size, color_scheme=theme, bypass_csp=True) as context:
        page = context.new_page()
        page.goto(f"{runs_address}/#runs")
        page.click(".list li button >> nth=0")
        page.wait_for_selector(".stack.tall canvas")
        page.wait_for_selector(".curves .uplot")
        page.add_script_tag(content=AXE.read_text())
        assert page.evaluate(RUN) == []
        assert page.evaluate("() => document.documentElement.scrollWidth") <= width
        page.click("text=3-D")
        page.check(".list input >> nth=0")
        page.check(".list input >> nth=1")
        page.wait_for_selector("text=Side by side")
        assert page.evaluate(RUN) == []
        assert "Nothing: the recipes are the same." in page.inner_text(".detail")


PHONE = [390, "dark"]
DESKTOP = [[1440, "light"], [1440, "dark"]]


@pytest.mark.parametrize(
    ("width", "theme", "views"),
    [
        (*PHONE, ["play", "exercises"]),
        pytest.param(*PHONE, ["3d", "jets"], marks=pytest.mark.slow),
        *(pytest.param(*size, list(VIEWS), marks=pytest.mark.slow) for size in DESKTOP),
    ],
)
def test_axe_finds_nothing(browser, address, width, theme, views):
    size = {"width": width, "height": 900}
    # the rules are put into the page from outside, which the policy would refuse
    with browser.new_context(viewport=size, color_scheme=theme, bypass_csp=True) as context:
        page = context.new_page()
        for view in views:
            page.goto(f"{address}/{VIEWS[view]}")
            page.reload()
            page.wait_for_selector(".steps, .exercises li")
            if view != "exercises" and width < 500:
                page.click("details.side > summary")
            page.add_script_tag(content=AXE.read_text())
            assert page.evaluate(RUN) == [], view
