"""``python -m tvm_bnn.compile``."""

import sys

from tvm_bnn.compile.command import main

if __name__ == "__main__":
    sys.exit(main())
