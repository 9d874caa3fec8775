"""The systems that the paper's tables compare with: published figures, and what can be had here.

Published figures are those of Table 1: CIFAR-10, accuracies in %. Counted ones are of the networks
built here, for 10 classes and 32 pixels, with normalisations and without an auxiliary classifier.

RobNet-small, RobNet-medium and TAM-NAS S2 cannot be had: neither their architectures nor their
weights were published (`NOT_TO_BE_HAD`).
"""

from __future__ import annotations

from rnascl_keras.comparison.rivals import Figures, Rival

DENSE_MACS = (
    "the published MACs fit the dense ImageNet network at 32 pixels and are no effect of pruning"
)
ADMM = "figures from Hydra's paper; its own example keeps 6.25 %; its 71.17/37.21 elsewhere is "
ADMM += "clean/AutoAttack (pralab/AdversarialPruningBenchmark)"
NOT_TO_BE_HAD = "cannot be had: neither architecture nor weights were published"


def _pruned(
    depth: int, counted: tuple[int, int], size: float, macs: float, hydra: Figures, admm: Figures
) -> tuple[Rival, Rival]:
    recipe = f"rival_resnet{depth}"
    options = "--method trades --eps 0.031 --keep 0.01 --way"
    return (
        Rival(
            f"Hydra ResNet-{depth}",
            recipe,
            adversarial=hydra,
            parameters=size,
            macs=macs,
            counted=counted,
            remark=f"counted dense; {DENSE_MACS}",
            prune=f"{options} hydra",
        ),
        Rival(
            f"ADV-ADMM ResNet-{depth}",
            recipe,
            adversarial=admm,
            parameters=size,
            macs=macs,
            counted=counted,
            remark=f"counted dense; {ADMM}" if depth == 18 else "counted dense",
            prune=f"{options} admm",
        ),
    )


RIVALS = (
    Rival(
        "DARTS (V2)",
        "rival_darts",
        Figures(83.75, 55.75, 44.91, 51.63),
        Figures(97.03, 42.48, 7.09, 0.28),
        3.3,
        500,
        (3_349_342, 528),
    ),
    Rival(
        "PC-DARTS",
        "rival_pc_darts",
        Figures(83.94, 52.67, 41.92, 49.09),
        Figures(97.05, 49.18, 9.84, 1.21),
        3.6,
        600,
        (3_634_678, 557),
    ),
    Rival(
        "RACL",
        "rival_racl",
        Figures(83.89, 57.44, 49.34, 54.73),
        Figures(97.44, 50.53, 1.93, 4.68),
        3.6,
        500,
        (3_571_174, 550),
        "genotype from five files of others; its own repository was not found",
    ),
    Rival(
        "AmoebaNet-A",
        "rival_amoebanet",
        None,
        Figures(97.39, 44.79, 0.25, 0.80),
        3.2,
        500,
        (3_145_078, 489),
    ),
    Rival(
        "NASNet-A",
        "rival_nasnet",
        Figures(83.66, 55.67, 48.02, 53.05),
        Figures(97.37, 47.53, 0.42, 1.01),
        3.8,
        600,
        (3_830_950, 604),
    ),
    Rival(
        "E2RNAS, 16 wide",
        "rival_e2rnas",
        None,
        Figures(93.97, None, 6.76),
        0.44,
        None,
        (448_570, 71),
        "its PGD was probably at 2/255 or 1/255, not 8/255; which cell is inferred",
    ),
    Rival(
        "MobileNetV2 (ARD)",
        "rival_mobilenetv2",
        Figures(84.70, None, 46.28),
        Figures(76.13, None, 38.21),
        3.4,
        300,
        (2_296_922, 91),
        "the published size is the ImageNet model's; 76.13/38.21 is distillation on clean images",
    ),
    *_pruned(
        18,
        (11_173_962, 555),
        0.11,
        37.63,
        Figures(69.0, None, 41.6),
        Figures(58.7, None, 36.1),
    ),
    *_pruned(
        34,
        (21_282_122, 1159),
        0.21,
        75.43,
        Figures(71.8, None, 44.4),
        Figures(68.8, None, 41.5),
    ),
    *_pruned(
        50,
        (23_520_842, 1298),
        0.25,
        85.92,
        Figures(73.9, None, 45.3),
        Figures(69.1, None, 42.2),
    ),
    Rival(
        "RobNet-small",
        None,
        Figures(78.05, 53.93, 48.32, 48.98),
        parameters=4.41,
        remark=NOT_TO_BE_HAD,
    ),
    Rival(
        "RobNet-medium",
        None,
        Figures(78.33, 54.55, 49.13, 49.34),
        parameters=5.66,
        remark=NOT_TO_BE_HAD,
    ),
    Rival(
        "RobNet-large (v1)",
        "rival_robnet_large",
        Figures(78.57, 54.98, 49.44, 49.92),
        parameters=6.89,
        counted=(6_842_710, 1030),
        remark="its authors have about 83.5/52.1 (clean/PGD-20) from scratch",
    ),
    Rival(
        "RobNet-free",
        "rival_robnet_free",
        counted=(5_439_790, 780),
        remark="not in Table 1",
    ),
    Rival(
        "VGG-11-R",
        "rival_vgg11_r",
        Figures(79.63, 57.35, 43.93),
        parameters=5.83,
        counted=(5_830_475, 139),
    ),
    Rival(
        "DenseNet-121-R",
        "rival_densenet121_r",
        Figures(87.22, 67.12, 52.52),
        parameters=6,
        counted=(5_999_686, 858),
    ),
    Rival(
        "DARTS-R",
        "rival_darts_r",
        Figures(87.2, 66.74, 52.36),
        parameters=2.53,
        counted=(1_295_834, 389),
        remark="its widths are not public; built by the rule of its authors' WideResNet",
    ),
    Rival(
        "MSRobNet-1000",
        "rival_msrobnet_1000",
        Figures(84.5, 59.6, 52.7),
        parameters=3.16,
        counted=(3_160_276, 509),
    ),
    Rival(
        "MSRobNet-1560",
        "rival_msrobnet_1560",
        counted=(5_304_814, 794),
        remark="not in Table 1",
    ),
    Rival(
        "MSRobNet-2000",
        "rival_msrobnet_2000_predictor",
        Figures(85.7, 60.6, 53.6),
        parameters=6.46,
        counted=(5_737_560, 1017),
        remark="not in its authors' repository; built is their predictor's network of as many MACs",
    ),
    Rival(
        "AdvRush",
        "rival_advrush",
        counted=(4_158_046, 645),
        remark="not in Table 1",
    ),
    Rival(
        "TAM-NAS S2 8/255",
        None,
        Figures(76.54, None, 31.83),
        parameters=1.68,
        remark=NOT_TO_BE_HAD,
    ),
)
