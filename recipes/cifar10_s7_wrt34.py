"""RNAS-CL-S7-WRT-34: CIFAR-10, space S7, a robust WideResNet-34-10 as teacher.

Command:   rnascl run cifar10_s7_wrt34 --set teacher.weights=wide_resnet34_10.keras
           without --set: under `cifar10`, the ResNet-18 that comes with the package
Hardware:  one GPU
Duration:  not yet run
Measured:  not yet run
Published: 0.32 M parameters and 15.58 M MACs; clean 90.62, PGD-20 37.24 %; with TRADES 85.81
           and 43.24 % (Table 1).

Settings of appendix A.1, except that the teacher is asked only once, about 20 views of every image;
--set cache.views=0 asks it in every step.
"""

from rnascl_keras.recipe import Cache, Data, Recipe, Teacher

recipe = Recipe(
    space="S7",
    data=Data(source="cifar10", augmentation="crop_flip"),
    teacher=Teacher(weights="cifar10"),
    cache=Cache(views=20),
)
