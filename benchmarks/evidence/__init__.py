"""How often is a claim false, and how often is an edge found? On histories made to know it."""

import os

# One process a core, one thread a process; numpy reads it when it is imported.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
