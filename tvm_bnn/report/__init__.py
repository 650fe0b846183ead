"""``tvm_bnn.report``: one HTML page of a compilation's report and results. Imports bench, compile and rpc.measuring."""
