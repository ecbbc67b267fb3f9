"""Which frames of a video are kept, in which colours and shape, and why a file is refused."""

from __future__ import annotations

import struct
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from lora_assets.vision import video
from lora_assets.vision.images import ImageRefused, ReadSettings
from lora_assets.vision.sniff import is_video_reason, why_not_a_picture
from lora_assets.vision.video import VideoFacts, VideoFrameFound, read_video
from lora_assets.vision.video_formats import MARK_BYTES
from lora_assets.vision.video_settings import Deinterlace, VideoSettings
from lora_assets_tests.drawn_video import shot, telecined, woven, write_sound, write_video


def _read(path: Path, rate: float = 1.0, way: Deinterlace = "auto") -> tuple[list, VideoFacts]:
    told = list(read_video(path, VideoSettings(rate, way), ReadSettings()))
    assert isinstance(told[-1], VideoFacts)
    return [one for one in told if isinstance(one, VideoFrameFound)], told[-1]


@pytest.fixture(scope="module")
def film(tmp_path_factory) -> tuple[Path, list]:
    """Three shots of two seconds on threes: 16 drawings in each."""
    frames = [frame for seed in range(3) for frame in shot(seed, 16, 3)]
    return write_video(tmp_path_factory.mktemp("film") / "film.mkv", frames), frames


def test_shots_are_cut_and_a_held_drawing_counts_once(film):
    path, frames = film
    found, facts = _read(path)
    assert (facts.frames, facts.drawings, facts.shots) == (144, 48, 3)
    assert [one.shot for one in found] == [0, 0, 1, 1, 2, 2]
    assert all(one.index // 48 == one.shot and one.seconds == pytest.approx(one.index / 24, abs=1e-3) for one in found)
    for one in found:
        assert np.abs(one.pixels.astype(int) - frames[one.index]).mean() < 1.0


@pytest.mark.parametrize(("rate", "kept"), [(0.0, 3), (1.0, 6), (2.0, 12), (60.0, 48)])
def test_the_rate_says_how_many_of_a_shot_are_kept(film, rate: float, kept: int):
    found, facts = _read(film[0], rate)
    assert len(found) == facts.kept == kept
    assert len({one.index for one in found}) == kept


def test_the_sharpest_frame_of_a_stretch_is_kept(tmp_path: Path):
    import cv2

    sharp = shot(1, 6, 1)
    frames = [frame if number == 4 else cv2.GaussianBlur(frame, (0, 0), 3) for number, frame in enumerate(sharp)]
    found, _ = _read(write_video(tmp_path / "a.mp4", frames))
    assert [one.index for one in found] == [4]


@pytest.mark.parametrize(("matrix", "height"), [(1, 180), (5, 180), (None, 180), (1, 720)])
def test_colours_are_those_of_the_files_own_matrix(tmp_path: Path, matrix: int | None, height: int):
    colours = np.zeros((height, 320, 3), np.uint8)
    for number, colour in enumerate([(230, 30, 30), (30, 230, 30), (30, 30, 230), (240, 200, 40)]):
        colours[:, number * 80 : number * 80 + 80] = colour
    (found,), _ = _read(write_video(tmp_path / "a.mkv", [colours] * 3, matrix=matrix))
    assert np.abs(found.pixels.astype(int) - colours).max() <= 4


def test_a_file_that_names_no_matrix_is_read_as_players_do(tmp_path: Path):
    colours = np.full((720, 320, 3), (30, 230, 30), np.uint8)
    import av

    path = tmp_path / "a.mkv"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=24)
        stream.height, stream.width, stream.pix_fmt = 720, 320, "yuv444p"
        frame = av.VideoFrame.from_ndarray(colours, format="rgb24").reformat(format="yuv444p", dst_colorspace=1)
        frame.colorspace = 2
        frame.pts, frame.time_base = 0, Fraction(1, 24)
        container.mux(stream.encode(frame))
        container.mux(stream.encode())
    (found,), _ = _read(path)
    assert np.abs(found.pixels.astype(int) - colours).max() <= 4


def test_frames_have_the_shape_in_which_they_are_shown(tmp_path: Path):
    found, facts = _read(write_video(tmp_path / "disc.mkv", shot(0, 2, 2, (240, 180)), shape=Fraction(4, 3)))
    assert (facts.width, facts.height) == (320, 180) and found[0].pixels.shape == (180, 320, 3)


def test_bars_of_the_whole_video_are_measured(tmp_path: Path):
    frames = [frame.copy() for frame in shot(3, 4, 2)]
    for frame in frames:
        frame[:20] = frame[-20:] = 0
    _, facts = _read(write_video(tmp_path / "a.mkv", frames))
    left, top, right, bottom = facts.bars
    assert (left, right) == (0, 0) and abs(top - 20) <= 1 and abs(bottom - 20) <= 1


def test_damage_in_the_middle_costs_what_is_damaged(film, tmp_path: Path):
    content = bytearray(film[0].read_bytes())
    middle = len(content) // 2
    content[middle : middle + 400] = bytes(400)
    path = tmp_path / "damaged.mkv"
    path.write_bytes(content)
    found, facts = _read(path)
    assert found and facts.frames >= 40


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda path, film: path.write_bytes(film[:40]), "cannot be opened"),
        (lambda path, film: path.write_bytes(b"\0\0\0\x18ftypisom" + bytes(4000)), "cannot be opened"),
        (lambda path, _: write_sound(path), "holds sound and no video"),
        (lambda path, _: write_video(path, shot(0, 1, 2, (64, 180))), "too small: 64 x 180"),
        (lambda path, _: write_video(path, shot(0, 1, 2, (640, 360))), "too large: 640 x 360"),
    ],
)
def test_what_gives_no_frames_is_refused_with_the_reason(film, tmp_path: Path, make, reason: str):
    path = tmp_path / "bad.mkv"
    make(path, film[0].read_bytes())
    with pytest.raises(ImageRefused, match=reason):
        list(read_video(path, VideoSettings(), ReadSettings(min_side=100, max_megapixels=0.2)))


@pytest.mark.parametrize("rate", [-1, 61, True, "1"])
def test_a_rate_that_is_none_is_refused(rate):
    with pytest.raises(ValueError, match="from 0 to 60"):
        VideoSettings(rate)


def test_a_way_to_deinterlace_that_is_none_is_refused():
    with pytest.raises(ValueError, match="auto, off, all"):
        VideoSettings(deinterlace="yes")  # pyright: ignore[reportArgumentType]


def _nearest(pixels: np.ndarray, moments: list) -> float:
    """How far the pixels lie from the one of the moments that they are nearest to, in grey levels."""
    return min(float(np.abs(pixels.astype(int) - one).mean()) for one in moments)


@pytest.mark.parametrize("top_first", [True, False])
def test_of_an_interlaced_video_one_moment_is_kept(tmp_path: Path, top_first: bool):
    moments = shot(4, 24, 1)
    path = write_video(tmp_path / "a.mkv", woven(moments, top_first=top_first))
    (found,), facts = _read(path)
    (as_is,), plain = _read(path, way="off")
    assert (facts.deinterlaced, plain.deinterlaced) == (1, 0)
    assert _nearest(found.pixels, moments) < 0.4 * _nearest(as_is.pixels, moments)


def test_of_a_telecined_film_whole_frames_are_kept_as_they_are(tmp_path: Path):
    drawn = shot(4, 24, 1)
    found, facts = _read(write_video(tmp_path / "a.mkv", telecined(drawn)), rate=8.0)
    assert facts.frames == 30 and facts.deinterlaced == 0
    assert all(one.index % 5 in (0, 1, 4) and _nearest(one.pixels, drawn) < 1.0 for one in found)


def test_where_all_are_deinterlaced_all_are(film):
    found, facts = _read(film[0], way="all")
    assert facts.deinterlaced == len(found) == 6


def test_a_turned_interlaced_video_is_upright_and_in_its_colours(tmp_path: Path):
    moments = shot(4, 12, 1)
    path = write_video(tmp_path / "a.mp4", woven(moments), matrix=1)
    content = bytearray(path.read_bytes())
    place = content.index(b"tkhd") + 4 + 40
    content[place : place + 36] = struct.pack(">9i", 0, 1 << 16, 0, -1 << 16, 0, 0, 180 << 16, 0, 1 << 30)
    path.write_bytes(content)
    (found,), facts = _read(path)
    assert facts.deinterlaced == 1 and _nearest(np.rot90(found.pixels), moments) < 2


@pytest.mark.parametrize(
    ("container_format", "codec", "pixels"),
    [
        ("mpegts", "mpeg2video", "yuv420p"), ("vob", "mpeg2video", "yuv420p"), ("mpeg", "mpeg1video", "yuv420p"),
        ("mpeg2video", "mpeg2video", "yuv420p"), ("avi", "mpeg4", "yuv420p"), ("webm", "libvpx", "yuv420p"),
        ("mov", "libx264", "yuv444p"), ("flv", "flv", "yuv420p"), ("asf", "wmv2", "yuv420p"),
    ],
)  # fmt: skip
def test_videos_are_known_by_their_content(tmp_path: Path, container_format: str, codec: str, pixels: str):
    frames = [frame for seed in range(2) for frame in shot(seed, 4, 3)]
    first = 0 if container_format == "avi" else 240  # AVI has no times
    path = write_video(
        tmp_path / "no name", frames, codec=codec, pixels=pixels, container_format=container_format, first=first
    )
    assert is_video_reason(why_not_a_picture(path.read_bytes()[:MARK_BYTES]))
    found, facts = _read(path)
    assert (facts.frames, facts.shots) == (24, 2)
    assert [one.shot for one in found] == [0, 1] and found[0].seconds < 1.0, "times count from where the file begins"


@pytest.mark.parametrize("way", ["auto", "all"])
def test_a_broadcast_that_goes_on_in_another_size_is_read_on(tmp_path: Path, way: Deinterlace):
    parts = [
        write_video(
            tmp_path / f"{height}.ts", woven(shot(4, 16, 1, (height * 4 // 3, height))), codec="mpeg2video",
            pixels="yuv420p", container_format="mpegts",
        )
        for height in (240, 480)
    ]  # fmt: skip
    (tmp_path / "both.ts").write_bytes(b"".join(part.read_bytes() for part in parts))
    found, facts = _read(tmp_path / "both.ts", rate=12.0, way=way)
    assert facts.frames >= 14 and facts.deinterlaced == len(found) > 5


def test_a_broadcast_to_which_streams_are_added_is_read_to_its_end(film, monkeypatch):
    packets = video.InputContainer.demux

    class Broadcast:
        """What PyAV does at the end of such a file, which depends on what lies behind its list of streams."""

        def __init__(self, container) -> None:
            self.container = container

        def demux(self, stream):
            yield from packets(self.container, stream)
            raise IndexError("list index out of range")

    decoded = video._decoded
    monkeypatch.setattr(video, "_decoded", lambda container, *more: decoded(Broadcast(container), *more))  # pyright: ignore
    assert _read(film[0])[1].frames == 144


def test_no_other_container_is_opened(tmp_path: Path):
    path = tmp_path / "list.mkv"
    path.write_text("ffconcat version 1.0\nfile 'secret.mkv'\n")
    with pytest.raises(ImageRefused, match="cannot be opened"):
        _read(path)


def test_a_cover_is_no_video(tmp_path: Path):
    import av

    path = tmp_path / "song.mkv"
    with av.open(str(path), "w", format="mp4") as container:
        stream = container.add_stream("png", rate=1)
        stream.width, stream.height, stream.pix_fmt = 64, 64, "rgb24"
        stream.disposition = av.stream.Disposition.attached_pic
        container.mux(stream.encode(av.VideoFrame.from_ndarray(np.zeros((64, 64, 3), np.uint8), format="rgb24")))
        container.mux(stream.encode())
    with av.open(str(path)) as container:
        covers = container.streams.video
        assert not covers or av.stream.Disposition.attached_pic in covers[0].disposition
    with pytest.raises(ImageRefused, match="holds sound and no video"):
        _read(path)


@pytest.mark.parametrize(
    "told",
    [
        lambda number: number % 60 / 24,  # joined from files
        lambda number: number / 24 - 5,
        lambda number: 0.0,
        lambda number: None,
        lambda number: number // 6 / 4,
    ],
)
def test_times_that_begin_anew_lie_below_zero_or_are_absent_cost_no_shot(film, monkeypatch, told: Callable):
    decoded = video._decoded

    def with_times(*given):
        for number, frame in enumerate(decoded(*given)):
            seconds = told(number)
            frame.pts, frame.time_base = None if seconds is None else round(seconds * 1000), Fraction(1, 1000)
            yield frame

    monkeypatch.setattr(video, "_decoded", with_times)
    found, facts = _read(film[0])
    assert (facts.shots, [one.shot for one in found]) == (3, [0, 0, 1, 1, 2, 2])
    assert all(one.seconds == pytest.approx(one.index / 24, abs=0.21) for one in found)


def test_a_turned_video_is_told_as_it_is_shown(tmp_path: Path):
    frame = shot(0, 1, 1)[0].copy()
    frame[:20] = 0
    path = write_video(tmp_path / "turned.mp4", [frame] * 3)
    content = bytearray(path.read_bytes())
    place = content.index(b"tkhd") + 4 + 40
    content[place : place + 36] = struct.pack(">9i", 0, 1 << 16, 0, -1 << 16, 0, 0, 180 << 16, 0, 1 << 30)
    path.write_bytes(content)
    (found,), facts = _read(path)
    assert (facts.width, facts.height) == (180, 320) and found.pixels.shape == (320, 180, 3)
    assert np.abs(found.pixels.astype(int) - np.rot90(frame, -1)).mean() < 2
    left, top, right, bottom = facts.bars
    assert (left, top, bottom) == (0, 0, 0) and abs(right - 20) <= 1
