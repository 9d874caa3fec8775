"""AdvRush: CIFAR-10, trained as AdvRush published it (PGD-7, 200 epochs).

Command:   rnascl run rival_advrush
Hardware:  one GPU
Duration:  not yet run
Measured:  not yet run
Published: not in the paper's tables.

Its search is the one whose training the other cells are given here.
"""

from rnascl_keras.recipes._rivals import ADVRUSH, rival

recipe = rival("advrush", ADVRUSH)
