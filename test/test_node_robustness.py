# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""What goes wrong around the node must not stop its masks, and must be told."""

import pathlib
import threading
import time
from typing import Any, Iterator

import pytest

pytest.importorskip('rclpy', reason='rclpy is not installed')

from diagnostic_msgs.msg import DiagnosticStatus  # noqa: E402
import node_rig  # noqa: E402
from node_rig import SECOND, Rig, Rigs, image_message, picture, values  # noqa: E402
from sensor_msgs.msg import CompressedImage, Image  # noqa: E402

from lvs_ros.model import SegmentationNetwork  # noqa: E402
from lvs_ros.options import PipelineOptions  # noqa: E402
from lvs_ros.pipeline.build import build_pipeline  # noqa: E402
from lvs_ros.pipeline.frame import Frame, StepResult  # noqa: E402


@pytest.fixture
def make_rig(ros_domain: int, tiny_model: pathlib.Path) -> Iterator[Rigs]:
    yield from node_rig.rigs(tiny_model)


@pytest.fixture(scope='module')
def raw_rig(tiny_model: pathlib.Path) -> Iterator[Rig]:
    yield from node_rig.lone_rig(tiny_model, threshold=1.0)


@pytest.fixture(scope='module')
def compressed_rig(tiny_model: pathlib.Path) -> Iterator[Rig]:
    """Return a node that gets no image at all from which a mask could come."""
    yield from node_rig.lone_rig(tiny_model, transport='compressed')


def refused(rig: Rig, message: Any) -> DiagnosticStatus:
    """Publish what is no image; return the diagnosis after that."""
    before = int(values(rig.peer.diagnostics(lambda _: True))['malformed images'])
    rig.peer.publish(message)
    return rig.peer.diagnostics(
        lambda status: values(status)['malformed images'] == str(before + 1))


def broken(**fields: Any) -> Image:
    message = image_message(picture(), stamp_ns=2 * SECOND)
    for name, value in fields.items():
        setattr(message, name, value)
    return message


def short() -> Image:
    message = broken()
    message.data = message.data[:-10]
    return message


MALFORMED = {
    'short data': (short, 'bytes are needed'),
    'no data': (lambda: broken(data=[]), '0 bytes of data'),
    'no size': (lambda: broken(width=0, height=0), 'at least 1'),
    'no height': (lambda: broken(height=0), 'at least 1'),
    'too small a step': (lambda: broken(step=10), 'a row needs at least'),
    'step of zero': (lambda: broken(step=0), 'a row needs at least'),
    'too large a step': (lambda: broken(step=4096), 'bytes are needed'),
    'wrong channels': (lambda: broken(encoding='rgba8'), 'a row needs at least'),
    'unknown encoding': (lambda: broken(encoding='rgb7'), 'unknown encoding'),
    'no encoding': (lambda: broken(encoding=''), 'unknown encoding'),
    'a huge size': (lambda: broken(height=2**32 - 1, width=2**32 - 1, step=2**32 - 1),
                    'a row needs at least'),
    'a tiny image': (lambda: image_message(picture(height=4, width=4)), 'at least'),
}


@pytest.mark.parametrize('case', MALFORMED)
def test_a_malformed_image_is_dropped_counted_and_told(raw_rig: Rig, case: str) -> None:
    make, reason = MALFORMED[case]
    before = raw_rig.send(image_message(picture(), stamp_ns=SECOND))[1]
    masks = len(raw_rig.peer.received['/lvs/mask'])
    diagnosis = refused(raw_rig, make())
    assert diagnosis.level == DiagnosticStatus.WARN
    assert 'malformed' in diagnosis.message and reason in diagnosis.message
    status = raw_rig.send(image_message(picture(), stamp_ns=3 * SECOND))[1]
    assert status.frames_received == before.frames_received + 2
    assert status.frames_dropped == before.frames_dropped + 1
    assert not status.key_frame, 'the stream goes on where it was'
    assert len(raw_rig.peer.received['/lvs/mask']) == masks + 1


@pytest.mark.parametrize('transport', ['raw', 'compressed'])
@pytest.mark.parametrize('cdr', [
    b'\0\1\0\0', b'\0\1\0\0' + 8 * b'\0' + b'\xff\xff\xff\x7f', b'\0\3\0\0' + 80 * b'\0',
    80 * b'\xff'], ids=['nothing', 'endless text', 'another format', 'noise'])
def test_what_is_no_message_is_dropped(
        request: pytest.FixtureRequest, transport: str, cdr: bytes) -> None:
    rig = request.getfixturevalue(f'{transport}_rig')
    diagnosis = refused(rig, cdr)
    assert 'serialised message of' in diagnosis.message
    if transport == 'raw':
        status = rig.send(image_message(picture()))[1]
        assert status.frames_received == int(values(diagnosis)['frames received']) + 1
        assert status.frames_dropped == int(values(diagnosis)['frames dropped'])


@pytest.mark.parametrize('data, format', [
    (b'', 'jpeg'), (b'\xff\xd8\xff\xe0 cut short', 'jpeg'), (b'\x89PNG\r\n\x1a\n', 'png'),
    (b'anything', '16UC1; compressedDepth png')])
def test_a_malformed_compressed_image_is_dropped(
        compressed_rig: Rig, data: bytes, format: str) -> None:
    message = CompressedImage(format=format)
    message.data.frombytes(data)
    diagnosis = refused(compressed_rig, message)
    assert diagnosis.level == DiagnosticStatus.ERROR, 'no mask at all comes out'
    assert not compressed_rig.peer.received['/lvs/mask']


def test_malformed_images_are_logged_at_most_once_a_second(
        raw_rig: Rig, capfd: pytest.CaptureFixture[str]) -> None:
    start_s = time.monotonic()
    before = int(values(raw_rig.peer.diagnostics(lambda _: True))['malformed images'])
    for number in range(before + 1, before + 21):
        raw_rig.peer.publish(broken(step=0))
        raw_rig.peer.diagnostics(
            lambda status, number=number:  # type: ignore[misc]
            int(values(status)['malformed images']) >= number)
    raw_rig.send(image_message(picture()))
    lines = [line for line in capfd.readouterr().err.splitlines() if 'malformed' in line]
    assert 1 <= len(lines) <= min(19, 1 + time.monotonic() - start_s)


def test_a_failing_accurate_network_never_stops_the_masks(
        make_rig: Rigs, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = threading.Event()
    high = SegmentationNetwork.high

    def flaky(network: SegmentationNetwork, low: Any) -> Any:
        if broken.is_set():
            raise RuntimeError('CUDA out of memory')
        return high(network, low)

    monkeypatch.setattr(SegmentationNetwork, 'high', flaky)
    rig = make_rig(threshold=0.0)  # every frame is a key frame: S_h is always asked
    stamp_ns = rig.peer.now_ns()

    def stream_until(matches: Any) -> DiagnosticStatus:
        """Go on sending; every frame must get its mask."""
        nonlocal stamp_ns
        for _ in range(600):
            stamp_ns = max(stamp_ns + 1, rig.peer.now_ns())
            rig.send(image_message(picture(), stamp_ns=stamp_ns))
            recent = rig.peer.received['/diagnostics'][-1:]
            if recent and matches(recent[0].status[0]):
                return recent[0].status[0]
            threading.Event().wait(0.02)  # a camera's pace
        raise AssertionError(recent)

    stream_until(lambda status: status.level == DiagnosticStatus.OK)
    broken.set()
    diagnosis = stream_until(lambda status: status.level == DiagnosticStatus.ERROR)
    assert 'CUDA out of memory' in diagnosis.message
    assert int(values(diagnosis)['slow track failures']) > 0
    broken.clear()
    diagnosis = stream_until(lambda status: status.level == DiagnosticStatus.OK)
    assert diagnosis.message == 'publishing masks'
    assert len(rig.peer.received['/lvs/mask']) == rig.peer.sent


def test_an_unexpected_error_drops_the_frame_and_no_more(
        make_rig: Rigs, capfd: pytest.CaptureFixture[str]) -> None:
    fails = threading.Event()

    def factory(options: PipelineOptions) -> Any:
        pipeline = build_pipeline(options)
        step = pipeline.step

        def flaky(frame: Frame, **named: Any) -> StepResult:
            if fails.is_set():
                raise ZeroDivisionError('a bug')
            return step(frame, **named)

        pipeline.step = flaky  # type: ignore[method-assign]
        return pipeline

    rig = make_rig(pipeline_factory=factory, threshold=1.0)
    rig.send(image_message(picture(), stamp_ns=SECOND))
    fails.set()
    rig.peer.publish(image_message(picture(), stamp_ns=2 * SECOND))
    diagnosis = rig.peer.diagnostics(lambda status: values(status)['frames failed'] == '1')
    assert diagnosis.level == DiagnosticStatus.ERROR
    assert 'ZeroDivisionError: a bug' in diagnosis.message
    fails.clear()
    status = rig.send(image_message(picture(), stamp_ns=3 * SECOND))[1]
    assert status.key_frame, 'the state is not trusted after an error'
    assert (status.frames_received, status.frames_dropped) == (3, 1)
    assert 'in flaky' in capfd.readouterr().err, 'the traceback is logged'


def test_silence_is_stale_and_the_first_mask_is_counted_and_measured(make_rig: Rigs) -> None:
    rig = make_rig()
    diagnosis = rig.peer.diagnostics(lambda status: status.level == DiagnosticStatus.STALE)
    assert 'no image on /image_raw since activation' in diagnosis.message
    assert '1 publisher' in diagnosis.message
    rig.send(image_message(picture(), stamp_ns=rig.peer.now_ns()))
    told = values(rig.peer.diagnostics(lambda status: status.level == DiagnosticStatus.OK))
    assert told['masks published'] == '1' and told['frames dropped'] == '0'
    assert told['device'] == 'cpu'
    assert float(told['memory (MiB)']) > 50
    assert float(told['rate out (Hz)']) > 0
    for rank in ('p50', 'p95', 'p99', 'max'):
        assert float(told[f'latency {rank} (ms)']) > 0


@pytest.mark.parametrize('stamp_ns, reason', [
    (1_500_000_000 * SECOND, 'without use_sim_time'), (0, 'carry no stamp'),
    (2_147_000_000 * SECOND, 'ahead of the node clock')])
def test_stamps_of_another_clock_are_explained_not_measured(
        raw_rig: Rig, stamp_ns: int, reason: str) -> None:
    status = raw_rig.send(image_message(picture(), stamp_ns=stamp_ns))[1]
    assert status.latency_ms != status.latency_ms, 'NaN'
    assert not status.stale
    diagnosis = raw_rig.peer.diagnostics(lambda status: reason in status.message)
    assert diagnosis.level == DiagnosticStatus.WARN
    assert values(diagnosis)['latency p50 (ms)'] == 'n/a'


def test_an_old_frame_is_stale(make_rig: Rigs) -> None:
    rig = make_rig(stale_after_s=5.0)
    fresh = rig.send(image_message(picture(), stamp_ns=rig.peer.now_ns() - 20 * SECOND))[1]
    assert fresh.stale and 20e3 <= fresh.latency_ms < 60e3
    assert 'stale' in rig.peer.diagnostics(
        lambda status: status.level == DiagnosticStatus.WARN).message
    assert not rig.send(image_message(picture(), stamp_ns=rig.peer.now_ns()))[1].stale
