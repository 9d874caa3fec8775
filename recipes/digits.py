"""scikit-learn's handwritten digits, 8 x 8 pixels: the whole pipeline in minutes.

Command:   rnascl run digits
Hardware:  two CPU cores
Duration:  2 min 20 s, on cores that other work shared
Measured:  450 test images, radius 0.1, seed 0. Student of 27.8 k parameters and 816 k MACs:
           clean 98.9, FGSM 54.4, PGD-20 39.3, MI-FGSM 48.7 %; with TRADES 97.3, 77.8, 73.3,
           76.9 %; the teacher 98.4, 81.1, 74.4, 78.2 %

The radius is 0.1, not 8/255: digits are strokes of full contrast, which a perturbation of 8/255
hardly touches.
"""

from rnascl_keras.recipe import Data, Evaluation, Finetune, Recipe, Search, Teacher, Train

recipe = Recipe(
    space="digits",
    data=Data(source="digits", augmentation="shift", validation=147),
    teacher=Teacher(
        architecture="digits_cnn",
        method="pgd",
        epsilon=0.1,
        steps=5,
        epochs=20,
        batch_size=64,
        learning_rate=0.05,
        schedule="cosine",
    ),
    search=Search(epochs=10, batch_size=64, learning_rate=0.05),
    train=Train(epochs=20, batch_size=64, learning_rate=0.05, schedule="cosine"),
    finetune=Finetune(epochs=5, batch_size=64, epsilon=0.1, step_size=0.025, steps=5),
    evaluation=Evaluation(n=450, epsilon=0.1),
)
