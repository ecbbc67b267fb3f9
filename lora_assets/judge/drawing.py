"""The report of a judge as one PNG: reliability, precision against the rules, learning curve, tiers, weights."""

from __future__ import annotations

import io
import textwrap
from collections.abc import Sequence

from PIL import Image, ImageDraw, ImageFont

from lora_assets.judge.comparing import RECALLS, TierFigures
from lora_assets.judge.report import Judge, JudgeReport

_WIDTH, _HEIGHT = 1120, 770
_INK, _FAINT, _GRID, _PAPER = (30, 34, 40), (110, 116, 125), (222, 225, 230), (255, 255, 255)
_JUDGE, _RULES, _BAD = (31, 99, 190), (200, 110, 20), (190, 50, 60)
_TEXT = 14
_BARS = 9

Box = tuple[int, int, int, int]


class _Chart:
    """A square of axes from 0 to 1 inside `box` (left, top, right, bottom of the plotted area)."""

    def __init__(self, draw: ImageDraw.ImageDraw, box: Box, title: str, across: str, low: float = 0.0) -> None:
        self._draw, self._box, self._low = draw, box, low
        left, top, right, bottom = box
        _write(draw, (left, top - 30), title, size=16)
        _write(draw, ((left + right) // 2, bottom + 30), across, fill=_FAINT, anchor="ma")
        for part in range(5):
            share = part / 4
            y = self.y(low + share * (1 - low))
            draw.line((left, y, right, y), fill=_GRID)
            _write(draw, (left - 8, y), f"{low + share * (1 - low):.2f}", fill=_FAINT, anchor="rm")

    def x(self, share: float) -> float:
        left, _, right, _ = self._box
        return left + share * (right - left)

    def y(self, value: float) -> float:
        _, top, _, bottom = self._box
        return bottom - (value - self._low) / (1 - self._low) * (bottom - top)

    def mark_across(self, share: float, text: str) -> None:
        _write(self._draw, (self.x(share), self._box[3] + 8), text, fill=_FAINT, anchor="ma")

    def line(self, points: Sequence[tuple[float, float]], colour: tuple[int, int, int]) -> None:
        """A line with dots through (share across, value) pairs."""
        places = [(self.x(share), self.y(max(value, self._low))) for share, value in points]
        if len(places) > 1:
            self._draw.line(places, fill=colour, width=3, joint="curve")
        for x, y in places:
            self._draw.ellipse((x - 4, y - 4, x + 4, y + 4), fill=colour)


def _write(
    draw: ImageDraw.ImageDraw,
    place: tuple[float, float],
    text: str,
    *,
    fill: tuple[int, int, int] = _INK,
    size: int = _TEXT,
    anchor: str = "la",
) -> None:
    draw.text(place, text, fill=fill, font=ImageFont.load_default(size), anchor=anchor)


def _fitting(text: str, width: int) -> str:
    """The text, or its start with three dots, so that it is at most `width` pixels wide."""
    font = ImageFont.load_default(_TEXT)
    if font.getlength(text) <= width:
        return text
    while text and font.getlength(text + "...") > width:
        text = text[:-1]
    return text + "..."


def _reliability(draw: ImageDraw.ImageDraw, box: Box, report: JudgeReport) -> None:
    error = f" (error {report.calibration_error:.3f})" if report.calibration_error is not None else ""
    chart = _Chart(draw, box, f"Reliability: is P(good) true?{error}", "P(good) that the judge gave")
    for part in range(5):
        chart.mark_across(part / 4, f"{part / 4:.2f}")
    draw.line((chart.x(0), chart.y(0), chart.x(1), chart.y(1)), fill=_FAINT)
    most = max((part.crops for part in report.reliability), default=1)
    for part in report.reliability:
        top = chart.y(0.2 * part.crops / most)
        draw.rectangle((chart.x(part.low) + 2, top, chart.x(part.high) - 2, chart.y(0)), fill=(214, 226, 243))
        if part.crops > 0.25 * most:
            _write(draw, (chart.x((part.low + part.high) / 2), top - 2), str(part.crops), fill=_FAINT, anchor="mb")
    chart.line([(part.mean_p, part.good_share) for part in report.reliability], _JUDGE)
    _write(draw, (chart.x(0.02), chart.y(0.97)), "share that the person called good; bars: crops", fill=_FAINT)


def _axis_start(values: Sequence[float]) -> float:
    """The lowest value that an axis shows: some way below the values, a multiple of 0.2, so that quarters are round."""
    return max(0.0, min(0.8, int((min(values, default=0.0) - 0.05) * 5) / 5))


def _precision(draw: ImageDraw.ImageDraw, box: Box, report: JudgeReport) -> None:
    lines = report.precision or {}
    low = _axis_start([value for line in lines.values() for value in line])
    chart = _Chart(draw, box, "Precision at equal recall", "share of the good crops found", low)
    span = RECALLS[-1] - RECALLS[0]
    for recall in RECALLS:
        chart.mark_across((recall - RECALLS[0]) / span, f"{recall:.1f}")
    for name, colour, across in (("rules", _RULES, 0.02), ("judge", _JUDGE, 0.22)):
        chart.line([((r - RECALLS[0]) / span, v) for r, v in zip(RECALLS, lines.get(name, ()), strict=False)], colour)
        _write(draw, (chart.x(across), box[1] + 4), name, fill=colour)


def _curve(draw: ImageDraw.ImageDraw, box: Box, report: JudgeReport) -> None:
    points = list(report.curve)
    rules = report.comparison.rules if report.comparison else 0.0
    low = _axis_start([value for _, value in points] + [rules])
    chart = _Chart(draw, box, "Learning curve", "verdicts learned from", low)
    most = max((verdicts for verdicts, _ in points), default=1)
    draw.line((chart.x(0), chart.y(rules), chart.x(1), chart.y(rules)), fill=_RULES, width=2)
    _write(draw, (chart.x(0.02), box[1] + 4), "rules", fill=_RULES)
    _write(draw, (chart.x(0.22), box[1] + 4), "judge: mean precision", fill=_JUDGE)
    for verdicts, _ in points:
        chart.mark_across(verdicts / most, str(verdicts))
    chart.line([(verdicts / most, value) for verdicts, value in points], _JUDGE)


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


def _tiers(draw: ImageDraw.ImageDraw, left: int, top: int, report: JudgeReport) -> None:
    _write(draw, (left, top), "Tiers of the judged crops", size=16)
    heads = ("", "rules: crops", "precision", "recall", "judge: crops", "precision", "recall")
    places = [left + offset for offset in (0, 150, 235, 300, 405, 490, 555)]
    for head, place in zip(heads, places, strict=True):
        _write(draw, (place, top + 28), head, fill=_FAINT, anchor="ra" if head else "la")
    for row, (rules, judge) in enumerate(zip(report.rules_tiers, report.judge_tiers, strict=True)):
        y = top + 52 + 22 * row
        _write(draw, (left, y), rules.tier)
        for cell, place in zip((*_cells(rules), *_cells(judge)), places[1:], strict=True):
            _write(draw, (place, y), cell, anchor="ra")


def _cells(figures: TierFigures) -> tuple[str, str, str]:
    return str(figures.crops), _share(figures.precision), _share(figures.recall)


def _effects(draw: ImageDraw.ImageDraw, box: Box, report: JudgeReport) -> None:
    left, top, right, _ = box
    _write(draw, (left, top), "What more of it means: log odds of good, 10th to 90th percentile", size=16)
    middle = left + 330
    most = max((abs(effect.log_odds) for effect in report.effects), default=1.0)
    for row, effect in enumerate(report.effects[:_BARS]):
        y = top + 34 + 24 * row
        _write(draw, (left, y), _fitting(effect.name.replace("_", " "), 230))
        reach = abs(effect.log_odds) / most * 65
        start, end = (middle, middle + reach) if effect.log_odds > 0 else (middle - reach, middle)
        draw.rectangle((start, y + 2, end, y + 15), fill=_JUDGE if effect.log_odds > 0 else _BAD)
        _write(draw, (right, y), f"{effect.log_odds:+.2f}", anchor="ra")
    draw.line((middle, top + 30, middle, top + 34 + 24 * len(report.effects[:_BARS])), fill=_INK)


def draw_report(judge: Judge, tracker: str) -> bytes:
    """PNG bytes of the report; equal judges give equal bytes. Without figures it says why there are none."""
    report = judge.report
    picture = Image.new("RGB", (_WIDTH, _HEIGHT if report.comparison else 150), _PAPER)
    draw = ImageDraw.Draw(picture)
    counts = f"{report.verdicts} verdicts ({report.good} good, {report.bad} bad), groups: {report.groups}"
    _write(draw, (30, 20), _fitting(f"Judge of {tracker}: {counts}", 2 * _WIDTH // 3), size=20)
    for row, line in enumerate(textwrap.wrap(report.reason, 145)[:3]):
        _write(draw, (30, 54 + 19 * row), line, fill=_INK if report.active else _BAD)
    if report.comparison:
        _reliability(draw, (80, 160, 380, 420), report)
        _precision(draw, (450, 160, 730, 420), report)
        _curve(draw, (800, 160, 1080, 420), report)
        _tiers(draw, 30, 500, report)
        abstains = f"It abstains on {report.abstained_share or 0:.0%} of them; the rules' tier stands there."
        _write(draw, (30, 630), abstains, fill=_FAINT)
        if judge.model:
            for row, line in enumerate(textwrap.wrap(f"Model: {judge.model.choice}.", 70)[:2]):
                _write(draw, (30, 654 + 20 * row), line, fill=_FAINT)
        _effects(draw, (630, 500, 1090, 750), report)
    buffer = io.BytesIO()
    picture.save(buffer, "PNG", optimize=True)
    return buffer.getvalue()
