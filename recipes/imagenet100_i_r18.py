"""RNAS-CL-I-R-18: ImageNet-100, space I, a robust ResNet-18 as teacher.

Command:   rnascl run imagenet100_i_r18 --set data.source=IMAGENET
           --set data.class_list=CLASSES.txt --set teacher.weights=TEACHER.keras
Hardware:  one GPU
Duration:  not yet run
Measured:  not yet run
Published: 3.94 M parameters and 241.98 M MACs; clean 85.22, PGD-20 8.3 %; with TRADES 78.94 and
           29.02 % (Table 2).

IMAGENET holds train/<class>/*.JPEG and val/<class>/*.JPEG; CLASSES.txt names the 100 classes of
ImageNet-100 (Tian et al., 2020), one folder name a line. Settings of appendix A.1.
"""

from rnascl_keras.recipes._imagenet100 import imagenet100

recipe = imagenet100("I", "ResNet-18")
