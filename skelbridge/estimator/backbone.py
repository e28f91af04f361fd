"""The backbone: a timm model as a map of features, a cell for each 32 pixels, on a grid that is centred in the crop.

After section 2.1 of the method: kernels are padded alike on all sides, and the last strided convolution is shifted by
one cell, so that in a crop of 256 pixels the cells look at 16, 48, ..., 240 and not at 0, 32, ..., 224.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from skelbridge.errors import InputError, UnknownNameError, nearest, need
from skelbridge.estimator.design import Design

#: Pixels of the crop for one cell of the features.
STRIDE = 32
#: Stochastic depth of EfficientNetV2 as it was published: the rate of the last block, growing linearly from 0.
DROP_PATH = 0.2
_PROBE = 64  # side of the picture that is sent through once to see what a backbone does


class Backbone(nn.Module):
    """Pictures (B, 3, s, s) in [0, 1] to features (B, channels, s/32, s/32), s a multiple of 32.

    The model is cut before its pooling: EfficientNets keep their last 1x1 convolution (1280 channels for V2), and
    MobileNetV3 ends with the 1x1 convolution before the pooling (576 channels for small), because the one after it
    sees a single cell. Pictures are scaled by the mean and the deviation that the model's weights were trained with.

    Raises UnknownNameError for a name that timm does not know, and InputError for a model that has no cell for each 32
    pixels, or whose weights cannot be downloaded.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(self, design: Design) -> None:
        super().__init__()
        self.model = _create(design)
        _pad_symmetrically(self.model)
        seen = _look(self.model, design.backbone)
        self.channels = seen.channels
        _drop_unused(self.model, seen)
        if design.centred_stride:
            _centre(self.model, seen, design.backbone)
        config = self.model.pretrained_cfg
        self.register_buffer("mean", torch.tensor(config["mean"]).view(3, 1, 1))
        self.register_buffer("deviation", torch.tensor(config["std"]).view(3, 1, 1))

    def forward(self, images: Tensor) -> Tensor:
        """Features (B, channels, s/32, s/32) of pictures (B, 3, s, s) in [0, 1]."""
        return self.model.forward_features((images - self.mean).div_(self.deviation))


class ShiftedConv2d(nn.Conv2d):
    """A strided convolution whose kernels lie one cell later than with symmetric padding (k = 3: 0 before, 2 after)."""

    def forward(self, input: Tensor) -> Tensor:
        """As Conv2d, from one cell further on."""
        before, after = ([p + shift for p in self.padding] for shift in (-1, 1))  # type: ignore[operator]
        padded = F.pad(input, (before[1], after[1], before[0], after[0]))
        return F.conv2d(padded, self.weight, self.bias, self.stride, 0, self.dilation, self.groups)


@dataclass(frozen=True)
class _Seen:
    """What a picture met on its way: modules that were used, those of stride 2 with the side of what came in."""

    channels: int
    used: frozenset[str]
    strided: dict[str, int]


def _create(design: Design) -> Any:
    timm = need("timm", "train")
    name, arguments = design.backbone, {}
    if not timm.is_model(name):  # also keeps timm from names that stand for folders and downloads
        known = nearest(name, timm.list_models())
        raise UnknownNameError(f"the backbone {name!r}", expected="a model of timm", got="none of that name",
                               mend=f"Did you mean {' or '.join(known)}?" if known else None)  # fmt: skip
    rate = design.drop_path
    if rate is None and "efficientnet" in name:
        rate = DROP_PATH
    if rate is not None:
        arguments["drop_path_rate"] = rate
    try:
        model = timm.create_model(name, pretrained=design.pretrained, num_classes=0, **arguments)
    except Exception as error:  # timm's download raises what its network layers do
        raise _not_created(design, error) from None
    if not hasattr(model, "forward_features"):
        raise InputError(f"the backbone {name}", expected="a model that gives a map of features", got="none")
    return model


def _not_created(design: Design, error: Exception) -> InputError:
    reason = f"{type(error).__name__} {error}".splitlines()[0]
    if design.pretrained:
        return InputError(f"the ImageNet weights of {design.backbone} could not be had", got=reason,
                          mend="Set pretrained = false to begin with random weights.")  # fmt: skip
    return InputError(f"the backbone {design.backbone} could not be built", got=reason)


def _pad_symmetrically(model: nn.Module) -> None:
    """Replace TensorFlow's padding, which depends on the size of what comes in, by k//2 on all sides."""
    for name, conv in list(model.named_modules()):
        if type(conv).__name__ == "Conv2dSame":
            padding = tuple(d * (k - 1) // 2 for k, d in zip(conv.kernel_size, conv.dilation, strict=True))
            _put(model, name, _like(conv, nn.Conv2d, padding))


def _put(model: nn.Module, path: str, module: nn.Module) -> None:
    parent, _, name = path.rpartition(".")
    setattr(model.get_submodule(parent), name, module)


def _like(conv: Any, kind: type[nn.Conv2d], padding: Any) -> nn.Conv2d:
    """A convolution of another kind or padding, with the weights of this one."""
    with torch.device("meta"):
        new = kind(conv.in_channels, conv.out_channels, conv.kernel_size, conv.stride, padding, conv.dilation,
                   conv.groups, conv.bias is not None)  # fmt: skip
    new.weight, new.bias = conv.weight, conv.bias
    return new.train(conv.training)


@torch.no_grad()
def _look(model: nn.Module, name: str) -> _Seen:
    """Send an empty picture through and note what it meets; InputError unless the stride is 32."""
    used: set[str] = set()
    strided: dict[str, int] = {}

    def watch(name: str, module: nn.Module) -> Any:
        def hook(_: nn.Module, given: tuple[Tensor, ...], __: Any) -> None:
            used.add(name)
            if not any(module.children()) and getattr(module, "stride", 1) in (2, (2, 2)):
                strided[name] = given[0].shape[-1]

        return module.register_forward_hook(hook)

    handles = [watch(name, module) for name, module in model.named_modules()]
    training, weight = model.training, next(model.parameters())
    try:
        features = model.eval().forward_features(torch.zeros(1, 3, _PROBE, _PROBE, device=weight.device))  # type: ignore[operator]
        shape = tuple(features.shape)
    except (AssertionError, RuntimeError, ValueError) as error:  # such as a transformer of fixed size
        raise InputError(f"the backbone {name} cannot be used for crops of any size", got=error) from None
    model.train(training)
    for handle in handles:
        handle.remove()
    if len(shape) != 4 or shape[-2:] != (_PROBE // STRIDE, _PROBE // STRIDE):
        raise InputError(f"the backbone {name}", expected=f"features of a cell for each {STRIDE} pixels",
                         got=f"shape {shape} for {_PROBE} pixels")  # fmt: skip
    return _Seen(shape[1], frozenset(used), strided)


def _drop_unused(model: nn.Module, seen: _Seen) -> None:
    """Leave out the parts that only the classifier needs: weights without gradients disturb distributed training."""
    for name, _ in list(model.named_children()):
        if not any(path == name or path.startswith(f"{name}.") for path in seen.used):
            setattr(model, name, nn.Identity())


def _centre(model: nn.Module, seen: _Seen, name: str) -> None:
    """Shift the strided convolutions of the last reduction, on the main path and beside it, by one cell."""
    last = [path for path, side in seen.strided.items() if side == 2 * _PROBE // STRIDE]
    for path in last:
        conv = model.get_submodule(path)
        if type(conv) is not nn.Conv2d or conv.padding != tuple(k // 2 for k in conv.kernel_size):
            raise InputError(f"the last stride of {name}", expected="a convolution with a centre, which can be shifted",
                             got=conv, mend="Set centred_stride = false, or take another backbone.")  # fmt: skip
        _put(model, path, _like(conv, ShiftedConv2d, conv.padding))
