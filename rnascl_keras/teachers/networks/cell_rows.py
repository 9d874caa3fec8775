"""The cell networks that searches have published, as a table of rows.

The genotypes are facts of these repositories on GitHub: darts, nasnet and amoebanet of
quark0/darts, pc_darts of yuhuixu1993/PC-DARTS, racl and advrush of nutellamok/advrush, e2rnas of
yuezhixiong/NAS-Benchmark (the one cell that its scripts train at 16 channels), robnet of
gmh14/RobNets, msrobnet of walkerning/aw_nas. darts_r follows the rule of HanxunH/RobustWRN, the
last stage's width x 0.4: its own widths were not published.

What cannot be had: neither code nor weights of RobNet-small, RobNet-medium and TAM-NAS S2 were
published, nor the code of the 6.46 M MSRobNet-2000; `msrobnet_2000_predictor` is its authors' other
network of as many multiply-adds.
"""

from __future__ import annotations

from rnascl_keras.teachers.networks.cell_network import CellRow
from rnascl_keras.teachers.networks.genotypes import Cell, dense_code, genotype


def _row(normal: str, reduction: str, *, width: int = 36) -> CellRow:
    return _of_cells(genotype(normal), genotype(reduction), width)


def _of_cells(normal: Cell, reduction: Cell, width: int = 36) -> CellRow:
    return CellRow(_doubling(width), (normal,), reduction)


def _doubling(width: int) -> tuple[int, int, int]:
    return width, 2 * width, 4 * width


DARTS_NORMAL = "s3.0 s3.1|s3.0 s3.1|s3.1 k.0|k.0 d3.2"
DARTS_REDUCTION = "m.0 m.1|k.2 m.1|m.0 k.2|k.2 m.1"

SEARCHED_CELLS = {
    "darts": _row(DARTS_NORMAL, DARTS_REDUCTION),
    "darts_v1": _row("s3.1 s3.0|k.0 s3.1|k.0 s3.1|s3.0 k.2", "m.0 m.1|k.2 m.0|m.0 k.2|k.2 a.0"),
    "darts_r": CellRow((36, 72, 58), (genotype(DARTS_NORMAL),), genotype(DARTS_REDUCTION)),
    "pc_darts": _row(
        "s3.1 k.0|s3.0 d3.1|s5.0 s3.1|a.0 d3.1", "s5.1 m.0|s5.1 s5.2|s3.0 s3.3|s3.1 s3.2"
    ),
    "racl": _row("s3.0 s3.1|s5.0 k.1|s3.0 k.3|s3.3 k.4", "s3.0 s5.1|a.0 d3.1|s3.0 s5.1|s3.2 d3.3"),
    "nasnet": _of_cells(
        genotype("s5.1 s3.0|s5.0 s3.0|a.1 k.0|a.0 a.0|s3.1 k.1"),
        genotype("s5.1 s7.0|m.1 s7.0|a.1 s5.0|k.3 a.2|s3.2 m.1", concat=(4, 5, 6)),
    ),
    "amoebanet": _of_cells(
        genotype("a.0 m.1|s3.0 s5.2|s3.0 a.3|s3.1 k.1|k.0 a.1", concat=(4, 5, 6)),
        genotype("a.0 s3.1|m.0 s7.2|s7.0 a.1|m.0 m.1|x.0 s3.5", concat=(3, 4, 6)),
    ),
    "advrush": _row("s3.1 s3.0|s5.0 s3.1|s3.1 s3.0|k.0 s3.1", "s3.0 s3.1|k.0 d3.2|k.0 a.1|k.0 k.2"),
    "e2rnas": _row(
        "m.0 m.1|s5.0 m.1|k.3 m.2|k.4 m.2", "k.1 s5.0|s3.1 s3.0|s5.0 s3.3|m.4 m.3", width=16
    ),
}

ALL_UNSCALED = frozenset({"preprocess", "s3", "k", "R"})
UNSCALED_BESIDE_R = frozenset({"s3", "k"})


def _codes(text: str) -> tuple[Cell, ...]:
    return tuple(dense_code(code) for code in text.split(";"))


ROBNET_FREE = (
    "Rk RRk Rssk RR0Rs; R0 sks 0kk0 sRkR0; RR Rss Rs0k 0kk0R; kR kss kksk R00sk;"
    "RR s0k kksk s0ksR; Rk RRR skR0 ksRsR; RR Rkk sRks kkksk; sR RRs RRRs RsRk0;"
    "RR RRR ssRk s0ksR; kR s0R RkRs RRRR0; Rk R00 0R0s k0skR; sR sRR kkRk RsRk0;"
    "RR kks 0kRR skk0s; sR RRs sRss RRskk; sR RRR s0sk kRkkR; RR 0RR s0sk 0RsRR;"
    "RR sRR kRkk kkkRR; kR sRR sR0R R0k0s; Rk RRR RRkR 0RsRR; RR ssR Rs00 k0ssR"
)
MSROBNET_1000 = (
    "0R s0k s0s0 0skR0; RR 00k sk0R k0kRs; Rs kkR 0skk s00ss; kk Rk0 RRsk 0ssRs;"
    "sk 0Rs kRks skk0R; kk s0s ssk0 s00sk; 0R kk0 sskR 0ksks; Rk 0RR 0R00 k0s0k"
)
MSROBNET_1560 = (
    "ks 0kk 0sRk kssss; Rs 0sk RRR0 0kssk; Rk s00 kRs0 RkR0k; kk R0R R0Rk 0s0ks;"
    "Rs kk0 skss RR0ks; ss RsR 0sRs Rkkks; 0R 0sR kRR0 RkR0s; 00 0R0 skR0 Rkk0R"
)
A, B, C, D = _codes("RR Rkk Rksk 0kssk; s0 sss s00k ssR0R; Rk RkR ssRs sskRs; ss 000 0k0s 0kkk0")


def _msrobnet(width: int, cells: tuple[Cell, ...]) -> CellRow:
    return CellRow(_doubling(width), cells, cells=8, unscaled=UNSCALED_BESIDE_R)


DENSE_CELLS = {
    "robnet_large": CellRow(_doubling(36), _codes("RR RRR sRsk RsssR"), unscaled=ALL_UNSCALED),
    "robnet_free": CellRow(_doubling(36), _codes(ROBNET_FREE), unscaled=ALL_UNSCALED),
    "msrobnet_1000": _msrobnet(51, _codes(MSROBNET_1000)),
    "msrobnet_1560": _msrobnet(61, _codes(MSROBNET_1560)),
    "msrobnet_2000_predictor": _msrobnet(70, (A, A, B, C, C, B, D, D)),
}

CELL_NETWORKS = SEARCHED_CELLS | DENSE_CELLS
