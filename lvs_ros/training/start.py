# Copyright 2026 lvs_ros maintainers
# SPDX-License-Identifier: Apache-2.0
"""The network that a training starts from."""

import dataclasses
from typing import Optional, Sequence

from lvs_ros.errors import ConfigurationError, LabelSetError, ModelFileError
from lvs_ros.labels import LabelSet, comes_with_package
from lvs_ros.model import (VARIANTS, ModelConfig, SegmentationNetwork, find_model, load_network,
                           read_notes)
from lvs_ros.model.finite import check_network
from lvs_ros.training.data_options import DataOptions

# The settings that make the full network what it is; the others belong to the propagation.
_OF_TEACHER = ('label_set', 'classes', 'backbone', 'base_width', 'stem', 'dilation', 'head',
               'head_channels', 'align_corners', 'mean', 'std')

PARTS = {'propagation': ('kernel_predictor', 'adapt_net'), 'deviation': ('deviation_net',)}
"""What the stages of these names train."""


def starting_network(data: DataOptions, *, init: Optional[str], variant: Optional[str],
                     anew: Sequence[str] = ()) -> SegmentationNetwork:
    """Make the network that is to be trained.

    :param init: a model to start from, name or path; None = random weights
    :param variant: one of VARIANTS; None = the architecture of ``init``, or lite. With both, the
        parts that fit are taken over.
    :param anew: of :data:`PARTS`, those that start from random weights whatever ``init`` holds
    :raises ConfigurationError: when the data needs a trained network, and this is none
    :raises ModelFileError: when ``init`` cannot be read, or has other classes than the data.
    """
    if init is None:
        if data.needs_teacher:
            raise ConfigurationError('what has no labels is labelled by the full network: give a '
                                     'trained model with --init')
        if data.label_set is None:
            raise ConfigurationError('a list of images does not say which classes its labels have:'
                                     ' give their label set with --labels')
        return SegmentationNetwork(_config(variant or 'lite', data.label_set))
    source = load_network(init)
    check_network(source)
    if data.needs_teacher and 'classifier' in read_notes(init).get('starts_anew', ''):
        raise ModelFileError(
            f'{find_model(init)}: only its backbone has been trained, so it cannot label what has '
            'no labels; train the stage network on labelled data first')
    network, label_set = source, _label_set(data, source)
    if variant is None:
        _check_classes(source, label_set, init)
        network.config = source.config.with_labels(label_set)    # an older file has but its name
    else:
        config = _config(variant, label_set)
        network = SegmentationNetwork(dataclasses.replace(
            config, image_size=source.config.image_size,    # a detail head is of its full network
            detail_channels=0 if _differing(config, source) else source.config.detail_channels))
        if data.needs_teacher:
            _check_teacher(network, source, init)
        _take_over(network, source)
    fresh = SegmentationNetwork(network.config)
    for name in (name for part in anew for name in PARTS[part]):
        setattr(network, name, getattr(fresh, name))
    return network


def _config(variant: str, label_set: LabelSet) -> ModelConfig:
    return VARIANTS[variant](label_set.name, len(label_set)).with_labels(label_set)


def _label_set(data: DataOptions, source: SegmentationNetwork) -> LabelSet:
    """Return the label set of the data: where none was named, classes of the model's own count."""
    stored = source.config.labels
    if data.label_set is None or (data.labels is None and data.camvid is not None
                                  and stored is not None and not comes_with_package(stored)):
        return source.config.labels_as(None)
    return data.label_set


def _check_classes(network: SegmentationNetwork, label_set: LabelSet, init: str) -> None:
    config = network.config
    try:
        difference = config.labels_as(None).difference(label_set)
    except LabelSetError as error:    # of an older file, which holds no more than its name
        known = config.label_set == label_set.name and config.classes == len(label_set)
        difference = '' if known else str(error)
    if difference:
        raise ModelFileError(
            f'{find_model(init)}: the model labels the {config.classes} classes of '
            f'{config.label_set!r}, the data has the {len(label_set)} of {label_set.name!r} '
            f'({difference}); choose a model that was trained on such data, or name an '
            'architecture with --variant to take over only the parts that fit')


def _differing(config: ModelConfig, source: SegmentationNetwork) -> list[str]:
    return [name for name in _OF_TEACHER
            if getattr(config, name) != getattr(source.config, name)]


def _check_teacher(network: SegmentationNetwork, source: SegmentationNetwork, init: str) -> None:
    differing = _differing(network.config, source)
    if differing:
        raise ModelFileError(
            f'{find_model(init)}: labels what has no labels, but the architecture that --variant '
            f'names would change its full network ({", ".join(differing)}); leave --variant away')


def _take_over(network: SegmentationNetwork, source: SegmentationNetwork) -> None:
    state, known = network.state_dict(), source.state_dict()
    fitting = {name: known[name] for name, value in state.items()
               if name in known and known[name].shape == value.shape}
    network.load_state_dict({**state, **fitting})
    anew = sorted({'.'.join(name.split('.')[:3]) for name in set(state) - set(fitting)})
    print(f'{len(fitting)} of {len(state)} tensors taken over; '
          f'these start anew: {", ".join(anew) or "none"}')
