"""The robust CIFAR-10 student of 0.18 M parameters that comes with the package: S3's widest.

Command:   rnascl run cifar10_s3_robust
Hardware:  two CPU cores
Duration:  2 h 41 min, on one of two cores beside other work, 2 h 16 min of it the training
Measured:  first 1,000 test images, radius 8/255, seed 0; clean, FGSM, PGD-20, MI-FGSM in %:
           70.2, 44.3, 39.7, 42.3. Validation (1,000 images, PGD-10) was best in epoch 18 of 18;
           of 12 epochs, trained earlier, the test images gave 66.2, 39.7, 36.6, 38.8.

RSLAD's loss on adversarial images alone, KL(teacher(x) || student(x')), which one step of N-FGSM
makes; the teacher that comes with the package, asked once about two views of each image; weights
averaged, the best epoch on 1,000 validation images kept. Without attention: its tutors are searched
for an epoch, as every run does, but not copied.
"""

from rnascl_keras.recipe import Cache, Data, Recipe, Search, Teacher, Train

recipe = Recipe(
    space="S3_widest",
    data=Data(source="cifar10", augmentation="crop_flip", validation=1000),
    teacher=Teacher(weights="cifar10"),
    cache=Cache(views=2),
    search=Search(epochs=1, schedule="cosine"),
    train=Train(
        robust="rslad_n_fgsm",
        adversarial_share=1.0,
        gamma_t=0.0,
        epochs=18,
        learning_rate=0.15,
        schedule="one_cycle",
        average=0.998,
        keep="best",
    ),
    finetune=None,
)
