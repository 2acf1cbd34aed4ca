"""Spans and tiles: they cover a picture once, evenly, and read within it."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from upscaler.tiling import Span, Tile, spans


@given(st.integers(0, 500), st.integers(1, 5000), st.integers(1, 700))
def test_spans_cover_the_whole_evenly(start: int, length: int, most: int) -> None:
    whole = Span(start, start + length)
    cut = spans(whole, most)
    assert [cut[0].start, *(span.stop for span in cut)] == [*(span.start for span in cut), whole.stop]
    lengths = {span.length for span in cut}
    assert max(lengths) <= most
    assert max(lengths) - min(lengths) <= 1
    assert len(cut) == -(-length // most)


@given(st.integers(0, 100), st.integers(1, 100), st.integers(0, 60), st.sampled_from([1, 2, 4]))
def test_a_widened_span_stays_within_the_picture(start: int, length: int, context: int, multiple: int) -> None:
    picture = 200
    span = Span(start, start + length)
    window = span.widened(context, picture, multiple)
    assert 0 <= window.start <= max(0, start - context)
    assert start - context - window.start < multiple or window.start == 0
    assert window.stop == min(picture, span.stop + context)
    assert window.start % multiple == 0
    assert list(range(picture))[window.start : window.stop][span.within(window)] == list(range(*span))


def test_halves_are_cut_across_the_longer_side() -> None:
    tile = Tile(Span(0, 5), Span(10, 30))
    assert tile.halves() == (Tile(Span(0, 5), Span(10, 20)), Tile(Span(0, 5), Span(20, 30)))
    assert Tile(Span(0, 3), Span(0, 2)).halves() == (Tile(Span(0, 1), Span(0, 2)), Tile(Span(1, 3), Span(0, 2)))
    assert sum(half.area for half in tile.halves()) == tile.area
