"""How PNG, JPEG and WebP files are read and written, one subject a file.

The ways in are `utils.image_header`, for the web, and `utils.image_files`, for the worker.
"""
