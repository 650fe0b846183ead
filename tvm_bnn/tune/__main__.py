"""``python -m tvm_bnn.tune``."""

import sys

from tvm_bnn.tune.command import main

if __name__ == "__main__":
    sys.exit(main())
