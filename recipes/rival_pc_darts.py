"""PC-DARTS: CIFAR-10, trained as AdvRush published it (PGD-7, 200 epochs).

Command:   rnascl run rival_pc_darts
Hardware:  one GPU
Duration:  not yet run
Measured:  not yet run
Published: clean 83.94, FGSM 52.67, PGD-20 41.92, MI-FGSM 49.09 % (Table 1).

Published with 3.6 M parameters and 600 M multiply-adds; counted 3,634,678 and 557 M.
"""

from rnascl_keras.recipes._rivals import ADVRUSH, rival

recipe = rival("pc_darts", ADVRUSH)
