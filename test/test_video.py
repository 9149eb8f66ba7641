# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Writing videos, which FFmpeg reads back."""

import pathlib

import av
import numpy as np
import pytest

from lvs_ros.recordings.video import VideoWriter

MS = 1_000_000


def decode(path: pathlib.Path) -> list[tuple[float, np.ndarray]]:
    """Return (time in seconds, RGB image) of every frame."""
    with av.open(str(path)) as container:
        assert container.streams.video[0].codec_context.name == 'h264'
        return [(float(frame.time), frame.to_ndarray(format='rgb24'))
                for frame in container.decode(video=0)]


def colour(red: int, green: int, blue: int, *, width: int = 64, height: int = 48) -> np.ndarray:
    return np.full((height, width, 3), (red, green, blue), np.uint8)


def test_frames_keep_their_colours_and_times(tmp_path: pathlib.Path) -> None:
    colours = [(200, 30, 30), (30, 200, 30), (30, 30, 200)]
    stamps_ns = [5_000_000_000, 5_040_000_000, 5_140_000_000]  # uneven, as a camera's are
    with VideoWriter(tmp_path / 'video.mp4') as video:
        for rgb, stamp_ns in zip(colours, stamps_ns):
            video.write(colour(*rgb), stamp_ns)

    frames = decode(tmp_path / 'video.mp4')

    assert [time_s for time_s, _ in frames] == pytest.approx([0, 0.04, 0.14], abs=1e-3)
    for (_, image), rgb in zip(frames, colours):
        assert image.shape == (48, 64, 3)
        np.testing.assert_allclose(image[24, 32], rgb, atol=8)
    assert [path.name for path in tmp_path.iterdir()] == ['video.mp4']


@pytest.mark.parametrize('width, height', [(65, 48), (64, 49), (65, 49), (16, 17)])
def test_odd_sizes_are_padded_by_one(width: int, height: int, tmp_path: pathlib.Path) -> None:
    with VideoWriter(tmp_path / 'video.mp4') as video:
        for number in range(3):
            video.write(colour(10, 100, 200, width=width, height=height), number * 66 * MS)

    frames = decode(tmp_path / 'video.mp4')

    assert len(frames) == 3
    for _, image in frames:
        assert image.shape == (height + height % 2, width + width % 2, 3)
        np.testing.assert_allclose(image[-1, -1], (10, 100, 200), atol=8)


def test_a_later_size_is_scaled_to_the_first(tmp_path: pathlib.Path) -> None:
    with VideoWriter(tmp_path / 'video.mp4') as video:
        video.write(colour(200, 30, 30), 0)
        video.write(colour(30, 30, 200, width=320, height=200), 66 * MS)

    frames = decode(tmp_path / 'video.mp4')

    assert [image.shape for _, image in frames] == [(48, 64, 3)] * 2
    np.testing.assert_allclose(frames[1][1][24, 32], (30, 30, 200), atol=8)


def test_time_that_stands_still_or_goes_back_moves_on_at_the_rate(tmp_path: pathlib.Path) -> None:
    with VideoWriter(tmp_path / 'video.mp4', rate_hz=10) as video:
        for stamp_ms in (1000, 1050, 1050, 1090, 20, 70):
            video.write(colour(1, 2, 3), stamp_ms * MS)

    times = [time_s for time_s, _ in decode(tmp_path / 'video.mp4')]

    assert times == pytest.approx([0, 0.05, 0.15, 0.19, 0.29, 0.34], abs=1e-3)


def test_a_clock_that_was_set_makes_no_video_of_years(tmp_path: pathlib.Path) -> None:
    year_ms = 365 * 86_400_000
    with VideoWriter(tmp_path / 'video.mp4', rate_hz=10) as video:
        for stamp_ms in (1000, 1050, 1050 + year_ms, 1090 + year_ms, 20, 9920,
                         10 ** 6 * year_ms // 3600):
            video.write(colour(1, 2, 3), stamp_ms * MS)

    times = [time_s for time_s, _ in decode(tmp_path / 'video.mp4')]

    assert times == pytest.approx([0, 0.05, 10.05, 10.09, 10.19, 20.09, 30.09], abs=1e-3)
    assert video.shortened == 2


def test_a_failure_leaves_no_file(tmp_path: pathlib.Path) -> None:
    with pytest.raises(RuntimeError):
        with VideoWriter(tmp_path / 'video.mp4') as video:
            video.write(colour(1, 2, 3), 0)
            raise RuntimeError

    assert list(tmp_path.iterdir()) == []


def test_without_images_there_is_no_file(tmp_path: pathlib.Path) -> None:
    with VideoWriter(tmp_path / 'video.mp4'):
        pass

    assert list(tmp_path.iterdir()) == []
