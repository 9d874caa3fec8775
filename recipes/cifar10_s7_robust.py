"""The robust CIFAR-10 student of 0.47 M parameters: S7's widest.

Command:   rnascl run cifar10_s7_robust
Hardware:  two CPU cores
Duration:  2 h 27 min, on one of two cores beside other work, 2 h 8 min of it the training
Measured:  all 10,000 test images, radius 8/255, seed 0; clean, FGSM, PGD-20, MI-FGSM in %:
           67.1, 42.7, 38.5, 41.4; of the first 500 AutoAttack leaves 39.4. Validation (1,000
           images, PGD-10) after epochs 2, 4, ..., 14: 29.8, 35.2, 36.8, 39.3, 40.0, 41.9, 41.9;
           best in 13.

RSLAD's loss on adversarial images alone, KL(teacher(x) || student(x')), which one step of N-FGSM
makes; the packaged teacher `cifar10_small`, asked once about two views of each image; weights
averaged, the best epoch on 1,000 validation images kept. Without attention: its tutors are searched
for an epoch, as every run does, but not copied.
"""

from rnascl_keras.recipe import Cache, Data, Recipe, Search, Teacher, Train

recipe = Recipe(
    space="S7_widest",
    data=Data(source="cifar10", augmentation="crop_flip", validation=1000),
    teacher=Teacher(weights="cifar10_small"),
    cache=Cache(views=2),
    search=Search(epochs=1, schedule="cosine"),
    train=Train(
        robust="rslad_n_fgsm",
        adversarial_share=1.0,
        gamma_t=0.0,
        epochs=14,
        learning_rate=0.15,
        schedule="one_cycle",
        average=0.998,
        keep="best",
    ),
    finetune=None,
)
