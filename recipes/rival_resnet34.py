"""Hydra's ResNet-34, still dense: CIFAR-10, TRADES as Hydra published it.

Command:   rnascl run rival_resnet34
Hardware:  one GPU
Duration:  not yet run
Measured:  not yet run
Published: clean 71.8, PGD-20 44.4 % (Table 1), for 1 % of its 21.28 M weights.

Prune it as Hydra was: rnascl prune rival_resnet34 --way hydra --keep 0.01 --mask-epochs 20
--epochs 100 --method trades --eps 0.031. LWM is --way magnitude, ADV-ADMM --way admm.
"""

from rnascl_keras.recipes._rivals import HYDRA, rival

recipe = rival("resnet34", HYDRA)
