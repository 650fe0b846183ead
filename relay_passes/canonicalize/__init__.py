"""Second phase: sign + convolution or product to the ``bnn`` dialect on sign tensors. Imports analysis and below."""
