# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Imported networks compute what the networks they come from compute; the rest is refused."""

import argparse
import json
import pathlib
import sys
import types
from typing import Any, Callable, Optional

import numpy as np
import pytest
import safetensors.torch
import torch
from torch import nn

from foreign_networks import (CLASSIFIER18, CLASSIFIER50, MEAN, MM18, MM50, STD, MmFcnHead,
                              MmPspHead, MmResNet, MmSegmentor, Semseg, TimmDeepResNet,
                              TorchvisionFcn, TorchvisionResNet, randomise)
from lvs_ros.errors import ConfigurationError, ModelFileError
from lvs_ros.labels import load_label_set
from lvs_ros.model import SegmentationNetwork, load_network, read_notes
from lvs_ros.model.importing import Overrides, import_checkpoint
from lvs_ros.model.importing.config_text import read_config_text
from lvs_ros.tools.cli import main

pytestmark = pytest.mark.usefixtures('one_thread')

CAMVID = load_label_set('camvid')
CLASSES = 11
SIZE = (64, 96)            # 8 n: neither network nor original has to pad
CORNERS_SIZE = (65, 97)    # 8 n + 1: the same with aligned corners


def image(size: tuple[int, ...] = SIZE) -> torch.Tensor:
    return torch.randint(0, 256, (1, 3, *size), generator=torch.Generator().manual_seed(1)).float()


def mm_psp50(align_corners: bool = False) -> MmSegmentor:
    backbone = MmResNet(4, MM50, True, v1c=True)
    return MmSegmentor(backbone, MmPspHead(backbone.channels, CLASSES, align_corners),
                       align_corners)


def mm_psp18() -> MmSegmentor:
    backbone = MmResNet(8, MM18, False, v1c=False)
    return MmSegmentor(backbone, MmPspHead(backbone.channels, CLASSES, False))


def mm_fcn18(convs: int, concat: bool) -> MmSegmentor:
    backbone = MmResNet(8, MM18, False, v1c=True)
    return MmSegmentor(backbone, MmFcnHead(backbone.channels, CLASSES, convs=convs,
                                           concat=concat))


SEGMENTORS: dict[str, Callable[[], nn.Module]] = {
    'mmsegmentation PSPNet, bottlenecks': mm_psp50,
    'mmsegmentation PSPNet, basic blocks': mm_psp18,
    'mmsegmentation FCN': lambda: mm_fcn18(2, True),
    'mmsegmentation FCN of one convolution': lambda: mm_fcn18(1, False),
    'semseg PSPNet': lambda: Semseg(4, CLASSES, pyramid=True),
    'semseg without pyramid': lambda: Semseg(4, CLASSES, pyramid=False),
    'torchvision FCN': lambda: TorchvisionFcn(4, CLASSES)}


def saved(folder: pathlib.Path, content: Any, name: str = 'foreign.pth') -> pathlib.Path:
    torch.save(content, folder / name)
    return folder / name


def distance(network: SegmentationNetwork, expected: torch.Tensor) -> float:
    with torch.no_grad():
        found = network(image(tuple(expected.shape[2:])))
        return float((found - expected).abs().max() / expected.std())


@pytest.mark.parametrize('name', list(SEGMENTORS))
def test_computes_what_the_original_computes(tmp_path: pathlib.Path, name: str) -> None:
    original = randomise(SEGMENTORS[name]())
    with torch.no_grad():
        expected = original(image(CORNERS_SIZE if 'semseg' in name.split() else SIZE))
    state = {f'module.{key}': value for key, value in original.state_dict().items()}
    path = saved(tmp_path, {'epoch': 3, 'state_dict': state, 'optimizer': {'lr': 0.1}})
    imported = import_checkpoint(path, CAMVID, split='layer2.1')
    assert not imported.backbone_only and not imported.network.training
    assert distance(imported.network, expected) < 1e-4

    # what would be wrong without an error must show in this comparison
    config = imported.network.config
    wrong = [Overrides(align_corners=not config.align_corners)]
    others = {'half_first', 'uniform'}
    if config.backbone == 'resnet18':
        others |= {'half_conv1', 'conv1_only'}
    wrong += [Overrides(dilation=other) for other in sorted(others - {config.dilation})]
    for overrides in wrong:
        other_network = import_checkpoint(path, CAMVID, overrides=overrides).network
        assert distance(other_network, expected) > 1e-2, overrides


@pytest.mark.parametrize('bottleneck', [True, False])
def test_a_classifier_becomes_dilated(tmp_path: pathlib.Path, bottleneck: bool) -> None:
    # a network of stride 32 computes every fourth position of the same network of stride 8
    original = randomise(TorchvisionResNet(
        8, CLASSIFIER50 if bottleneck else CLASSIFIER18, bottleneck))
    path = saved(tmp_path, original.state_dict(), 'resnet.pt')
    imported = import_checkpoint(path, CAMVID)
    network = imported.network
    with torch.no_grad():
        expected = original((image() - MEAN) / STD)
        found = network.low(image())
        for block in network.backbone.high_blocks():
            found = block(found)
    torch.testing.assert_close(found[:, :, ::4, ::4], expected, rtol=1e-4, atol=1e-4)
    assert imported.backbone_only
    assert imported.left_out == {'fc': 2}
    assert network.config.head == 'psp' and network.config.classes == CLASSES


@pytest.mark.parametrize('first, last', [(4, 8), (8, 16)])
def test_timm_with_its_card(tmp_path: pathlib.Path, first: int, last: int) -> None:
    original = randomise(TimmDeepResNet(first, last, 8, CLASSIFIER50))
    safetensors.torch.save_file(original.state_dict(), tmp_path / 'model.safetensors')
    card = {'architecture': 'resnet50c', 'num_classes': 10,
            'pretrained_cfg': {'mean': [0.5, 0.5, 0.5], 'std': [0.5, 0.5, 0.5]}}
    (tmp_path / 'config.json').write_text(json.dumps(card), encoding='utf-8')
    network = import_checkpoint(tmp_path / 'model.safetensors', CAMVID).network
    with torch.no_grad():
        expected = original(image() / 127.5 - 1)    # (x / 255 - 0.5) / 0.5
        found = network.low(image())
        for block in network.backbone.high_blocks():
            found = block(found)
    torch.testing.assert_close(found[:, :, ::4, ::4], expected, rtol=1e-4, atol=1e-4)


def test_refuses_a_timm_network_that_blurs(tmp_path: pathlib.Path) -> None:
    original = TorchvisionResNet(8, CLASSIFIER50, True)
    (tmp_path / 'config.json').write_text(
        json.dumps({'architecture': 'resnetblur50', 'pretrained_cfg': {}}), encoding='utf-8')
    with pytest.raises(ModelFileError, match='resnetblur50'):
        import_checkpoint(saved(tmp_path, original.state_dict()), CAMVID)


MM_CONFIG = """
norm_cfg = dict(type='SyncBN', requires_grad=True)
{top}
model = dict(
    type='EncoderDecoder',
    pretrained='open-mmlab://resnet50_v1c',
    backbone=dict(
        type='ResNetV1c', depth=50, dilations=(1, 1, 2, 4), strides=(1, 2, 1, 1),
        norm_cfg=dict(type='SyncBN', requires_grad=True), {backbone}),
    decode_head=dict(
        type='PSPHead', in_index=3, pool_scales=(1, 2, 3, 6), num_classes=11, {head}))
lr = some_function(-0.1)
"""


def mm_config(top: str = '', backbone: str = "style='pytorch', contract_dilation=True",
              head: str = 'align_corners=False') -> str:
    return MM_CONFIG.format(top=top, backbone=backbone, head=head)


@pytest.mark.parametrize('key', ['cfg', 'config'])
def test_align_corners_comes_from_the_configuration(tmp_path: pathlib.Path, key: str) -> None:
    original = randomise(mm_psp50(align_corners=True))
    with torch.no_grad():
        expected = original(image(CORNERS_SIZE))
    path = saved(tmp_path, {'meta': {key: mm_config(head='align_corners=True')},
                            'state_dict': original.state_dict()})
    imported = import_checkpoint(path, CAMVID)
    assert imported.settings.told_by == 'the configuration in the file'
    assert distance(imported.network, expected) < 1e-4


@pytest.mark.parametrize('top', [
    'img_norm_cfg = dict(mean=[103.5, 116.25, 123.75], std=[1.0, 2.0, 4.0], to_rgb=False)',
    'data_preprocessor = dict(mean=[103.5, 116.25, 123.75], std=[1.0, 2.0, 4.0], '
    'bgr_to_rgb=False)'])
def test_a_network_for_bgr_images(tmp_path: pathlib.Path, top: str) -> None:
    original = randomise(mm_psp50())
    blue_first = image().flip(1)
    mean, std = (torch.tensor(values).view(1, 3, 1, 1)
                 for values in ([103.5, 116.25, 123.75], [1.0, 2.0, 4.0]))
    with torch.no_grad():
        # the reference normalises by itself, with other numbers: undo that beforehand
        expected = original((blue_first - mean) / std * STD + MEAN)
    path = saved(tmp_path, {'meta': {'cfg': mm_config(top=top)},
                            'state_dict': original.state_dict()})
    imported = import_checkpoint(path, CAMVID)
    assert imported.network.config.mean == (123.75, 116.25, 103.5)
    assert distance(imported.network, expected) < 1e-4


@pytest.mark.parametrize('change, named', [
    ({'backbone': "style='caffe', contract_dilation=True"}, 'style = caffe'),
    ({'backbone': 'contract_dilation=True, multi_grid=(1, 2, 4)'}, 'multi_grid'),
    ({'head': 'dilation=6'}, 'decode_head.dilation = 6'),
    ({'head': "act_cfg=dict(type='GELU')"}, 'act_cfg')])
def test_refuses_what_the_weights_do_not_show(tmp_path: pathlib.Path, change: dict[str, str],
                                              named: str) -> None:
    path = saved(tmp_path, {'meta': {'cfg': mm_config(**change)},
                            'state_dict': mm_psp50().state_dict()})
    with pytest.raises(ModelFileError, match=named):
        import_checkpoint(path, CAMVID)


def test_a_configuration_is_not_executed(tmp_path: pathlib.Path) -> None:
    text = (f'a = dict(b=[-1, 2.5], c=dict(d=None))\nimport os\ne = open({str(tmp_path / "x")!r}, '
            "'w')\nf = dict(**g)\n")
    assert read_config_text(text) == {'a': {'b': (-1, 2.5), 'c': {'d': None}}, 'e': None, 'f': {}}
    assert not (tmp_path / 'x').exists()
    assert read_config_text('this is: not python (') == {}


def test_mmengine_files_are_read_without_mmengine(tmp_path: pathlib.Path,
                                                  monkeypatch: pytest.MonkeyPatch) -> None:
    original = randomise(mm_psp18())
    with torch.no_grad():
        expected = original(image())
    module = types.ModuleType('mmengine.logging.history_buffer')
    exec('class HistoryBuffer:\n    def min(self):\n        return 0\n', module.__dict__)
    buffer = module.HistoryBuffer()
    # mmengine's buffers hold arrays and refer to methods of their own class
    buffer.__dict__.update(history=np.arange(3.0), last=np.float32(2.0),
                           statistics={'min': module.HistoryBuffer.min})
    content = {'meta': {'epoch': 1}, 'state_dict': original.state_dict(),
               'message_hub': {'log_scalars': {'train/loss': buffer}},
               'args': argparse.Namespace(lr=0.1)}
    with monkeypatch.context() as patch:
        for name in ('mmengine', 'mmengine.logging'):
            patch.setitem(sys.modules, name, types.ModuleType(name))
        patch.setitem(sys.modules, module.__name__, module)
        path = saved(tmp_path, content)
    assert module.__name__ not in sys.modules
    with pytest.raises(Exception, match='HistoryBuffer'):    # the reason why it needs care
        torch.load(path, weights_only=True)
    assert distance(import_checkpoint(path, CAMVID).network, expected) < 1e-4


class Trap:
    """Would create a file when it is unpickled."""

    def __init__(self, path: pathlib.Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return (pathlib.Path.touch, (self.path,))


def test_code_in_a_file_is_named_and_not_executed(tmp_path: pathlib.Path) -> None:
    path = saved(tmp_path, {'state_dict': mm_psp18().state_dict(),
                            'trap': Trap(tmp_path / 'sprung')})
    with pytest.raises(ModelFileError, match=r'(?s)foreign\.pth.*weights_only=False.*import '):
        import_checkpoint(path, CAMVID)
    assert not (tmp_path / 'sprung').exists()


def run_cli(*words: object) -> int:
    return main(['import-checkpoint', *map(str, words)])


def refused(capsys: pytest.CaptureFixture[str], out: pathlib.Path, *words: object) -> str:
    """Run the command, which must fail and leave no file; return its message."""
    assert run_cli(*words, '--out', out) == 2
    message = capsys.readouterr().err
    assert message.startswith('lvs import-checkpoint: error: ')
    assert not list(out.parent.glob('*.safetensors*'))
    return message


def test_command_writes_a_model_that_goes_on_from_there(
        tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]) -> None:
    original = randomise(mm_psp50())
    with torch.no_grad():
        expected = original(image())
    path = saved(tmp_path, {'meta': {'dataset_meta': {'classes': ('sky', 'House') + 9 * ('x',)}},
                            'state_dict': original.state_dict()})
    out = tmp_path / 'new' / 'model.safetensors'
    assert run_cli(path, '--out', out, '--labels', 'camvid', '--split', 'layer3.1') == 0
    printed = capsys.readouterr().out
    for words in ('mmsegmentation', 'resnet50 of width 4', 'dilation half_first',
                  'align_corners False', 'auxiliary_head', '11 classes',
                  'start anew, with random weights: kernel predictor, AdaptNet, deviation net',
                  f"1 is 'House' there and {CAMVID.names[1]!r} in camvid",
                  f'lvs train --init {out} --stages propagation deviation'):
        assert words in printed
    assert 'network propagation' not in printed
    network = load_network(out)
    assert network.config.split == 'layer3.1' and network.config.label_set == 'camvid'
    assert distance(network, expected) < 1e-4
    notes = read_notes(out)
    assert notes['imported_from'] == 'foreign.pth' and notes['source'] == 'mmsegmentation'
    assert notes['starts_anew'] == 'kernel predictor, AdaptNet, deviation net'


def test_command_takes_a_backbone_alone(tmp_path: pathlib.Path,
                                        capsys: pytest.CaptureFixture[str]) -> None:
    # the head is one that is not known
    state = {name.replace('psp_modules', 'aspp_modules'): value
             for name, value in mm_psp50().state_dict().items()}
    path, out = saved(tmp_path, state), tmp_path / 'model.safetensors'
    assert '--backbone-only' in refused(capsys, out, path, '--labels', 'camvid')
    assert run_cli(path, '--out', out, '--backbone-only') == 0    # into another label set
    printed = capsys.readouterr().out
    assert 'start anew, with random weights: pyramid pooling head, classifier, kernel' in printed
    assert f'lvs train --init {out} --stages network propagation deviation' in printed
    network = load_network(out)
    assert (network.config.label_set, network.config.classes) == ('cityscapes', 19)
    assert 'pyramid pooling head, classifier' in read_notes(out)['starts_anew']
    torch.testing.assert_close(network.backbone.state_dict()['layer4.2.conv3.weight'],
                               state['backbone.layer4.2.conv3.weight'])


def change_state(state: dict[str, torch.Tensor], what: str) -> dict[str, torch.Tensor]:
    if what == 'missing':
        return {name: value for name, value in state.items()
                if 'layer2.0.' not in name or '.conv' in name}
    if what == 'unknown':
        return state | {f'backbone.layer1.0.more.{i}.weight': torch.ones(2) for i in range(7)}
    name = 'decode_head.bottleneck.conv.weight'
    if what == 'shape':
        return state | {name: state[name][:, 1:]}
    if what == 'type':
        return state | {name: state[name].to(torch.int8)}
    return state | {name: torch.full_like(state[name], float('nan'))}


@pytest.mark.parametrize('what, named', [
    ('missing', 'layer2.0.bn1.bias (missing), '),
    # three norms of four tensors and the convolution of the shortcut
    ('missing', 'layer2.0.bn2.bias (missing) and 8 more'),
    ('unknown', 'layer1.0.more.0.weight (unknown), '),
    ('unknown', 'more.4.weight (unknown) and 2 m'),
    ('shape', 'bottleneck.conv.weight (shape (16, 127, 3, 3) instead of (16, 128, 3, 3))'),
    ('type', 'bottleneck.conv.weight (type torch.int8)'),
    ('finite', 'bottleneck.conv.weight (not finite)')])
def test_keys_that_do_not_fit_are_named(tmp_path: pathlib.Path,
                                        capsys: pytest.CaptureFixture[str], what: str,
                                        named: str) -> None:
    path = saved(tmp_path, change_state(mm_psp18().state_dict(), what))
    message = refused(capsys, tmp_path / 'out' / 'm.safetensors', path, '--labels', 'camvid')
    assert named in message and str(path) in message


def test_other_files_are_refused(tmp_path: pathlib.Path,
                                 capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / 'out' / 'model.safetensors'
    whole = saved(tmp_path, mm_psp18().state_dict(), 'whole.pth').read_bytes()
    cut, text = tmp_path / 'cut.pth', tmp_path / 'text.pth'
    cut.write_bytes(whole[:len(whole) // 2])
    text.write_text('not a checkpoint', encoding='utf-8')
    broken = tmp_path / 'broken' / 'x.safetensors'
    broken.parent.mkdir()
    broken.write_bytes(b'1234567890')
    for path, named in (
            (tmp_path / 'nowhere.pth', 'no such file'), (cut, 'cut short'), (text, 'cut short'),
            (broken, 'cut short'),
            (saved(tmp_path, [1, 2], 'list.pth'), 'state dictionary'),
            (saved(tmp_path, {'epoch': 3}, 'empty.pth'), 'no weights'),
            (saved(tmp_path, {'a': torch.ones(1), 'b': 3}, 'number.pth'), 'b no tensors'),
            (saved(tmp_path, {'encoder.weight': torch.ones(1)}, 'unet.pth'), 'encoder.weight'),
            (saved(tmp_path, TorchvisionResNet(
                4, CLASSIFIER18, True).state_dict(), 'resnet26.pth'), '(2, 2, 2, 2) bottlenecks')):
        message = refused(capsys, out, path)
        assert named in message and str(path) in message


def test_wrong_options_are_refused(tmp_path: pathlib.Path,
                                   capsys: pytest.CaptureFixture[str]) -> None:
    path, out = saved(tmp_path, mm_psp18().state_dict()), tmp_path / 'out' / 'model.safetensors'
    message = refused(capsys, out, path)    # cityscapes
    assert '11 classes' in message and '19' in message and '--labels' in message
    assert 'layer3.2' in refused(capsys, out, path, '--labels', 'camvid', '--split', 'layer3.2')
    assert '--out' in refused(capsys, out.with_suffix('.pth'), path, '--labels', 'camvid')


def test_a_model_of_ours_is_refused_and_left_as_it_is(
        tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, out = saved(tmp_path, mm_psp18().state_dict()), tmp_path / 'model.safetensors'
    assert run_cli(path, '--labels', 'camvid', '--out', out) == 0
    before = out.read_bytes()
    assert run_cli(out, '--out', tmp_path / 'other.safetensors') == 2
    assert 'already' in capsys.readouterr().err
    assert run_cli(out, '--out', out) == 2
    assert run_cli(path, '--out', out) == 2    # 11 classes are not 19
    assert out.read_bytes() == before and not (tmp_path / 'other.safetensors').exists()


def test_options_win_over_what_the_file_says(tmp_path: pathlib.Path,
                                             capsys: pytest.CaptureFixture[str]) -> None:
    path = saved(tmp_path, {'meta': {'cfg': mm_config()}, 'state_dict': mm_psp50().state_dict()})
    out = tmp_path / 'model.safetensors'
    assert run_cli(path, '--out', out, '--labels', 'camvid', '--align-corners', 'yes',
                   '--mean', 1, 2, 3, '--std', 4, 5, 6, '--dilation', 'uniform') == 0
    config = load_network(out).config
    assert (config.align_corners, config.dilation) == (True, 'uniform')
    assert (config.mean, config.std) == ((1, 2, 3), (4, 5, 6))
    assert '--align-corners' in capsys.readouterr().out


def test_basic_blocks_that_cannot_be_dilated_so_are_refused(tmp_path: pathlib.Path) -> None:
    path = saved(tmp_path, {'meta': {'cfg': mm_config(backbone='depth=18')},
                            'state_dict': mm_psp18().state_dict()})
    with pytest.raises(ModelFileError, match='contract_dilation = False'):
        import_checkpoint(path, CAMVID)


@pytest.mark.parametrize('split', ['layer4.1', 'layer5.0', 'conv4_3'])
def test_a_split_that_does_not_exist(tmp_path: pathlib.Path, split: Optional[str]) -> None:
    path = saved(tmp_path, mm_psp18().state_dict())
    with pytest.raises(ConfigurationError, match='split'):
        import_checkpoint(path, CAMVID, split=split)
