"""A folder per class of 224-pixel photographs, a tiny budget: tries the ImageNet path for real.

Command:   rnascl run imagefolder_is_tiny --set data.source=FOLDER
Hardware:  two CPU cores
Duration:  9 min, on cores that other work shared
Measured:  on ten classes of Imagenette, 250 training images each, seed 0: student of 80 k
           parameters and 68.3 M MACs, 10 % clean on the first 100 images, which is chance

FOLDER holds train/<class>/*.jpg and val/<class>/*.jpg. The figures mean nothing but that every
stage runs at this size: neither the teacher (one epoch of 640 images) nor the student has learnt
anything. ONNX and Keras differ by 2.9e-6.
"""

from rnascl_keras import SearchSpace, Stage
from rnascl_keras.recipe import Data, Evaluation, Recipe, Search, Teacher, Train

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
