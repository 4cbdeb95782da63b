"""How fast steepest is: against its peers, and against what the machine can do.

`python -m benchmarks` runs every part, `python -m benchmarks gradient` one of them. Each part is a
file of this folder with a function ``measure(options) -> list[Case]``; `harness` times, checks and
prints, `document` writes docs/performance.md and its picture from what was measured.
"""
