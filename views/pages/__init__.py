"""The pages for people: start, task, batch, list and errors. Server-rendered; scripts only add to them."""

# Each of the modules puts its routes on the blueprint.
from views.pages import batch, error_codes, error_on_purpose, language_switch, mine, original, start, task
from views.pages.blueprint import blueprint

__all__ = [
    "batch",
    "blueprint",
    "error_codes",
    "error_on_purpose",
    "language_switch",
    "mine",
    "original",
    "start",
    "task",
]
