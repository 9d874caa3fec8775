"""CIFAR-10, the whole space S3, cut down to what two CPU cores finish in half an hour.

Command:   rnascl run cifar10_s3_quick
           with a robust teacher of your own: --set teacher.weights=TEACHER.keras
Hardware:  two CPU cores
Duration:  not yet measured
Measured:  not yet run

Cut down against the paper: a slim teacher trained here for a few epochs of single-step adversarial
training instead of a WideResNet-34-10; a few epochs instead of 100, 100 and 20; three inner
steps of TRADES instead of 10. The space, the losses and the attacks are whole.
"""

from rnascl_keras.recipe import Data, Finetune, Recipe, Search, Teacher, Train

recipe = Recipe(
    space="S3",
    data=Data(source="cifar10", augmentation="crop_flip", validation=1000, limit_train=36_000),
    teacher=Teacher(
        architecture="resnet20",
        method="fast",
        epochs=5,
        learning_rate=0.2,
        schedule="one_cycle",
        weight_decay=5e-4,
    ),
    search=Search(epochs=2, schedule="cosine"),
    train=Train(epochs=3, schedule="one_cycle"),
    finetune=Finetune(epochs=1, steps=3, step_size=0.0124, learning_rate=0.02),
)
