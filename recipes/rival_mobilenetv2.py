"""MobileNetV2 of ARD: CIFAR-10, trained by PGD-10 with ARD's schedule.

Command:   rnascl run rival_mobilenetv2
Hardware:  one GPU
Duration:  not yet run
Measured:  not yet run
Published: clean 84.7, PGD-20 46.28 % (Table 1), for ARD.

Published with 3.4 M parameters and 300 M multiply-adds, which are the ImageNet model's; ARD's
network for CIFAR-10 has 2,296,922 and 91 M.
"""

from rnascl_keras.recipes._rivals import ARD, rival

recipe = rival("mobilenetv2", ARD)
