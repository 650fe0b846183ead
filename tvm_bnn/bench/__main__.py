"""``python -m tvm_bnn.bench``."""

import sys

from tvm_bnn.bench.command import main

if __name__ == "__main__":
    sys.exit(main())
