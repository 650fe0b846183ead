"""Every family of the acceptance set, in the order in which the methods build on one another."""

from __future__ import annotations

from experiments.families.edge_cases import (
    awkward,
    estimators,
    few_bits,
    few_values,
    grouped,
    look_alikes,
    ranks,
    scales,
    transposed,
)
from experiments.families.family import Family
from experiments.families.pictures import (
    bi_real,
    binary_net,
    bitorch,
    bnext,
    concat,
    mlp,
    react_net,
    real_to_binary,
    vgg_small,
    xnor_net,
    xnor_plus_plus,
)
from experiments.families.quantizers import ada_bin, brevitas, dorefa, fourier, multi_base, weight_standardised
from experiments.families.tasks import bert, detection, fsmn, matting, point_net

FAMILIES: tuple[Family, ...] = (
    *mlp.FAMILIES,
    *binary_net.FAMILIES,
    *xnor_net.FAMILIES,
    *xnor_plus_plus.FAMILIES,
    *dorefa.FAMILIES,
    *multi_base.FAMILIES,
    *vgg_small.FAMILIES,
    *bi_real.FAMILIES,
    *real_to_binary.FAMILIES,
    *react_net.FAMILIES,
    *bnext.FAMILIES,
    *weight_standardised.FAMILIES,
    *fourier.FAMILIES,
    *ada_bin.FAMILIES,
    *bitorch.FAMILIES,
    *concat.FAMILIES,
    *grouped.FAMILIES,
    *transposed.FAMILIES,
    *ranks.FAMILIES,
    *brevitas.FAMILIES,
    *detection.FAMILIES,
    *matting.FAMILIES,
    *bert.FAMILIES,
    *point_net.FAMILIES,
    *fsmn.FAMILIES,
    *few_bits.FAMILIES,
    *estimators.FAMILIES,
    *few_values.FAMILIES,
    *scales.FAMILIES,
    *look_alikes.FAMILIES,
    *awkward.FAMILIES,
)
