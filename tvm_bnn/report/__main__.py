"""``python -m tvm_bnn.report``."""

import sys

from tvm_bnn.report.command import main

if __name__ == "__main__":
    sys.exit(main())
