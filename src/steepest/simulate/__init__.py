"""Simulated jets: events from Pythia 8, a parametrised detector, and jets from FastJet.

`simulate_jets` writes a Parquet file, as ``steepest simulate`` does. It needs the extra
``[simulate]``. The modules, in the order of the data flow::

    processes     the processes: Pythia settings, thresholds, required decay
    veto          early rejection of events far from the pT window
    generator     Pythia's event loop → Particles and Decays
    particles     the flat columns of particles and detector objects
    detector      Particles → Constituents (tracks and towers)
    jets          Constituents → leading jets (FastJet); pT window, matching, substructure
    columns       jets → an Arrow table
    blocks        the unit of work: (seed, block) → a table; here or in worker processes
    output        tables → the file
    production    the complete task: simulate_jets
    extra         imports of Pythia and FastJet
"""

from steepest.simulate.production import Summary, simulate_jets

__all__ = ["Summary", "simulate_jets"]
