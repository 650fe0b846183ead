"""``tvm_bnn.bench``: the machine's limits, single layers and whole networks, beside others.

Imports compile and below.
"""
