# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""The mask in colours, as a PNG and in Autoware's form: what each says, over DDS."""

import pathlib
import struct
from typing import Any, Callable, Iterator

import cv2
import numpy as np
import pytest

pytest.importorskip('rclpy', reason='rclpy is not installed')

import node_rig  # noqa: E402
from node_rig import Rigs, image_message, picture, pixels  # noqa: E402
from sensor_msgs.msg import CompressedImage, Image  # noqa: E402

from lvs_ros.errors import LabelSetError  # noqa: E402
from lvs_ros.labels import LabelSet, load_label_set  # noqa: E402
from lvs_ros.node import outputs  # noqa: E402
from lvs_ros.node.autoware_mask import load_ids, write_autoware_mask  # noqa: E402
from lvs_ros.node.colour_mask import ColourMask  # noqa: E402
from lvs_ros.node.serialized_images import SerializedHeader, read_header  # noqa: E402

TOPICS = {'/lvs/mask/color': Image, '/lvs/mask/compressed': CompressedImage,
          '/lvs/mask/autoware': Image}
# Of segmentation_pointcloud_fusion in Autoware: the place of a class in its list is its id.
AUTOWARE_IDS = {'BUILDING': 1, 'WALL': 2, 'OBSTACLE': 3, 'TRAFFIC_SIGN': 5, 'PERSON': 6,
                'VEHICLE': 7, 'BIKE': 8, 'ROAD': 9, 'SIDEWALK': 10, 'VEGETATION': 14, 'SKY': 15}
CAMVID = ['SKY', 'BUILDING', 'OBSTACLE', 'ROAD', 'SIDEWALK', 'VEGETATION', 'TRAFFIC_SIGN', 'WALL',
          'VEHICLE', 'PERSON', 'BIKE']


@pytest.fixture
def make_rig(ros_domain: int, tiny_model: pathlib.Path) -> Iterator[Rigs]:
    yield from node_rig.rigs(tiny_model)


def decoded(message: Image) -> np.ndarray:
    """Decode a mask as Autoware's description says: runs of one byte and an int."""
    data, found = bytes(message.data), bytearray()
    for start in range(0, len(data), 5):
        value, length = data[start], struct.unpack('=i', data[start + 1:start + 5])[0]
        found += bytes([value]) * length
    return np.frombuffer(bytes(found), np.uint8).reshape(message.height, message.width)


def test_every_form_says_what_the_mask_says(make_rig: Rigs) -> None:
    rig = make_rig(autoware_classes='camvid')
    for topic, kind in TOPICS.items():
        rig.peer.subscribe(kind, topic)
    rig.connect(*TOPICS)
    message, _ = rig.send(image_message(picture()))
    mask = pixels(message)
    assert len(np.unique(mask)) > 1, 'a mask of one class shows nothing'
    color, compressed, autoware = [rig.peer.wait_for(topic, 1)[0] for topic in TOPICS]
    for one in (color, compressed, autoware):
        assert one.header == message.header

    colours = np.array(load_label_set('camvid').colours, np.uint8)
    np.testing.assert_array_equal(pixels(color), colours[mask])

    # As compressed_image_transport writes it of mono8; its decoder reads what is before the ';'.
    assert compressed.format == 'mono8; png compressed '
    png = np.frombuffer(bytes(compressed.data), np.uint8)
    np.testing.assert_array_equal(cv2.imdecode(png, cv2.IMREAD_UNCHANGED), mask)

    assert (autoware.encoding, autoware.step) == ('mono8', autoware.width)
    ids = np.array([AUTOWARE_IDS[name] for name in CAMVID], np.uint8)
    np.testing.assert_array_equal(decoded(autoware), ids[mask])


def test_a_form_is_made_only_where_somebody_subscribes(
        make_rig: Rigs, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[str] = []

    def watched(name: str, write: Callable[..., bytes]) -> Callable[..., bytes]:
        def wrapper(*arguments: Any) -> bytes:
            made.append(name)
            return write(*arguments)
        return wrapper

    for name in ('write_compressed_mask', 'write_autoware_mask'):
        monkeypatch.setattr(outputs, name, watched(name, getattr(outputs, name)))
    monkeypatch.setattr(ColourMask, 'write', watched('color', ColourMask.write))
    rig = make_rig(autoware_classes='camvid')
    rig.send(image_message(picture()))
    rig.peer.diagnostics(lambda _: True)
    assert not made
    rig.peer.subscribe(CompressedImage, '/lvs/mask/compressed')
    rig.connect('/lvs/mask/compressed')
    rig.send(image_message(picture()))
    rig.peer.wait_for('/lvs/mask/compressed', 1)
    assert made == ['write_compressed_mask']


def test_runs_go_on_from_row_to_row_and_unlabelled_is_unknown() -> None:
    mask = np.array([[0, 0, 3], [3, 3, 255], [1, 7, 3]], np.uint8)
    ids = load_ids('camvid', load_label_set('camvid'))
    cdr = write_autoware_mask(mask, ids, SerializedHeader(1, 2, b'camera'))
    assert read_header(cdr).stamp_ns == 1_000_000_002
    runs = [(15, 2), (9, 3), (0, 1), (1, 1), (2, 1), (9, 1)]
    assert cdr.endswith(struct.pack('<I', 30) + b''.join(
        struct.pack('=Bi', *run) for run in runs))


def test_the_classes_of_cityscapes_have_a_file_too() -> None:
    labels = load_label_set('cityscapes')
    ids = load_ids('cityscapes', labels)
    assert [int(ids[labels.names.index(name)]) for name in ('road', 'rider', 'motorcycle')] == \
        [9, 6, 8]


@pytest.mark.parametrize('content, told', [
    ('road: ROAD', "no class of Autoware for 'sky'"),
    ('road: ROAD\nsky: Sky', "Autoware has no class 'Sky' (did you mean SKY?)"),
    ('road: ROAD\nsky: SKY\nsea: SKY', "there is no class 'sea'"),
    ('[1, 2]', 'it does not map names to names'),
    ('road: [', 'cannot be read')])
def test_a_wrong_file_is_refused(tmp_path: pathlib.Path, content: str, told: str) -> None:
    path = tmp_path / 'classes.yaml'
    path.write_text(content)
    labels = LabelSet('two', ('road', 'sky'), ((1, 2, 3), (4, 5, 6)))
    with pytest.raises(LabelSetError) as refused:
        load_ids(str(path), labels)
    assert told in str(refused.value)


def test_a_file_that_is_not_there_does_not_start_the_node(make_rig: Rigs) -> None:
    rig = make_rig(autostart=False, autoware_classes='camvod')
    assert not rig.in_node(rig.node.autostart)
    failure = rig.node.transition_failure
    assert isinstance(failure, LabelSetError)
    assert 'expected one of camvid, cityscapes' in str(failure)
