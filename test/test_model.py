# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""The networks: shapes, the split, folding, and the model file."""

import dataclasses
import hashlib
import json
import pathlib
import resource
from typing import Any

import pytest
import safetensors.torch
import torch

from lvs_ros.backends.folding import fold_batch_norm
from lvs_ros.errors import ConfigurationError, ModelFileError
from lvs_ros.model import (VARIANTS, ModelConfig, SegmentationNetwork, load_network,
                           read_notes, save_network)
from lvs_ros.model.config import BLOCKS
from lvs_ros.resources import config_dir

TINY = VARIANTS['tiny']('camvid', 11)


def random_network(config: ModelConfig = TINY) -> SegmentationNetwork:
    torch.manual_seed(0)
    network = SegmentationNetwork(config)
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):    # not the identity of a new network
            assert module.running_mean is not None and module.running_var is not None
            torch.nn.init.normal_(module.running_mean, std=0.1)
            torch.nn.init.uniform_(module.running_var, 0.5, 2.0)
            torch.nn.init.uniform_(module.weight, 0.5, 1.5)
    torch.nn.init.normal_(network.adapt_net.correction.weight, std=0.1)
    return network.eval()


@pytest.mark.parametrize('backbone', sorted(BLOCKS))
@pytest.mark.parametrize('head', ['psp', 'light'])
def test_output_stride_is_8(backbone: str, head: str) -> None:
    config = dataclasses.replace(TINY, backbone=backbone, head=head, split='layer2.1')
    network = random_network(config)
    with torch.no_grad():
        low = network.low(torch.rand(1, 3, 45, 64) * 255)
        high = network.high(low)
        assert low.shape[2:] == high.shape[2:] == (6, 8)
        assert high.shape[1] == config.head_channels
        assert network(torch.rand(2, 3, 45, 64)).shape == (2, 11, 45, 64)


def test_paper_variant_splits_after_conv4_3() -> None:
    network = SegmentationNetwork(VARIANTS['paper']('cityscapes', 19))
    # 3 + 4 blocks of the stages before, and 3 of layer3, whose bottlenecks give 1024 channels
    assert network.backbone.low_blocks == 10
    assert network.backbone.low_channels == 1024
    assert len(network.backbone.high_blocks()) == 33 - 10
    assert network.kernel_predictor.taps.out_channels == 81
    assert network.deviation_net.linear.in_features == 256
    # the published ResNet-101 has 42.5 million weights without its last linear layer
    backbone = sum(p.numel() for p in network.backbone.parameters())
    assert backbone == 42_500_160


@pytest.mark.parametrize('split', ['layer2.0', 'layer2.3', 'layer3.2', 'layer4.1'])
def test_where_it_is_split_does_not_change_the_function(split: str) -> None:
    base = dataclasses.replace(TINY, backbone='resnet34', split='layer2.0')
    image = torch.rand(1, 3, 32, 48) * 255
    whole = random_network(base)
    other = SegmentationNetwork(dataclasses.replace(base, split=split)).eval()
    other.backbone.load_state_dict(whole.backbone.state_dict())
    with torch.no_grad():
        x, y = whole.low(image), other.low(image)
        for piece in whole.backbone.high_blocks():
            x = piece(x)
        for piece in other.backbone.high_blocks():
            y = piece(y)
    assert torch.equal(x, y)


def test_dilation_patterns() -> None:
    def dilations(pattern: str) -> list[int]:
        network = SegmentationNetwork(dataclasses.replace(TINY, dilation=pattern))
        convolutions = [network.backbone.get_submodule(f'layer{stage}.{block}.conv1')
                        for stage in (3, 4) for block in (0, 1)]
        return [c.dilation[0] for c in convolutions if isinstance(c, torch.nn.Conv2d)]

    assert dilations('half_first') == [1, 2, 2, 4]
    assert dilations('uniform') == [2, 2, 4, 4]


def test_kernels_are_a_distribution_over_the_taps() -> None:
    network = random_network()
    low = torch.rand(2, network.backbone.low_channels, 5, 6)
    kernels = network.kernel_predictor(network.embed(low), network.embed(low.flip(0)))
    assert kernels.shape == (2, 9, 5, 6)
    assert (kernels >= 0).all()
    torch.testing.assert_close(kernels.sum(1), torch.ones(2, 5, 6))


def test_a_new_adapt_net_changes_nothing() -> None:
    network = SegmentationNetwork(TINY).eval()
    low, high = torch.rand(1, network.backbone.low_channels, 5, 6), torch.rand(1, 16, 5, 6)
    assert torch.equal(network.adapt(low, high), high)


def test_deviation_lies_between_0_and_1() -> None:
    network = random_network()
    key, low = torch.randn(2, 3, network.backbone.low_channels, 8, 8) * 100
    deviation = network.deviation(key, low)
    assert deviation.shape == (3,) and deviation.dtype == torch.float32
    assert ((deviation >= 0) & (deviation <= 1)).all()


def test_refining_means_the_image_and_its_mirror_image() -> None:
    network = random_network()
    image = torch.rand(2, 3, 40, 56) * 255    # another width would be padded on one side

    def high(image: torch.Tensor) -> torch.Tensor:
        return network.high(network.low(image))

    with torch.no_grad():
        refined = network.refine(high(image), image)
        mirrored = torch.from_numpy(high(torch.from_numpy(
            image.numpy()[..., ::-1].copy())).numpy()[..., ::-1].copy())
        torch.testing.assert_close(refined, 0.5 * high(image) + 0.5 * mirrored)
        # The logits are the mean, too, and the mirror image gives the mirrored result.
        torch.testing.assert_close(
            network.classify(refined),
            0.5 * network.classify(high(image)) + 0.5 * network.classify(mirrored))
        torch.testing.assert_close(
            network.refine(high(image.flip(3)), image.flip(3)).flip(3), refined)


def test_folding_batch_norm_keeps_the_function() -> None:
    network, folded = random_network(), random_network()
    fold_batch_norm(folded)
    assert not any(isinstance(m, torch.nn.BatchNorm2d) for m in folded.modules())
    image = torch.rand(1, 3, 40, 48) * 255
    with torch.no_grad():
        low, low_folded = network.low(image), folded.low(image)
        torch.testing.assert_close(low_folded, low, rtol=1e-4, atol=1e-4)
        torch.testing.assert_close(folded.high(low), network.high(low), rtol=1e-4, atol=1e-4)
        torch.testing.assert_close(folded.embed(low), network.embed(low), rtol=1e-4, atol=1e-4)
        torch.testing.assert_close(folded.deviation(low, low * 0.5),
                                   network.deviation(low, low * 0.5), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize('change, reason', [
    ({'backbone': 'vgg16'}, 'expected one of resnet18'), ({'split': 'layer9.0'}, 'layer2.0 to'),
    ({'split': 'layer1.2'}, 'layer2.0 to'),
    ({'split': 'layer4.1'}, 'before its last'), ({'kernel_size': 4}, 'an odd number'),
    ({'classes': 0}, 'from 1 to 255'), ({'classes': 256}, 'from 1 to 255'),
    ({'classes': 11.0}, 'classes is 11.0: expected a whole number'),
    ({'classes': '11'}, "classes is '11': expected a whole number"),
    ({'classes': True}, 'classes is True: expected a whole number'),
    ({'classes': [11]}, 'whole number'), ({'classes': None}, 'whole number'),
    ({'base_width': 100_000}, 'base_width is 100000: expected a whole number from 1 to 256'),
    ({'base_width': -8}, 'from 1'), ({'head_channels': 10 ** 30}, 'head_channels is 1000'),
    ({'embed_channels': 10 ** 6}, 'embed_channels'), ({'adapt_channels': 10 ** 6}, 'from 1'),
    ({'deviation_channels': 1e6}, 'from 1'), ({'deviation_stride': 0}, 'from 1'),
    ({'kernel_size': 999}, 'from 1 to 31'), ({'kernel_size': 3.0}, 'an odd number'),
    ({'std': (1.0, 0.0, 1.0)}, 'from 0.001'), ({'std': (1e-300, 1.0, 1.0)}, 'from 0.001'),
    ({'std': (float('nan'), 1.0, 1.0)}, 'std is .nan, 1.0, 1.0.: expected 3 numbers'),
    ({'mean': (float('inf'), 1.0, 1.0)}, 'mean'), ({'mean': 5.0}, '3 numbers'),
    ({'mean': (1.0, 2.0)}, '3 numbers'), ({'mean': ('1', 2.0, 3.0)}, '3 numbers'),
    ({'mean': (True, 2.0, 3.0)}, '3 numbers'), ({'mean': {'r': 1, 'g': 2, 'b': 3}}, '3 numbers'),
    ({'head': 'none'}, 'psp, light'), ({'head': ['psp']}, 'psp, light'),
    ({'head': {}}, 'psp, light'), ({'stem': None}, 'conv7'), ({'dilation': 4}, 'uniform'),
    ({'alignment': 1}, 'none, flow'), ({'split': 22}, 'split is 22: expected a text'),
    ({'align_corners': 'false'}, 'true or false'), ({'align_corners': 0}, 'true or false'),
    ({'label_set': 7}, 'a text'), ({'label_set': ''}, 'a text'),
    ({'label_set': 'a\nb'}, 'printable'),
])
def test_configuration_that_cannot_work_is_refused(change: dict[str, Any], reason: str) -> None:
    with pytest.raises(ConfigurationError, match=reason):
        dataclasses.replace(TINY, **change)
    written = json.dumps({**json.loads(TINY.to_json()), **change})
    with pytest.raises(ConfigurationError, match='model ' + next(iter(change))):
        ModelConfig.from_json(written)


def test_configuration_survives_json() -> None:
    config = dataclasses.replace(VARIANTS['lite']('camvid', 11), mean=(1.0, 2.0, 3.0))
    assert ModelConfig.from_json(config.to_json()) == config


def test_every_field_has_a_type() -> None:
    for field in dataclasses.fields(ModelConfig):
        change: dict[str, Any] = {field.name: {'no': 'such thing'}}
        with pytest.raises(ConfigurationError, match=f'model {field.name} is '):
            dataclasses.replace(TINY, **change)


@pytest.mark.parametrize('text', [
    '', '[]', '[' * 100_000, '7', '{"label_set": "a"', '{"label_set": "x"}',
    '{"label_set": 1, "wings": 2}'])
def test_foreign_configuration_is_refused(text: str) -> None:
    with pytest.raises(ConfigurationError, match='model configuration'):
        ModelConfig.from_json(text)


def test_model_file_gives_the_network_back(tmp_path: pathlib.Path) -> None:
    network = random_network()
    path = tmp_path / 'folder' / 'model.safetensors'
    save_network(network, path, half=False, notes={'data': 'none'})
    loaded = load_network(path)
    image = torch.rand(1, 3, 32, 32) * 255
    with torch.no_grad():
        assert torch.equal(loaded(image), network(image))
    assert loaded.config == network.config and read_notes(path) == {'data': 'none'}
    assert [p.name for p in path.parent.iterdir()] == ['model.safetensors']
    save_network(network, path)     # half precision, over the old file
    assert path.stat().st_size < 0.6 * sum(4 * p.numel() for p in network.parameters())
    with torch.no_grad():
        torch.testing.assert_close(load_network(path)(image), network(image), atol=0.1, rtol=0.1)


def tensors_of(network: SegmentationNetwork) -> dict[str, torch.Tensor]:
    return {name: value for name, value in network.state_dict().items()
            if not name.endswith('num_batches_tracked')}


def write(path: pathlib.Path, tensors: dict[str, torch.Tensor],
          config: ModelConfig | str = TINY, format_: str = 'lvs_ros 1') -> None:
    safetensors.torch.save_file(tensors, path, metadata={
        'format': format_, 'config': config if isinstance(config, str) else config.to_json(),
        'notes': json.dumps({})})


def test_wrong_model_files_are_refused_with_what_is_wrong(tmp_path: pathlib.Path) -> None:
    path = tmp_path / 'model.safetensors'
    tensors = tensors_of(random_network())
    write(path, tensors)
    whole = path.read_bytes()

    def refused(reason: str) -> None:
        with pytest.raises(ModelFileError, match=reason) as error:
            load_network(path)
        assert str(path) in str(error.value)

    path.write_bytes(whole[:len(whole) // 2])
    refused('cut short')
    path.write_bytes(b'not a model at all')
    refused('not a readable safetensors file')
    write(path, tensors, format_='another project')
    refused("format 'another project'")
    write(path, tensors, config='{"wings": 2}')
    refused('unknown fields wings')
    write(path, {k: v for k, v in tensors.items() if k != 'classifier.bias'})
    refused('classifier.bias is missing')
    write(path, {**tensors, 'extra.weight': torch.zeros(1)})
    refused('extra.weight is unknown')
    write(path, tensors, config=dataclasses.replace(TINY, classes=19))
    refused(r'classifier.bias has shape \(11,\) instead of \(19,\)')
    write(path, {**tensors, 'classifier.bias': torch.full((11,), float('nan'))})
    refused('classifier.bias holds values that are not finite')
    write(path, tensors)
    load_network(path)


def test_a_configuration_asks_for_no_more_memory_than_the_file_has(
        tmp_path: pathlib.Path) -> None:
    path = tmp_path / 'model.safetensors'
    # within every range, and more than 3 GB
    huge = ModelConfig('a', 255, base_width=256, head_channels=4096, embed_channels=2048,
                       adapt_channels=2048, kernel_size=31, deviation_channels=2048)
    write(path, tensors_of(random_network()), config=huge)
    before = peak_memory_bytes()
    with pytest.raises(ModelFileError, match='do not fit'):
        load_network(path)
    assert peak_memory_bytes() - before < 1e9


def peak_memory_bytes() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def flip(path: pathlib.Path, byte: int, bit: int) -> None:
    content = bytearray(path.read_bytes())
    content[byte] ^= 1 << bit
    path.write_bytes(content)


def test_one_wrong_bit_is_refused(tmp_path: pathlib.Path) -> None:
    path = tmp_path / 'model.safetensors'
    save_network(random_network(), path)
    whole = path.read_bytes()
    header = int.from_bytes(whole[:8], 'little')
    flip(path, 8 + header + 1001, 5)    # in the exponent of the 501st number: it stays finite
    with pytest.raises(ModelFileError, match='model.safetensors: damaged'):
        load_network(path)
    # 58.395 becomes 78.395: the file is right in every other respect
    path.write_bytes(whole.replace(b'58.395', b'78.395', 1))
    with pytest.raises(ModelFileError, match='model.safetensors: damaged'):
        load_network(path)
    path.write_bytes(whole)
    load_network(path)


def test_the_checksum_is_told_by_the_standard_alone(tmp_path: pathlib.Path) -> None:
    path = tmp_path / 'model.safetensors'
    save_network(random_network(), path)
    raw = path.read_bytes()
    size = 8 + int.from_bytes(raw[:8], 'little')
    header = json.loads(raw[8:size])
    metadata = header.pop('__metadata__')
    digest = hashlib.sha256(json.dumps(
        sorted([name, text] for name, text in metadata.items() if name != 'sha256')).encode())
    for name, tensor in sorted(header.items()):
        assert tensor['dtype'] == 'F16'
        digest.update(json.dumps([name, 'torch.float16', tensor['shape']]).encode())
        begin, end = tensor['data_offsets']
        digest.update(raw[size + begin:size + end])
    assert metadata['sha256'] == digest.hexdigest()


def test_a_file_without_a_checksum_is_taken_with_a_warning(tmp_path: pathlib.Path) -> None:
    path = tmp_path / 'model.safetensors'
    write(path, tensors_of(random_network()))
    with pytest.warns(UserWarning, match='model.safetensors has no checksum'):
        load_network(path)


@pytest.mark.parametrize('name', ['lite_camvid', 'lite_camvid.rivals.safetensors'])
def test_the_models_that_come_with_the_package_have_a_checksum(name: str) -> None:
    path = config_dir() / 'models' / name
    with safetensors.safe_open(path if path.suffix else f'{path}.safetensors', 'pt') as file:
        assert len(file.metadata()['sha256']) == 64


@pytest.mark.parametrize('notes', ['[' * 100_000, '[]', '{', '7'])
def test_damaged_notes_are_told(tmp_path: pathlib.Path, notes: str) -> None:
    path = tmp_path / 'model.safetensors'
    safetensors.torch.save_file({'a': torch.zeros(1)}, path,
                                metadata={'format': 'lvs_ros 1', 'notes': notes})
    with pytest.raises(ModelFileError, match='model.safetensors: its notes are damaged'):
        read_notes(path)
    path.write_bytes(b'nothing')
    with pytest.raises(ModelFileError, match='model.safetensors: not a readable'):
        read_notes(path)


def test_unknown_model_name_lists_the_known_ones() -> None:
    with pytest.raises(ModelFileError, match="no model 'nonsense'"):
        load_network('nonsense')
