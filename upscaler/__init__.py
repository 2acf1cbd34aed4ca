"""Real-ESRGAN networks as a small inference engine: arrays in, arrays out.

This package knows nothing of HTTP, MongoDB or Celery. `catalog` and `sizes` are plain data and arithmetic
and may be imported without torch; everything else is for the worker.
"""

import os

# Threads that wait for each other must sleep, not spin: OpenMP's spinning made an upscale 25 times slower
# on two cores that other programs used as well. It reads this once, when torch is loaded.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
