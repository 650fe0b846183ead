"""``tvm_bnn.tune``: search the fastest schedule of every layer of a model, and work on logs.

Imports bench and below.
"""
