"""Real-ESRGAN networks as a small inference engine: arrays in, arrays out.

This package knows nothing of HTTP, MongoDB or Celery. `catalog` is plain data and may be imported
without torch; everything else is for the worker.
"""
