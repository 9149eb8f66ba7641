# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Reading and writing recordings."""

import json
import os
import pathlib
import struct
from typing import Any, Iterator, Optional

import bags
import numpy as np
import pytest
from rosbags.highlevel import AnyReader

from lvs_ros.errors import ConfigurationError, ImageError, RecordingError
from lvs_ros.pipeline.frame import Frame, StepStatus
from lvs_ros.recordings.recording import Recording
from lvs_ros.recordings.recording_writer import RecordingWriter

STAMPS = [1_600_000_000 * bags.S + i * 66_666_667 for i in range(5)]
PICTURES = bags.pictures(len(STAMPS))


def entries(*, topic: str = '/camera/image_raw', **options: Any) -> list[bags.Entry]:
    return [bags.raw_entry(topic, image, stamp_ns, log_time_ns=stamp_ns + 1000, **options)
            for image, stamp_ns in zip(PICTURES, STAMPS)]


def read(path: pathlib.Path, topic: Optional[str] = None) -> Iterator[tuple[Frame, str]]:
    with Recording(path) as recording:
        for message in recording.messages(recording.image_topic(topic)):
            yield message.decode()


def write(kind: str, path: pathlib.Path, content: list[bags.Entry]) -> pathlib.Path:
    """Write a recording and return what to open."""
    if kind == 'ros1':
        return bags.write_rosbag1(path.with_suffix('.bag'), content)
    storage, _, what = kind.partition(' ')
    folder = bags.write_rosbag2(path, content, storage=storage)
    if what == 'file':
        return next(p for p in folder.iterdir() if p.suffix in ('.mcap', '.db3'))
    return folder


KINDS = ['mcap', 'mcap file', 'sqlite3', 'sqlite3 file', 'ros1']


@pytest.mark.parametrize('kind', KINDS)
def test_raw_images_with_padded_rows_come_back(kind: str, tmp_path: pathlib.Path) -> None:
    path = write(kind, tmp_path / 'drive', entries(padding=5))

    with Recording(path) as recording:
        messages = list(recording.messages(recording.image_topic()))
    images = [message.decode() for message in messages]

    assert [frame.stamp_ns for frame, _ in images] == STAMPS
    assert [message.log_time_ns for message in messages] == [stamp + 1000 for stamp in STAMPS]
    assert {message.topic for message in messages} == {'/camera/image_raw'}
    assert {(frame_id, frame.order) for frame, frame_id in images} == {('front', 'rgb')}
    for (frame, _), picture in zip(images, PICTURES):
        np.testing.assert_array_equal(frame.image, picture)


@pytest.mark.parametrize('kind', ['mcap', 'ros1'])
def test_compressed_images_come_back(kind: str, tmp_path: pathlib.Path) -> None:
    path = write(kind, tmp_path / 'drive', [
        bags.compressed_entry('/image_raw/compressed', bags.png(image), stamp_ns)
        for image, stamp_ns in zip(PICTURES, STAMPS)])

    images = list(read(path))

    assert len(images) == len(PICTURES)
    for (frame, _), picture in zip(images, PICTURES):
        assert frame.order == 'bgr'
        np.testing.assert_array_equal(frame.image[..., ::-1], picture)


def test_a_message_put_together_by_hand_is_understood(tmp_path: pathlib.Path) -> None:
    # CDR, little endian: stamp, frame_id 'c', height 1, width 2, 'mono8', not big endian, step 2,
    # two bytes of data; each number is aligned to its size.
    cdr = (b'\0\1\0\0' + struct.pack('<iI', 5, 6) + struct.pack('<I', 2) + b'c\0' + b'\0\0'
           + struct.pack('<II', 1, 2) + struct.pack('<I', 6) + b'mono8\0' + b'\0' + b'\0'
           + struct.pack('<I', 2) + struct.pack('<I', 2) + bytes([10, 250]))
    path = bags.write_rosbag2(tmp_path / 'drive', [
        bags.Entry('/grey', bags.IMAGE, 9, {}, raw=cdr)])

    (frame, frame_id), = read(path)

    assert (frame.stamp_ns, frame_id) == (5 * bags.S + 6, 'c')
    assert frame.order == 'mono'
    assert frame.image.reshape(-1).tolist() == [10, 250]


def test_the_log_time_stands_in_for_a_stamp_that_is_not_set(tmp_path: pathlib.Path) -> None:
    path = bags.write_rosbag2(tmp_path / 'drive', [
        bags.raw_entry('/image_raw', PICTURES[0], 0, log_time_ns=1234)])

    (frame, _), = read(path)

    assert frame.stamp_ns == 1234


def test_several_image_topics_must_be_chosen_from(tmp_path: pathlib.Path) -> None:
    path = bags.write_rosbag2(tmp_path / 'drive', [
        *entries(topic='/left'), *entries(topic='/right')[:2],
        bags.text_entry('/rosout', 'hello', STAMPS[0])])

    with pytest.raises(RecordingError) as caught:
        list(read(path))

    assert '/left (sensor_msgs/msg/Image, 5 messages)' in str(caught.value)
    assert '/right (sensor_msgs/msg/Image, 2 messages)' in str(caught.value)
    assert '/rosout' not in str(caught.value)
    assert len(list(read(path, '/right'))) == 2
    assert len(list(read(path, 'left'))) == 5


def test_the_only_image_topic_is_found_among_others(tmp_path: pathlib.Path) -> None:
    path = bags.write_rosbag2(
        tmp_path / 'drive', [bags.text_entry('/rosout', 'hello', STAMPS[0]), *entries()],
        empty_topics=[('/never', bags.COMPRESSED)])

    assert len(list(read(path))) == 5


@pytest.mark.parametrize('topic', ['/absent', '/rosout', None])
def test_the_topics_are_listed_where_none_fits(topic: str, tmp_path: pathlib.Path) -> None:
    path = bags.write_rosbag2(tmp_path / 'drive', [bags.text_entry('/rosout', 'x', STAMPS[0])])

    with pytest.raises(RecordingError, match=r'/rosout \(std_msgs/msg/String, 1 messages\)'):
        list(read(path, topic))


@pytest.mark.parametrize('topic', [None, '/image_raw'])
def test_an_empty_topic_is_an_error(topic: str, tmp_path: pathlib.Path) -> None:
    path = bags.write_rosbag2(tmp_path / 'drive', [], empty_topics=[('/image_raw', bags.IMAGE)])

    with pytest.raises(RecordingError, match='no image was recorded.*/image_raw .* 0 messages'):
        list(read(path, topic))


def test_a_recording_without_topics_is_an_error(tmp_path: pathlib.Path) -> None:
    path = bags.write_rosbag2(tmp_path / 'drive', [])

    with pytest.raises(RecordingError, match='holds no topics'):
        list(read(path))


def test_a_missing_recording_is_named(tmp_path: pathlib.Path) -> None:
    with pytest.raises(RecordingError, match='absent: no such file or folder; expected a ros'):
        list(read(tmp_path / 'absent'))


def test_a_folder_without_metadata_names_the_files_in_it(tmp_path: pathlib.Path) -> None:
    path = bags.write_rosbag2(tmp_path / 'drive', entries())
    (path / 'metadata.yaml').unlink()

    with pytest.raises(RecordingError, match=r'metadata.yaml is missing.*drive.mcap'):
        list(read(path))


def test_other_files_are_refused(tmp_path: pathlib.Path) -> None:
    path = tmp_path / 'drive.mp4'
    path.write_bytes(b'no bag')

    with pytest.raises(RecordingError, match='drive.mp4: no recording; expected a rosbag2'):
        list(read(path))


@pytest.mark.parametrize('kind', ['mcap file', 'sqlite3 file', 'ros1'])
@pytest.mark.parametrize('share', [0.0, 0.01, 0.5, 0.99])
def test_a_truncated_file_is_named(kind: str, share: float, tmp_path: pathlib.Path) -> None:
    path = write(kind, tmp_path / 'drive', entries())
    content = path.read_bytes()
    path.write_bytes(content[:int(share * len(content))])

    with pytest.raises(RecordingError, match=rf'{path.name}: cannot be read.*killed'):
        list(read(path))


def test_damage_further_on_shows_only_there(tmp_path: pathlib.Path) -> None:
    rng = np.random.default_rng(0)
    with RecordingWriter(tmp_path / 'drive') as writer:
        for stamp_ns in STAMPS:  # noise, of which each chunk of 1 MiB holds one image
            writer.write_image('/image_raw', rng.integers(0, 256, (700, 800, 3), np.uint8),
                               encoding='rgb8', stamp_ns=stamp_ns, frame_id='')
    path = tmp_path / 'drive' / 'drive.mcap'
    content = bytearray(path.read_bytes())
    where = int(0.9 * len(content))
    content[where:where + 100_000] = bytes(100_000)
    path.write_bytes(content)

    images = read(path)
    assert next(images)[0].stamp_ns == STAMPS[0]
    with pytest.raises(RecordingError, match='drive.mcap: cannot be read'):
        list(images)


def test_a_malformed_image_does_not_hide_the_next(tmp_path: pathlib.Path) -> None:
    good = entries()
    short = bags.raw_entry('/camera/image_raw', PICTURES[1], STAMPS[1])
    short.fields['data'] = short.fields['data'][:-1]
    cut = bags.Entry('/camera/image_raw', bags.IMAGE, STAMPS[2], {}, raw=b'\0\1\0\0\1\2\3')
    path = bags.write_rosbag2(tmp_path / 'drive', [good[0], short, cut, *good[3:]])

    decoded, errors = [], []
    with Recording(path) as recording:
        for message in recording.messages(recording.image_topic()):
            try:
                decoded.append(message.decode()[0].stamp_ns)
            except ImageError as error:
                errors.append(str(error))

    assert decoded == [STAMPS[0], STAMPS[3], STAMPS[4]]
    assert 'bytes are needed' in errors[0]
    assert 'is no sensor_msgs/msg/Image' in errors[1]


def status(**changes: Any) -> StepStatus:
    values: dict[str, Any] = {
        'schedule': 'low_latency', 'key_frame': False, 'key_stamp_ns': STAMPS[0],
        'key_age_frames': 3, 'key_provisional': True, 'deviation': 0.25, 'threshold': 0.5,
        'slow_track_busy': True, 'slow_track_failures': 2, 'slow_track_error': 'no memory',
        'slow_track_ms': None, 'stage_ms': {'input': 1.0, 'low': 2.0, 'deviation': 3.0,
                                            'propagation': 4.0, 'classify': 5.0, 'output': 6.0,
                                            'slow_track': 7.0, 'rest': 8.0},
        'reset_reason': None}
    return StepStatus(**{**values, **changes})


@pytest.mark.parametrize('storage', ['mcap', 'sqlite3'])
def test_what_is_written_is_read_by_others(storage: str, tmp_path: pathlib.Path) -> None:
    mask = np.arange(12, dtype=np.uint8).reshape(3, 4)
    with RecordingWriter(tmp_path / 'out', storage=storage) as writer:
        writer.write_image('/image_raw', PICTURES[0], encoding='rgb8', stamp_ns=STAMPS[0],
                           frame_id='front')
        writer.write_compressed('/image_raw/compressed', b'bytes', format='jpeg',
                                stamp_ns=STAMPS[1], frame_id='front', log_time_ns=STAMPS[4])
        writer.write_image('/lvs/mask', mask, encoding='mono8', stamp_ns=STAMPS[0], frame_id='f')
        writer.write_status('/lvs/status', status(), stamp_ns=STAMPS[2], frame_id='front',
                            frames_received=7, frames_dropped=1)

    found: dict[str, tuple[int, Any]] = {}
    # Without a default typestore: this reader knows only what is embedded in the file.
    with AnyReader([tmp_path / 'out']) as reader:
        for connection, log_time_ns, data in reader.messages():
            found[connection.topic] = log_time_ns, reader.deserialize(data, connection.msgtype)

    assert {topic: log_time_ns for topic, (log_time_ns, _) in found.items()} == {
        '/image_raw': STAMPS[0], '/image_raw/compressed': STAMPS[4], '/lvs/mask': STAMPS[0],
        '/lvs/status': STAMPS[2]}
    image = found['/image_raw'][1]
    assert (image.height, image.width, image.step, image.encoding) == (49, 65, 195, 'rgb8')
    assert image.data.tobytes() == PICTURES[0].tobytes()
    assert found['/image_raw/compressed'][1].data.tobytes() == b'bytes'
    assert found['/lvs/mask'][1].data.tolist() == list(range(12))
    assert found['/lvs/mask'][1].step == 4
    message = found['/lvs/status'][1]
    assert (message.header.stamp.sec, message.header.frame_id) == (1_600_000_000, 'front')
    assert (message.schedule, message.key_frame, message.key_age_frames) == ('low_latency', 0, 3)
    assert (message.deviation, message.threshold, message.propagation_ms) == (0.25, 0.5, 4.0)
    assert message.rest_ms == 7.0 + 8.0, 'all that has no field of its own'
    assert np.isnan([message.slow_track_ms, message.latency_ms]).all()
    assert (message.frames_received, message.frames_dropped) == (7, 1)


def test_the_compiled_message_reads_the_recorded_status(tmp_path: pathlib.Path) -> None:
    messages = pytest.importorskip('lvs_ros.msg', reason='the messages are not compiled')
    from rclpy.serialization import deserialize_message
    with RecordingWriter(tmp_path / 'out') as writer:
        writer.write_status('/lvs/status', status(key_frame=True, schedule='adaptive'),
                            stamp_ns=STAMPS[2], frame_id='front', frames_received=2 ** 40,
                            frames_dropped=3)

    with AnyReader([tmp_path / 'out']) as reader:
        (_, _, data), = reader.messages()
    message = deserialize_message(data, messages.FrameStatus)

    assert message.header.stamp.nanosec == 2 * 66_666_667
    assert (message.schedule, message.key_frame) == ('adaptive', True)
    assert (message.slow_track_busy, message.slow_track_failures) == (True, 2)
    assert (message.output_ms, message.stale) == (6.0, False)
    assert (message.frames_received, message.frames_dropped) == (2 ** 40, 3)


def _compiled_type_hash() -> str:
    for prefix in os.environ['AMENT_PREFIX_PATH'].split(os.pathsep):
        path = pathlib.Path(prefix) / 'share' / 'lvs_ros' / 'msg' / 'FrameStatus.json'
        if path.is_file():
            hashes = json.loads(path.read_text(encoding='utf-8'))['type_hashes']
            return next(entry['hash_string'] for entry in hashes
                        if entry['type_name'] == 'lvs_ros/msg/FrameStatus')
    pytest.skip('the description of the compiled messages is not installed')


def test_the_recorded_type_hash_is_that_of_the_compiled_message(tmp_path: pathlib.Path) -> None:
    expected = _compiled_type_hash()
    with RecordingWriter(tmp_path / 'out', storage='sqlite3') as writer:
        writer.write_status('/lvs/status', status(), stamp_ns=1, frame_id='', frames_received=1,
                            frames_dropped=0)

    assert expected in (tmp_path / 'out' / 'metadata.yaml').read_text(encoding='utf-8')


def write_one(path: pathlib.Path, stamp_ns: int, **options: bool) -> None:
    with RecordingWriter(path, **options) as writer:  # type: ignore[arg-type]
        writer.write_image('/image_raw', PICTURES[0], encoding='rgb8', stamp_ns=stamp_ns,
                           frame_id='')


def test_an_interrupted_recording_leaves_nothing(tmp_path: pathlib.Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        with RecordingWriter(tmp_path / 'out') as writer:
            writer.write_image('/image_raw', PICTURES[0], encoding='rgb8', stamp_ns=1, frame_id='')
            raise KeyboardInterrupt

    assert list(tmp_path.iterdir()) == []


def test_an_earlier_recording_is_replaced_only_when_asked(tmp_path: pathlib.Path) -> None:
    write_one(tmp_path / 'out', 5)

    with pytest.raises(ConfigurationError, match='--force'):
        write_one(tmp_path / 'out', 6)
    assert [frame.stamp_ns for frame, _ in read(tmp_path / 'out')] == [5]
    write_one(tmp_path / 'out', 6, force=True)

    assert [frame.stamp_ns for frame, _ in read(tmp_path / 'out')] == [6]
    assert [path.name for path in tmp_path.iterdir()] == ['out']


def test_a_foreign_folder_is_never_replaced(tmp_path: pathlib.Path) -> None:
    (tmp_path / 'out').mkdir()
    (tmp_path / 'out' / 'thesis.txt').write_text('years of work', encoding='utf-8')

    with pytest.raises(ConfigurationError, match='never replaced'):
        write_one(tmp_path / 'out', 6, force=True)

    assert (tmp_path / 'out' / 'thesis.txt').read_text(encoding='utf-8') == 'years of work'


def test_an_unknown_storage_is_refused(tmp_path: pathlib.Path) -> None:
    with pytest.raises(ConfigurationError, match='mcap or sqlite3'):
        RecordingWriter(tmp_path / 'out', storage='zip')
