"""A folder per class of 224-pixel photographs, a tiny budget: tries the ImageNet path for real.

Command:   rnascl run imagefolder_is_tiny --set data.source=FOLDER
Hardware:  two CPU cores
Duration:  not yet measured
Measured:  not yet run

FOLDER holds train/<class>/*.jpg and val/<class>/*.jpg. The figures mean nothing but that every
stage runs at this size: the teacher is hardly trained.
"""

from rnascl_keras.recipe import Data, Evaluation, Recipe, Search, Teacher, Train
from rnascl_keras.spaces import SearchSpace, Stage

rows = (Stage(1, (24, 16)), Stage(1, (40, 32)), Stage(2, (64, 48)))

recipe = Recipe(
    space=SearchSpace("tiny224", rows, stem_stride=2, head_width=128),
    data=Data(
        source="imagenette224",
        image_size=224,
        augmentation="resized_crop_flip",
        limit_train=640,
    ),
    teacher=Teacher(architecture="resnet20", width=8, epochs=1, batch_size=32),
    search=Search(epochs=2, batch_size=32, learning_rate=0.05, schedule="cosine"),
    train=Train(epochs=4, batch_size=32, learning_rate=0.05, schedule="one_cycle"),
    finetune=None,
    evaluation=Evaluation(n=100),
)
