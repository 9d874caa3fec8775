"""CIFAR-10, the whole space S3, cut down to what two CPU cores finish in half an hour.

Command:   rnascl run cifar10_s3_quick
           with the teacher that comes with the package, asked only once:
           --set teacher.weights=cifar10 --set cache.views=3
Hardware:  two CPU cores
Duration:  27 min 5 s; with a teacher given 21 min, on cores that other work shared.
Measured:  first 1,000 test images, radius 8/255, seed 0; clean, FGSM, PGD-20, MI-FGSM in %.
           Teacher 53.7, 34.3, 31.1, 33.8; student (132 k parameters, 7.73 M MACs) 69.1, 10.6,
           0.5, 1.7; with TRADES 57.2, 28.5, 24.7, 27.3.
           With EhanW/advrob-cifar10's PGD-trained ResNet-20 as teacher (85.2, 30.6, 18.5, 25.8):
           student (133 k, 7.25 M) 73.5, 8.4, 0.0, 0.2; with TRADES 57.8, 25.0, 19.2, 22.9.

Cut down against the paper: a ResNet-20 trained here by single-step adversarial training for 5
epochs instead of a WideResNet-34-10; 36,000 training images; 2, 3 and 1 epochs of search, training
and TRADES instead of 100, 100 and 20; three inner steps of TRADES instead of 10. The space, the
losses and the attacks are whole.
"""

from rnascl_keras.recipe import Cache, Data, Finetune, Recipe, Search, Teacher, Train

recipe = Recipe(
    space="S3",
    data=Data(source="cifar10", augmentation="crop_flip", validation=1000, limit_train=36_000),
    teacher=Teacher(weights="cifar10"),
    cache=Cache(views=3),
    search=Search(epochs=2, schedule="cosine"),
    train=Train(epochs=5, schedule="one_cycle"),
    finetune=Finetune(epochs=1, steps=3, step_size=0.0124, learning_rate=0.02),
)
