"""scikit-learn's handwritten digits, 8 x 8 pixels, under a teacher larger than its students.

Command:   rnascl run demo   (or: make demo)
Hardware:  two CPU cores
Duration:  3 min 33 s on two idle cores
Measured:  450 test images, radius 0.1, seed 0. Student of 24.3 k parameters and 812 k MACs:
           clean 99.6, FGSM 60.0, PGD-20 43.6, MI-FGSM 53.8 %; with TRADES 98.9, 84.7, 80.7,
           83.8 %; the teacher, of 146 k parameters and 3.71 M MACs, 98.2, 87.3, 82.4, 85.3 %

As `digits`, whose teacher is as small as its students. This one has six times their weights, and is
trained by one step for each image, so that it takes no longer.
"""

from rnascl_keras.recipe import Data, Evaluation, Finetune, Recipe, Search, Teacher, Train

recipe = Recipe(
    space="digits",
    data=Data(source="digits", augmentation="shift", validation=147),
    teacher=Teacher(
        architecture="digits_cnn",
        width=40,
        method="n_fgsm",
        epsilon=0.1,
        epochs=20,
        batch_size=64,
        learning_rate=0.05,
        schedule="cosine",
    ),
    search=Search(epochs=10, batch_size=64, learning_rate=0.05),
    train=Train(epochs=20, batch_size=64, learning_rate=0.05, schedule="cosine"),
    finetune=Finetune(epochs=10, batch_size=64, epsilon=0.1, step_size=0.025, steps=5),
    evaluation=Evaluation(n=450, epsilon=0.1),
)
