"""What ``python -m tvm_bnn.bench`` measures, and against what: peaks of the machine, single layers, whole networks."""
