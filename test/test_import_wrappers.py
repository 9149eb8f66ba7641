# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""Checkpoints in wrappers, with averaged weights, pickled whole, and of other networks."""

import functools
import pathlib
import subprocess
import sys
from typing import Any, Callable

import pytest
import torch

from foreign_networks import (CLASSIFIER50, MM18, MM50, MmFcnHead, MmResNet, MmSegmentor,
                              TorchvisionFcn, TorchvisionResNet, randomise)
from lvs_ros.errors import ModelFileError
from lvs_ros.labels import load_label_set
from lvs_ros.model.importing import Imported, import_checkpoint
from lvs_ros.tools.cli import main

pytestmark = pytest.mark.usefixtures('one_thread')

CAMVID = load_label_set('camvid')
CLASSES = 11
MARK = 'backbone.layer1.0.conv1.weight'
State = dict[str, torch.Tensor]


@functools.cache
def plain() -> State:
    backbone = MmResNet(4, MM18, False, v1c=True)
    return dict(randomise(MmSegmentor(backbone, MmFcnHead(
        backbone.channels, CLASSES, convs=1, concat=False))).state_dict())


@functools.cache
def averaged() -> State:
    return {name: value * 0.5 if value.is_floating_point() else value
            for name, value in plain().items()}


def under(prefix: str, state: State) -> State:
    return {prefix + name: value for name, value in state.items()}


def imported(folder: pathlib.Path, content: Any, **options: Any) -> Imported:
    torch.save(content, folder / 'foreign.pth')
    return import_checkpoint(folder / 'foreign.pth', CAMVID, **options)


def check(found: Imported, expected: State) -> None:
    torch.testing.assert_close(found.network.backbone.state_dict()['layer1.0.conv1.weight'],
                               expected[MARK])


@pytest.mark.parametrize('prefix, wrapper', [
    ('model.', 'state_dict'), ('_orig_mod.', ''), ('model._orig_mod.', 'model_state_dict'),
    ('net.', ''), ('module._orig_mod.', 'model'), ('network.model.module.', 'state_dict')])
def test_prefixes_of_wrappers_are_removed(prefix: str, wrapper: str, tmp_path: pathlib.Path
                                          ) -> None:
    state = under(prefix, plain())

    found = imported(tmp_path, {wrapper: state, 'epoch': 3} if wrapper else state)

    check(found, plain())
    assert not found.weights


def test_a_part_that_was_compiled_has_its_prefix_within(tmp_path: pathlib.Path) -> None:
    state = {name.replace('backbone.', 'backbone._orig_mod.'): value
             for name, value in plain().items()}

    check(imported(tmp_path, {'state_dict': under('model.', state)}), plain())


def test_what_lightning_keeps_beside_the_network_is_left_out_and_told(tmp_path: pathlib.Path
                                                                      ) -> None:
    state = {**under('model.', plain()), 'criterion.weight': torch.ones(CLASSES),
             'val_iou.confmat': torch.ones(CLASSES, CLASSES)}

    found = imported(tmp_path, {'state_dict': state, 'pytorch-lightning_version': '2.4'})

    check(found, plain())
    assert found.left_out['criterion'] == found.left_out['val_iou'] == 1


def test_a_part_of_the_network_outside_of_the_prefix_is_not_left_out(tmp_path: pathlib.Path
                                                                     ) -> None:
    state = {**under('model.', plain()), 'refine.weight': torch.ones(CLASSES, CLASSES, 3, 3)}

    with pytest.raises(ModelFileError, match='refine.weight'):
        imported(tmp_path, {'state_dict': state})


BOTH: dict[str, Callable[[], dict[str, Any]]] = {
    'timm': lambda: {'state_dict': plain(), 'state_dict_ema': averaged()},
    'an entry of an entry': lambda: {'model': plain(), 'ema': {'module': averaged(), 'decay': .9}},
    'AveragedModel': lambda: {'model': plain(), 'model_ema': {
        'n_averaged': torch.tensor(7), **under('module.', averaged())}},
    'Lightning': lambda: {'state_dict': {
        **under('model.', plain()), **under('ema_model.module.', averaged())}},
    'mmengine, which exchanges them': lambda: {
        'meta': {'mmengine_version': '0.10.4'}, 'state_dict': averaged(),
        'ema_state_dict': {'steps': torch.tensor(9), **under('module.', plain())}}}


@pytest.mark.parametrize('kind', list(BOTH))
def test_averaged_weights_are_a_choice(kind: str, tmp_path: pathlib.Path) -> None:
    chosen = imported(tmp_path, BOTH[kind]())
    other = imported(tmp_path, BOTH[kind](), weights='plain')

    check(chosen, averaged())
    check(other, plain())
    assert '--weights plain' in chosen.weights and '--weights ema' in other.weights


def test_averaged_weights_alone_are_taken_and_told(tmp_path: pathlib.Path) -> None:
    found = imported(tmp_path, {'model_ema': averaged(), 'epoch': 3}, weights='plain')

    check(found, averaged())
    assert 'no others' in found.weights


def test_buffers_of_the_hook_of_mmcv_are_left_out(tmp_path: pathlib.Path) -> None:
    copies = {'ema_' + name.replace('.', '_'): value * 2 for name, value in plain().items()}

    check(imported(tmp_path, {'state_dict': {**plain(), **copies}}), plain())


def test_the_command_tells_which_weights_it_took(
        tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]) -> None:
    torch.save(BOTH['timm'](), tmp_path / 'a.pth')
    words = ['import-checkpoint', str(tmp_path / 'a.pth'), '--labels', 'camvid', '--out',
             str(tmp_path / 'm.safetensors')]

    assert main(words) == 0
    assert 'weights: averaged ones (EMA); --weights plain takes the others' \
        in capsys.readouterr().out
    assert main([*words, '--weights', 'plain']) == 0
    assert 'weights: plain ones' in capsys.readouterr().out


MODULE = '''
import torch

class Segmentor(torch.nn.Module):
    """Has any submodules that are given."""
'''


def test_the_instructions_for_a_whole_model_work(tmp_path: pathlib.Path,
                                                 monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / 'their_project.py').write_text(MODULE, encoding='utf-8')
    with monkeypatch.context() as patch:
        patch.syspath_prepend(str(tmp_path))
        import their_project    # type: ignore[import-not-found]
        network = their_project.Segmentor()
        for name, parameter in plain().items():
            network.register_buffer(name.replace('.', '|'), parameter)
        torch.save({'model': network, 'epoch': 1}, tmp_path / 'it.pth')
    sys.modules.pop('their_project')

    with pytest.raises(ModelFileError, match=r'their_project\.Segmentor') as caught:
        import_checkpoint(tmp_path / 'it.pth', CAMVID)
    command = str(caught.value).partition(': python ')[2].partition(', and import')[0]
    subprocess.run(f'{sys.executable} {command}', shell=True, check=True, cwd=tmp_path)

    saved = torch.load(tmp_path / 'weights.pth', weights_only=True)
    assert set(saved) == {'model'}
    torch.testing.assert_close(saved['model'][MARK.replace('.', '|')], plain()[MARK])


@pytest.mark.filterwarnings('ignore')    # TorchScript is deprecated, and around
def test_a_program_of_torchscript_gets_instructions_that_work(
        tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.jit.script(torch.nn.Conv2d(3, 4, 1)).save(str(tmp_path / 'it.pt'))

    with pytest.raises(ModelFileError, match='TorchScript') as caught:
        import_checkpoint(tmp_path / 'it.pt', CAMVID)
    program = str(caught.value).partition('python -c "')[2].partition('"')[0]
    monkeypatch.chdir(tmp_path)
    exec(program, {})

    assert set(torch.load(tmp_path / 'weights.pth')) == {'weight', 'bias'}


def keys(*names: str) -> State:
    return {name: torch.ones(2, 2, 1, 1) for name in names}


@functools.cache
def resnet50() -> State:
    return dict(randomise(TorchvisionResNet(4, CLASSIFIER50, True)).state_dict())


@functools.cache
def fcn50() -> State:
    return dict(randomise(TorchvisionFcn(4, CLASSES)).state_dict())


def deeplab() -> State:
    state = {name: value for name, value in fcn50().items() if 'classifier' not in name}
    return state | keys('classifier.0.convs.0.0.weight', 'classifier.0.project.0.weight',
                        'classifier.1.weight', 'classifier.4.weight')


def mm(*names: str) -> State:
    backbone = MmResNet(4, MM50, True, v1c=True)
    return under('backbone.', dict(backbone.state_dict())) | keys(*names)


def of_blocks(change: Callable[[str, torch.Tensor], torch.Tensor]) -> State:
    return {name: change(name, value) for name, value in resnet50().items()}


def wide(name: str, value: torch.Tensor) -> torch.Tensor:
    if '.conv1.' in name:
        return value.repeat(2, 1, 1, 1)
    if '.conv2.' in name:
        return value.repeat(2, 2, 1, 1)
    return value.repeat(1, 2, 1, 1) if '.conv3.' in name else value


def grouped(name: str, value: torch.Tensor) -> torch.Tensor:
    return value[:, :value.shape[1] // 2] if '.conv2.' in name else value


REFUSED: dict[str, tuple[Callable[[], State], str, str]] = {
    'SegFormer of transformers': (
        lambda: keys('segformer.encoder.patch_embeddings.0.proj.weight',
                     'decode_head.linear_c.0.proj.weight', 'decode_head.classifier.weight'),
        'SegFormer of transformers', 'no ResNet'),
    'SegFormer of mmsegmentation': (
        lambda: keys('backbone.layers.0.0.proj.weight', 'decode_head.convs.0.conv.weight',
                     'decode_head.fusion_conv.conv.weight', 'decode_head.conv_seg.weight'),
        'SegFormer of mmsegmentation', 'no ResNet'),
    'DPT': (lambda: keys('dpt.embeddings.cls_token', 'head.head.0.weight', 'head.head.2.weight'),
            'DPT of transformers, for depth', 'distances'),
    'Depth Anything': (lambda: keys('pretrained.cls_token', 'depth_head.projects.0.weight'),
                       'Depth Anything', 'distances'),
    'MiDaS': (lambda: keys('pretrained.layer1.0.weight', 'scratch.refinenet1.out_conv.weight'),
              'MiDaS', 'distances'),
    'depth in the manner of mmsegmentation': (
        lambda: mm('decode_head.conv_depth.weight'), 'for depth', 'distances'),
    'DeepLabV3 of torchvision': (deeplab, 'DeepLabV3 of torchvision', '--backbone-only'),
    'DeepLabV3 of mmsegmentation': (
        lambda: mm('decode_head.aspp_modules.0.conv.weight'), 'DeepLabV3 of mmsegmentation',
        '--backbone-only'),
    'DeepLabV3+ of mmsegmentation': (
        lambda: mm('decode_head.aspp_modules.0.conv.weight', 'decode_head.c1_bottleneck.weight'),
        'DeepLabV3+', '--backbone-only'),
    'UPerNet': (
        lambda: mm('decode_head.psp_modules.0.1.conv.weight', 'decode_head.conv_seg.weight',
                   'decode_head.fpn_convs.0.conv.weight'), 'UPerNet of mm', '--backbone-only'),
    'FCN with one convolution and conv_cat': (
        lambda: mm('decode_head.convs.0.conv.weight', 'decode_head.conv_cat.conv.weight'),
        'one convolution and a conv_cat', '--backbone-only'),
    'FCN with two convolutions alone': (
        lambda: mm('decode_head.convs.0.conv.weight', 'decode_head.convs.1.conv.weight'),
        '2 convolutions and no conv_cat', '--backbone-only'),
    'wide ResNet': (lambda: of_blocks(wide), 'a wide ResNet', 'resnet18'),
    'ResNeXt': (lambda: of_blocks(grouped), '2 groups', 'resnet18'),
    'SE-ResNet': (lambda: resnet50() | keys('layer1.0.se.fc1.weight'), 'SE-ResNet', 'resnet18'),
    'U-Net': (lambda: keys('encoder.layer1.0.conv1.weight', 'segmentation_head.0.weight'),
              'segmentation_models_pytorch', 'PSPNet or FCN'),
    'Swin': (lambda: keys('layers.0.blocks.0.attn.relative_position_bias_table'), 'Swin',
             'no ResNet')}


@pytest.mark.parametrize('kind', list(REFUSED))
def test_a_refusal_names_the_network_and_what_to_do(kind: str, tmp_path: pathlib.Path) -> None:
    make, name, advice = REFUSED[kind]

    with pytest.raises(ModelFileError) as caught:
        imported(tmp_path, {'state_dict': make()})

    assert 'foreign.pth: is ' in str(caught.value)
    assert name in str(caught.value) and advice in str(caught.value)


@pytest.mark.parametrize('kind', [kind for kind, (_, _, advice) in REFUSED.items()
                                  if advice == '--backbone-only'])
def test_where_it_says_so_the_resnet_alone_can_be_taken(kind: str, tmp_path: pathlib.Path) -> None:
    state = REFUSED[kind][0]()

    found = imported(tmp_path, {'state_dict': state}, backbone_only=True)

    assert found.backbone_only
    check(found, state)


@pytest.mark.parametrize('make', [resnet50, fcn50])
def test_the_plain_network_of_the_same_project_passes(make: Callable[[], State],
                                                      tmp_path: pathlib.Path) -> None:
    imported(tmp_path, make())
