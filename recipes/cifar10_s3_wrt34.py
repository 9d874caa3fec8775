"""RNAS-CL-S3-WRT-34: CIFAR-10, space S3, a robust WideResNet-34-10 as teacher.

Command:   rnascl run cifar10_s3_wrt34 --set teacher.weights=wide_resnet34_10.keras
Hardware:  one GPU
Duration:  not yet run
Measured:  not yet run
Published: 0.11 M parameters and 6.64 M MACs; clean 89.4, PGD-20 34.3 %; with TRADES 83.45 and
           43.07 % (Table 1).

Settings of appendix A.1.
"""

from rnascl_keras.recipe import Data, Recipe, Teacher

recipe = Recipe(
    space="S3",
    data=Data(source="cifar10", augmentation="crop_flip"),
    teacher=Teacher(expected="the adversarially trained WideResNet-34-10 of Rice et al. (2020)"),
)
