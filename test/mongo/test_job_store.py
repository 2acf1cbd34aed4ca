"""A job's life on a real MongoDB: who gets a name, who holds a job, and how each job ends exactly once."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from bson import ObjectId

from mongo import Store, open_store
from mongo.job_store import JobStore
from mongo.job_sweep import Lost
from mongo.jobs import Job, NameTaken, StaleAttempt, Status, StoredImage
from utils.errors import Undecodable
from utils.settings import Settings
from utils.upscale_request import UpscaleRequest

LONG_AGO = timedelta(hours=2)
NONE = Lost(handed_on=0, failed=0)


def image() -> StoredImage:
    return StoredImage(ObjectId(), "PNG", "RGB", width=30, height=20, bytes=600, sha256="ab" * 32)


def new_job(name: str = "photo.png", owner: str = "everyone") -> Job:
    return Job.new(owner, name, UpscaleRequest(), image())


def created(jobs: JobStore, name: str = "photo.png") -> Job:
    return jobs.create(new_job(name))


def claimed(jobs: JobStore, name: str = "photo.png") -> Job:
    job = jobs.claim(created(jobs, name).id)
    assert job is not None
    return job


def found(jobs: JobStore, job: Job) -> Job:
    present = jobs.get(job.owner, job.id)
    assert present is not None
    return present


def change(store: Store, job: Job, **fields: Any) -> None:
    """What time or another process does to a job, done at once."""
    store.jobs._jobs.update_one({"_id": job.id}, {"$set": fields})


def run_out(store: Store, job: Job) -> None:
    change(store, job, lease_until=datetime.now(UTC) - timedelta(seconds=1))


# --- One name, one current job ------------------------------------------------------------------


def test_a_job_is_found_as_it_was_created(store: Store) -> None:
    job = replace(new_job("$owner.png"), created_at=datetime.now(UTC) - LONG_AGO)
    kept = store.jobs.create(job)
    assert found(store.jobs, job) == kept
    assert kept == replace(job, created_at=kept.created_at)
    assert abs(kept.created_at - datetime.now(UTC)) < LONG_AGO / 2  # the server's time, whatever the maker's clock says


def test_of_forty_racing_creates_of_one_name_one_wins_and_the_others_get_the_winner(store: Store) -> None:
    def attempt(_: int) -> tuple[bool, str]:
        job = new_job()
        try:
            store.jobs.create(job)
        except NameTaken as taken:
            return False, taken.job.id
        return True, job.id

    store.jobs.ensure_indexes()  # which takes longer than forty inserts
    with ThreadPoolExecutor(40) as pool:
        outcomes = list(pool.map(attempt, range(40)))
    winners = [job_id for won, job_id in outcomes if won]
    assert len(winners) == 1
    assert {job_id for _, job_id in outcomes} == set(winners)
    assert store.jobs._jobs.count_documents({}) == 1


def test_a_name_is_taken_within_its_owner_only(store: Store) -> None:
    store.jobs.create(new_job(owner="ann"))
    store.jobs.create(new_job(owner="bob"))
    with pytest.raises(NameTaken):
        store.jobs.create(new_job(owner="ann"))


def test_nobody_sees_the_job_of_another_owner(store: Store) -> None:
    job = created(store.jobs)
    assert store.jobs.get("somebody else", job.id) is None


@pytest.mark.parametrize("end", ["fail", "cancel", "expire"])
def test_a_name_is_free_again_after_its_job_has_failed_been_cancelled_or_expired(store: Store, end: str) -> None:
    job = claimed(store.jobs)
    if end == "fail":
        store.jobs.fail(job, Undecodable("It is no picture."))
    elif end == "cancel":
        store.jobs.cancel(job.owner, job.id)
    else:
        store.jobs.succeed(job, image(), keep=timedelta())
        assert store.sweep.expire() == 1
    assert store.jobs.current(job.owner, job.name) is None
    again = created(store.jobs)
    assert store.jobs.current(job.owner, job.name) == found(store.jobs, again)


def test_a_finished_job_keeps_its_name(store: Store) -> None:
    job = claimed(store.jobs)
    store.jobs.succeed(job, image(), keep=timedelta(days=1))
    with pytest.raises(NameTaken) as taken:
        store.jobs.create(new_job())
    assert taken.value.job.status is Status.SUCCESS


def test_latest_prefers_the_current_job_and_else_tells_of_the_last(store: Store) -> None:
    first = claimed(store.jobs)
    store.jobs.fail(first, Undecodable("It is no picture."))
    second = claimed(store.jobs)
    store.jobs.fail(second, Undecodable("Nor is this one."))
    latest = store.jobs.latest(first.owner, first.name)
    assert latest is not None
    assert latest.id == second.id
    third = created(store.jobs)
    assert store.jobs.latest(first.owner, first.name) == found(store.jobs, third)


# --- One job, one worker ------------------------------------------------------------------------


def test_a_person_is_shown_the_newest_first_and_nothing_that_was_let_go(store: Store) -> None:
    older, gone = created(store.jobs, "older.png"), finished(store, "gone.png")
    newer = created(store.jobs, "newer.png")
    store.jobs.let_go(gone)
    assert [job.id for job in store.jobs.shown("everyone", "", 10, None)] == [newer.id, older.id]
    assert [job.id for job in store.jobs.shown("everyone", "", 10, (newer.created_at, newer.id))] == [older.id]


def test_names_are_searched_by_a_part_to_the_letter_in_either_case(store: Store) -> None:
    wanted = created(store.jobs, "Photo (2).png")
    created(store.jobs, "photo-2.png")
    assert [job.id for job in store.jobs.shown("everyone", "photo (", 10, None)] == [wanted.id]
    assert store.jobs.shown("somebody else", "photo", 10, None) == []


def test_of_twenty_racing_claims_one_gets_the_job(store: Store) -> None:
    job = created(store.jobs)
    with ThreadPoolExecutor(20) as pool:
        outcomes = list(pool.map(store.jobs.claim, [job.id] * 20))
    (winner,) = [outcome for outcome in outcomes if outcome]
    assert (winner.status, winner.attempt) == (Status.STARTED, 1)


def test_a_job_that_runs_or_has_ended_cannot_be_claimed(store: Store) -> None:
    job = claimed(store.jobs)
    assert store.jobs.claim(job.id) is None
    store.jobs.succeed(job, image(), keep=timedelta(days=1))
    assert store.jobs.claim(job.id) is None
    assert store.jobs.claim("never created") is None


def test_a_heartbeat_renews_the_lease_and_stores_the_progress(store: Store) -> None:
    job = claimed(store.jobs)
    run_out(store, job)
    store.jobs.heartbeat(job, 0.25)
    assert found(store.jobs, job).progress == 0.25
    assert store.sweep.hand_on_lost() == NONE


def test_a_heartbeat_of_a_cancelled_job_is_refused(store: Store) -> None:
    job = claimed(store.jobs)
    store.jobs.cancel(job.owner, job.id)
    with pytest.raises(StaleAttempt):
        store.jobs.heartbeat(job, 0.5)


def test_a_job_whose_lease_has_run_out_is_handed_on_and_its_first_worker_is_refused(store: Store) -> None:
    late = claimed(store.jobs)
    run_out(store, late)
    assert store.sweep.hand_on_lost() == Lost(handed_on=1, failed=0)
    assert found(store.jobs, late).status is Status.PENDING
    _refused(store.jobs, late)

    second = store.jobs.claim(late.id)
    assert second is not None
    assert second.attempt == 2
    _refused(store.jobs, late)
    store.jobs.heartbeat(second, 0.5)

    result = image()
    store.jobs.succeed(second, result, keep=timedelta(days=1))
    _refused(store.jobs, late)
    _refused(store.jobs, second)
    assert found(store.jobs, late).result == result


def _refused(jobs: JobStore, job: Job) -> None:
    before = found(jobs, job)
    for write in (
        lambda: jobs.heartbeat(job, 0.9),
        lambda: jobs.succeed(job, image(), keep=timedelta(days=1)),
        lambda: jobs.fail(job, Undecodable("Too late.")),
    ):
        with pytest.raises(StaleAttempt):
            write()
    assert found(jobs, job) == before


def test_a_success_may_be_told_twice_but_no_other(store: Store) -> None:
    job, result = claimed(store.jobs), image()
    for _ in range(2):
        store.jobs.succeed(job, result, keep=timedelta(days=1))
    assert found(store.jobs, job).result == result
    _refused(store.jobs, job)


def test_a_redelivered_message_may_claim_a_job_whose_lease_has_run_out_before_the_sweep_does(store: Store) -> None:
    late = claimed(store.jobs)
    run_out(store, late)
    second = store.jobs.claim(late.id)
    assert second is not None
    assert second.attempt == 2
    _refused(store.jobs, late)


def test_after_three_attempts_a_job_fails_as_worker_lost_and_cannot_be_claimed(store: Store) -> None:
    job = created(store.jobs)
    for attempt in (1, 2, 3):
        taken = store.jobs.claim(job.id)
        assert taken is not None
        assert taken.attempt == attempt
        run_out(store, job)
        if attempt < 3:
            assert store.sweep.hand_on_lost() == Lost(handed_on=1, failed=0)
    assert store.jobs.claim(job.id) is None
    assert store.sweep.hand_on_lost() == Lost(handed_on=0, failed=1)
    ended = found(store.jobs, job)
    assert ended.status is Status.FAILURE
    assert ended.error is not None
    assert ended.error["code"] == "worker_lost"
    assert ended.finished_at is not None
    assert store.jobs.current(job.owner, job.name) is None
    assert store.sweep.hand_on_lost() == NONE


def test_a_lease_that_runs_is_left_alone_by_the_sweep(store: Store) -> None:
    job = claimed(store.jobs)
    assert store.sweep.hand_on_lost() == NONE
    assert found(store.jobs, job).status is Status.STARTED


def test_racing_sweeps_hand_a_job_on_once(store: Store) -> None:
    run_out(store, claimed(store.jobs))
    with ThreadPoolExecutor(10) as pool:
        outcomes = list(pool.map(lambda _: store.sweep.hand_on_lost(), range(10)))
    assert sum(outcome.handed_on for outcome in outcomes) == 1


def test_a_job_handed_back_is_anybodys_at_once_and_that_costs_no_attempt(store: Store) -> None:
    job = created(store.jobs)
    for attempt in (1, 2, 3, 4):
        taken = store.jobs.claim(job.id)
        assert taken is not None
        assert taken.attempt == attempt
        store.jobs.hand_back(taken)
        _refused(store.jobs, taken)
        assert store.sweep.unsent(queue_length=100, patience=timedelta()) == [job.id]
    for _ in range(3):
        assert store.jobs.claim(job.id) is not None
        run_out(store, job)
        store.sweep.hand_on_lost()
    assert found(store.jobs, job).status is Status.FAILURE


def test_a_job_is_tried_again_as_often_as_may_be_and_then_fails(store: Store) -> None:
    job = created(store.jobs)
    for attempt in (1, 2, 3):
        taken = store.jobs.claim(job.id)
        assert taken is not None
        assert store.jobs.try_again(taken, Undecodable("It ends every decoder.")) is (attempt < 3)
        _refused(store.jobs, taken)
    ended = found(store.jobs, job)
    assert ended.status is Status.FAILURE
    assert ended.error is not None
    assert ended.error["code"] == "undecodable"
    assert store.jobs.current(job.owner, job.name) is None


def test_of_racing_beginnings_of_upkeep_one_goes_ahead_until_the_pause_is_over(store: Store) -> None:
    with ThreadPoolExecutor(10) as pool:
        outcomes = list(pool.map(lambda _: store.sweep.begin("sweep", LONG_AGO), range(10)))
    assert sum(outcomes) == 1
    assert store.sweep.begin("clean_up", LONG_AGO)
    time.sleep(0.01)
    assert store.sweep.begin("sweep", timedelta(milliseconds=5))


# --- Messages that got lost ---------------------------------------------------------------------


def test_a_job_that_was_never_sent_is_found_when_its_maker_had_its_time(store: Store) -> None:
    job = created(store.jobs)
    assert store.sweep.unsent(queue_length=0) == []
    assert store.sweep.unsent(queue_length=0, patience=timedelta()) == [job.id]
    assert store.sweep.unsent(queue_length=100, patience=timedelta()) == [job.id]


def test_sent_jobs_are_sent_again_when_the_queue_is_shorter_than_it_should_be(store: Store) -> None:
    first, second = created(store.jobs, "1.png"), created(store.jobs, "2.png")
    for job in (first, second):
        store.jobs.mark_sent(job.id)
    time.sleep(0.01)
    assert store.sweep.unsent(queue_length=2, patience=timedelta()) == []
    assert store.sweep.unsent(queue_length=1, patience=timedelta()) == [first.id, second.id]
    assert store.sweep.unsent(queue_length=1) == []  # they may be on their way to a worker


def test_a_job_in_work_or_ended_is_not_sent_again(store: Store) -> None:
    job = claimed(store.jobs)
    assert store.sweep.unsent(queue_length=0, patience=timedelta()) == []
    store.jobs.fail(job, Undecodable("It is no picture."))
    assert store.sweep.unsent(queue_length=0, patience=timedelta()) == []


def test_a_job_that_was_handed_on_is_sent_again(store: Store) -> None:
    job = claimed(store.jobs)
    store.jobs.mark_sent(job.id)
    run_out(store, job)
    store.sweep.hand_on_lost()
    change(store, job, created_at=datetime.now(UTC) - LONG_AGO)
    assert store.sweep.unsent(queue_length=100) == [job.id]


# --- Ownership, expiry, forgetting --------------------------------------------------------------


def test_a_job_owns_its_upload_until_it_ends_and_its_result_until_it_expires(store: Store) -> None:
    job = claimed(store.jobs)
    assert store.sweep.owned_uploads() == {job.source.file_id}
    assert store.sweep.owned_results() == set()
    result = image()
    store.jobs.succeed(job, result, keep=timedelta(hours=1))
    assert store.sweep.owned_uploads() == set()
    assert store.sweep.owned_results() == {result.file_id}

    assert store.sweep.expire() == 0
    past = datetime.now(UTC) - LONG_AGO
    change(store, job, expires_at=past)
    assert store.sweep.expire() == 1
    assert store.sweep.expire() == 0
    assert store.sweep.owned_results() == set()
    expired = found(store.jobs, job)
    assert expired.expired
    assert expired.status is Status.SUCCESS
    assert expired.result == replace(result, file_id=None)


def test_a_job_given_up_lets_go_of_its_upload(store: Store) -> None:
    job = claimed(store.jobs)
    change(store, job, attempt=3)
    run_out(store, job)
    store.sweep.hand_on_lost()
    assert store.sweep.owned_uploads() == set()


def test_ended_jobs_are_forgotten_after_their_time_and_others_never(store: Store) -> None:
    waiting = created(store.jobs, "waiting.png")
    running = claimed(store.jobs, "running.png")
    failed = claimed(store.jobs, "failed.png")
    store.jobs.fail(failed, Undecodable("It is no picture."))
    kept = claimed(store.jobs, "kept.png")
    store.jobs.succeed(kept, image(), keep=timedelta(days=400))
    expired = claimed(store.jobs, "expired.png")
    store.jobs.succeed(expired, image(), keep=timedelta())
    store.sweep.expire()

    assert store.sweep.forget(LONG_AGO) == 0
    # A task that has expired can be asked for as long after its expiry as others after their end.
    past = datetime.now(UTC) - 2 * LONG_AGO
    change(store, failed, finished_at=past)
    change(store, expired, finished_at=past)
    assert store.sweep.forget(LONG_AGO) == 1
    change(store, expired, expires_at=past)
    assert store.sweep.forget(LONG_AGO) == 1
    assert [store.jobs.get(job.owner, job.id) is None for job in (waiting, running, failed, kept, expired)] == [
        *(False, False, True, False, True)
    ]


def test_sources_that_are_kept_go_with_their_results(mongo_url: str, store: Store) -> None:
    settings = Settings(_env_file=None, mongo_url=mongo_url, mongo_database=store.database.name, keep_sources=True)
    with closing(open_store(settings)) as keeping:
        job = claimed(keeping.jobs)
        keeping.jobs.succeed(job, image(), keep=timedelta())
        assert store.sweep.owned_uploads() == {job.source.file_id}
        store.sweep.expire()
        assert store.sweep.owned_uploads() == set()


# --- The quota ----------------------------------------------------------------------------------


def finished(store: Store, name: str) -> Job:
    job = claimed(store.jobs, name)
    store.jobs.succeed(job, image(), keep=timedelta(days=1))
    time.sleep(0.01)  # which of them ended first is told by milliseconds
    return found(store.jobs, job)


def test_within_the_quota_nothing_is_let_go(store: Store) -> None:
    finished(store, "photo.png")
    assert store.sweep.make_room(image().bytes) == 0


def test_beyond_the_quota_the_oldest_results_go_and_no_more_than_have_to(store: Store) -> None:
    jobs = [finished(store, f"{number}.png") for number in range(4)]
    waiting = created(store.jobs, "waiting.png")  # its upload counts, and stays
    assert store.sweep.make_room(3 * image().bytes) == 2
    assert [found(store.jobs, job).expired for job in jobs] == [True, True, False, False]
    assert found(store.jobs, waiting) == waiting
    assert store.sweep.make_room(3 * image().bytes) == 0
    assert store.sweep.make_room(0) == 2


def test_a_result_that_several_names_share_counts_once_and_goes_for_all_of_them(store: Store) -> None:
    first = finished(store, "photo.png")
    copy = store.jobs.create_finished(first.copy_for("copy.png"), keep=timedelta(days=1))
    assert store.sweep.make_room(image().bytes) == 0
    assert store.sweep.make_room(0) == 2
    assert found(store.jobs, copy).expired
