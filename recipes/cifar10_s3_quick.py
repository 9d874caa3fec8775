"""CIFAR-10, the whole space S3, cut down to what two CPU cores finish in twenty minutes.

Command:   rnascl run cifar10_s3_quick
Hardware:  two CPU cores
Duration:  17 min 6 s, on cores that other work shared
Measured:  first 1,000 test images, radius 8/255, seed 0; clean, FGSM, PGD-20, MI-FGSM in %.
           Teacher 73.4, 48.8, 45.2, 47.4; student (127 k parameters, 7.27 M MACs) 76.8, 7.8,
           0.0, 0.5; with TRADES 62.6, 28.7, 23.2, 27.1.

Cut down against the paper: the packaged `cifar10_small`, a ResNet-18 of half width, asked once
about three views, instead of a WideResNet-34-10; 36,000 training images; 2, 5 and 1 epochs of
search, training and TRADES instead of 100, 100 and 20; three inner steps of TRADES instead of 10.
The space, the losses and the attacks are whole.
"""

from rnascl_keras.recipe import Cache, Data, Finetune, Recipe, Search, Teacher, Train

recipe = Recipe(
    space="S3",
    data=Data(source="cifar10", augmentation="crop_flip", validation=1000, limit_train=36_000),
    teacher=Teacher(weights="cifar10_small"),
    cache=Cache(views=3),
    search=Search(epochs=2, schedule="cosine"),
    train=Train(epochs=5, schedule="one_cycle"),
    finetune=Finetune(epochs=1, steps=3, step_size=0.0124, learning_rate=0.02),
)
