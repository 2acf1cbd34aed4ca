"""`/mine`: the visitor's tasks, newest first, to be searched, followed and deleted."""

from __future__ import annotations

from flask import render_template, request, url_for
from werkzeug import Response

from views.context import context, owner
from views.pages.blueprint import blueprint
from views.pages.task import uncached
from views.tasks import cursor_of, read_cursor

PAGE = 24  # tasks
LONGEST_SEARCH = 255  # characters; no name is longer


@blueprint.get("/mine")
def mine() -> Response:
    """One page of the list. `?search=` is a part of the name."""
    search = request.args.get("search", "").strip()[:LONGEST_SEARCH]
    before = read_cursor(request.args["cursor"]) if "cursor" in request.args else None
    found = context().store.jobs.shown(owner(), search, PAGE + 1, before)
    jobs = found[:PAGE]
    older = url_for("pages.mine", search=search or None, cursor=cursor_of(jobs[-1])) if len(found) > PAGE else None
    newest = url_for("pages.mine", search=search or None) if before else None
    return uncached(render_template("mine.html", jobs=jobs, search=search, older=older, newest=newest))
