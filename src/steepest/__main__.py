"""``python -m steepest``: the command line, also for launchers such as ``torchrun``."""

from steepest.cli import main

if __name__ == "__main__":
    main()
