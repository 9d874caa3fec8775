"""RNAS-CL-I-WRT-50: ImageNet-100, space I, a robust WideResNet-50-2 as teacher.

Command:   rnascl run imagenet100_i_wrt50 --set data.source=IMAGENET
           --set data.class_list=CLASSES.txt --set teacher.weights=TEACHER.keras
Hardware:  one GPU
Duration:  not yet run
Measured:  not yet run
Published: 4.01 M parameters and 255.37 M MACs; clean 85.46, PGD-20 3.36 %; with TRADES 79.42
           and 28.06 % (Table 2).

IMAGENET holds train/<class>/*.JPEG and val/<class>/*.JPEG; CLASSES.txt names the 100 classes of
ImageNet-100 (Tian et al., 2020), one folder name a line. Settings of appendix A.1.
"""

from rnascl_keras.recipes._imagenet100 import imagenet100

recipe = imagenet100("I", "WideResNet-50-2")
