"""S3's widest student, robust without ever having seen an adversarial image.

Command:   rnascl run cifar10_s3_clean
Hardware:  two CPU cores
Duration:  4 h 2 min, each on one of two cores beside other work: 35 min the cache with its input
           gradients, 3 h 19 min the training
Measured:  all 10,000 test images, radius 8/255, seed 0; clean, FGSM, PGD-20, MI-FGSM in %:
           61.6, 34.8, 32.2, 33.8. Validation (1,000 images, PGD-10) was best in epoch 10 of 12.

KL(teacher(x) || student(x)) on clean images, without labels, and its loss made to rise where the
teacher's does (KDIGA, Shao et al., 2021). The cache keeps the teacher's input gradients, so it is
asked once about two views of each image. Weights averaged, the best epoch on 1,000 validation
images kept. Its tutors are searched for an epoch, as every run does, but not copied. It comes with
the package as `cifar10_s3_natural`.
"""

from rnascl_keras.recipe import Cache, Data, Recipe, Search, Teacher, Train

recipe = Recipe(
    space="S3_widest",
    data=Data(source="cifar10", augmentation="crop_flip", validation=1000),
    teacher=Teacher(weights="cifar10_small"),
    cache=Cache(views=2, gradients=True),
    search=Search(epochs=1, schedule="cosine"),
    train=Train(
        kl="teacher_student",
        classification_weight=0.0,
        gradient_weight=1.0,
        gamma_t=0.0,
        epochs=12,
        learning_rate=0.15,
        schedule="one_cycle",
        average=0.998,
        keep="best",
    ),
    finetune=None,
)
