"""Registry of model families: one `ModelFamily` entry for each, built-in or from another package.

The parser of `model=`, `load_encoder`, `f2vbench list models`, error messages and the colours of figures read these
entries. A new built-in family is one entry in `_BUILT_IN` and the class or function that its `loader` names. Importing
this module imports neither torch nor timm.
"""

from __future__ import annotations

from functools import partial
from importlib import metadata

from f2vbench.encoders.model_family import FRAMES, GeneratorShape, ModelFamily
from f2vbench.errors import SettingsError, did_you_mean

ENTRY_POINT_GROUP = "f2vbench.encoders"
"""Entry points of this group add families from other packages."""

IMAGENET_BASELINE = "imagenet-lite0"
"""The baseline of classification and retrieval that a retinal model has to beat; its weights are in a Python package
that an extra installs."""

_PIX2PIXHD_WEIGHTS = (
    "Train them with `f2vbench train model={family}` and write model={family}:<run folder>/generator.safetensors, give "
    "the file of an existing training with weights=path/to/latest_net_G.pth, or use model={family}:untrained"
)
_VIDEO_WEIGHTS = (
    "Train them with `f2vbench train model={family} preset=mini` and write model={family}:<run folder>/"
    "generator.safetensors, or use model={family}:untrained"
)
_OPEN_RELEASE = "f2vbench.encoders.open_releases:load_open_release"
_FILTERS = "f2vbench.encoders.baselines.vessel_filters:load_vessel_filter"
_VECTORS = "f2vbench.encoders.baselines.image_vectors:load_vector_baseline"
_VIDEOS = "f2vbench.encoders.baselines.angiograms:load_videos"
_GENERATOR = "f2vbench.encoders.pix2pixhd:Pix2PixHDEncoder"
_SAM2 = "f2vbench.encoders.sam2:load_sam2"
_EMBEDDING_TASKS = ("classification", "regression", "survival", "retrieval")

_vessel_filter = partial(
    ModelFamily, kind="score", loader=_FILTERS, default_weights="none", baseline_for=("segmentation",)
)

# The order is that of listings and of legends. Colours are those of Okabe and Ito, and of Tol, which colour-blind
# readers can distinguish.
_BUILT_IN = (
    ModelFamily(
        "fundus2video",
        "generator of 12-frame angiograms (6 to 3 channels); its first half is the encoder",
        kind="features",
        loader=_GENERATOR,
        default_weights="card",
        how_to_get_weights=_PIX2PIXHD_WEIGHTS.format(family="fundus2video"),
        trainable=True,
        architecture="pix2pixhd-global",
        untrained_architecture="pix2pixhd-global-ngf64",
        generator=GeneratorShape(6, 3),
        frames=FRAMES,
        colour="#0072B2",
    ),
    # No Fundus2FA weights are public. An untrained one has the RGB output of pix2pixHD; a file may have 1 channel.
    ModelFamily(
        "fundus2fa",
        "pix2pixHD trained to generate one venous or late angiogram frame; its first half is the encoder",
        kind="features",
        loader=_GENERATOR,
        default_weights="card",
        how_to_get_weights=_PIX2PIXHD_WEIGHTS.format(family="fundus2fa"),
        trainable=True,
        architecture="pix2pixhd-global",
        untrained_architecture="pix2pixhd-global-ngf64",
        generator=GeneratorShape(3, 3),
        frames=1,
        colour="#D55E00",
    ),
    ModelFamily(
        "pix2pixhd",
        "plain pix2pixHD global generator; its first half is the encoder",
        kind="features",
        loader=_GENERATOR,
        default_weights="card",
        how_to_get_weights=_PIX2PIXHD_WEIGHTS.format(family="pix2pixhd"),
        trainable=True,
        architecture="pix2pixhd-global",
        untrained_architecture="pix2pixhd-global-ngf64",
        generator=GeneratorShape(3, 3),
        frames=1,
        colour="#009E73",
    ),
    ModelFamily(
        "truth",
        "pix2pixHD's generator trained on what the simulator knows: vessels by type, landmarks, kinds of lesions",
        kind="features",
        loader=_GENERATOR,
        default_weights="card",
        how_to_get_weights=_PIX2PIXHD_WEIGHTS.format(family="truth"),
        trainable=True,
        architecture="pix2pixhd-global",
        untrained_architecture="pix2pixhd-global-ngf64",
        generator=GeneratorShape(3, 2),
        predicts_truth=True,
        colour="#B8A800",
    ),
    ModelFamily(
        "seg2vid",
        "variational autoencoder of flow that warps the photograph, after Seg2Vid; generates, and has no features",
        kind="generator",
        loader="f2vbench.encoders.flow_vae:FlowGenerator",
        default_weights="card",
        how_to_get_weights=_VIDEO_WEIGHTS.format(family="seg2vid"),
        trainable=True,
        frames=FRAMES,
        colour="#44AA99",
    ),
    ModelFamily(
        "med-ddpm",
        "conditional diffusion of 12-frame angiograms, after Med-DDPM; generates, and has no features",
        kind="generator",
        loader="f2vbench.encoders.diffusion:DiffusionGenerator",
        default_weights="card",
        how_to_get_weights=_VIDEO_WEIGHTS.format(family="med-ddpm"),
        trainable=True,
        frames=FRAMES,
        libraries=("diffusers",),
        extra="diffusion",
        has_sampler=True,
        colour="#882255",
    ),
    ModelFamily(
        "retfound-green",
        "RETFound-Green, ViT-S at 392 px (non-commercial research only)",
        kind="features",
        loader="f2vbench.encoders.retfound:load_retfound",
        default_weights="released",
        variants=("retfound-green",),
        width=384,
        libraries=("timm",),
        colour="#56B4E9",
    ),
    ModelFamily(
        "retfound",
        "RETFound, ViT-L at 224 px (gated, CC BY-NC 4.0)",
        kind="features",
        loader="f2vbench.encoders.retfound:load_retfound",
        default_weights="released",
        variants=("mae_natureCFP", "mae_natureOCT", "mae_meh", "mae_shanghai", "dinov2_meh", "dinov2_shanghai"),
        poolings=("official", "mean"),
        width=1024,
        libraries=("timm",),
        colour="#CC79A7",
    ),
    ModelFamily(
        "flair",
        "FLAIR, ResNet-50 at 512 px, trained with text (Apache-2.0)",
        kind="features",
        loader=_OPEN_RELEASE,
        default_weights="released",
        variants=("flair",),
        width=2048,
        libraries=("timm",),
    ),
    ModelFamily(
        "urfound",
        "UrFound, ViT-B at 224 px, trained with text (code MIT; no licence is stated for the weights)",
        kind="features",
        loader=_OPEN_RELEASE,
        default_weights="released",
        variants=("urfound",),
        width=768,
        libraries=("timm",),
    ),
    ModelFamily(
        "visionfm",
        "VisionFM, ViT-B at 224 px, its encoder of fundus photographs (research and education only)",
        kind="features",
        loader=_OPEN_RELEASE,
        default_weights="released",
        variants=("visionfm",),
        width=768,
        libraries=("timm",),
    ),
    ModelFamily(
        "mae",
        "masked autoencoder of photographs, like RETFound; its transformer is the encoder",
        kind="features",
        loader="f2vbench.encoders.mae:load_mae",
        default_weights="card",
        how_to_get_weights=(
            "Train them with `f2vbench train model=mae`, give the file of an existing training with "
            "weights=path/to/generator.safetensors or model=mae:<weights file>, or use model=mae:untrained"
        ),
        trainable=True,
        architecture="mae-vit-patch16",
        untrained_architecture="mae-vit-192x12-patch16",
        libraries=("timm",),
        colour="#E69F00",
    ),
    ModelFamily(
        "medical-sam2",
        "SAM2 with Medical-SAM2's input; its own mask decoder is trained (extra f2vbench[sam2])",
        kind="features",
        loader=_SAM2,
        default_weights="released",
        variants=("medical-sam2",),
        width=256,
        libraries=("transformers",),
        extra="sam2",
        decoder="mask-decoder",
        colour="#661100",
    ),
    ModelFamily(
        "sam2",
        "SAM2 and SAM2.1; their own mask decoder is trained (extra f2vbench[sam2])",
        kind="features",
        loader=_SAM2,
        default_weights="released",
        variants=(
            "hiera-small",
            "hiera-tiny",
            "hiera-base-plus",
            "hiera-large",
            "2.1-hiera-small",
            "2.1-hiera-tiny",
            "2.1-hiera-base-plus",
            "2.1-hiera-large",
        ),
        width=256,
        libraries=("transformers",),
        extra="sam2",
        decoder="mask-decoder",
        colour="#332288",
    ),
    ModelFamily(
        "timm",
        "any timm model, as timm:<model name>",
        kind="features",
        loader="f2vbench.encoders.timm_models:load_timm",
        default_weights="hub",
        libraries=("timm",),
    ),
    ModelFamily(
        "frames",
        "angiogram frames from any generator, as frames:<folder with <case>/<frame>.png>",
        kind="video",
        loader=_VIDEOS,
        default_weights="precomputed",
    ),
    ModelFamily(
        "embeddings",
        "embeddings of any framework, imported with `f2vbench cache import`, as embeddings:<name>",
        kind="vector",
        loader="f2vbench.encoders.imported_embeddings:load_imported",
        default_weights="precomputed",
    ),
    _vessel_filter("tophat", "baseline: black top-hat of the green channel, no learning"),
    _vessel_filter("frangi", "baseline: Frangi vesselness, no learning", libraries=("scikit-image",)),
    _vessel_filter("sato", "baseline: Sato tubeness, no learning", libraries=("scikit-image",)),
    _vessel_filter("green", "baseline: darkness of the green channel, no learning"),
    ModelFamily(
        "scratch",
        "baseline: a small U-Net trained on the support images alone",
        kind="scratch",
        loader=None,
        default_weights="none",
        baseline_for=("segmentation",),
    ),
    ModelFamily(
        "thumbnail",
        "baseline: 32 × 32 pixels of the photograph as a vector, no learning",
        kind="vector",
        loader=_VECTORS,
        default_weights="none",
        width=3072,
        baseline_for=_EMBEDDING_TASKS,
    ),
    ModelFamily(
        "colour",
        "baseline: colour histograms and simple texture inside the field of view, no learning",
        kind="vector",
        loader=_VECTORS,
        default_weights="none",
        width=93,
        libraries=("scikit-image",),
        baseline_for=_EMBEDDING_TASKS,
    ),
    ModelFamily(
        "random",
        "baseline: an untrained network",
        kind="features",
        loader="f2vbench.encoders.baselines.random_weights:load_random_baseline",
        default_weights="untrained",
        variants=("resnet18", "pix2pixhd"),
        libraries=("timm",),
        baseline_for=_EMBEDDING_TASKS,
    ),
    ModelFamily(
        IMAGENET_BASELINE,
        "baseline: EfficientNet-Lite0 trained on ImageNet, the one that a retinal model has to beat",
        kind="features",
        loader="f2vbench.encoders.baselines.imagenet:load_imagenet_baseline",
        default_weights="installed",
        architecture="tf_efficientnet_lite0",
        width=1280,
        libraries=("timm",),
        baseline_for=_EMBEDDING_TASKS,
    ),
    ModelFamily(
        "still",
        "baseline: the photograph's green channel as every frame, no learning",
        kind="video",
        loader=_VIDEOS,
        default_weights="none",
        baseline_for=("generation",),
    ),
    ModelFamily(
        "still-inverted",
        "baseline: the inverted green channel as every frame, no learning",
        kind="video",
        loader=_VIDEOS,
        default_weights="none",
        baseline_for=("generation",),
    ),
    ModelFamily(
        "mean-video",
        "baseline: the mean angiogram of the patients outside the test set",
        kind="video",
        loader=_VIDEOS,
        default_weights="none",
        baseline_for=("generation",),
    ),
    ModelFamily(
        "mean-label",
        "baseline: the mean of the support labels (in survival, their Kaplan–Meier curve) for every image",
        kind="constant",
        loader=None,
        default_weights="none",
        baseline_for=("regression", "survival"),
    ),
)

FAMILIES = {family.name: family for family in _BUILT_IN}
"""Built-in families by name."""


def known_families() -> dict[str, ModelFamily]:
    """All families by name: the built-in ones, then those of installed packages.

    Raises:
        SettingsError: A package adds a name that exists already.
    """
    families = dict(FAMILIES)
    for point in metadata.entry_points(group=ENTRY_POINT_GROUP):
        package = f"{point.dist.name} {point.dist.version}" if point.dist else point.value
        if point.name in families:
            raise SettingsError(
                f"the package {package} adds a model family named '{point.name}', but that name is taken; uninstall "
                "the package or ask its authors for another name"
            )
        families[point.name] = ModelFamily(
            point.name,
            f"from the package {package}",
            kind="features",
            loader=point.value,
            default_weights="package",
            package=package,
        )
    return families


def find_family(name: str) -> ModelFamily:
    """The family with this name.

    Raises:
        SettingsError: No family has this name, or a package adds a name that exists already.
    """
    if name in FAMILIES:
        return FAMILIES[name]
    families = known_families()
    if name not in families:
        raise SettingsError(f"no model family named '{name}'{did_you_mean(name, families)}; install its package")
    return families[name]


def trainable_families() -> tuple[str, ...]:
    """Names of the families that `f2vbench train` trains."""
    return tuple(family.name for family in _BUILT_IN if family.trainable)


def baseline_names(task_family: str = "segmentation") -> tuple[str, ...]:
    """Names of the baselines for a family of tasks; empty where there are none."""
    return tuple(family.name for family in _BUILT_IN if task_family in family.baseline_for)
