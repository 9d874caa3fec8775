"""Settings of appendix A.1 that the ImageNet-100 recipes share."""

from rnascl_keras.recipe import Data, Finetune, Search, Train

data = Data(source="imagenet", image_size=224, augmentation="resized_crop_flip")
paper = {"batch_size": 256, "learning_rate": 0.05, "schedule": "cosine", "weight_decay": 4e-5}
search = Search(epochs=100, **paper)
train = Train(epochs=200, **paper)
finetune = Finetune(batch_size=256, weight_decay=4e-5)
