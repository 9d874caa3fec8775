"""The robust CIFAR-10 teacher that comes with the package, `recipes/teachers/cifar10.keras`.

Command:   rnascl teacher cifar10_teacher
Hardware:  two CPU cores (bfloat16 in hardware helps: a third of the time)
Duration:  not yet run
Measured:  not yet run

A ResNet-18 of half width, 2.8 M parameters, by N-FGSM (de Jorge et al., 2022): single-step
adversarial training that does not collapse; weights averaged, the best epoch on 1,000 validation
images kept. 49,000 training images.
"""

from rnascl_keras.recipe import Data, Recipe, Teacher

recipe = Recipe(
    space="S3",
    data=Data(source="cifar10", augmentation="crop_flip", validation=1000),
    teacher=Teacher(
        architecture="resnet18",
        width=32,
        method="n_fgsm",
        epochs=12,
        learning_rate=0.2,
        schedule="one_cycle",
        weight_decay=5e-4,
        average=0.995,
        precision="mixed_bfloat16",
    ),
)
