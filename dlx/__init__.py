"""dlx: a command-line runner for deep-learning experiments."""

import os

# Company invariance, rule A: MKL must choose its kernels by shape alone, never by the alignment of a
# row in memory. MKL reads this once, so it has to be set before torch is imported.
os.environ.setdefault("MKL_CBWR", "AVX2")

__version__ = "0.1.0"
