"""The robust CIFAR-10 student of 0.47 M parameters: S7's widest.

Command:   rnascl run cifar10_s7_robust
Hardware:  two CPU cores
Duration:  1 h 22 min, on cores that other work shared, 1 h 11 min of it the training
Measured:  all 10,000 test images, radius 8/255, seed 0; clean, FGSM, PGD-20, MI-FGSM in %:
           70.1, 45.8, 41.8, 44.3; of the first 500 AutoAttack leaves 42.6. Validation (1,000
           images, PGD-10) after epochs 4, 8, ..., 24: 33.9, 40.0, 42.2, 43.4, 44.3, 43.5, clean
           55.9, 64.5, 67.3, 69.9, 71.5, 73.3; best in 20.

RSLAD's loss on adversarial images alone, KL(teacher(x) || student(x')), which one step of N-FGSM
makes; the packaged teacher `cifar10`, asked once about four views of each image; weights
averaged, the best epoch on 1,000 validation images kept. Without attention: its tutors are searched
for an epoch, as every run does, but not copied.
"""

from rnascl_keras.recipe import Cache, Data, Recipe, Search, Teacher, Train

recipe = Recipe(
    space="S7_widest",
    data=Data(source="cifar10", augmentation="crop_flip", validation=1000),
    teacher=Teacher(weights="cifar10"),
    cache=Cache(views=4),
    search=Search(epochs=1, schedule="cosine"),
    train=Train(
        robust="rslad_n_fgsm",
        adversarial_share=1.0,
        gamma_t=0.0,
        epochs=24,
        learning_rate=0.15,
        schedule="one_cycle",
        average=0.998,
        keep="best",
    ),
    finetune=None,
)
