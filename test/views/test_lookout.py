"""What a watch tells the one who waits: the newest of each job, once, and nothing that is older."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
from bson import ObjectId

from celery_app.announcements import Listener
from mongo import Store
from mongo.jobs import Job, Status, StoredImage
from utils.errors import TooManyStreams
from utils.local_services import free_port
from utils.settings import Settings
from utils.upscale_request import UpscaleRequest
from views.lookout import Lookout, Sight, Watch, moment

LONG = 30.0  # s


def a_job(owner: str = "anna", name: str = "photo.png") -> Job:
    source = StoredImage(ObjectId(), "PNG", "RGB", width=30, height=20, bytes=600, sha256="ab" * 32)
    return Job.new(owner, name, UpscaleRequest(), source)


@pytest.fixture
def lookout(store: Store) -> Iterator[Lookout]:
    """One that no Redis tells anything: what it learns, it learns by looking."""
    deaf = Listener(Settings(_env_file=None, redis_url=f"redis://127.0.0.1:{free_port()}/0"))
    lookout = Lookout(store.jobs, deaf, most_watches=2)
    yield lookout
    lookout.end()


@pytest.fixture
def watch(lookout: Lookout) -> Iterator[Watch]:
    with lookout.watch_owner("nobody") as watch:
        yield watch


def test_a_job_is_further_with_every_step_of_its_life() -> None:
    waiting = a_job()
    started = replace(waiting, status=Status.STARTED, attempt=1)
    life = [
        waiting,
        started,
        replace(started, progress=0.5),
        replace(started, status=Status.PENDING),  # its worker was lost
        replace(started, attempt=2),
        replace(started, attempt=2, progress=0.1),
        replace(started, attempt=2, status=Status.SUCCESS, progress=1.0),
    ]
    moments = [moment(job) for job in life]
    assert moments == sorted(set(moments))
    assert moment(replace(waiting, status=Status.REVOKED)) > moment(waiting)


def test_of_many_changes_the_newest_is_told(watch: Watch) -> None:
    started = replace(a_job(), status=Status.STARTED, attempt=1)
    for progress in (0.1, 0.2, 0.3):
        watch.tell(Sight(replace(started, progress=progress)))
    news = watch.next(LONG)
    assert news is not None
    assert (news.job.progress, news.is_first) == (0.3, True)
    assert watch.next(0) is None


def test_what_is_old_is_no_news(watch: Watch) -> None:
    started = replace(a_job(), status=Status.STARTED, attempt=1, progress=0.5)
    watch.know(started)
    watch.tell(Sight(started))
    watch.tell(Sight(replace(started, progress=0.4)))
    assert watch.next(0) is None
    watch.tell(Sight(replace(started, progress=0.6)))
    news = watch.next(LONG)
    assert news is not None
    assert not news.is_first


def test_an_end_is_told_once(watch: Watch) -> None:
    ended = replace(a_job(), status=Status.FAILURE, attempt=1)
    for _ in range(2):
        watch.tell(Sight(ended))
    assert watch.next(LONG) is not None
    watch.tell(Sight(ended))
    assert watch.next(0) is None


def test_all_who_watch_share_what_was_made_of_a_sight() -> None:
    made: list[Job] = []

    def make(job: Job) -> str:
        made.append(job)
        return job.name

    sight = Sight(a_job())
    assert [sight.as_text(make), sight.as_text(make)] == ["photo.png", "photo.png"]
    assert len(made) == 1


def test_a_change_that_nobody_announced_is_told_all_the_same(store: Store, lookout: Lookout) -> None:
    job = a_job()
    store.jobs.create(job)
    with lookout.watch_job(job) as watch, lookout.watch_owner("anna") as all_of_anna:
        for each in (watch, all_of_anna):
            first = each.next(LONG)
            assert first is not None
            assert (first.job.status, first.is_first) == (Status.PENDING, True)
        assert store.jobs.cancel("anna", job.id)
        for each in (watch, all_of_anna):
            end = each.next(LONG)
            assert end is not None
            assert end.job.status is Status.REVOKED


def test_a_change_before_the_watching_began_is_not_missed(store: Store, lookout: Lookout) -> None:
    job = a_job()
    store.jobs.create(job)
    store.jobs.cancel("anna", job.id)
    with lookout.watch_job(job, is_known=True) as watch:
        news = watch.next(LONG)
        assert news is not None
        assert news.job.status is Status.REVOKED


def test_an_owner_hears_of_nobody_elses_jobs(store: Store, lookout: Lookout) -> None:
    with lookout.watch_owner("anna") as watch:
        store.jobs.create(a_job("bert"))
        store.jobs.create(a_job("anna"))
        store.jobs.create(a_job("bert", "other.png"))
        news = watch.next(LONG)
        assert news is not None
        assert news.job.owner == "anna"
        store.jobs.create(a_job("anna", "other.png"))
        news = watch.next(LONG)
        assert news is not None
        assert (news.job.owner, news.job.name) == ("anna", "other.png")


def test_there_are_so_many_watches_and_no_more(lookout: Lookout) -> None:
    with lookout.watch_owner("anna"), lookout.watch_owner("bert"), pytest.raises(TooManyStreams):
        lookout.watch_owner("carl")
    for _ in range(3):
        with lookout.watch_owner("anna") as watch:
            watch.leave()
    with lookout.watch_owner("anna"), lookout.watch_owner("bert"):
        pass


def test_who_waits_is_let_go_when_the_process_stops(lookout: Lookout) -> None:
    with lookout.watch_owner("anna") as before:
        lookout.end()
        assert list(before.news(LONG)) == []
    with lookout.watch_owner("anna") as after:
        assert list(after.news(LONG)) == []


def test_one_watch_of_several_jobs_hears_of_each_and_counts_once(lookout: Lookout, store: Store) -> None:
    jobs = [a_job(name=f"{number}.png") for number in range(3)]
    for job in jobs:
        store.jobs.create(job)
    claimed = store.jobs.claim(jobs[0].id)
    assert claimed is not None
    with lookout.watch_jobs(jobs) as watch, lookout.watch_job(jobs[1]):
        changed_before = watch.next(LONG)  # that the others wait is no news
        assert changed_before is not None
        assert changed_before.job.status is Status.STARTED
        store.jobs.cancel("anna", jobs[2].id)
        cancelled = watch.next(LONG)
        assert cancelled is not None
        assert (cancelled.job.id, cancelled.job.status) == (jobs[2].id, Status.REVOKED)
        watch.leave()
        watch.leave()
        with lookout.watch_jobs(jobs), pytest.raises(TooManyStreams):
            lookout.watch_jobs(jobs)
