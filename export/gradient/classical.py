"""Classifiers that are one operator of `ai.onnx.ml`, as scikit-learn's converter writes them."""

from __future__ import annotations

import onnx

from rnascl_keras.export.gradient.registry import attributes_of

DOMAIN = "ai.onnx.ml"
_TO_SHARES = {b"SOFTMAX", b"LOGISTIC"}


def gives_shares(node: onnx.NodeProto) -> bool:
    """Whether a node's scores are none negative, and more the more probable a class is: of trees
    that vote, of a linear model or support vectors behind a softmax or a sigmoid."""
    if node.domain != DOMAIN:
        return False
    attributes = attributes_of(node)
    if attributes.get("post_transform", b"NONE") in _TO_SHARES:
        return node.op_type in ("LinearClassifier", "SVMClassifier", "TreeEnsembleClassifier")
    if node.op_type == "SVMClassifier":
        return bool(attributes.get("prob_a"))
    votes = attributes.get("class_weights", ())
    return node.op_type == "TreeEnsembleClassifier" and bool(votes) and min(votes) >= 0
