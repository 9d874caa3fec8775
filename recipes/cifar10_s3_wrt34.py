"""RNAS-CL-S3-WRT-34: CIFAR-10, space S3, a robust WideResNet-34-10 as teacher.

Command:   rnascl run cifar10_s3_wrt34 --set teacher.weights=wide_resnet34_10.keras
           without --set: under `cifar10_small`, a ResNet-18 that comes with the package
Hardware:  one GPU
Duration:  not yet run under its own teacher; under the packaged one, with --set cache.views=10, on
           two CPU cores: cache 16 minutes, search two and a half hours, training three and a half
           and TRADES four and a half beside other work
Measured:  under that teacher, all 10,000 test images, radius 8/255, seed 0: clean 89.4, FGSM 27.7,
           PGD-20 0.0, MI-FGSM 1.7 % without TRADES; 71.5, 42.1, 37.9, 40.8 % with it (RESULTS.md)
Published: 0.11 M parameters and 6.64 M MACs; clean 89.4, PGD-20 34.3 %; with TRADES 83.45 and
           43.07 % (Table 1).

Settings of appendix A.1, except that the teacher is asked only once, about 20 views of every image;
--set cache.views=0 asks it in every step.
"""

from rnascl_keras.recipe import Cache, Data, Recipe, Teacher

recipe = Recipe(
    space="S3",
    data=Data(source="cifar10", augmentation="crop_flip"),
    teacher=Teacher(weights="cifar10_small"),
    cache=Cache(views=20),
)
