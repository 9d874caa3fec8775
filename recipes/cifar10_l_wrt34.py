"""RNAS-CL-L-WRT-34: CIFAR-10, space L, a robust WideResNet-34-10 as teacher.

Command:   rnascl run cifar10_l_wrt34 --set teacher.weights=wide_resnet34_10.keras
           without --set: under `cifar10`, the ResNet-18 that comes with the package
Hardware:  one GPU
Duration:  not yet run
Measured:  not yet run
Published: 11 M parameters and 1,210 M MACs; clean 92.6, PGD-20 41.9 %; with TRADES 86.28 and
           53.69 % (Table 1).

Settings of appendix A.1, except that the teacher is asked only once, about 20 views of every image;
--set cache.views=0 asks it in every step.
"""

from rnascl_keras.recipe import Cache, Data, Recipe, Teacher

recipe = Recipe(
    space="L",
    data=Data(source="cifar10", augmentation="crop_flip"),
    teacher=Teacher(weights="cifar10"),
    cache=Cache(views=20),
)
