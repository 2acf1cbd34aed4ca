"""The two Real-ESRGAN network families, in PyTorch.

SRVGGNetCompact is the plain convolution stack of `realesr-general-x4v3` and `realesr-animevideov3`;
RRDBNet is the residual-in-residual dense network of `RealESRGAN_x4plus` and its kin.
Paper: Wang et al., "Real-ESRGAN: Training Real-World Blind Super-Resolution with Pure Synthetic
Data", 2021 (arXiv:2107.10833). Parameter names match the official checkpoints, so these load
unchanged.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from upscaler.network_shapes import CompactShape, network_shape


class SRVGGNetCompact(nn.Module):
    """A stack of 3x3 convolutions at the picture's own size, then one pixel shuffle.

    The network predicts what to add to the nearest-neighbour enlargement.
    """

    def __init__(self, features: int = 64, convolutions: int = 32, scale: int = 4, channels: int = 3):
        """
        Args:
            features: channels between convolutions.
            convolutions: body convolutions, the first and last one not counted.
            scale: enlargement factor.
            channels: picture channels, in and out.
        """
        super().__init__()
        self.scale = scale
        self.receptive_radius = convolutions + 2  # px of the input; one for each 3x3 convolution
        layers: list[nn.Module] = [nn.Conv2d(channels, features, 3, 1, 1), nn.PReLU(features)]
        for _ in range(convolutions):
            layers += [nn.Conv2d(features, features, 3, 1, 1), nn.PReLU(features)]
        layers.append(nn.Conv2d(features, channels * scale * scale, 3, 1, 1))
        self.body = nn.Sequential(*layers)
        self.upsampler = nn.PixelShuffle(scale)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) in 0..1 -> (N, C, H * scale, W * scale), not clamped."""
        residual = self.upsampler(self.body(x))
        return residual + F.interpolate(x, scale_factor=self.scale, mode="nearest")


class ResidualDenseBlock(nn.Module):
    """Five densely connected 3x3 convolutions around a scaled skip."""

    def __init__(self, features: int, growth: int):
        super().__init__()
        self.conv1 = nn.Conv2d(features, growth, 3, 1, 1)
        self.conv2 = nn.Conv2d(features + growth, growth, 3, 1, 1)
        self.conv3 = nn.Conv2d(features + 2 * growth, growth, 3, 1, 1)
        self.conv4 = nn.Conv2d(features + 3 * growth, growth, 3, 1, 1)
        self.conv5 = nn.Conv2d(features + 4 * growth, features, 3, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        x1 = F.leaky_relu(self.conv1(x), 0.2)
        x2 = F.leaky_relu(self.conv2(torch.cat((x, x1), 1)), 0.2)
        x3 = F.leaky_relu(self.conv3(torch.cat((x, x1, x2), 1)), 0.2)
        x4 = F.leaky_relu(self.conv4(torch.cat((x, x1, x2, x3), 1)), 0.2)
        x5 = self.conv5(torch.cat((x, x1, x2, x3, x4), 1))
        return x5 * 0.2 + x


class RRDB(nn.Module):
    """Three residual dense blocks around a scaled skip."""

    def __init__(self, features: int, growth: int):
        super().__init__()
        self.rdb1 = ResidualDenseBlock(features, growth)
        self.rdb2 = ResidualDenseBlock(features, growth)
        self.rdb3 = ResidualDenseBlock(features, growth)

    def forward(self, x: Tensor) -> Tensor:
        return self.rdb3(self.rdb2(self.rdb1(x))) * 0.2 + x


class RRDBNet(nn.Module):
    """ESRGAN's generator. Always enlarges four times inside; x2 and x1 networks unshuffle first."""

    def __init__(self, features: int = 64, blocks: int = 23, growth: int = 32, scale: int = 4, channels: int = 3):
        """
        Args:
            features: channels between blocks.
            blocks: RRDB blocks (23 in x4plus, 6 in the anime one).
            growth: channels that each dense convolution adds.
            scale: enlargement factor: 1, 2 or 4.
            channels: picture channels, in and out.
        """
        super().__init__()
        self.scale = scale
        self.unshuffle = 4 // scale
        # One px for each 3x3 convolution of the trunk (5 a dense block, 3 of those a block), then the
        # first one, the trunk's last one and the tail, whose convolutions see finer pixels.
        self.receptive_radius = (blocks * 15 + 4) * self.unshuffle
        self.conv_first = nn.Conv2d(channels * self.unshuffle**2, features, 3, 1, 1)
        self.body = nn.Sequential(*(RRDB(features, growth) for _ in range(blocks)))
        self.conv_body = nn.Conv2d(features, features, 3, 1, 1)
        self.conv_up1 = nn.Conv2d(features, features, 3, 1, 1)
        self.conv_up2 = nn.Conv2d(features, features, 3, 1, 1)
        self.conv_hr = nn.Conv2d(features, features, 3, 1, 1)
        self.conv_last = nn.Conv2d(features, channels, 3, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) in 0..1 -> (N, C, H * scale, W * scale), not clamped.

        H and W must be multiples of `unshuffle`; the engine pads.
        """
        if self.unshuffle > 1:
            x = F.pixel_unshuffle(x, self.unshuffle)
        x = self.conv_first(x)
        x = x + self.conv_body(self.body(x))
        x = F.leaky_relu(self.conv_up1(F.interpolate(x, scale_factor=2, mode="nearest")), 0.2)
        x = F.leaky_relu(self.conv_up2(F.interpolate(x, scale_factor=2, mode="nearest")), 0.2)
        return self.conv_last(F.leaky_relu(self.conv_hr(x), 0.2))


Network = SRVGGNetCompact | RRDBNet
"""Either family: `.scale`, `.receptive_radius` (input px), and (N, C, H, W) -> (N, C, H*s, W*s)."""


def network_from_weights(weights: Mapping[str, Tensor]) -> Network:
    """The network of either family, with `weights` loaded as float32, in evaluation mode.

    Raises:
        ValueError: the names or shapes belong to neither family.
    """
    shape = network_shape({name: tuple(tensor.shape) for name, tensor in weights.items()})
    family = SRVGGNetCompact if isinstance(shape, CompactShape) else RRDBNet
    network = family(**asdict(shape))
    try:
        network.load_state_dict(dict(weights), strict=True)
    except RuntimeError as error:  # torch's word for missing, unexpected and misshapen tensors
        raise ValueError(f"not the weights of an SRVGGNetCompact or an RRDBNet: {error}") from error
    return network.eval().requires_grad_(False)
