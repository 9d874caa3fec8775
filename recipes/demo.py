"""scikit-learn's handwritten digits, 8 x 8 pixels, under a teacher larger than its students.

Command:   rnascl run demo   (or: make demo)
Hardware:  two CPU cores
Duration:  not yet run
Measured:  not yet run

As `digits`, whose teacher is as small as its students. This one is five times as large, and
trained by one step an image, so that it takes no longer.
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
