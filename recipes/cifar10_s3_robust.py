"""The robust CIFAR-10 student of 0.18 M parameters that comes with the package: S3's widest.

Command:   rnascl run cifar10_s3_robust
Hardware:  two CPU cores
Duration:  4 h 40 min, on one of two cores beside other work, 4 h 32 min of it the training
Measured:  all 10,000 test images, radius 8/255, seed 0; clean, FGSM, PGD-20, MI-FGSM in %:
           67.9, 43.4, 39.0, 41.9. Validation (1,000 images, PGD-10) after epochs 4, 8, ..., 36:
           31.3, 35.0, 38.4, 40.8, 42.7, 43.6, 44.1, 43.8, 43.8; best in 26, 44.2.

RSLAD's loss on adversarial images alone, KL(teacher(x) || student(x')), which one step of N-FGSM
makes; the teacher that comes with the package, asked once about two views of each image; weights
averaged, the best epoch on 1,000 validation images kept. Without attention: its tutors are searched
for an epoch, as every run does, but not copied.
"""

from rnascl_keras.recipe import Cache, Data, Recipe, Search, Teacher, Train

recipe = Recipe(
    space="S3_widest",
    data=Data(source="cifar10", augmentation="crop_flip", validation=1000),
    teacher=Teacher(weights="cifar10_small"),
    cache=Cache(views=2),
    search=Search(epochs=1, schedule="cosine"),
    train=Train(
        robust="rslad_n_fgsm",
        adversarial_share=1.0,
        gamma_t=0.0,
        epochs=36,
        learning_rate=0.15,
        schedule="one_cycle",
        average=0.998,
        keep="best",
    ),
    finetune=None,
)
