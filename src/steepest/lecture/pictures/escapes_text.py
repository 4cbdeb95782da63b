"""The text for the figure of `steepest.lecture.pictures.escapes`."""

from __future__ import annotations

from steepest.lecture.pictures.escapes_numbers import Escapes, Share

__all__ = ["text"]


def text(numbers: Escapes) -> list[str]:
    """Explain how the runs start, what is counted, and what the counts depend on."""
    whole = [share for share in numbers.shares if share.noise == 0]
    gone, runs = sum(share.left for share in whole), sum(share.runs for share in whole)
    largest = numbers.at(numbers.rates[0])
    counts = "; ".join(_counted(share) for share in largest)
    return [
        f"The network {numbers.network} is that of the local minima, on the same {numbers.events} "
        f"events. All runs start near the minimum B (J = {numbers.poorer:.5f} at B and "
        f"{numbers.start:.5f} at the starts) and have the same η × steps. A run has left the basin "
        "if batch descent with a small η from its end leads to a different minimum. Batch descent "
        f"itself, with η at most half of 2/λ = {numbers.bound:.3g}, leaves in {gone} of {runs} "
        "runs.",
        f"Runs with η = {numbers.rates[0]:.3g} that have left after {largest[0].steps:,} steps, "
        f"with the 68 % confidence interval: {counts}.",
        f"{_same_noise(numbers)} {_where(numbers)}",
    ]


def _counted(share: Share) -> str:
    events = "1 event" if share.batch_size == 1 else f"{share.batch_size} events"
    low, high = 100 * share.low, 100 * share.high
    return f"with {events} per step {share.left} of {share.runs} ({low:.0f}–{high:.0f} %)"


def _same_noise(numbers: Escapes) -> str:
    """Compare different settings with the same η/B."""
    wanted = zip(numbers.rates, (4, 2, 1), strict=True)
    found = [s for rate, size in wanted for s in numbers.at(rate) if s.batch_size == size]
    counts = ", ".join(str(share.left) for share in found)
    noise = ", ".join(f"{share.noise:.3g}" for share in found)
    return (
        "The strength of the gradient noise is η (1/B − 1/m). It is nearly the same if η and B are "
        f"halved together ({noise} with 4, 2 and 1 events per step): {counts} of {found[0].runs} "
        "runs have left."
    )


def _where(numbers: Escapes) -> str:
    noisy = [share for share in numbers.shares if share.noise > 0]
    left, lower = sum(share.left for share in noisy), sum(share.lower for share in noisy)
    diverged = sum(share.diverged for share in noisy)
    if not left:
        return "No run has left: the noise is too weak to leave the basin of B."
    rest = "the others to a higher one" + (f" or to none ({diverged} diverged)" if diverged else "")
    return (
        f"The new minimum is not always lower: of the {left} runs that left, {lower} led to a "
        f"lower minimum, {rest}."
    )
