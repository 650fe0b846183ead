"""``tvm_bnn.compile``: from a model to an artifact and its report.

Imports verifying, deployment, front_ends and below.
"""
