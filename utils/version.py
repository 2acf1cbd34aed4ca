"""The version of the service, as it tells it itself. A test of the API's description holds it to pyproject.toml."""

VERSION = "0.1.0"
