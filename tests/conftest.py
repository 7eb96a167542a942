"""Settings for every test."""

import os

# Tests run in one process per processor: torch's own threads would only wait for each other.
os.environ.setdefault("OMP_NUM_THREADS", "1")
