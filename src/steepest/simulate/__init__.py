"""Simulated jets: Pythia 8 makes the events, FastJet the jets, a parametrised detector the rest.

What to use when: `simulate_jets` writes a Parquet file, as ``steepest simulate`` does. Needs the
extra ``[simulate]``. The rooms below, in the order of the way of the data::

    processes     what can be made: Pythia's settings, thresholds, the match
    generator     Pythia's event loop → Particles
    decays        the record → the decays that the process asks for
    detector      Particles → Constituents (tracks and towers)
    clustering    FastJet on many lists of particles at once
    jets          Constituents → leading jets; window and match
    substructure  one jet → N-subjettiness, energy correlations, soft drop
    columns       jets → an Arrow table
    block         the unit of work: (seed, block) → a table
    workers       blocks by several processes, in their order
    output        tables → the file
    production    all of it: simulate_jets
"""

from steepest.simulate.production import Summary, simulate_jets

__all__ = ["Summary", "simulate_jets"]
