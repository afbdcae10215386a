"""The settings of image models and backbones. Standard library only: help texts read them."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import ClassVar

from aitk.core.contract.errors import UsageError
from aitk.core.contract.options import option
from aitk.core.io.values import to_count

FITS = ("stretch", "letterbox", "crop")
#: The names of the networks that any head can be put on.
BACKBONES = ("cnn", "vgg", "resnet", "mobilenet", "efficientnet", "vit")
LARGEST_SIDE = 4096


@dataclass(frozen=True)
class AugmentOptions:
    """How training images vary; all shares are of the image's side, 0 leaves a variation out.

    Boxes and masks move with the image.
    """

    flip: float = option(
        0.5,
        "probability of a mirror image, left and right",
        minimum=0.0,
        maximum=1.0,
        inherited=False,
    )
    vertical_flip: float = option(
        0.0,
        "probability of a mirror image, top and bottom",
        minimum=0.0,
        maximum=1.0,
        inherited=False,
    )
    crop: float = option(
        0.0,
        "share of the area that a random crop cuts away at most",
        minimum=0.0,
        maximum=0.95,
        inherited=False,
    )
    shift: float = option(
        0.125,
        "share of the side that an image is moved by at most",
        minimum=0.0,
        maximum=0.5,
        inherited=False,
    )
    scale: float = option(
        0.0,
        "share that an image is made larger or smaller by at most",
        minimum=0.0,
        maximum=0.9,
        inherited=False,
    )
    rotate: float = option(
        0.0,
        "degrees that an image is turned by at most",
        minimum=0.0,
        maximum=180.0,
        inherited=False,
    )
    brightness: float = option(
        0.1, "share of change in brightness", minimum=0.0, maximum=1.0, inherited=False
    )
    contrast: float = option(
        0.1, "share of change in contrast", minimum=0.0, maximum=1.0, inherited=False
    )
    saturation: float = option(
        0.1, "share of change in saturation", minimum=0.0, maximum=1.0, inherited=False
    )
    hue: float = option(
        0.0, "share of the colour circle moved by", minimum=0.0, maximum=0.5, inherited=False
    )
    cutout: float = option(
        0.0,
        "side of a square that is blotted out, as a share",
        minimum=0.0,
        maximum=1.0,
        inherited=False,
    )
    mosaic: float = option(
        0.0,
        "probability of four images put together as one",
        minimum=0.0,
        maximum=1.0,
        inherited=False,
    )
    mixup: float = option(
        0.0,
        "how much two images are laid over each other (alpha)",
        minimum=0.0,
        maximum=10.0,
        inherited=False,
    )


@dataclass(frozen=True)
class ImageFlags:
    """The settings of every image model that are flags of their own."""

    image_size: str | None = option(
        None, "pixels of a side, or HEIGHTxWIDTH; its default depends on the model"
    )


@dataclass(frozen=True)
class ImageSettings(AugmentOptions):
    """What all image models share: how an image becomes an array, and varies in training.

    ``default_learning_rate``, ``default_epochs``, ``default_steps`` and ``default_batch_size`` are
    what training uses where the user names none.
    """

    image_size: str = option("32", "pixels of a side, or HEIGHTxWIDTH")
    fit: str = option("stretch", "how an image of other proportions is made to fit", choices=FITS)

    default_learning_rate: ClassVar[float] = 3e-3
    default_epochs: ClassVar[int] = 30
    default_steps: ClassVar[int] = 2000
    default_batch_size: ClassVar[int] = 32


def parse_size(image_size: str) -> tuple[int, int]:
    """``"32"`` or ``"HEIGHTxWIDTH"`` -> (height, width).

    Raises:
        UsageError: it is neither, or a side is out of range.
    """
    sides = [side for part in image_size.lower().split("x") if (side := to_count(part)) is not None]
    if len(sides) != image_size.lower().count("x") + 1 or len(sides) > 2:
        raise UsageError(
            f"cannot read the size {image_size!r}",
            where="image_size",
            hint="Write one number for squares, or HEIGHTxWIDTH, such as 240x320",
        )
    height, width = sides[0], sides[-1]
    if not all(8 <= side <= LARGEST_SIDE for side in (height, width)):
        raise UsageError(
            f"images of {height} x {width} pixels",
            where="image_size",
            hint=f"A side has 8 to {LARGEST_SIDE} pixels",
        )
    return height, width


def parse_blocks(blocks: str) -> tuple[int, ...]:
    """``"3,3,3"`` -> blocks of each stage.

    Raises:
        UsageError: it is no such list.
    """
    numbers = tuple(to_count(part) or 0 for part in blocks.split(","))
    if len(numbers) > 6 or not all(numbers):
        raise UsageError(
            f"cannot read the blocks {blocks!r}",
            where="blocks",
            hint="Write how many blocks each stage has, such as 2,2,2",
        )
    return numbers


def stem_stride(settings: StagedSettings, size: tuple[int, int]) -> int:
    """How many pixels the first stage takes as one: as set, or what the size asks for."""
    if settings.stem_stride is not None:
        if settings.stem_stride == 3:
            raise UsageError("stem_stride is 3", hint="It is 1, 2 or 4")
        return settings.stem_stride
    longest = max(size)
    return 1 if longest <= 64 else 2 if longest <= 192 else 4


# Networks -----------------------------------------------------------------


@dataclass(frozen=True)
class ClassifierSettings(ImageSettings):
    """A backbone with a linear head."""

    dropout: float = option(
        0.1,
        "share dropped before the head",
        minimum=0.0,
        maximum=0.95,
        search="0..0.5",
        inherited=False,
    )
    smoothing: float = option(
        0.0,
        "share of the target spread over all classes",
        minimum=0.0,
        maximum=0.9,
        inherited=False,
    )


@dataclass(frozen=True)
class StagedSettings(ClassifierSettings):
    """Networks in stages, each of half the resolution and twice the width of the one before."""

    filters: int = option(32, "channels of the first stage", minimum=4, maximum=1024)
    blocks: str = option("2,2,2", "blocks of each stage")
    stem_stride: int | None = option(
        None, "pixels the first stage takes as one: 1, 2 or 4; by default as the size asks for",
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
    blocks: str = option("3,3,3", "residual blocks of each stage")


@dataclass(frozen=True)
class MobileNetSettings(StagedSettings):
    """Inverted residuals with depthwise convolutions (Sandler et al. 2018, MobileNetV2)."""

    filters: int = option(16, "channels of the first stage", minimum=4, maximum=1024)
    blocks: str = option("1,2,3,2", "inverted residuals of each stage")
    expansion: int = option(6, "how much wider a block is inside", minimum=1, maximum=12)


@dataclass(frozen=True)
class VggSettings(ClassifierSettings):
    """Plain convolutions and pooling (Simonyan and Zisserman 2015), Keras Hub's network."""

    filters: int = option(32, "channels of the first stage", minimum=4, maximum=1024)
    blocks: str = option("2,2,2", "convolutions of each stage")
    dropout: float = option(
        0.3,
        "share dropped before the head",
        minimum=0.0,
        maximum=0.95,
        search="0..0.5",
        inherited=False,
    )

    default_learning_rate: ClassVar[float] = 1e-3


@dataclass(frozen=True)
class EfficientNetSettings(ClassifierSettings):
    """Scaled inverted residuals with squeeze and excitation (Tan and Le 2019), Keras Hub's."""

    image_size: str = option("64", "pixels of a side, or HEIGHTxWIDTH")
    width: float = option(0.5, "of the channels of B0", minimum=0.1, maximum=4.0)
    depth: float = option(0.5, "of the blocks of B0", minimum=0.1, maximum=4.0)


@dataclass(frozen=True)
class VitSettings(ClassifierSettings):
    """Attention over patches (Dosovitskiy et al. 2021), Keras Hub's network."""

    patch: int = option(4, "pixels of a patch's side, which divides the image's", minimum=1)
    hidden: int = option(96, "size of a patch's vector; a multiple of heads", minimum=4)
    layers: int = option(6, "attention layers", minimum=1, maximum=48)
    heads: int = option(4, "attention heads", minimum=1)
    dropout: float = option(
        0.1,
        "share of the features dropped",
        minimum=0.0,
        maximum=0.95,
        search="0..0.5",
        inherited=False,
    )

    default_learning_rate: ClassVar[float] = 1e-3


@dataclass(frozen=True)
class HubSettings(ClassifierSettings):
    """A pretrained Keras Hub or timm network, with the scaling it was trained with (needs --from).

    Without ``image_size`` images get the size that the source names.
    """

    image_size: str = option("224", "pixels of a side, or HEIGHTxWIDTH")
    dropout: float = option(
        0.2,
        "share dropped before the head",
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
class WithBackbone(ImageSettings):
    """A head over any of the networks: its name, and what sets its size.

    ``filters``, ``blocks`` and ``stem_stride`` go to the networks that have them; by default each
    network has its own.
    """

    backbone: str = option(
        "resnet", "network under the head; hub is one of --from", choices=(*BACKBONES, "hub")
    )
    filters: int | None = option(None, "channels of its first stage", minimum=4, maximum=1024)
    blocks: str | None = option(None, "blocks of each of its stages, such as 2,2,2,2")
    stem_stride: int | None = option(
        None, "pixels its first stage takes as one: 1, 2 or 4", minimum=1, maximum=4
    )

    def network(self) -> ImageSettings:
        """The settings of the chosen network."""
        kind = NETWORKS[self.backbone]
        known = {field.name for field in dataclasses.fields(kind)}
        own = {field.name for field in dataclasses.fields(self)}
        given = {name: getattr(self, name) for name in known & own}
        return kind(**{name: value for name, value in given.items() if value is not None})
