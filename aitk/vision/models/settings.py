"""The settings of image models and backbones. Standard library only: help imports this file."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import ClassVar

from aitk.core.contract.errors import UsageError
from aitk.core.contract.options import option
from aitk.core.io.values import to_count

FITS = ("stretch", "letterbox", "crop")
#: Names of the networks that support every head.
BACKBONES = ("cnn", "vgg", "resnet", "mobilenet", "efficientnet", "vit")
LARGEST_SIDE = 4096


@dataclass(frozen=True)
class AugmentOptions:
    """Augmentation of training images; shares are relative to the image's side, 0 turns one off.

    Boxes and masks are transformed with the image.
    """

    flip: float = option(
        0.5,
        "probability of a horizontal flip",
        minimum=0.0,
        maximum=1.0,
        inherited=False,
    )
    vertical_flip: float = option(
        0.0,
        "probability of a vertical flip",
        minimum=0.0,
        maximum=1.0,
        inherited=False,
    )
    crop: float = option(
        0.0,
        "maximum share of the area removed by a random crop",
        minimum=0.0,
        maximum=0.95,
        inherited=False,
    )
    shift: float = option(
        0.125,
        "maximum shift as a share of the side",
        minimum=0.0,
        maximum=0.5,
        inherited=False,
    )
    scale: float = option(
        0.0,
        "maximum relative zoom of an image",
        minimum=0.0,
        maximum=0.9,
        inherited=False,
    )
    rotate: float = option(
        0.0,
        "maximum rotation in degrees",
        minimum=0.0,
        maximum=180.0,
        inherited=False,
    )
    brightness: float = option(
        0.1, "maximum relative change of brightness", minimum=0.0, maximum=1.0, inherited=False
    )
    contrast: float = option(
        0.1, "maximum relative change of contrast", minimum=0.0, maximum=1.0, inherited=False
    )
    saturation: float = option(
        0.1, "maximum relative change of saturation", minimum=0.0, maximum=1.0, inherited=False
    )
    hue: float = option(
        0.0,
        "maximum hue shift, as a share of the colour circle",
        minimum=0.0,
        maximum=0.5,
        inherited=False,
    )
    cutout: float = option(
        0.0,
        "side of the masked square, as a share of the image side",
        minimum=0.0,
        maximum=1.0,
        inherited=False,
    )
    mosaic: float = option(
        0.0,
        "probability of a mosaic of four images",
        minimum=0.0,
        maximum=1.0,
        inherited=False,
    )
    mixup: float = option(
        0.0,
        "strength of mixup between two images (alpha)",
        minimum=0.0,
        maximum=10.0,
        inherited=False,
    )


@dataclass(frozen=True)
class ImageFlags:
    """Image model settings that have command-line flags of their own."""

    image_size: str | None = option(
        None, "input size: pixels per side, or HEIGHTxWIDTH; default: set by the model"
    )


@dataclass(frozen=True)
class ImageSettings(AugmentOptions):
    """Settings common to all image models: resizing and augmentation.

    ``default_learning_rate``, ``default_epochs``, ``default_steps`` and ``default_batch_size`` are
    the training defaults.
    """

    image_size: str = option("32", "input size: pixels per side, or HEIGHTxWIDTH")
    fit: str = option("stretch", "how images of another aspect ratio are resized", choices=FITS)

    default_learning_rate: ClassVar[float] = 3e-3
    default_epochs: ClassVar[int] = 30
    default_steps: ClassVar[int] = 2000
    default_batch_size: ClassVar[int] = 32


def parse_size(image_size: str) -> tuple[int, int]:
    """``"32"`` or ``"HEIGHTxWIDTH"`` -> (height, width).

    Raises:
        UsageError: the text is malformed, or a side is out of range.
    """
    sides = [side for part in image_size.lower().split("x") if (side := to_count(part)) is not None]
    if len(sides) != image_size.lower().count("x") + 1 or len(sides) > 2:
        raise UsageError(
            f"cannot read the size {image_size!r}",
            where="image_size",
            hint="Use one number for squares, or HEIGHTxWIDTH, such as 240x320",
        )
    height, width = sides[0], sides[-1]
    if not all(8 <= side <= LARGEST_SIDE for side in (height, width)):
        raise UsageError(
            f"images of {height} x {width} pixels",
            where="image_size",
            hint=f"A side must have 8 to {LARGEST_SIDE} pixels",
        )
    return height, width


def parse_blocks(blocks: str) -> tuple[int, ...]:
    """``"3,3,3"`` -> blocks per stage.

    Raises:
        UsageError: the text is malformed.
    """
    numbers = tuple(to_count(part) or 0 for part in blocks.split(","))
    if len(numbers) > 6 or not all(numbers):
        raise UsageError(
            f"cannot read the blocks {blocks!r}",
            where="blocks",
            hint="List the blocks of each stage, such as 2,2,2",
        )
    return numbers


def stem_stride(settings: StagedSettings, size: tuple[int, int]) -> int:
    """The stride of the first stage: as set, or derived from the image size."""
    if settings.stem_stride is not None:
        if settings.stem_stride == 3:
            raise UsageError("stem_stride is 3", hint="It must be 1, 2 or 4")
        return settings.stem_stride
    longest = max(size)
    return 1 if longest <= 64 else 2 if longest <= 192 else 4


# Networks -----------------------------------------------------------------


@dataclass(frozen=True)
class Normalized:
    """What normalises the features of a network that has batch normalisation."""

    normalization: str = option(
        "batch",
        "of features, where the network has any: batch (Ioffe and Szegedy 2015) or group (Wu and He"
        " 2018), which mixes no rows, as --private needs",
        choices=("batch", "group"),
    )


@dataclass(frozen=True)
class ClassifierSettings(Normalized, ImageSettings):
    """A backbone with a linear head."""

    dropout: float = option(
        0.1,
        "dropout rate before the head",
        minimum=0.0,
        maximum=0.95,
        search="0..0.5",
        inherited=False,
    )
    smoothing: float = option(
        0.0,
        "label smoothing: share of the target spread over all classes",
        minimum=0.0,
        maximum=0.9,
        inherited=False,
    )


@dataclass(frozen=True)
class StagedSettings(ClassifierSettings):
    """Networks in stages, each with half the resolution and twice the width of the previous one."""

    filters: int = option(32, "channels of the first stage", minimum=4, maximum=1024)
    blocks: str = option("2,2,2", "blocks per stage")
    stem_stride: int | None = option(
        None, "stride of the first stage: 1, 2 or 4; default: derived from image_size",
        minimum=1, maximum=4,
    )  # fmt: skip


@dataclass(frozen=True)
class CnnSettings(StagedSettings):
    """Convolutions with batch normalisation (Ioffe and Szegedy 2015), in stages."""

    filters: int = option(24, "channels of the first stage", minimum=4, maximum=1024)


@dataclass(frozen=True)
class ResNetSettings(StagedSettings):
    """Residual blocks of two convolutions (He et al. 2016, section 4.2 on small images)."""

    filters: int = option(16, "channels of the first stage", minimum=4, maximum=1024)
    blocks: str = option("3,3,3", "residual blocks per stage")


@dataclass(frozen=True)
class MobileNetSettings(StagedSettings):
    """Inverted residuals with depthwise convolutions (Sandler et al. 2018, MobileNetV2)."""

    filters: int = option(16, "channels of the first stage", minimum=4, maximum=1024)
    blocks: str = option("1,2,3,2", "inverted residuals per stage")
    expansion: int = option(6, "expansion factor of a block", minimum=1, maximum=12)


@dataclass(frozen=True)
class VggSettings(ClassifierSettings):
    """Plain convolutions and pooling (Simonyan and Zisserman 2015), Keras Hub's network."""

    filters: int = option(32, "channels of the first stage", minimum=4, maximum=1024)
    blocks: str = option("2,2,2", "convolutions per stage")
    dropout: float = option(
        0.3,
        "dropout rate before the head",
        minimum=0.0,
        maximum=0.95,
        search="0..0.5",
        inherited=False,
    )

    default_learning_rate: ClassVar[float] = 1e-3


@dataclass(frozen=True)
class EfficientNetSettings(ClassifierSettings):
    """Scaled inverted residuals with squeeze and excitation (Tan and Le 2019), Keras Hub's."""

    image_size: str = option("64", "input size: pixels per side, or HEIGHTxWIDTH")
    width: float = option(0.5, "channels relative to B0", minimum=0.1, maximum=4.0)
    depth: float = option(0.5, "blocks relative to B0", minimum=0.1, maximum=4.0)


@dataclass(frozen=True)
class VitSettings(ClassifierSettings):
    """Attention over patches (Dosovitskiy et al. 2021), Keras Hub's network."""

    patch: int = option(4, "patch size in pixels; must divide the image size", minimum=1)
    hidden: int = option(96, "embedding size; a multiple of heads", minimum=4)
    layers: int = option(6, "attention layers", minimum=1, maximum=48)
    heads: int = option(4, "attention heads", minimum=1)
    dropout: float = option(
        0.1,
        "dropout rate",
        minimum=0.0,
        maximum=0.95,
        search="0..0.5",
        inherited=False,
    )

    default_learning_rate: ClassVar[float] = 1e-3


@dataclass(frozen=True)
class HubSettings(ClassifierSettings):
    """A pretrained Keras Hub or timm network with its own input scaling (needs --from).

    Without ``image_size``, images are resized to the size given by the source.
    """

    image_size: str = option("224", "input size: pixels per side, or HEIGHTxWIDTH")
    dropout: float = option(
        0.2,
        "dropout rate before the head",
        minimum=0.0,
        maximum=0.95,
        search="0..0.5",
        inherited=False,
    )

    default_learning_rate: ClassVar[float] = 3e-4
    default_epochs: ClassVar[int] = 5
    default_steps: ClassVar[int] = 500


NETWORKS: dict[str, type[ImageSettings]] = {
    "cnn": CnnSettings,
    "vgg": VggSettings,
    "resnet": ResNetSettings,
    "mobilenet": MobileNetSettings,
    "efficientnet": EfficientNetSettings,
    "vit": VitSettings,
}


@dataclass(frozen=True)
class WithBackbone(Normalized, ImageSettings):
    """A head on any of the networks: the network's name and size.

    ``filters``, ``blocks`` and ``stem_stride`` apply to networks that have them; by default each
    network uses its own values.
    """

    backbone: str = option(
        "resnet", "backbone network; hub: the network given by --from", choices=(*BACKBONES, "hub")
    )
    filters: int | None = option(None, "channels of its first stage", minimum=4, maximum=1024)
    blocks: str | None = option(None, "blocks per stage, such as 2,2,2,2")
    stem_stride: int | None = option(
        None, "stride of its first stage: 1, 2 or 4", minimum=1, maximum=4
    )

    def network(self) -> ImageSettings:
        """The settings of the selected network."""
        kind = NETWORKS[self.backbone]
        known = {field.name for field in dataclasses.fields(kind)}
        own = {field.name for field in dataclasses.fields(self)}
        given = {name: getattr(self, name) for name in known & own}
        return kind(**{name: value for name, value in given.items() if value is not None})
