"""MSRobNet-2000, by predictor: CIFAR-10, trained by PGD-7 for 110 epochs.

Command:   rnascl run rival_msrobnet_2000_predictor
Hardware:  one GPU
Duration:  not yet run
Measured:  not yet run
Published: none for this network; MSRobNet-2000 has clean 85.7, FGSM 60.6, PGD-20 53.6 % (Table 1).

Table 1's MSRobNet-2000 of 6.46 M parameters is not in its authors' repository; this is their
network of as many multiply-adds, with 5,737,560 parameters.
"""

from rnascl_keras.recipes._rivals import MSROBNET, rival

recipe = rival("msrobnet_2000_predictor", MSROBNET, learning_rate=0.1, weight_decay=1e-4)
