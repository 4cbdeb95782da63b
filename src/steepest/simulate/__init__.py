"""Simulated jets: events from Pythia 8, a parametrised detector, and jets from FastJet.

`simulate_jets` writes a Parquet file, as ``steepest simulate`` does. It needs the extra
``[simulate]``. The modules, in the order of the data flow::

    generator/
        processes     the processes: Pythia settings, thresholds, required decay
        generator     Pythia's event loop → Particles
        veto          early rejection of events far from the pT window
        decays        event record → decays that the process requires
    jets/
        detector      Particles → Constituents (tracks and towers)
        clustering    FastJet on many lists of particles at once
        jets          Constituents → leading jets; pT window and matching
        substructure  one jet → N-subjettiness, energy correlations, soft drop
        columns       jets → an Arrow table
    block             the unit of work: (seed, block) → a table
    workers           blocks from several processes, in order
    output            tables → the file
    production        the complete task: simulate_jets
"""

from steepest.simulate.production import Summary, simulate_jets

__all__ = ["Summary", "simulate_jets"]
