"""The small robust CIFAR-10 teacher that comes with the package, `cifar10_small`.

Command:   rnascl teacher cifar10_teacher_small
Hardware:  two CPU cores (bfloat16 in hardware helps: a third of the time)
Duration:  52 min, on cores that other work shared
Measured:  first 1,000 test images, radius 8/255, seed 0; clean, FGSM, PGD-20, MI-FGSM in %:
           73.4, 48.8, 45.2, 47.4. Validation (1,000 images, PGD-10 at 7.5/255) was best in epoch
           14 of 15: 72.0 and 47.6.

A ResNet-18 of half width, 2.8 M parameters, by N-FGSM (de Jorge et al., 2022): single-step
adversarial training that does not collapse; weights averaged, the best epoch on 1,000 validation
images kept. 49,000 training images. Trained at 7.5/255, a little less than what it is to
withstand: at 6.5/255 and 10 epochs it had 71.7, 44.8, 40.3, 44.3.
"""

from rnascl_keras.recipe import Data, Recipe, Teacher

recipe = Recipe(
    space="S3",
    data=Data(source="cifar10", augmentation="crop_flip", validation=1000),
    teacher=Teacher(
        architecture="resnet18",
        width=32,
        method="n_fgsm",
        epsilon=7.5 / 255,
        epochs=15,
        learning_rate=0.2,
        schedule="one_cycle",
        weight_decay=5e-4,
        average=0.995,
        precision="mixed_bfloat16",
    ),
)
