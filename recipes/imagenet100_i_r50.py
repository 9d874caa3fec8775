"""RNAS-CL-I-R-50: ImageNet-100, space I, a robust ResNet-50 as teacher.

Command:   rnascl run imagenet100_i_r50 --set data.source=IMAGENET
           --set data.class_list=CLASSES.txt --set teacher.weights=TEACHER.keras
Hardware:  one GPU
Duration:  not yet run
Measured:  not yet run
Published: 3.96 M parameters and 244.76 M MACs; clean 85.98, PGD-20 5.08 %; with TRADES 79.95
           and 32.44 % (Table 2).

IMAGENET holds train/<class>/*.JPEG and val/<class>/*.JPEG; CLASSES.txt names the 100 classes of
ImageNet-100 (Tian et al., 2020), one folder name a line. Settings of appendix A.1.
"""

from rnascl_keras.recipes._imagenet100 import imagenet100

recipe = imagenet100("I", "ResNet-50")
