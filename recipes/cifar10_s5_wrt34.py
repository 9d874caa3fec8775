"""RNAS-CL-S5-WRT-34: CIFAR-10, space S5, a robust WideResNet-34-10 as teacher.

Command:   rnascl run cifar10_s5_wrt34 --set teacher.weights=wide_resnet34_10.keras
           without --set: under `cifar10`, the ResNet-18 that comes with the package
Hardware:  one GPU
Duration:  not yet run
Measured:  not yet run
Published: 0.21 M parameters and 11.02 M MACs; clean 90.4, PGD-20 35.59 %; with TRADES 84.75 and
           44.68 % (Table 1).

Settings of appendix A.1, except that the teacher is asked only once, about 20 views of every image;
--set cache.views=0 asks it in every step.
"""

from rnascl_keras.recipe import Cache, Data, Recipe, Teacher

recipe = Recipe(
    space="S5",
    data=Data(source="cifar10", augmentation="crop_flip"),
    teacher=Teacher(weights="cifar10"),
    cache=Cache(views=20),
)
