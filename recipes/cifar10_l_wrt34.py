"""RNAS-CL-L-WRT-34: CIFAR-10, space L, a robust WideResNet-34-10 as teacher.

Command:   rnascl run cifar10_l_wrt34 --set teacher.weights=wide_resnet34_10.keras
Hardware:  one GPU
Duration:  not yet run
Measured:  not yet run
Published: 11 M parameters and 1,210 M MACs; clean 92.6, PGD-20 41.9 %; with TRADES 86.28 and
           53.69 % (Table 1).

Settings of appendix A.1.
"""

from rnascl_keras.recipe import Data, Recipe, Teacher

recipe = Recipe(
    space="L",
    data=Data(source="cifar10", augmentation="crop_flip"),
    teacher=Teacher(expected="the adversarially trained WideResNet-34-10 of Rice et al. (2020)"),
)
