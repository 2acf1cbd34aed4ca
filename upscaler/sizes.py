"""From what a caller wishes to the size of the result, in whole pixels. Plain arithmetic.

The web process uses it too, to refuse a picture that would become too large before it is queued.
"""

from __future__ import annotations

from utils.errors import InvalidParameter

MIN_SCALE = 1.0
MAX_SCALE = 8.0

Size = tuple[int, int]
"""(width, height) in pixels."""


def output_size(
    width: int,
    height: int,
    model_scale: int,
    scale: float | None = None,
    fit_width: int | None = None,
    fit_height: int | None = None,
) -> Size:
    """The size that a picture of `width` x `height` becomes.

    Args:
        model_scale: what the model does by itself, used where nothing else is asked for.
        scale: factor, 1-8, fractions allowed.
        fit_width: the result is at most this wide...
        fit_height: ...and at most this high, with the picture's own shape kept.

    Raises:
        InvalidParameter: both kinds of wish at once, or a factor outside 1-8.
    """
    if fit_width is None and fit_height is None:
        factor = float(model_scale) if scale is None else _checked(scale, "scale", f"scale {scale:g}")
        return _rounded(width, factor), _rounded(height, factor)
    if scale is not None:
        raise InvalidParameter("Give either scale or width and height, not both.", field="scale")
    return _fitted(width, height, fit_width, fit_height)


def pass_sizes(source: Size, target: Size, model_scale: int) -> list[Size]:
    """The sizes after each run of a network, the last of them `target`.

    A factor above the network's own takes several runs. Sizes are found backwards, so that the last run,
    the dearest, ends at the target, and the ones before it do no more than is needed.
    """
    sizes = [target]
    while model_scale > 1:
        width, height = (-(-length // model_scale) for length in sizes[0])
        if width <= source[0] and height <= source[1]:
            break
        sizes.insert(0, (width, height))
    return sizes


def _fitted(width: int, height: int, fit_width: int | None, fit_height: int | None) -> Size:
    ratios = {}
    for field, fit, length in (("width", fit_width, width), ("height", fit_height, height)):
        if fit is not None:
            if fit < 1:
                raise InvalidParameter(f"{field} is {fit}; it has to be at least 1.", field=field)
            ratios[field] = fit / length
    field = min(ratios, key=ratios.__getitem__)
    factor = _checked(ratios[field], field, f"fitting {width}x{height} into that {field} means a factor")
    return (
        min(_rounded(width, factor), fit_width or MAX_LENGTH),
        min(_rounded(height, factor), fit_height or MAX_LENGTH),
    )


MAX_LENGTH = 2**31 - 1  # of a PNG's side; stands for "no limit"


def _checked(factor: float, field: str, what: str) -> float:
    if not MIN_SCALE <= factor <= MAX_SCALE:
        raise InvalidParameter(
            f"{what} of {factor:g}, and only {MIN_SCALE:g} to {MAX_SCALE:g} is possible.", field=field
        )
    return factor


def _rounded(length: int, factor: float) -> int:
    return max(1, int(length * factor + 0.5))
