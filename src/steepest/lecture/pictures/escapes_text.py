"""What there is to see in the figure of `steepest.lecture.pictures.escapes`."""

from __future__ import annotations

from steepest.lecture.pictures.escapes_numbers import Escapes, Share

__all__ = ["text"]


def text(numbers: Escapes) -> list[str]:
    """Return how the runs begin, what is counted, the counts and what they depend on."""
    whole = [share for share in numbers.shares if share.noise == 0]
    gone, runs = sum(share.left for share in whole), sum(share.runs for share in whole)
    largest = numbers.at(numbers.rates[0])
    counts = "; ".join(_counted(share) for share in largest)
    return [
        f"The network {numbers.network} of the local minima again, on the same {numbers.events} "
        f"events. All runs begin near the bottom of the basin of B (J = {numbers.poorer:.5f}, and "
        f"{numbers.start:.5f} where they begin) and take as much η × steps. A run has left if "
        "batch descent with a small η from its end leads to another minimum. Batch descent itself, "
        f"with an η of half of 2/λ = {numbers.bound:.3g} or less, leaves in {gone} of {runs} runs.",
        f"With η = {numbers.rates[0]:.3g} so many have left after {largest[0].steps:,} steps (in "
        f"brackets the interval of 68 % confidence): {counts}.",
        f"{_same_noise(numbers)} {_where(numbers)}",
    ]


def _counted(share: Share) -> str:
    events = "1 event" if share.batch_size == 1 else f"{share.batch_size} events"
    low, high = 100 * share.low, 100 * share.high
    return f"with {events} a step {share.left} of {share.runs} ({low:.0f}–{high:.0f} %)"


def _same_noise(numbers: Escapes) -> str:
    """Compare settings that differ, with one η/B."""
    wanted = zip(numbers.rates, (4, 2, 1), strict=True)
    found = [s for rate, size in wanted for s in numbers.at(rate) if s.batch_size == size]
    counts = ", ".join(str(share.left) for share in found)
    noise = ", ".join(f"{share.noise:.3g}" for share in found)
    return (
        "The strength of a step's noise is η (1/B − 1/m). With η and B halved together it is "
        f"nearly the same ({noise} with 4, 2 and 1 events a step): {counts} of {found[0].runs} "
        "have left."
    )


def _where(numbers: Escapes) -> str:
    noisy = [share for share in numbers.shares if share.noise > 0]
    left, lower = sum(share.left for share in noisy), sum(share.lower for share in noisy)
    diverged = sum(share.diverged for share in noisy)
    if not left:
        return "None has left: the noise is too weak for the walls of B."
    rest = "the others to a higher one" + (f" or to none ({diverged} exploded)" if diverged else "")
    return (
        f"Out of B is not always down: of the {left} runs that left, {lower} led to a lower "
        f"minimum, {rest}."
    )
